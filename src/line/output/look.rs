//! A look at the tape without a seat.

use super::{Output, SeatId};
use crate::line::tape::Gap;

impl Output {
    /// Offsets of the oldest byte and of the next to come.
    pub(in crate::line) fn bounds(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.tape.start(), inner.tape.end())
    }

    /// Bytes that were let go of before this seat had read them.
    pub(in crate::line) fn missed(&self, seat: SeatId) -> u64 {
        let inner = self.lock();
        let at = inner.readers.get(&seat).map_or(u64::MAX, |reader| reader.at);
        inner.tape.start().saturating_sub(at)
    }

    /// Copies the bytes at an offset; see [`Tape::read`](super::Tape::read).
    pub(in crate::line) fn peek(&self, from: u64, buf: &mut [u8]) -> Result<usize, Gap> {
        self.lock().tape.read(from, buf)
    }
}
