//! The echo of a two-wire bus: what we sent and hear again is taken out of what the device says.
//!
//! Only what comes before our last stop bit has left, and the time that the port may hold it, can
//! be an echo: an answer may be equal to its request (Modbus function 6), and comes later. What
//! fits is held until the whole is there. At the first byte that does not fit all of it is passed
//! on, and nothing more of this sending is looked for. It has no clock; whoever has one tells it.

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::settings::LineEvent;

/// Most bytes that are sent and not heard yet; more is no bus.
const EXPECTED_MOST: usize = 64 << 10;

/// Most bytes that are held: so many that fit in a row are an echo.
const HELD_MOST: usize = 4096;

/// What has become of the echo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EchoCounts {
    /// Bytes that were taken out.
    pub(super) removed: u64,
    /// Bytes that were sent and not heard again.
    pub(super) missing: u64,
}

/// What is known of the echo.
#[derive(Debug)]
pub(super) struct Echo {
    /// How long the port may hold what it has heard.
    latency: Duration,
    expected: VecDeque<u8>,
    held: Vec<u8>,
    /// What was held of a sending before, and has yet to be passed on.
    late: Vec<u8>,
    /// When the last stop bit of what was sent has left.
    sent: Option<Instant>,
    /// Something else came: no echo is looked for until the next sending.
    off: bool,
    counts: EchoCounts,
}

impl Echo {
    pub(super) fn new(latency: Duration) -> Self {
        Self {
            latency,
            expected: VecDeque::new(),
            held: Vec::new(),
            late: Vec::new(),
            sent: None,
            off: false,
            counts: EchoCounts::default(),
        }
    }

    /// Bytes that are neither passed on nor taken out yet.
    pub(super) fn held(&self) -> usize {
        self.held.len() + self.late.len()
    }

    /// What was counted since the last call.
    pub(super) fn counted(&mut self) -> EchoCounts {
        std::mem::take(&mut self.counts)
    }

    /// When [`expire`](Self::expire) is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.sent
            .filter(|_| !self.expected.is_empty() || !self.late.is_empty())
            .map(|sent| sent + self.latency)
    }

    /// Notes that bytes were sent, each of which takes the wire for so long.
    pub(super) fn wrote(&mut self, bytes: &[u8], now: Instant, character: Duration) {
        if self.is_due(now) {
            self.give_up();
        }
        let goes_on = self.sent.filter(|sent| now < *sent);
        let time = character.saturating_mul(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.sent = Some(goes_on.unwrap_or(now) + time);
        if goes_on.is_none() {
            self.off = false;
        }
        if self.off {
            return;
        }
        if self.expected.len() + bytes.len() > EXPECTED_MOST {
            self.give_up();
            return;
        }
        self.expected.extend(bytes);
    }

    /// Takes the echo out of what was heard; `marks`, each at the number of bytes that it lies
    /// before, are moved with the rest.
    pub(super) fn heard<'a>(
        &mut self,
        bytes: &'a [u8],
        marks: &mut [(usize, LineEvent)],
        now: Instant,
    ) -> Cow<'a, [u8]> {
        let before = self.expire(now);
        if self.expected.is_empty() && before.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut passed = before;
        let mut marks = marks.iter_mut().peekable();
        for (at, byte) in bytes.iter().enumerate() {
            while let Some((place, _)) = marks.next_if(|mark| mark.0 <= at) {
                *place = passed.len();
            }
            if self.expected.front() == Some(byte) {
                self.expected.pop_front();
                self.held.push(*byte);
                if self.expected.is_empty() || self.held.len() >= HELD_MOST {
                    self.counts.removed += self.held.len() as u64;
                    self.held.clear();
                }
                continue;
            }
            if !self.expected.is_empty() {
                self.give_up();
                passed.append(&mut self.late);
            }
            passed.push(*byte);
        }
        for (place, _) in marks {
            *place = passed.len();
        }
        Cow::Owned(passed)
    }

    /// What was held of an echo whose time is over; nobody waits for the rest of it.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<u8> {
        if self.is_due(now) {
            self.give_up();
        }
        std::mem::take(&mut self.late)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| now >= due)
    }

    fn give_up(&mut self) {
        self.off = true;
        self.counts.missing += self.expected.len() as u64;
        self.expected.clear();
        self.late.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LATENCY: Duration = Duration::from_millis(3);
    /// Write register 17 of unit 1: the answer is the same again.
    const REQUEST: [u8; 8] = [1, 6, 0, 17, 0, 3, 0x98, 0x0E];

    struct Bus {
        echo: Echo,
        began: Instant,
    }

    impl Bus {
        fn new() -> Self {
            Self { echo: Echo::new(LATENCY), began: Instant::now() }
        }

        /// Sends at 1 ms a byte.
        fn send(&mut self, at: u32, bytes: &[u8]) {
            self.echo.wrote(bytes, self.began + MS * at, MS);
        }

        fn hear(&mut self, at: u32, bytes: &[u8]) -> Vec<u8> {
            self.echo.heard(bytes, &mut [], self.began + MS * at).into_owned()
        }
    }

    #[test]
    fn an_answer_that_equals_its_request_stays_with_an_echo_and_without() {
        let mut bus = Bus::new();
        bus.send(0, &REQUEST);
        assert_eq!(bus.hear(4, &REQUEST[..3]), b"");
        assert_eq!(bus.hear(9, &REQUEST[3..]), b"");
        // It may come at once, when the echo is whole.
        assert_eq!(bus.hear(10, &REQUEST), REQUEST);
        assert_eq!(bus.echo.counted(), EchoCounts { removed: 8, missing: 0 });
        bus.send(100, &REQUEST);
        assert_eq!(bus.hear(112, &REQUEST), REQUEST);
        assert_eq!(bus.echo.counted(), EchoCounts { removed: 0, missing: 8 });
        // Echo and answer in one read.
        bus.send(200, &REQUEST);
        assert_eq!(bus.hear(209, &[REQUEST, REQUEST].concat()), REQUEST);
    }

    #[test]
    fn at_a_flipped_byte_all_that_was_held_is_passed_on_until_the_next_sending() {
        let mut bus = Bus::new();
        bus.send(0, &REQUEST);
        assert_eq!(bus.hear(4, &REQUEST[..4]), b"");
        let rest = [REQUEST[4] ^ 1, REQUEST[5], REQUEST[6], REQUEST[7]];
        assert_eq!(bus.hear(9, &rest), [&REQUEST[..4], &rest].concat());
        assert_eq!(bus.hear(9, &REQUEST), REQUEST, "off");
        bus.send(20, &REQUEST);
        assert_eq!(bus.hear(26, &REQUEST), b"", "on again");
        assert_eq!(bus.echo.counted(), EchoCounts { removed: 8, missing: 4 });
    }

    #[test]
    fn half_an_echo_is_passed_on_when_its_time_is_over() {
        let mut bus = Bus::new();
        bus.send(0, &REQUEST);
        assert_eq!(bus.hear(5, &REQUEST[..5]), b"");
        let due = bus.echo.due().unwrap();
        assert_eq!(due, bus.began + MS * 11);
        assert_eq!(bus.echo.expire(due - MS), b"");
        assert_eq!(bus.echo.expire(due), REQUEST[..5]);
        assert_eq!((bus.echo.due(), bus.echo.held()), (None, 0));
        assert_eq!(bus.echo.counted(), EchoCounts { removed: 0, missing: 3 });
    }

    #[test]
    fn marks_stay_between_the_bytes_that_they_were_between() {
        let mut bus = Bus::new();
        bus.send(0, b"ab");
        let mut marks = [(0, LineEvent::Break), (2, LineEvent::Parity), (4, LineEvent::Break)];
        let out = bus.echo.heard(b"abXY", &mut marks, bus.began + MS);
        assert_eq!((&*out, marks.map(|mark| mark.0)), (&b"XY"[..], [0, 0, 2]));
    }

    proptest! {
        /// Whatever comes and whenever: each byte that was heard is passed on once and in order, or
        /// was taken out as one that was sent.
        #[test]
        fn nothing_is_lost_but_what_was_sent(steps in prop::collection::vec(
            (any::<bool>(), 0_u32..30, prop::collection::vec(0_u8..3, 1..12)), 1..40))
        {
            let mut bus = Bus::new();
            let (mut now, mut heard, mut passed, mut removed, mut sent) = (0, Vec::<u8>::new(), Vec::<u8>::new(), 0, 0);
            for (sends, pause, bytes) in steps {
                now += pause;
                if sends {
                    sent += bytes.len() as u64;
                    bus.send(now, &bytes);
                } else {
                    heard.extend(&bytes);
                    passed.extend(bus.hear(now, &bytes));
                }
                removed += bus.echo.counted().removed;
                prop_assert_eq!(passed.len() as u64 + removed + bus.echo.held() as u64, heard.len() as u64);
            }
            passed.extend(bus.echo.expire(bus.began + MS * (now + 1000)));
            removed += bus.echo.counted().removed;
            prop_assert_eq!(passed.len() as u64 + removed, heard.len() as u64);
            prop_assert!(removed <= sent);
            // In order: what was passed on is what was heard, with gaps.
            let mut rest = heard.iter();
            prop_assert!(passed.iter().all(|byte| rest.any(|other| other == byte)));
        }

        /// Requests with their echo, cut anywhere, and answers after it: the answers are left.
        #[test]
        fn a_whole_echo_goes_and_the_answers_stay(
            turns in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..20), prop::collection::vec(any::<u8>(), 0..20), 0_usize..20), 1..10))
        {
            let mut bus = Bus::new();
            let mut now = 0;
            for (request, answer, cut) in turns {
                now += 1000;
                bus.send(now, &request);
                let length = u32::try_from(request.len()).unwrap();
                let (first, second) = request.split_at(cut.min(request.len()));
                let mut passed = bus.hear(now + length / 2, first);
                passed.extend(bus.hear(now + length, second));
                passed.extend(bus.hear(now + length + 1, &answer));
                prop_assert_eq!(passed, answer);
            }
        }
    }
}
