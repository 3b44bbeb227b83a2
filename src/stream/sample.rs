//! The state of a connection to its next hop at one moment, in numbers.

use std::time::Duration;

/// Probes of a closed window that must have gone unanswered before the peer counts as silent: one
/// may be on its way, and one may have been lost.
pub(super) const UNANSWERED_PROBES: u8 = 2;

/// What was written and is not known to have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outstanding {
    /// How many bytes; never fewer than there are.
    pub bytes: u64,
    /// Whether there are exactly that many; otherwise at most.
    pub exact: bool,
}

/// A TCP connection at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Bytes written and acknowledged, in total.
    pub acknowledged: u64,
    /// Bytes written and not acknowledged.
    pub unacknowledged: u64,
    /// Whether some of these are on the network; otherwise the peer's window is closed.
    pub in_flight: bool,
    /// Time since the peer acknowledged anything, a probe included.
    pub last_ack: Duration,
    /// Time since data went out, for the first time or again.
    pub last_sent: Duration,
    /// Time since the first of what is in flight was sent, as far as the kernel's retransmissions
    /// tell.
    pub first_sent: Duration,
    /// Probes of a closed window since the last acknowledgement.
    pub probes: u8,
    /// The time after which the kernel sends again what is in flight.
    pub rto: Duration,
    /// Round trip.
    pub rtt: Duration,
}

impl Sample {
    /// Whether the peer's window is closed, and the peer answers when asked whether it still is.
    pub(crate) fn answers(&self) -> bool {
        self.unacknowledged > 0 && !self.in_flight && self.probes < UNANSWERED_PROBES
    }
}

/// Something that can say how its connection to the next hop stands.
pub(crate) trait NextHop {
    /// The connection as the kernel sees it; `None` where no peer can vanish without a word (unix
    /// sockets).
    fn sample(&self) -> Option<Sample>;

    /// Payload that has not arrived.
    fn outstanding(&self) -> Outstanding;
}
