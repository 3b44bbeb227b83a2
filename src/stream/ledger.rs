//! Which bytes on the wire carry which payload: from what was acknowledged of the one follows what
//! has arrived of the other.

use std::collections::VecDeque;

/// Up to this many marks are kept however close they are; beyond that, those the next hop has
/// passed are dropped and older ones are thinned out.
const MARKS: usize = 32;

/// Payload between two older marks: what a TLS record holds.
const GRAIN: u64 = 16 * 1024;

/// The first `wire` bytes carry the first `payload` bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Boundary {
    wire: u64,
    payload: u64,
}

/// Payload that was wrapped (in TLS records, in frames), and the places on the wire by which it was
/// all out. Between two places it counts as out only at the second, so what is reported as not
/// arrived is never too little.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    payload: u64,
    marks: VecDeque<Boundary>,
    /// How many marks there may be before older ones are thinned out; 0 stands for the usual
    /// number.
    room: usize,
    /// The last mark that the next hop has passed and that was dropped.
    settled: Boundary,
}

impl Ledger {
    /// Notes payload that was wrapped; a mark follows when it is known where it ends.
    pub(crate) fn wrapped(&mut self, bytes: usize) {
        self.payload += bytes as u64;
    }

    /// All payload so far is within the first `wire` bytes. When room runs out, `acknowledged` is
    /// asked how many of those the next hop has.
    pub(crate) fn mark(&mut self, wire: u64, acknowledged: impl FnOnce() -> u64) {
        let mark = Boundary { wire, payload: self.payload };
        if self.marks.back().unwrap_or(&self.settled).payload == mark.payload {
            return;
        }
        if self.marks.len() >= self.room.max(MARKS) {
            self.settle(acknowledged());
            self.thin();
        }
        self.marks.push_back(mark);
    }

    /// Drops the marks that the next hop has passed.
    fn settle(&mut self, acknowledged: u64) {
        let taken = self.marks.partition_point(|mark| mark.wire <= acknowledged);
        self.settled = self.marks.drain(..taken).next_back().unwrap_or(self.settled);
    }

    /// Makes room for as many marks as are left: the latest half stays, older ones are kept a grain
    /// apart.
    fn thin(&mut self) {
        let (mut last, mut old) = (self.settled, self.marks.len().saturating_sub(MARKS / 2));
        self.marks.retain(|mark| {
            let kept = old == 0 || mark.payload - last.payload >= GRAIN;
            old = old.saturating_sub(1);
            last = if kept { *mark } else { last };
            kept
        });
        self.room = self.marks.len() + MARKS / 2;
        self.marks.shrink_to(self.room.max(MARKS));
    }

    /// Payload that has not all arrived when the next hop has the first `acknowledged` bytes on the
    /// wire.
    pub(crate) fn outstanding(&self, acknowledged: u64) -> u64 {
        let taken = self.marks.partition_point(|mark| mark.wire <= acknowledged);
        let last =
            taken.checked_sub(1).and_then(|last| self.marks.get(last)).unwrap_or(&self.settled);
        self.payload - last.payload
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_that_is_not_all_acknowledged_counts_whole() {
        let mut ledger = Ledger::default();
        for (payload, wire) in [(100, 122), (50, 194)] {
            ledger.wrapped(payload);
            ledger.mark(wire, || 0);
        }
        assert_eq!(
            [0, 121, 122, 193, 194, 999].map(|wire| ledger.outstanding(wire)),
            [150, 150, 50, 50, 0, 0]
        );
        ledger.wrapped(7);
        assert_eq!(ledger.outstanding(999), 7, "where it ends is not known");
    }

    #[test]
    fn what_carries_no_payload_takes_no_room() {
        let mut ledger = Ledger::default();
        for wire in 0..1000 {
            ledger.mark(wire, || unreachable!());
        }
        assert_eq!((ledger.marks.len(), ledger.outstanding(0)), (0, 0));
    }

    proptest! {
        /// However many writes there were, never too little is reported, and after a pause the
        /// truth.
        #[test]
        fn never_too_little_is_told(writes in prop::collection::vec((1..2000_usize, 0..100_u64), 1..300), had in 0..300_usize) {
            let (mut ledger, mut exact, mut wire) = (Ledger::default(), Vec::new(), 0);
            for (payload, more) in writes {
                ledger.wrapped(payload);
                wire += payload as u64 + more;
                ledger.mark(wire, || 0);
                exact.push((wire, payload as u64));
                prop_assert!(ledger.marks.len() as u64 <= MARKS as u64 * 2 + wire / GRAIN);
            }
            let acknowledged = exact.get(had).map_or(wire, |(wire, _)| *wire);
            let missing: u64 = exact.iter().filter(|(wire, _)| *wire > acknowledged).map(|(_, payload)| payload).sum();
            let told = ledger.outstanding(acknowledged);
            prop_assert!(told >= missing && told <= missing + 2 * GRAIN, "{} {}", told, missing);
            prop_assert_eq!(ledger.outstanding(wire), 0);
        }
    }
}
