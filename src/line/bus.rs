//! Messages on a Modbus RTU bus, kept apart by 3.5 characters of idle wire, whoever sends them.
//! Bytes and time in, pauses out.

use std::time::Duration;

use tokio::time::Instant;

use super::output::SeatId;
use crate::{
    config::modbus_pause,
    settings::Settings,
    wire::modbus::{self, FRAME_MOST, FrameStart},
};

/// How soon a port that is still sending is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// What goes to a bus.
#[derive(Debug, Default)]
pub(super) struct Bus {
    /// The part already sent of a message that is not complete.
    begun: Vec<u8>,
    /// Which seat it belongs to.
    writer: Option<SeatId>,
    /// Where it ends, if that is known yet.
    end: Option<usize>,
    /// The earliest time at which everything sent can have left the line at its speed.
    left: Option<Instant>,
    state: BusState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum BusState {
    /// Bytes may be sent.
    #[default]
    Open,
    /// A whole message is on its way until then; after that the port is asked whether it has left.
    Leaves(Instant),
    /// The wire is idle, and stays so until then.
    Rests(Instant),
}

impl Bus {
    /// How many of a writer's next bytes may be sent in one write; 0 until [`due`](Self::due).
    pub(super) fn piece(&mut self, next: &[u8], writer: Option<SeatId>, now: Instant) -> usize {
        if self.state != BusState::Open {
            return 0;
        }
        if self.writer != writer && !self.begun.is_empty() {
            self.ends(now);
            return 0;
        }
        self.writer = writer;
        let begun = self.begun.len();
        let (all, looked_at) = ([self.begun.as_slice(), next].concat(), next.len().min(FRAME_MOST));
        let (all, _) = all.split_at(begun + looked_at);
        self.end = match modbus::head(all, 0) {
            FrameStart::Frame(end) | FrameStart::Garbage(end) => Some(end),
            FrameStart::Open | FrameStart::Strange => None,
        };
        match self.end {
            // What was sent before does not belong to this message.
            Some(end) if end <= begun => {
                self.ends(now);
                0
            }
            Some(end) => end - begun,
            None => looked_at,
        }
    }

    /// Notes that these bytes were sent, on a line with these settings.
    pub(super) fn wrote(&mut self, bytes: &[u8], now: Instant, settings: Settings) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let begins = self.left.map_or(now, |left| left.max(now));
        self.left = Some(begins + settings.character() * length);
        self.begun.extend_from_slice(bytes);
        if self.end == Some(self.begun.len()) {
            self.ends(now);
        } else if self.begun.len() > FRAME_MOST {
            // Longer than any message: what comes next is looked at on its own.
            self.begun.clear();
        }
    }

    fn ends(&mut self, now: Instant) {
        self.begun.clear();
        self.end = None;
        self.state = BusState::Leaves(self.left.unwrap_or(now));
    }

    /// When there is something to do again.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            BusState::Open => None,
            BusState::Leaves(at) | BusState::Rests(at) => Some(at),
        }
    }

    /// Called when it is due. Returns whether to ask the port now if it is still sending; otherwise
    /// bytes may go.
    pub(super) fn asks(&mut self) -> bool {
        let asks = matches!(self.state, BusState::Leaves(_));
        if !asks {
            self.state = BusState::Open;
        }
        asks
    }

    /// Takes the port's answer.
    pub(super) fn answered(&mut self, is_idle: bool, now: Instant, settings: Settings) {
        self.state = if is_idle {
            BusState::Rests(now + modbus_pause(settings))
        } else {
            BusState::Leaves(now + ASK_AGAIN)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::modbus::crc16;

    const A: Option<SeatId> = Some(1);
    const B: Option<SeatId> = Some(2);

    fn framed(body: &[u8]) -> Vec<u8> {
        [body, &crc16(body).to_le_bytes()].concat()
    }

    /// Sends what each writer has in turn, to a port that is idle after so many questions; returns
    /// each piece with the millisecond it was sent at.
    fn send(all: &[(Option<SeatId>, &[u8])], busy: usize) -> Vec<(Vec<u8>, u128)> {
        let (mut bus, start, settings) = (Bus::default(), Instant::now(), Settings::default());
        let (mut now, mut went, mut asked) = (start, Vec::new(), 0);
        for (writer, bytes) in all {
            let mut rest = *bytes;
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(bus.piece(rest, *writer, now));
                if !piece.is_empty() {
                    bus.wrote(piece, now, settings);
                    went.push((piece.to_vec(), now.duration_since(start).as_millis()));
                    rest = behind;
                    continue;
                }
                now = bus.due().unwrap().max(now);
                let asks = bus.asks();
                asked += usize::from(asks);
                let answer = asks.then_some(asked > busy);
                if let Some(is_idle) = answer {
                    bus.answered(is_idle, now, settings);
                }
            }
        }
        went
    }

    /// At 9600 baud a message of 8 bytes takes 8.33 ms, the pause 3.65.
    #[test]
    fn two_requests_in_one_write_and_those_of_two_writers_leave_apart() {
        let (read, write) = (framed(&[1, 3, 0, 2, 0, 1]), framed(&[2, 6, 0, 2, 0, 9]));
        let both = [read.as_slice(), &write].concat();
        let apart = vec![(read.clone(), 0), (write.clone(), 11)];
        assert_eq!(send(&[(A, &both)], 0), apart);
        assert_eq!(send(&[(A, &read), (B, &write)], 0), apart);
        // A port that says it is still sending is believed.
        assert_eq!(send(&[(A, &both)], 20), [(read, 0), (write, 31)]);
    }

    #[test]
    fn a_message_that_comes_in_pieces_is_not_torn_and_garbage_is_one_by_itself() {
        let read = framed(&[1, 3, 0, 2, 0, 1]);
        let (head, tail) = read.split_at(3);
        let torn = send(&[(A, head), (A, tail), (A, &read)], 0);
        assert_eq!(torn, [(head.to_vec(), 0), (tail.to_vec(), 0), (read.clone(), 11)]);
        let noise = [&[0xff, 0x55][..], &read].concat();
        assert_eq!(send(&[(A, &noise)], 0), [(vec![0xff, 0x55], 0), (read.clone(), 5)]);
        // Another writer does not continue what this one has begun.
        assert_eq!(send(&[(A, head), (B, &read)], 0), [(head.to_vec(), 0), (read.clone(), 6)]);
    }

    #[test]
    fn what_is_no_message_goes_as_it_comes_and_a_later_message_waits_for_nothing() {
        let noise = vec![0xff; 1000];
        let went = send(&[(A, &noise)], 0);
        assert_eq!(went.iter().map(|(piece, _)| piece.len()).sum::<usize>(), 1000);
        assert!(went.iter().all(|(_, at)| *at == 0));
        let (mut bus, now, settings) = (Bus::default(), Instant::now(), Settings::default());
        let read = framed(&[1, 3, 0, 2, 0, 1]);
        assert_eq!(bus.piece(&read, A, now), 8);
        bus.wrote(&read, now, settings);
        let left = bus.due().unwrap();
        assert!(bus.asks());
        bus.answered(true, left, settings);
        let rested = bus.due().unwrap();
        assert!(!bus.asks());
        assert_eq!((rested.duration_since(left), bus.due()), (modbus_pause(settings), None));
        assert_eq!(bus.piece(&read, B, rested), 8);
    }
}
