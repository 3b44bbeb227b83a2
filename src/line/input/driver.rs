//! Whose the bytes are that a driver may still hold: nobody discards what another seat sent.

use crate::line::output::SeatId;

/// Bytes a transmitter holds beside what its driver counts: more than any UART's FIFO.
const BEHIND_DRIVER: usize = 256;

/// Who wrote to the driver, as far as that is still with it.
#[derive(Debug, Default)]
pub(super) struct Driver {
    /// Who wrote last.
    last: Option<SeatId>,
    /// How much in one go.
    wrote: usize,
    /// Before that the driver held bytes of somebody else, and may still.
    mixed: bool,
    /// It was asked since the last write.
    asked: bool,
}

impl Driver {
    /// Whether it must be asked what it holds before this seat's bytes go to it.
    pub(super) fn is_due(&self, owner: Option<SeatId>) -> bool {
        self.last.is_some() && !self.asked && (self.mixed || self.last != owner)
    }

    /// It holds that many bytes; the next are of this seat.
    pub(super) fn holds(&mut self, unsent: usize, next: Option<SeatId>) {
        self.mixed = if self.last == next { !self.is_own(next, unsent) } else { unsent > 0 };
        if self.last != next {
            (self.last, self.wrote) = (next, 0);
        }
        self.asked = true;
    }

    /// This seat's bytes went to it.
    pub(super) fn took(&mut self, owner: Option<SeatId>, bytes: usize) {
        self.last = owner;
        self.wrote = self.wrote.saturating_add(bytes);
        self.asked = false;
    }

    /// How many of the bytes it holds are this seat's. Those of somebody before it are no longer in
    /// question: they go out.
    pub(super) fn share(&self, seat: SeatId, held: usize) -> usize {
        if self.last == Some(seat) { held.min(self.wrote) } else { 0 }
    }

    /// Whether all it holds, that many bytes, is this seat's, or nobody's.
    pub(super) fn is_own(&self, seat: Option<SeatId>, unsent: usize) -> bool {
        if self.last.is_none() {
            return true;
        }
        self.last == seat
            && (!self.mixed || unsent == 0 || self.wrote >= unsent.saturating_add(BEHIND_DRIVER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<SeatId> = Some(1);
    const B: Option<SeatId> = Some(2);

    #[test]
    fn a_driver_is_a_seats_own_when_it_has_sent_what_others_wrote_before() {
        let mut driver = Driver::default();
        assert!(!driver.is_due(A) && driver.is_own(A, 0));
        driver.took(A, 4000);
        assert!(driver.is_own(A, 4000) && !driver.is_own(B, 4000));
        assert_eq!((driver.share(1, 3000), driver.share(2, 3000)), (3000, 0));
        // Another comes while it still holds some.
        assert!(driver.is_due(B));
        driver.holds(3000, B);
        assert!(!driver.is_due(B));
        driver.took(B, 1000);
        assert!(!driver.is_own(B, 3500) && !driver.is_own(A, 3500));
        assert_eq!((driver.share(1, 3500), driver.share(2, 3500)), (0, 1000));
        // All of theirs has gone: fewer are left than were written since, whatever the hardware
        // holds.
        assert!(driver.is_due(B));
        driver.holds(3000, B);
        driver.took(B, 2500);
        assert!(driver.is_own(B, 3200) && !driver.is_own(B, 3300));
        driver.holds(3200, B);
        assert!(!driver.is_due(B));
        assert!(driver.is_own(B, 4000));
        // Who finds it empty has it alone at once.
        driver.took(B, 10);
        driver.holds(0, A);
        driver.took(A, 10);
        assert!(driver.is_own(A, 10) && !driver.is_due(A) && driver.is_due(B));
    }
}
