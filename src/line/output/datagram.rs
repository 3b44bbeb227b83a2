//! What a reader hears from a device that sends datagrams: each one whole, in a message of its own,
//! or not at all.

use super::{ReadPosition, SeatEvent};
use crate::line::{
    borders::{Borders, Datagram},
    tape::{Gap, Tape},
};

/// What comes next.
pub(super) enum Next {
    /// It is delivered.
    Heard(SeatEvent),
    /// Nothing has come.
    None,
    /// It fits once the reader has more room.
    NoRoom,
}

/// The next datagram for a reader, copied into `buf`; or a gap for those that are gone, and for one
/// that it can never take.
pub(super) fn next(
    borders: &Borders,
    tape: &Tape,
    reader: &mut ReadPosition,
    buf: &mut [u8],
) -> Next {
    let next = borders.next(reader.datagram);
    // If none is kept, the last one was longer than the tape.
    let last = Datagram { number: borders.end(), start: tape.end(), end: tape.end() };
    let Datagram { number, start, end } = next.unwrap_or(last);
    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
    let too_long = length > reader.hearing.longest;
    // What was missed before it is told first: as one gap, however many there were.
    if next.is_some() && !too_long && length > buf.len() {
        return Next::NoRoom;
    }
    if number > reader.datagram {
        let gap = Gap { from: reader.at, to: start };
        (reader.datagram, reader.at) = (number, start);
        // About missed empty ones there is nothing to tell.
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
