//! What waits in a line's queue beside the data, and how it turns out.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::output::SeatId;
use crate::{
    auth::PrincipalId,
    settings::{Settings, Step},
    target::PortError,
    wire::control::SettingsChange,
};

/// The longest distance between two steps' clocks that is kept; beyond it they are not a sequence.
pub(super) const PACE_MOST: Duration = Duration::from_secs(1);

/// Why a task was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    /// The port refused.
    Port(PortError),
    /// The wire was not idle in time.
    Timeout,
    /// The device went, or the seat was left.
    Gone,
    /// The seat has as many in the queue as it may.
    Full,
    /// Together the seat's tasks would wait for too long.
    TooLong,
    /// The lease was taken from the seat.
    Taken,
}

impl From<PortError> for Undone {
    fn from(error: PortError) -> Self {
        if error == PortError::Stuck { Self::Timeout } else { Self::Port(error) }
    }
}

/// Where a task's outcome goes.
pub(super) type Reply = oneshot::Sender<Result<(), Undone>>;

/// What waits in the queue beside the data.
#[derive(Debug)]
pub(super) struct Task {
    /// What has to be done.
    pub(super) what: Action,
    /// How long its steps wait altogether.
    pub(super) wait: Duration,
    /// Cancelled when its seat loses its turn: then it waits for nothing more.
    pub(super) turn: CancellationToken,
    /// Where the outcome goes.
    reply: Option<Reply>,
}

impl Task {
    /// A task whose outcome nobody waits for.
    pub(super) fn unasked(what: Action) -> Self {
        Self { what, wait: Duration::ZERO, turn: CancellationToken::new(), reply: None }
    }

    /// A task, and where its outcome arrives; an error there is [`Undone::Gone`].
    pub(super) fn new(what: Action) -> (Self, TaskOutcome) {
        let (reply, outcome) = oneshot::channel();
        (Self { reply: Some(reply), ..Self::unasked(what) }, outcome)
    }

    /// Where the outcome goes, if somebody wants to know it.
    pub(super) fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// Passes the outcome to whoever waits for it.
    pub(super) fn answer(self, outcome: Result<(), Undone>) {
        if let Some(reply) = self.reply {
            reply.send(outcome).ok();
        }
    }
}

/// Where a task's outcome arrives.
pub(crate) type TaskOutcome = oneshot::Receiver<Result<(), Undone>>;

/// What is done to a port.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Wait until the wire is idle.
    Drain,
    /// Change settings, after what is still being sent or immediately.
    Configure {
        change: SettingsChange,
        /// Whether to wait until the wire is idle.
        drain: bool,
        /// Who asks for it.
        by: PrincipalId,
    },
    /// Move DTR, RTS and break, step by step.
    Signals {
        steps: Vec<Step>,
        /// Whose: pacing applies across the steps of one seat.
        seat: SeatId,
        /// Who asks for it, and the name of the macro; the gateway's own steps are told otherwise.
        by: Option<(PrincipalId, Option<String>)>,
    },
    /// End the break of a seat that lost its turn, if there still is one.
    EndBreak(SeatId),
    /// Set the port as configured.
    Retune(Settings),
    /// The last seat has left: the port goes back to how it was configured.
    Release,
}
