//! What a reader hears of a device that sends datagrams: each whole, in a message of its own, or
//! not at all.

use super::{ReadPosition, SeatEvent};
use crate::line::{
    borders::{Borders, Datagram},
    tape::{Gap, Tape},
};

/// What comes next.
pub(super) enum Next {
    /// It is heard.
    Heard(SeatEvent),
    /// Nothing has come.
    None,
    /// One that fits when the reader has more room.
    NoRoom,
}

/// The next datagram for a reader, into `buf`; a gap in place of those that are gone, and of one
/// that it never takes.
pub(super) fn next(
    borders: &Borders,
    tape: &Tape,
    reader: &mut ReadPosition,
    buf: &mut [u8],
) -> Next {
    let next = borders.next(reader.datagram);
    // Where nothing is kept, one that the tape cannot hold was the last.
    let last = Datagram { number: borders.end(), start: tape.end(), end: tape.end() };
    let Datagram { number, start, end } = next.unwrap_or(last);
    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
    let too_long = length > reader.hearing.longest;
    // What was missed before it is told with it: one gap, however many there were meanwhile.
    if next.is_some() && !too_long && length > buf.len() {
        return Next::NoRoom;
    }
    if number > reader.datagram {
        let gap = Gap { from: reader.at, to: start };
        (reader.datagram, reader.at) = (number, start);
        // Of empty ones nothing is missed that can be told.
        if gap.from < gap.to {
            return Next::Heard(SeatEvent::Gap(gap));
        }
    }
    if next.is_none() {
        return Next::None;
    }
    (reader.datagram, reader.at) = (number + 1, end);
    if too_long {
        return Next::Heard(SeatEvent::Gap(Gap { from: start, to: end }));
    }
    if !reader.hearing.acks {
        reader.done = end;
    }
    let (space, _) = buf.split_at_mut(length);
    // Whatever has a border is on the tape.
    Next::Heard(SeatEvent::Bytes(tape.read(start, space).unwrap_or(0)))
}
