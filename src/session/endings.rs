//! Decided once: how a session ended -> what becomes of its bytes, and how its client is parted
//! from.

use std::time::Duration;

use crate::wire::close::Ended;

/// How long a session may take in all when the gateway stops or its endpoint goes, whatever still
/// moves: with it the daemon is gone within 6 s.
const STOP_WITHIN: Duration = Duration::from_millis(5_500);

/// How long a client that broke the protocol is read on, so that our Close is not lost to a reset.
const FAULT_WAIT: Duration = Duration::from_secs(1);

/// What becomes of the bytes that were taken from the client and are not with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remainder {
    /// They go on as long as they move (`linger` without progress).
    Drain,
    /// They go on for at most so long, whatever moves.
    Within(Duration),
    /// They are discarded at once, counted and told.
    Discard,
}

/// How the client is parted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// It has said Close; ours is the answer, and says what became of its bytes: it waits for that.
    Answer,
    /// It is told at once, and read on until it says Close in turn, for at most the time it may be
    /// silent.
    Close,
    /// It is told when what it had sent before has arrived, and then the same.
    CloseBehind,
    /// It is told at once and not believed any more: our side is shut, and for a moment what still
    /// comes is thrown away.
    Shut(Duration),
    /// There is nobody to tell.
    None,
}

/// What follows from an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) rest: Remainder,
    pub(super) farewell: Farewell,
    /// Whether a `wsbridge.v1` session outlives its socket: the end was not meant, or may be mended
    /// by coming back.
    pub(super) parks: bool,
}

/// The one table of endings, for plain mode, control mode and the bus alike (docs/protocol.md
/// section 10).
pub(super) fn ending(ended: &Ended) -> Ending {
    let (rest, farewell, parks) = match ended {
        // Also 1001, which browsers say when a page is left or reloaded: the secret of a session is
        // gone with its page, and the next one would find the line held by nobody who could come
        // back.
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
        | Ended::TargetUnreachable(_)
        | Ended::NotAuthenticated
        | Ended::Withdrawn
        | Ended::Disconnected => (Remainder::Discard, Farewell::Close, false),
        Ended::Stopping | Ended::Restarting | Ended::Removed => {
            (Remainder::Within(STOP_WITHIN), Farewell::Close, false)
        }
        Ended::Internal(_) | Ended::Superseded => (Remainder::Drain, Farewell::Close, true),
        // Whoever gives way leaves its place: parked it would keep it.
        Ended::TooSlow(_)
        | Ended::Idle
        | Ended::NotOpened
        | Ended::Busy(_)
        | Ended::NoRoom(_)
        | Ended::GaveWay => (Remainder::Drain, Farewell::Close, false),
    };
    Ending { rest, farewell, parks }
}
