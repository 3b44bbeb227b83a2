//! A line's tape as a whole, for whoever wants it as a file.

use std::sync::Arc;

use super::{Gap, Shared};

/// The tape of a line. It holds no seat, so it keeps no device open and holds none back.
#[derive(Clone, Debug)]
pub(crate) struct Log(pub(super) Arc<Shared>);

impl Log {
    /// Offset of the oldest byte and of the next to come.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        self.0.output.bounds()
    }

    /// Errors of the line (parity, framing, overrun) since the gateway began it.
    pub(crate) fn errors(&self) -> u64 {
        self.0.output.errors()
    }

    /// Copies what lies at `from`; how much that was, or what has been overwritten meanwhile.
    pub(crate) fn read(&self, from: u64, buf: &mut [u8]) -> Result<usize, Gap> {
        self.0.output.peek(from, buf)
    }
}
