//! The live target: one task pair owns the device's I/O; everyone else holds a seat.
//!
//! ```text
//! device -> downlink -> output (tape, readers) -> seats
//! device <- uplink   <- input  (one queue)     <- seats
//! ```
//!
//! A line's keeper opens the device, runs both directions until the device fails, and opens it again. It ends when
//! nobody holds the line any more: neither the gateway's list nor a seat.

mod input;
mod keeper;
mod lines;
mod output;
mod seat;
mod tape;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

pub use lines::Lines;
pub use output::Heard;
pub use seat::Seat;
pub use tape::Gap;

use self::{input::Input, output::Output, output::SeatId};
use crate::{
    metrics::EndpointMetrics,
    settings::ErrorCounts,
    target::{OpenError, Port},
};

/// A line's state, for lists, metrics and whoever wants a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody needs it (`open: on-demand`).
    Closed,
    /// Being opened.
    Opening,
    /// Open.
    Up,
    /// Not there; why. It is tried again.
    Down(OpenError),
}

impl State {
    /// The word of this state in lists and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Opening => "opening",
            Self::Up => "up",
            Self::Down(_) => "down",
        }
    }
}

/// Why a seat was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// In use; who holds it.
    Busy(String),
    /// The device is not there.
    Down(OpenError),
    /// There is no such line.
    Unknown,
}

/// What keeper and seats of a line share.
#[derive(Debug)]
struct Shared {
    name: String,
    output: Output,
    input: Input,
    state: watch::Sender<State>,
    /// How many seats are taken.
    seats: watch::Sender<usize>,
    /// The seat that holds the line, and its principal.
    holder: Mutex<Option<(SeatId, String)>>,
    /// The open device's controls, and what its driver had counted when last asked.
    port: Mutex<Option<(Port, Option<ErrorCounts>)>>,
    metrics: Arc<EndpointMetrics>,
}

/// Lives as long as somebody holds the line; the keeper watches the other end.
#[derive(Debug)]
struct Life {
    _end: watch::Sender<()>,
}

impl Shared {
    fn new(name: &str, history: usize, metrics: Arc<EndpointMetrics>) -> Self {
        Self {
            name: name.to_owned(),
            output: Output::new(history),
            input: Input::default(),
            state: watch::Sender::new(State::Closed),
            seats: watch::Sender::new(0),
            holder: Mutex::new(None),
            port: Mutex::new(None),
            metrics,
        }
    }

    fn port(&self) -> Option<Port> {
        let port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        port.as_ref().map(|(port, _)| port.clone())
    }

    /// A device came; its driver's counters begin at `counted`. Or it is gone.
    fn set_port(&self, port: Option<(Port, Option<ErrorCounts>)>) {
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) = port;
    }

    /// Adds to the metrics what the driver counted on top of the last time.
    fn count_errors(&self, now: ErrorCounts) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, last)) = &mut *port {
            self.metrics.line_errors(now.since(last.unwrap_or(now)));
            *last = Some(now);
        }
    }

    /// Bytes with the driver.
    fn unsent(&self) -> usize {
        self.port().map_or(0, |port| port.unsent())
    }

    /// Takes the line for one seat, or says who holds it.
    fn hold(&self, seat: SeatId, principal: &str) -> Result<(), String> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, principal)) = &*holder {
            return Err(principal.clone());
        }
        *holder = Some((seat, principal.to_owned()));
        Ok(())
    }

    /// A seat was left.
    fn left(&self, seat: SeatId) {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        holder.take_if(|(id, _)| *id == seat);
        self.seats.send_modify(|seats| *seats = seats.saturating_sub(1));
    }
}

/// A line as the gateway's list holds it.
#[derive(Clone, Debug)]
struct Line {
    shared: Arc<Shared>,
    life: Arc<Life>,
}
