//! What is asked of a line for a seat, by whom, and why it may be refused.

use super::{board::rfc3339, lease::NoLease};
use crate::{auth::PrincipalId, config::Rights};

/// Somebody who wants a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Participant {
    pub principal: PrincipalId,
    /// What the principal may do on this endpoint now.
    pub rights: Rights,
    /// The same where nobody holds the session read-only.
    pub granted: Rights,
    /// Which sessions of the same principal give way to it.
    pub ghosts: Ghosts,
}

impl Participant {
    /// The same, where only these rights count.
    #[must_use]
    pub(crate) fn within(&self, limit: Rights) -> Self {
        Self { rights: self.granted.only(limit), ..self.clone() }
    }
}

/// Which of a principal's sessions that hold the lease give way to a new one of the same principal
/// that wants to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ghosts {
    /// None: several programs may share a token.
    Never,
    /// Those whose socket is gone: under `auth: none` everybody is the same principal.
    Away,
    /// These, and those whose client is silent and does not answer.
    #[default]
    Silent,
}

/// What is wanted from a seat.
#[expect(clippy::struct_excessive_bools, reason = "independent wishes")]
#[derive(Clone, Debug, Default)]
pub(crate) struct SeatRequest {
    /// Whether it wants the lease: not at all, if it is free, or no seat without it.
    pub intent: WriteIntent,
    /// Whether it takes the lease as soon as it can.
    pub takes: bool,
    /// Its client has sent nothing yet: it keeps nobody out, and gives way to whoever writes.
    pub silent: bool,
    /// Where to begin on the tape; `None` is its end.
    pub replay: Option<ReplayFrom>,
    /// It will say what it is done with (`Seat::done_reading`); a private line holds its target
    /// back until then.
    pub acks: bool,
    /// Hear line events and modem lines.
    pub events: bool,
    /// Hear the time of bytes.
    pub times: bool,
    /// Hear pauses in the device's output.
    pub pauses: bool,
    /// Stay when the device goes, and go on when it is back.
    pub patient: bool,
    /// The longest datagram to hear, if the device sends any; `None` hears all.
    pub longest: Option<usize>,
}

/// Whether a seat wants the lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WriteIntent {
    /// It writes, or there is no seat.
    Writer,
    /// It reads.
    Observer,
    /// It writes if the lease is free.
    #[default]
    Auto,
    /// Asks for the lease when there is something to write, and not before.
    OnWrite,
}

/// Where on the tape to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplayFrom {
    /// This many bytes before the end.
    Last(u64),
    /// At an offset within an epoch.
    From { offset: u64, epoch: String },
}

/// Why a seat was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// In use; who holds it, and since when.
    Busy(String),
    /// There is no such line.
    Unknown,
}

/// Who has the lease, as people are told.
pub(crate) fn held(no: &NoLease, to: &Participant) -> String {
    match no {
        NoLease::Held(holder)
            if holder.principal == to.principal && to.ghosts == Ghosts::Silent =>
        {
            format!("you in another window since {}", rfc3339(holder.since))
        }
        NoLease::Held(holder) => format!("{} since {}", holder.principal, rfc3339(holder.since)),
        NoLease::Asked(user) => format!("{user} asks for it already"),
        NoLease::NotHolder => "only its holder can do that".into(),
        NoLease::NotAsked => "nobody asks for it".into(),
    }
}
