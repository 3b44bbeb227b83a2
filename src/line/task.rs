//! What waits in a line's queue beside data, and what comes of it.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::output::SeatId;
use crate::{
    settings::{Settings, Step},
    target::PortError,
    wire::control::SettingsChange,
};

/// Longest distance of two steps' clocks that is kept; over it they are no sequence.
pub(super) const PACE_MOST: Duration = Duration::from_secs(1);

/// Why a task was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    /// The port said no.
    Port(PortError),
    /// The wire was not idle in time.
    Timeout,
    /// The device went, or the seat was left.
    Gone,
    /// The seat has as much in the queue as it may have.
    Full,
    /// What the seat has in the queue would wait for too long.
    TooLong,
    /// The lease was taken from the seat.
    Taken,
}

impl From<PortError> for Undone {
    fn from(error: PortError) -> Self {
        if error == PortError::Stuck { Self::Timeout } else { Self::Port(error) }
    }
}

/// Where the outcome of a task goes.
pub(super) type Reply = oneshot::Sender<Result<(), Undone>>;

/// What waits in the queue beside data.
#[derive(Debug)]
pub(super) struct Task {
    /// What is to be done.
    pub(super) what: Action,
    /// How long its steps wait in all.
    pub(super) wait: Duration,
    /// Cancelled when its seat loses its turn: nothing is waited for any more.
    pub(super) turn: CancellationToken,
    /// Where the outcome goes.
    reply: Option<Reply>,
}

impl Task {
    /// A task whose outcome nobody waits for.
    pub(super) fn unasked(what: Action) -> Self {
        Self { what, wait: Duration::ZERO, turn: CancellationToken::new(), reply: None }
    }

    /// A task, and where its outcome comes from; an error there is [`Undone::Gone`].
    pub(super) fn new(what: Action) -> (Self, TaskOutcome) {
        let (reply, outcome) = oneshot::channel();
        (Self { reply: Some(reply), ..Self::unasked(what) }, outcome)
    }

    /// Where the outcome goes, where somebody wants to know it.
    pub(super) fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// Says what came of it, to who waits for it.
    pub(super) fn answer(self, outcome: Result<(), Undone>) {
        if let Some(reply) = self.reply {
            reply.send(outcome).ok();
        }
    }
}

/// Where the outcome of a task comes from.
pub(crate) type TaskOutcome = oneshot::Receiver<Result<(), Undone>>;

/// What is done to a port.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Wait until the wire is idle.
    Drain,
    /// Change settings, behind what is still being sent or at once.
    Configure {
        /// What changes.
        change: SettingsChange,
        /// Whether to wait until the wire is idle.
        drain: bool,
        /// Whoever asks.
        by: String,
    },
    /// Move DTR, RTS and break, step by step.
    Signals {
        /// The steps.
        steps: Vec<Step>,
        /// Whose: pacing holds over the steps of one seat.
        seat: SeatId,
    },
    /// End the break of a seat that lost its turn, if one stands.
    EndBreak(SeatId),
    /// Set the port as configured.
    Retune(Settings),
    /// The last seat has left: the port goes back to how it was configured.
    Release,
}
