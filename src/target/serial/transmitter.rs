//! When the wire is idle: what was written and may still be on its way, beyond what the driver
//! counts.
//!
//! TIOCOUTQ is what the driver holds; an adapter's FIFO and the shift register come after it. Some
//! drivers can be asked about those. For the others we know how long what they were given takes on
//! the wire, counted from when the driver has nothing left. And even for those that answer, nothing
//! is idle sooner than its characters take.

use std::{os::fd::BorrowedFd, time::Duration};

use tokio::time::Instant;

use crate::{
    settings::{Flow, Settings},
    sys::ioctl,
};

/// The FIFO of an adapter that is not known to have a smaller one.
const FIFO: usize = 512;

/// The FIFO of a UART of the serial core that cannot be asked: a 16C950's has 128 bytes.
const UART_FIFO: usize = 256;

/// The longest that bytes are under way between the driver and the start of the wire.
const UNDER_WAY: Duration = Duration::from_millis(50);

/// A chip reports its state at least this often: FTDI's latency timer is 255 ms at most.
const REPORT: Duration = Duration::from_millis(300);

/// How it can be found out that the wire is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdleQuery {
    /// TIOCSERGETLSR reads the chip's register: the serial core.
    Register,
    /// TIOCSERGETLSR gives the chip's last report at no cost; tcdrain asks the chip: `ftdi_sio`.
    ReportThenDrain,
    /// tcdrain asks the chip.
    Drain,
    /// Nothing asks the chip: characters are counted.
    Nothing,
    /// There is no wire that we could know about (CDC-ACM), or none at all (a pty).
    NoWire,
}

impl IdleQuery {
    /// What the driver of this name does. Those in the third line have a `tx_empty` that asks the
    /// chip.
    pub(super) fn of(driver: Option<&str>, usb: bool, fd: BorrowedFd<'_>) -> Self {
        match driver {
            Some("ftdi_sio") => Self::ReportThenDrain,
            Some("cdc_acm") => Self::NoWire,
            Some("cp210x" | "f81232" | "f81534" | "mxuport") => Self::Drain,
            Some(driver) if driver.starts_with("ti_usb_3410_5052") => Self::Drain,
            // Other USB drivers that answer TIOCSERGETLSR only say what they themselves hold.
            _ if usb => Self::Nothing,
            _ if ioctl::transmitter_empty(fd).is_ok() => Self::Register,
            _ => Self::Nothing,
        }
    }
}

/// What was given to the driver.
#[derive(Debug)]
pub(super) struct Transmitter {
    answers: IdleQuery,
    /// Bytes written since the wire was last known to be idle.
    written: usize,
    /// Of these, how many were at most still on their way at the last look, plus those written
    /// since.
    seen: usize,
    since: usize,
    /// The wire cannot be idle before this: that is how long what was written takes.
    earliest: Option<Instant>,
    /// When the driver was first seen with nothing of that left.
    handed_on: Option<Instant>,
    settings: Settings,
}

/// What can be known without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireKnowledge {
    /// The wire is idle.
    Idle,
    /// It is not.
    Busy,
    /// The chip has to be asked, with tcdrain.
    Ask,
    /// The driver has nothing left, and nothing can be known about the rest.
    HandedOn,
}

impl Transmitter {
    pub(super) fn new(answers: IdleQuery, settings: Settings) -> Self {
        Self { answers, written: 0, seen: 0, since: 0, earliest: None, handed_on: None, settings }
    }

    pub(super) fn answers(&self) -> IdleQuery {
        self.answers
    }

    /// The line runs with these settings from now on.
    pub(super) fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Notes that this many bytes went to the driver.
    pub(super) fn wrote(&mut self, bytes: usize, now: Instant) {
        self.written = self.written.saturating_add(bytes);
        self.since = self.since.saturating_add(bytes);
        let begins = self.earliest.map_or(now, |earliest| earliest.max(now));
        self.earliest = Some(begins + self.time_of(bytes));
        self.handed_on = None;
    }

    /// The state of the wire, now that the driver holds `unsent` bytes; `empty` gives what
    /// TIOCSERGETLSR says.
    pub(super) fn look(
        &mut self,
        now: Instant,
        unsent: usize,
        empty: impl Fn() -> Option<bool>,
    ) -> WireKnowledge {
        (self.seen, self.since) = (unsent.saturating_add(self.fifo()).min(self.written), 0);
        if unsent > 0 {
            return WireKnowledge::Busy;
        }
        if self.written == 0 {
            return if self.answers == IdleQuery::NoWire {
                WireKnowledge::HandedOn
            } else {
                WireKnowledge::Idle
            };
        }
        let handed_on = *self.handed_on.get_or_insert(now);
        let early = self.earliest.is_some_and(|earliest| now < earliest);
        match self.answers {
            IdleQuery::NoWire => {
                self.idle();
                WireKnowledge::HandedOn
            }
            // Flow control may be holding what an adapter has: only its whole time without any is
            // known to be enough.
            IdleQuery::Nothing if now < self.floor(handed_on) => WireKnowledge::Busy,
            IdleQuery::Nothing => self.idle(),
            _ if early => WireKnowledge::Busy,
            IdleQuery::Register if empty() == Some(true) => self.idle(),
            IdleQuery::Register => WireKnowledge::Busy,
            // A report may be older than what was written, unless that was long ago.
            IdleQuery::ReportThenDrain => match empty() {
                Some(false) => WireKnowledge::Busy,
                Some(true) if self.earliest.is_none_or(|earliest| now >= earliest + REPORT) => {
                    self.idle()
                }
                Some(true) | None => WireKnowledge::Ask,
            },
            IdleQuery::Drain => WireKnowledge::Ask,
        }
    }

    /// Notes that the chip says its transmitter is empty, or that the time is up.
    pub(super) fn idle(&mut self) -> WireKnowledge {
        (self.written, self.seen, self.since) = (0, 0, 0);
        (self.earliest, self.handed_on) = (None, None);
        WireKnowledge::Idle
    }

    /// How much of what was written the adapter may still hold, at most.
    pub(super) fn with_adapter(
        &mut self,
        now: Instant,
        unsent: usize,
        empty: impl Fn() -> Option<bool>,
    ) -> usize {
        let known = self.look(now, unsent, empty);
        // Without flow control nothing stays in an adapter longer than its time.
        let gone =
            known == WireKnowledge::Ask && self.settings.flow == Flow::None && self.is_over(now);
        if known == WireKnowledge::Idle || gone {
            return 0;
        }
        self.written.saturating_sub(unsent).min(self.fifo())
    }

    /// How much of what was written may not have got onto the wire, at most, when the device went
    /// and could no longer be asked. The clock is no evidence here: an adapter is not fed without
    /// pauses.
    pub(super) fn lost_with_it(&self) -> usize {
        self.written.min(self.seen.saturating_add(self.since))
    }

    /// The most an adapter can hold beyond what the driver counts.
    fn fifo(&self) -> usize {
        match self.answers {
            IdleQuery::NoWire => 0,
            IdleQuery::Register => UART_FIFO,
            IdleQuery::ReportThenDrain | IdleQuery::Drain | IdleQuery::Nothing => FIFO,
        }
    }

    /// Of what the driver counts, at most this much was written: CDC-ACM counts whole buffers.
    pub(super) fn at_most(&self, unsent: usize) -> usize {
        if self.answers == IdleQuery::NoWire { unsent.min(self.written) } else { unsent }
    }

    /// The latest time at which the wire becomes idle, unless flow control holds it.
    fn floor(&self, handed_on: Instant) -> Instant {
        let floor = handed_on + self.time_of(self.written.min(FIFO));
        match self.earliest {
            Some(earliest) if self.settings.flow == Flow::None => {
                floor.min(earliest + UNDER_WAY).max(earliest)
            }
            Some(earliest) => floor.max(earliest),
            None => floor,
        }
    }

    /// Whether everything written has had its time on a wire that nothing holds.
    fn is_over(&self, now: Instant) -> bool {
        self.earliest.is_none_or(|earliest| now >= earliest + UNDER_WAY)
    }

    /// The longest that a full FIFO takes.
    pub(super) fn fifo_time(&self) -> Duration {
        self.time_of(FIFO.min(self.written))
    }

    fn time_of(&self, characters: usize) -> Duration {
        self.settings.character() * u32::try_from(characters).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{DataBits, Parity};

    const MS: Duration = Duration::from_millis(1);

    /// 300 7E1: a character takes 33.3 ms.
    fn meter(answers: IdleQuery) -> Transmitter {
        let settings = Settings {
            baud: 300,
            data: DataBits::Seven,
            parity: Parity::Even,
            ..Settings::default()
        };
        Transmitter::new(answers, settings)
    }

    fn silent() -> Option<bool> {
        None
    }

    #[test]
    fn what_nothing_asks_is_idle_when_its_characters_have_had_their_time() {
        let (mut line, start) = (meter(IdleQuery::Nothing), Instant::now());
        assert_eq!(line.look(start, 0, silent), WireKnowledge::Idle);
        line.wrote(6, start);
        assert_eq!(line.look(start + 10 * MS, 6, silent), WireKnowledge::Busy);
        // Six characters take 200 ms, and may begin up to 50 ms late.
        assert_eq!(line.look(start + 100 * MS, 0, silent), WireKnowledge::Busy);
        assert_eq!(line.with_adapter(start + 100 * MS, 0, silent), 6);
        assert_eq!(line.look(start + 249 * MS, 0, silent), WireKnowledge::Busy);
        assert_eq!(line.look(start + 250 * MS, 0, silent), WireKnowledge::Idle);
        // A second drain does not sleep for a FIFO again.
        assert_eq!(line.look(start + 250 * MS, 0, silent), WireKnowledge::Idle);
        assert_eq!(line.with_adapter(start + 250 * MS, 0, silent), 0);
    }

    #[test]
    fn what_flow_control_may_hold_has_its_time_from_when_the_driver_had_nothing_left() {
        let (mut line, start) = (meter(IdleQuery::Nothing), Instant::now());
        line.set(Settings { flow: Flow::Hardware, ..line.settings });
        line.wrote(3, start);
        assert_eq!(line.look(start + 5000 * MS, 0, silent), WireKnowledge::Busy);
        assert_eq!(line.look(start + 5099 * MS, 0, silent), WireKnowledge::Busy);
        assert_eq!(line.look(start + 5101 * MS, 0, silent), WireKnowledge::Idle);
    }

    #[test]
    fn no_more_than_a_fifo_is_waited_for() {
        let (mut line, start) = (meter(IdleQuery::Nothing), Instant::now());
        line.set(Settings { flow: Flow::Hardware, ..line.settings });
        line.wrote(10_000, start);
        let done = start + Duration::from_secs(334);
        assert_eq!(line.look(done, 0, silent), WireKnowledge::Busy);
        assert_eq!(line.with_adapter(done, 0, silent), FIFO);
        assert_eq!(line.look(done + Duration::from_secs(18), 0, silent), WireKnowledge::Idle);
    }

    #[test]
    fn a_register_is_believed_but_not_before_the_characters_can_have_left() {
        let (mut line, start) = (meter(IdleQuery::Register), Instant::now());
        line.wrote(3, start);
        assert_eq!(line.look(start + 50 * MS, 0, || Some(true)), WireKnowledge::Busy);
        assert_eq!(line.look(start + 101 * MS, 0, || Some(false)), WireKnowledge::Busy);
        assert_eq!(line.with_adapter(start + 101 * MS, 0, || Some(false)), 3);
        assert_eq!(line.look(start + 120 * MS, 0, || Some(true)), WireKnowledge::Idle);
    }

    #[test]
    fn a_report_that_says_empty_has_the_chip_asked() {
        let (mut line, start) = (meter(IdleQuery::ReportThenDrain), Instant::now());
        line.wrote(3, start);
        line.set(Settings { flow: Flow::Hardware, ..line.settings });
        let late = start + 200 * MS;
        assert_eq!(line.look(late, 0, || Some(false)), WireKnowledge::Busy);
        assert_eq!(line.look(late, 0, || Some(true)), WireKnowledge::Ask);
        assert_eq!(line.with_adapter(late, 0, || Some(true)), 3);
        assert_eq!(
            (line.idle(), line.look(late, 0, silent)),
            (WireKnowledge::Idle, WireKnowledge::Idle)
        );
    }

    #[test]
    fn what_a_device_took_with_it_is_what_was_seen_last_and_written_since() {
        let (mut line, start) = (meter(IdleQuery::Nothing), Instant::now());
        assert_eq!(line.lost_with_it(), 0);
        line.wrote(60, start);
        assert_eq!(line.lost_with_it(), 60);
        line.wrote(4000, start + 3000 * MS);
        line.look(start + 3100 * MS, 1000, silent);
        assert_eq!(line.lost_with_it(), 1000 + FIFO);
        line.wrote(10, start + 9000 * MS);
        assert_eq!(line.lost_with_it(), 1010 + FIFO);
        // Nobody knows what a CDC-ACM device has done with what the driver passed on.
        let mut acm = meter(IdleQuery::NoWire);
        acm.wrote(100, start);
        assert_eq!(acm.lost_with_it(), 100);
        acm.look(start, 0, silent);
        assert_eq!(acm.lost_with_it(), 0);
    }

    #[test]
    fn what_was_written_long_ago_is_not_told_as_held() {
        let start = Instant::now();
        let later = start + Duration::from_secs(3600);
        for answers in [IdleQuery::ReportThenDrain, IdleQuery::Drain, IdleQuery::Nothing] {
            let mut line = meter(answers);
            line.wrote(3, start);
            assert_eq!(line.with_adapter(start + 120 * MS, 0, || Some(true)), 3, "{answers:?}");
            assert_eq!(line.with_adapter(later, 0, || Some(true)), 0, "{answers:?}");
        }
        let mut line = meter(IdleQuery::ReportThenDrain);
        line.wrote(3, start);
        assert_eq!(line.with_adapter(later, 0, || Some(false)), 3, "it stands still");
        assert_eq!(
            line.look(later, 0, || Some(true)),
            WireKnowledge::Idle,
            "the report is newer than what was written"
        );
    }

    #[test]
    fn of_a_device_without_a_wire_nothing_is_known_but_what_the_driver_has() {
        let (mut line, start) = (meter(IdleQuery::NoWire), Instant::now());
        line.wrote(10, start);
        assert_eq!(line.look(start, 4096, silent), WireKnowledge::Busy);
        assert_eq!((line.at_most(4096), line.with_adapter(start, 4096, silent)), (10, 0));
        assert_eq!(line.look(start, 0, silent), WireKnowledge::HandedOn);
        assert_eq!(line.look(start, 0, silent), WireKnowledge::HandedOn);
    }
}
