//! Receive errors in their place: takes the kernel's PARMRK escapes out of the byte stream
//! (`termios(3)`).
//!
//! `ff ff` is the byte ff; `ff 00 X` is the byte X with wrong parity or without a stop bit; `ff 00
//! 00` is a break, or a zero byte with such an error. Which of these it is, only the driver's
//! counters can tell (TIOCGICOUNT): a driver counts an error before it hands out the byte, so each
//! escape uses up one of the counts. The counters are read when there is an escape, and once a
//! second for what has none: lost bytes. If a driver does not count, a zero byte is taken to be a
//! break.

use crate::settings::{ErrorCounts, LineEvent};

/// Where in an escape a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum EscapeState {
    #[default]
    Plain,
    /// After `ff`.
    Escape,
    /// After `ff 00`.
    Error,
}

/// Takes escapes out of a stream, however it is split.
#[derive(Debug, Default)]
pub(super) struct Unmark(EscapeState);

impl Unmark {
    /// Takes the escapes out of `bytes` in place and returns how many bytes are left. For each
    /// error, `judge` is given the byte, and says what happened and whether the byte is data;
    /// `marks` get the place.
    pub(super) fn strip(
        &mut self,
        bytes: &mut [u8],
        marks: &mut Vec<(usize, LineEvent)>,
        mut judge: impl FnMut(u8) -> (LineEvent, bool),
    ) -> usize {
        if self.0 == EscapeState::Plain && !bytes.contains(&0xff) {
            return bytes.len();
        }
        // An escape is never shorter than what is left of it, so writing does not overtake reading.
        let cells = std::cell::Cell::from_mut(bytes).as_slice_of_cells();
        let mut left = cells.iter();
        let mut keep = |byte| left.next().map_or((), |cell| cell.set(byte));
        let mut kept = 0;
        for cell in cells {
            let byte = cell.get();
            let (state, keeps) = match (self.0, byte) {
                (EscapeState::Plain, 0xff) => (EscapeState::Escape, false),
                (EscapeState::Escape, 0) => (EscapeState::Error, false),
                (EscapeState::Plain | EscapeState::Escape, _) => (EscapeState::Plain, true),
                (EscapeState::Error, _) => {
                    let (event, is_byte) = judge(byte);
                    marks.push((kept, event));
                    (EscapeState::Plain, is_byte)
                }
            };
            self.0 = state;
            if keeps {
                keep(byte);
                kept += 1;
            }
        }
        kept
    }
}

/// What the driver has counted and no escape has accounted for yet.
#[derive(Debug, Default)]
pub(super) struct DriverCounts {
    /// Whether frames have a parity bit.
    parity: bool,
    /// What the counters said last; `None` if the driver does not count.
    counted: Option<ErrorCounts>,
    /// Not accounted for yet.
    fresh: ErrorCounts,
    /// Not accounted for since the call of [`Self::age`] before the last.
    aged: ErrorCounts,
    /// The last event: an adapter that flags a whole packet counts it only once.
    last: Option<LineEvent>,
}

impl DriverCounts {
    /// A read begins; `parity` says whether frames have a parity bit.
    pub(super) fn begin(&mut self, parity: bool) {
        (self.parity, self.last) = (parity, None);
    }

    /// Takes what the counters say now; returns whether bytes were lost since.
    pub(super) fn post(&mut self, now: Option<ErrorCounts>) -> bool {
        let (Some(now), Some(before)) = (now, self.counted) else {
            self.counted = now;
            return false;
        };
        let new = now.since(before);
        self.counted = Some(now);
        self.fresh.brk = self.fresh.brk.saturating_add(new.brk);
        self.fresh.parity = self.fresh.parity.saturating_add(new.parity);
        self.fresh.framing = self.fresh.framing.saturating_add(new.framing);
        new.overrun > 0 || new.buffer_overrun > 0
    }

    fn claim(&mut self, event: LineEvent) -> bool {
        let count = |counts: &mut ErrorCounts| {
            let count = match event {
                LineEvent::Break => &mut counts.brk,
                LineEvent::Parity => &mut counts.parity,
                LineEvent::Framing => &mut counts.framing,
                LineEvent::Overrun => &mut counts.overrun,
            };
            let any = *count > 0;
            *count = count.saturating_sub(1);
            any
        };
        let claimed = count(&mut self.aged) || count(&mut self.fresh);
        if claimed {
            self.last = Some(event);
        }
        claimed
    }

    /// What the escape of this byte means, and whether the byte is data.
    pub(super) fn judge(&mut self, byte: u8) -> (LineEvent, bool) {
        let errors = [LineEvent::Parity, LineEvent::Framing];
        if byte == 0 {
            if self.claim(LineEvent::Break) {
                return (LineEvent::Break, false);
            }
            let event = errors.into_iter().find(|event| self.claim(*event)).or(self.last);
            let event = event.unwrap_or(LineEvent::Break);
            return (event, event != LineEvent::Break);
        }
        let event = errors.into_iter().find(|event| self.claim(*event));
        let likely = if self.parity { LineEvent::Parity } else { LineEvent::Framing };
        (event.or(self.last.filter(|event| errors.contains(event))).unwrap_or(likely), true)
    }

    /// What had no escape from one call to the next, a second later: some drivers count but do not
    /// flag. Each is returned once.
    pub(super) fn age(&mut self) -> impl Iterator<Item = LineEvent> + use<> {
        let old = std::mem::replace(&mut self.aged, std::mem::take(&mut self.fresh));
        [
            (old.brk, LineEvent::Break),
            (old.parity, LineEvent::Parity),
            (old.framing, LineEvent::Framing),
        ]
        .into_iter()
        .filter_map(|(count, event)| (count > 0).then_some(event))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Something a tty receives.
    #[derive(Clone, Debug)]
    enum Item {
        Byte(u8),
        Wrong(u8),
        Break,
    }

    fn items() -> impl Strategy<Value = Vec<Item>> {
        let byte = || prop_oneof![Just(0), Just(0xff), any::<u8>()];
        let item = prop_oneof![
            4 => byte().prop_map(Item::Byte),
            1 => (1..=u8::MAX).prop_map(Item::Wrong),
            1 => Just(Item::Break),
        ];
        proptest::collection::vec(item, 0..200)
    }

    /// As the kernel would write it.
    fn mark(items: &[Item]) -> Vec<u8> {
        let escape = |item: &Item| match *item {
            Item::Byte(0xff) => vec![0xff, 0xff],
            Item::Byte(byte) => vec![byte],
            Item::Wrong(byte) => vec![0xff, 0, byte],
            Item::Break => vec![0xff, 0, 0],
        };
        items.iter().flat_map(escape).collect()
    }

    proptest! {
        #[test]
        fn what_was_marked_comes_out_clean_with_its_marks_in_place(
            items in items(),
            cuts in proptest::collection::vec(1_usize..7, 1..20),
        ) {
            let mut bytes = Vec::new();
            let mut marks = Vec::new();
            for item in &items {
                match item {
                    Item::Byte(byte) => bytes.push(*byte),
                    Item::Wrong(byte) => {
                        marks.push((bytes.len(), LineEvent::Parity));
                        bytes.push(*byte);
                    }
                    Item::Break => marks.push((bytes.len(), LineEvent::Break)),
                }
            }
            let mut unmark = Unmark::default();
            let (mut clean, mut found) = (Vec::new(), Vec::new());
            let marked = mark(&items);
            let mut rest = marked.as_slice();
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                rest = after;
                let (mut piece, mut here) = (piece.to_vec(), Vec::new());
                let kept = unmark.strip(&mut piece, &mut here, |byte| match byte {
                    0 => (LineEvent::Break, false),
                    _ => (LineEvent::Parity, true),
                });
                found.extend(here.into_iter().map(|(at, event)| (clean.len() + at, event)));
                clean.extend_from_slice(&piece[..kept]);
            }
            prop_assert_eq!(clean, bytes);
            prop_assert_eq!(found, marks);
        }
    }

    fn counted(brk: u32, parity: u32, framing: u32, overrun: u32) -> ErrorCounts {
        ErrorCounts { brk, parity, framing, overrun, ..ErrorCounts::default() }
    }

    fn ledger() -> DriverCounts {
        DriverCounts { counted: Some(counted(7, u32::MAX, 0, 0)), ..DriverCounts::default() }
    }

    #[test]
    fn the_counters_tell_a_break_from_a_zero_byte_with_an_error() {
        let mut ledger = ledger();
        assert!(!ledger.post(Some(counted(8, u32::MAX, 0, 0))));
        assert_eq!(ledger.judge(0), (LineEvent::Break, false));
        assert!(!ledger.post(Some(counted(8, 0, 1, 0))), "counters wrap");
        assert_eq!(ledger.judge(0), (LineEvent::Parity, true));
        assert_eq!(ledger.judge(b'x'), (LineEvent::Framing, true));
        assert!(ledger.post(Some(counted(8, 0, 1, 1))), "bytes were lost");
    }

    #[test]
    fn an_adapter_that_flags_a_whole_packet_counts_once_for_all_of_it() {
        let mut ledger = ledger();
        ledger.post(Some(counted(7, 0, 0, 0)));
        let judged: Vec<_> = [b'a', 0, b'b'].into_iter().map(|byte| ledger.judge(byte)).collect();
        assert_eq!(judged, [(LineEvent::Parity, true); 3]);
    }

    #[test]
    fn a_driver_that_does_not_count_is_judged_by_the_frame() {
        let mut ledger = DriverCounts { parity: true, ..DriverCounts::default() };
        ledger.post(None);
        assert_eq!(ledger.judge(b'x'), (LineEvent::Parity, true));
        assert_eq!(ledger.judge(0), (LineEvent::Break, false));
        ledger.parity = false;
        assert_eq!(ledger.judge(b'x'), (LineEvent::Framing, true));
    }

    #[test]
    fn what_is_counted_and_never_flagged_is_told_once_after_a_second() {
        let mut ledger = ledger();
        ledger.post(Some(counted(7, 2, 0, 0)));
        assert_eq!(ledger.age().count(), 0);
        ledger.post(Some(counted(7, 2, 0, 0)));
        assert_eq!(ledger.age().collect::<Vec<_>>(), [LineEvent::Parity]);
        assert_eq!(ledger.age().count(), 0);
    }
}
