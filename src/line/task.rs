//! What waits in a line's queue beside data, and what comes of it.

use tokio::sync::oneshot;

use super::output::SeatId;
use crate::{
    settings::{Settings, Step},
    target::PortError,
    wire::control::SettingsChange,
};

/// Why a task was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The port said no.
    Port(PortError),
    /// The transmitter was not empty in time.
    Timeout,
    /// The device went, or the seat was left.
    Gone,
    /// The seat has as much in the queue as it may have.
    Full,
}

impl From<PortError> for Undone {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// Where the outcome of a task goes.
pub(super) type Reply = oneshot::Sender<Result<(), Undone>>;

/// What waits in the queue beside data.
#[derive(Debug)]
pub enum Task {
    /// Answer when the transmitter is empty.
    Drain(Reply),
    /// Change settings, behind what is still being sent or at once.
    Configure {
        /// What changes.
        change: SettingsChange,
        /// Whether to wait for an empty transmitter.
        drain: bool,
        /// Who asks.
        by: String,
        /// The outcome.
        reply: Reply,
    },
    /// Move DTR, RTS and break, step by step.
    Signals {
        /// The steps.
        steps: Vec<Step>,
        /// Whose: pacing holds over the steps of one seat.
        seat: SeatId,
        /// The outcome.
        reply: Reply,
    },
    /// Set the port as configured.
    Retune {
        /// As it is configured.
        settings: Settings,
        /// Where it is told that this is done.
        reply: Option<Reply>,
    },
    /// The last seat has left: the port goes back to how it was configured.
    Release,
}
