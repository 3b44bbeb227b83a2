//! What is known about a session when it is over.

use crate::wire::close::Ended;

/// How a session ended, and what it could not deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionReport {
    pub ended: Ended,
    /// Bytes taken from the client.
    pub taken: u64,
    /// Of these, how many the target did not get: its kernel has not acknowledged them, or they are
    /// not on the wire.
    pub lost_up: u64,
    /// Bytes taken from the target that the client's kernel has not acknowledged.
    pub lost_down: u64,
}

impl SessionReport {
    /// An ending that lost nothing.
    pub(crate) fn of(ended: Ended) -> Self {
        Self { ended, taken: 0, lost_up: 0, lost_down: 0 }
    }
}
