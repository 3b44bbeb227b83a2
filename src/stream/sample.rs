//! How a connection stands with its next hop at one moment, in numbers.

use std::time::Duration;

/// Probes of a closed window that must have gone unanswered before the peer counts as silent: one
/// may be on its way, one may be lost.
pub(super) const UNANSWERED_PROBES: u8 = 2;

/// What was written and is not known to have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outstanding {
    /// How many bytes; never fewer than there are.
    pub bytes: u64,
    /// Whether it is that many; else it is at most that many.
    pub exact: bool,
}

/// A TCP connection at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Bytes written and acknowledged, all in all.
    pub acknowledged: u64,
    /// Bytes written and not acknowledged.
    pub unacknowledged: u64,
    /// Some of these are on the network; else the peer's window is closed.
    pub in_flight: bool,
    /// Time since the peer acknowledged anything, a probe included.
    pub last_ack: Duration,
    /// Time since data went out, for the first time or again.
    pub last_sent: Duration,
    /// Time since the first of what is in flight went out, as far as the kernel's way of sending
    /// again tells.
    pub first_sent: Duration,
    /// Probes of a closed window since the last acknowledgement.
    pub probes: u8,
    /// After how long the kernel sends again what is in flight.
    pub rto: Duration,
    /// Round trip.
    pub rtt: Duration,
}

impl Sample {
    /// Whether the peer's window is closed, and it answers when it is asked whether it still is.
    pub(crate) fn answers(&self) -> bool {
        self.unacknowledged > 0 && !self.in_flight && self.probes < UNANSWERED_PROBES
    }
}

/// What can be asked how it stands with the next hop.
pub(crate) trait NextHop {
    /// The connection as the kernel sees it; `None` where no peer is lost without a word (unix
    /// sockets).
    fn sample(&self) -> Option<Sample>;

    /// Payload that has not arrived.
    fn outstanding(&self) -> Outstanding;
}
