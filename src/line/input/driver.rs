//! Whose bytes a driver may still hold: nobody discards what another seat sent.

use crate::line::output::SeatId;

/// Bytes that a transmitter may hold beyond what its driver counts: more than any UART's FIFO.
const BEHIND_DRIVER: usize = 256;

/// Who wrote to the driver, as far as it still holds that.
#[derive(Debug, Default)]
pub(super) struct Driver {
    /// Who wrote last.
    last: Option<SeatId>,
    /// How much, in an unbroken run.
    wrote: usize,
    /// Before that run the driver held somebody else's bytes, and may still.
    mixed: bool,
    /// Whether it was asked since the last write.
    asked: bool,
}

impl Driver {
    /// Whether it must be asked how much it holds before this seat's bytes go to it.
    pub(super) fn is_due(&self, owner: Option<SeatId>) -> bool {
        self.last.is_some() && !self.asked && (self.mixed || self.last != owner)
    }

    /// It holds that many bytes; the next ones come from this seat.
    pub(super) fn holds(&mut self, unsent: usize, next: Option<SeatId>) {
        self.mixed = if self.last == next { !self.is_own(next, unsent) } else { unsent > 0 };
        if self.last != next {
            (self.last, self.wrote) = (next, 0);
        }
        self.asked = true;
    }

    /// Notes that this seat's bytes went to it.
    pub(super) fn took(&mut self, owner: Option<SeatId>, bytes: usize) {
        self.last = owner;
        self.wrote = self.wrote.saturating_add(bytes);
        self.asked = false;
    }

    /// How many of the bytes it holds are this seat's. Those of a seat before it are no longer at
    /// stake: they go out.
    pub(super) fn share(&self, seat: SeatId, held: usize) -> usize {
        if self.last == Some(seat) { held.min(self.wrote) } else { 0 }
    }

    /// Whether everything it holds, that many bytes, is this seat's or nobody's.
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
        // Another seat comes while it still holds some.
        assert!(driver.is_due(B));
        driver.holds(3000, B);
        assert!(!driver.is_due(B));
        driver.took(B, 1000);
        assert!(!driver.is_own(B, 3500) && !driver.is_own(A, 3500));
        assert_eq!((driver.share(1, 3500), driver.share(2, 3500)), (0, 1000));
        // All of the other seat's bytes have gone: it holds less than was written since, even
        // counting the hardware's FIFO.
        assert!(driver.is_due(B));
        driver.holds(3000, B);
        driver.took(B, 2500);
        assert!(driver.is_own(B, 3200) && !driver.is_own(B, 3300));
        driver.holds(3200, B);
        assert!(!driver.is_due(B));
        assert!(driver.is_own(B, 4000));
        // A seat that finds it empty has it to itself immediately.
        driver.took(B, 10);
        driver.holds(0, A);
        driver.took(A, 10);
        assert!(driver.is_own(A, 10) && !driver.is_due(A) && driver.is_due(B));
    }
}
