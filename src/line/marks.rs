//! What happened on a line beside the data, each at its offset on the tape.

use std::{collections::VecDeque, time::Duration};

use crate::settings::LineEvent;

/// The most marks that are kept; the oldest are dropped first. A line at the wrong speed makes one
/// for each byte, and none of those bytes is data.
const KEPT: usize = 4096;

/// Something that happened at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The offset of the byte it comes before; an error belongs to the byte at this offset.
    pub at: u64,
    pub kind: MarkKind,
    /// How many of the kind, on as many bytes from `at` on.
    pub count: u64,
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// An event of the line.
    Event(LineEvent),
    /// The time at which the byte came, in milliseconds since 1970, after a pause.
    Time(u64),
    /// The device paused for this long before the byte.
    Pause(Duration),
}

/// The marks of a tape in the order of their offsets, numbered from the very first.
#[derive(Debug, Default)]
pub(super) struct Marks {
    kept: VecDeque<Mark>,
    /// Number of the first mark kept.
    first: u64,
    /// Errors so far, including those whose marks were dropped. A break is not an error.
    errors: u64,
}

impl Marks {
    /// Line errors since the gateway began the line.
    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    /// The number that the next mark will get.
    pub(super) fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Adds a mark. Marks numbered from `gather` on belong to the same read: an error like that of
    /// the byte before is counted there and makes no new mark.
    pub(super) fn push(&mut self, at: u64, kind: MarkKind, gather: u64) {
        if let MarkKind::Event(LineEvent::Parity | LineEvent::Framing | LineEvent::Overrun) = kind {
            self.errors += 1;
        }
        if self.end() > gather
            && let Some(last) = self.kept.back_mut()
            && last.kind == kind
            && last.at + last.count == at
        {
            last.count += 1;
            return;
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.first += 1;
        }
        self.kept.push_back(Mark { at, kind, count: 1 });
    }

    /// The first mark numbered `from` or later, and its number.
    pub(super) fn next(&self, from: u64) -> Option<(u64, Mark)> {
        let number = from.max(self.first);
        let index = usize::try_from(number - self.first).ok()?;
        self.kept.get(index).map(|mark| (number, *mark))
    }

    /// Number of the first mark at or after an offset.
    pub(super) fn number_at(&self, offset: u64) -> u64 {
        self.first + self.kept.partition_point(|mark| mark.at < offset) as u64
    }
}
