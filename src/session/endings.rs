//! Decided once: how a session ended -> what becomes of its bytes, and how it parts from its
//! client.

use std::time::Duration;

use crate::{
    line::{Loss, Lost},
    wire::close::Ended,
};

/// How long a session may take altogether when the gateway stops or its endpoint goes, whatever
/// still moves: this lets the daemon be gone within 6 s.
const STOP_WITHIN: Duration = Duration::from_millis(5_500);

/// How long we keep reading a client that broke the protocol, so that our Close is not lost to a
/// reset.
const FAULT_WAIT: Duration = Duration::from_secs(1);

/// What becomes of bytes that were taken from the client and have not reached the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remainder {
    /// They go on while they move (at most `linger` without progress).
    Drain,
    /// They go on for at most this long, whatever moves.
    Within(Duration),
    /// They are discarded immediately, counted and reported.
    Discard,
}

/// How a session parts from its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// The client has sent Close; ours is the answer, and waits until it can say what became of the
    /// client's bytes.
    Answer,
    /// The client is told immediately, and read until it sends Close in turn, for at most the time
    /// it may be silent.
    Close,
    /// The client is told once everything it had sent before has arrived; after that as above.
    CloseBehind,
    /// The client is told immediately and no longer believed: our side is shut, and for a moment
    /// what still comes is thrown away.
    Shut(Duration),
    /// There is nobody left to tell.
    None,
}

/// What follows from an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) rest: Remainder,
    pub(super) farewell: Farewell,
    /// Whether a `wsbridge.v1` session outlives its socket: the end was not intended, or coming
    /// back may help.
    pub(super) parks: bool,
}

/// What a session's ending leaves behind, as far as its line cares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parting {
    /// Bytes of the client are on their way to the device.
    pub(super) queued: bool,
    /// The client could have said `close`, and did not.
    pub(super) has_word: bool,
}

/// Whether a line has lost its writer by the ending of that session, rather than been left by it
/// (docs/dead-man.md); how, where it has.
pub(super) fn loss(ended: &Ended, Parting { queued, has_word }: Parting) -> Option<Loss> {
    let how = match ended {
        // In plain mode and at a door the end is the only word there is, and what was sent before
        // it is delivered. A page that is left, though, says nothing of what it had begun.
        Ended::ClientClosed(code) if queued && (has_word || *code == Some(1001)) => Lost::Access,
        Ended::ClientLost(_)
        | Ended::ClientSilent
        | Ended::TooBig
        | Ended::BadFrame(_)
        | Ended::BadText
        | Ended::BadMessage(_)
        | Ended::Internal(_) => Lost::Connection(Duration::ZERO),
        // The gateway ends it, whatever its client wanted.
        Ended::NotAuthenticated
        | Ended::Withdrawn
        | Ended::LentOver
        | Ended::Disconnected(_)
        | Ended::Stopping
        | Ended::Restarting
        | Ended::Removed
        | Ended::TooSlow(_)
        | Ended::Idle => Lost::Access,
        Ended::TargetEnded
        | Ended::TargetFailed(_)
        | Ended::TargetReset(_)
        | Ended::CarrierLost => Lost::Device,
        // It was left, goes on, or has never written.
        Ended::ClientClosed(_)
        | Ended::Undelivered { .. }
        | Ended::Superseded
        | Ended::TargetUnreachable(_)
        | Ended::Away(_)
        | Ended::NotOpened
        | Ended::Busy(_)
        | Ended::NoRoom(_)
        | Ended::GaveWay => return None,
    };
    Some(Loss { why: ended.label(), how })
}

/// The one table of endings, for plain mode, control mode and the bus alike (docs/protocol.md
/// section 10).
pub(super) fn ending(ended: &Ended) -> Ending {
    let (rest, farewell, parks) = match ended {
        // This includes 1001, which browsers send when a page is left or reloaded: the session's
        // secret is gone with the page, and the next page would find the line held by somebody who
        // cannot come back.
        Ended::ClientClosed(_) | Ended::Undelivered { .. } => {
            (Remainder::Drain, Farewell::Answer, false)
        }
        Ended::ClientLost(_) => (Remainder::Drain, Farewell::None, true),
        Ended::ClientSilent | Ended::TooBig => (Remainder::Drain, Farewell::Shut(FAULT_WAIT), true),
        Ended::BadFrame(_) | Ended::BadText | Ended::BadMessage(_) => {
            (Remainder::Drain, Farewell::Shut(FAULT_WAIT), false)
        }
        Ended::TargetEnded => (Remainder::Drain, Farewell::CloseBehind, false),
        // Nothing can go there any more, or nothing may.
        Ended::TargetFailed(_)
        | Ended::TargetReset(_)
        | Ended::CarrierLost
        | Ended::TargetUnreachable(_)
        | Ended::Away(_)
        | Ended::NotAuthenticated
        | Ended::Withdrawn
        | Ended::LentOver
        | Ended::Disconnected(_) => (Remainder::Discard, Farewell::Close, false),
        Ended::Stopping | Ended::Restarting | Ended::Removed => {
            (Remainder::Within(STOP_WITHIN), Farewell::Close, false)
        }
        Ended::Internal(_) | Ended::Superseded => (Remainder::Drain, Farewell::Close, true),
        // A session that gives way leaves its place; parked, it would keep it.
        Ended::TooSlow(_)
        | Ended::Idle
        | Ended::NotOpened
        | Ended::Busy(_)
        | Ended::NoRoom(_)
        | Ended::GaveWay => (Remainder::Drain, Farewell::Close, false),
    };
    Ending { rest, farewell, parks }
}
