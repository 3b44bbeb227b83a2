//! Changes of CTS, DSR, DCD and RI, by polling; short pulses, too, if the driver counts them.
//!
//! TIOCMIWAIT would report them without polling, but a thread that waits in it holds the device
//! open and cannot be stopped without a signal; cp210x and others lack it altogether. So the lines
//! are read every 20 ms, and only while somebody wants to know. With some adapters (`ftdi_sio`,
//! `cp210x`) TIOCMGET is a USB transfer of about a millisecond; with all others it reads a register
//! or memory. If a driver turns out to count changes by itself, only its counters are read (always
//! memory), and the lines whenever those have moved, and once a second anyway. Measured with an
//! emulated FT232R in an emulated guest: a sixth of the processor time of reading the lines each
//! time.

use std::{os::fd::BorrowedFd, time::Duration};

use tokio::time::Instant;

use super::super::PortError;
use crate::{
    settings::Inputs,
    sys::ioctl::{self, InputCounts},
};

/// How often we ask.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// How often the lines are read if the driver counts by itself.
const SURE: Duration = Duration::from_secs(1);

/// Counters older than this say nothing about now, since nobody was watching.
const STALE: Duration = Duration::from_millis(200);

/// A line that never rests is read as it is after this many tries.
const RESTLESS_READS: usize = 3;

/// What is known between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputSnapshot {
    looked: Option<Instant>,
    read: Option<Instant>,
    /// The lines as last read.
    known: Option<Inputs>,
    counts: Option<InputCounts>,
    /// Whether the last change was counted before the lines were read.
    counts_itself: bool,
}

impl InputSnapshot {
    /// `counts_itself` is what to assume about the driver until it has shown.
    pub(super) fn new(counts_itself: bool) -> Self {
        Self { counts_itself, ..Self::default() }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Instant {
        self.looked.map_or_else(Instant::now, |looked| looked + POLL)
    }

    /// Whether the counters alone say that nothing changed: this asks no adapter, so it does not
    /// block.
    pub(super) fn rests(&mut self, fd: BorrowedFd<'_>, last: Inputs) -> bool {
        self.rests_at(Instant::now(), last, || ioctl::input_counts(fd).ok())
    }

    fn rests_at(
        &mut self,
        now: Instant,
        last: Inputs,
        counts: impl Fn() -> Option<InputCounts>,
    ) -> bool {
        let recent = |at: Option<Instant>, time| at.is_some_and(|at| now - at < time);
        let known =
            self.known == Some(last) && recent(self.looked, STALE) && recent(self.read, SURE);
        // A hung-up tty no longer counts; reading its lines shows why.
        let rests = self.counts_itself && known && self.counts.is_some() && counts() == self.counts;
        if rests {
            self.looked = Some(now);
        }
        rests
    }

    /// The lines, if they differ from `last` or did in between: of a pulse between two looks both
    /// edges are returned, one now and one with the next look.
    pub(super) fn look(
        &mut self,
        fd: BorrowedFd<'_>,
        last: Inputs,
    ) -> Result<Option<Inputs>, PortError> {
        let lines = || Ok::<_, PortError>(inputs(ioctl::modem_lines(fd)?));
        self.take(Instant::now(), last, || ioctl::input_counts(fd).ok(), lines)
    }

    fn take(
        &mut self,
        now: Instant,
        last: Inputs,
        counts: impl Fn() -> Option<InputCounts>,
        lines: impl Fn() -> Result<Inputs, PortError>,
    ) -> Result<Option<Inputs>, PortError> {
        let watched = self.looked.is_some_and(|looked| now - looked < STALE);
        self.looked = Some(now);
        let before = if watched { self.counts } else { None };
        let mut first = counts();
        let moved = first != before;
        self.read = Some(now);
        let mut got = lines()?;
        for _ in 0..RESTLESS_READS {
            let after = counts();
            if after == first {
                break;
            }
            // It changed just now, or it was our reading that made the driver count.
            first = after;
            got = lines()?;
        }
        self.counts = first;
        if watched && self.known.is_some_and(|known| known != got) {
            self.counts_itself = moved && first.is_some();
        }
        self.known = Some(got);
        if got != last {
            return Ok(Some(got));
        }
        Ok(before.zip(first).and_then(|(before, after)| pulsed(last, before, after)))
    }
}

/// `last`, with those lines inverted that changed and changed back.
fn pulsed(last: Inputs, before: InputCounts, after: InputCounts) -> Option<Inputs> {
    // `ftdi_sio` takes all lines to be down until the adapter first speaks, and then counts those
    // that are up.
    let turned = |up, before, after| before != after && !(up && before == 0 && after == 1);
    let now = Inputs {
        cts: last.cts ^ turned(last.cts, before.cts, after.cts),
        dsr: last.dsr ^ turned(last.dsr, before.dsr, after.dsr),
        dcd: last.dcd ^ turned(last.dcd, before.dcd, after.dcd),
        ri: last.ri ^ turned(last.ri, before.ri, after.ri),
    };
    (now != last).then_some(now)
}

/// The lines, from the bits of TIOCMGET.
pub(super) fn inputs(lines: i32) -> Inputs {
    let up = |line| lines & line != 0;
    Inputs { cts: up(ioctl::CTS), dsr: up(ioctl::DSR), dcd: up(ioctl::DCD), ri: up(ioctl::RI) }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const REST: Inputs = Inputs { cts: true, dsr: true, dcd: false, ri: false };
    const RINGS: Inputs = Inputs { ri: true, ..REST };

    /// A driver, and how often its lines were read.
    struct Driver {
        counts: RefCell<Option<InputCounts>>,
        lines: Cell<Inputs>,
        reads: Cell<usize>,
    }

    impl Driver {
        fn new(counts: Option<InputCounts>) -> Self {
            Self { counts: RefCell::new(counts), lines: Cell::new(REST), reads: Cell::new(0) }
        }

        fn ring(&self) {
            if let Some(counts) = &mut *self.counts.borrow_mut() {
                counts.ri += 1;
            }
        }

        fn look(&self, watch: &mut InputSnapshot, at: Instant, last: Inputs) -> Option<Inputs> {
            let lines = || {
                self.reads.set(self.reads.get() + 1);
                Ok(self.lines.get())
            };
            let counts = || *self.counts.borrow();
            if watch.rests_at(at, last, counts) {
                None
            } else {
                watch.take(at, last, counts, lines).unwrap()
            }
        }
    }

    #[test]
    fn a_driver_that_counts_by_itself_is_asked_for_its_lines_only_when_they_moved() {
        let driver = Driver::new(Some(InputCounts::default()));
        let (mut watch, mut at) = (InputSnapshot::default(), Instant::now());
        assert_eq!(driver.look(&mut watch, at, REST), None);
        driver.ring();
        driver.lines.set(RINGS);
        at += POLL;
        assert_eq!(driver.look(&mut watch, at, REST), Some(RINGS));
        let reads = driver.reads.get();
        for _ in 0..10 {
            at += POLL;
            assert_eq!(driver.look(&mut watch, at, RINGS), None);
        }
        assert_eq!(driver.reads.get(), reads);
        // A change that it does not count is seen within a second, and from then on it is not
        // trusted.
        driver.lines.set(REST);
        let seen = (0..60).find(|_| {
            at += POLL;
            driver.look(&mut watch, at, RINGS) == Some(REST)
        });
        assert!(seen.is_some());
        let reads = driver.reads.get();
        assert_eq!(driver.look(&mut watch, at + POLL, REST), None);
        assert_eq!(driver.reads.get(), reads + 1);
    }

    #[test]
    fn of_a_pulse_between_two_looks_both_edges_are_told() {
        let driver = Driver::new(Some(InputCounts::default()));
        let (mut watch, mut at) = (InputSnapshot::default(), Instant::now());
        assert_eq!(driver.look(&mut watch, at, REST), None);
        driver.ring();
        at += POLL;
        assert_eq!(driver.look(&mut watch, at, REST), Some(RINGS));
        at += POLL;
        assert_eq!(driver.look(&mut watch, at, RINGS), Some(REST));
        at += POLL;
        assert_eq!(driver.look(&mut watch, at, REST), None);
    }

    #[test]
    fn without_counters_the_lines_are_read_each_time() {
        let driver = Driver::new(None);
        let (mut watch, at) = (InputSnapshot::default(), Instant::now());
        for look in 0..5 {
            assert_eq!(driver.look(&mut watch, at + POLL * look, REST), None);
        }
        assert_eq!(driver.reads.get(), 5);
        driver.lines.set(RINGS);
        assert_eq!(driver.look(&mut watch, at + POLL * 5, REST), Some(RINGS));
    }

    #[test]
    fn what_was_counted_while_nobody_watched_is_no_pulse() {
        let driver = Driver::new(Some(InputCounts::default()));
        let (mut watch, at) = (InputSnapshot::default(), Instant::now());
        assert_eq!(driver.look(&mut watch, at, REST), None);
        driver.ring();
        assert_eq!(driver.look(&mut watch, at + STALE, REST), None);
    }

    #[test]
    fn the_first_count_of_a_line_that_is_up_is_no_pulse() {
        let counted = InputCounts { cts: 1, dsr: 1, ..InputCounts::default() };
        assert_eq!(pulsed(REST, InputCounts::default(), counted), None);
        let again = InputCounts { cts: 3, ..counted };
        assert_eq!(pulsed(REST, counted, again), Some(Inputs { cts: false, ..REST }));
    }
}
