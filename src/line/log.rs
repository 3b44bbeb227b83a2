//! A line's tape as a whole, for anyone who wants it as a file.

use std::sync::Arc;

use super::{Gap, Shared};

/// A line's tape. It holds no seat, so it neither keeps a device open nor holds one back.
#[derive(Clone, Debug)]
pub(crate) struct Log(pub(super) Arc<Shared>);

impl Log {
    /// Offsets of the oldest byte and of the next to come.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        self.0.output.bounds()
    }

    /// Line errors (parity, framing, overrun) since the gateway began the line.
    pub(crate) fn errors(&self) -> u64 {
        self.0.output.errors()
    }

    /// Copies the bytes from `from` on; returns how many, or what has been overwritten meanwhile.
    pub(crate) fn read(&self, from: u64, buf: &mut [u8]) -> Result<usize, Gap> {
        self.0.output.peek(from, buf)
    }
}
