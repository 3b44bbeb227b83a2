//! A look at the tape without a seat.

use super::Output;
use crate::line::tape::Gap;

impl Output {
    /// Offsets of the oldest byte and of the next to come.
    pub(in crate::line) fn bounds(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.tape.start(), inner.tape.end())
    }

    /// Copies the bytes at an offset; see [`Tape::read`](super::Tape::read).
    pub(in crate::line) fn peek(&self, from: u64, buf: &mut [u8]) -> Result<usize, Gap> {
        self.lock().tape.read(from, buf)
    }
}
