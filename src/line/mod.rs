//! The live target: one pair of tasks owns the device's I/O; everyone else holds a seat.
//!
//! ```text
//! device -> downlink -> output (tape, marks, readers) -> seats
//! device <- uplink   <- input  (one queue)            <- seats
//!           keeper   -> board  (state, lease, settings, signals) -> seats, lists, metrics
//! ```
//!
//! A line's keeper opens the device, runs both directions until it fails, and opens it again. The
//! keeper ends when nobody holds the line any more: neither the gateway's list nor a seat.

mod board;
mod borders;
mod bus;
mod callers;
mod controls;
mod dead_man;
mod echo;
mod input;
mod keeper;
mod lease;
mod lines;
mod log;
mod marks;
mod output;
mod pacing;
mod recording;
mod request;
mod seat;
mod tape;
mod task;
mod uplink;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use board::{Board, LineState, rfc3339};
pub(crate) use callers::{LineNews, Probe};
pub(crate) use controls::DRAIN_MOST;
pub(crate) use dead_man::{Loss, Lost};
pub(crate) use input::{Progress, WINDOW};
pub(crate) use lease::{Holder, Lease, NoLease, Reason};
pub(crate) use lines::{Lines, NewSeat};
pub(crate) use log::Log;
pub(crate) use marks::{Mark, MarkKind};
pub(crate) use output::{Gone, SeatEvent, SeatId};
pub(crate) use request::{Ghosts, NoSeat, Participant, ReplayFrom, SeatRequest, WriteIntent, held};
pub(crate) use seat::{Seat, Unsent};
pub(crate) use tape::Gap;
pub(crate) use task::{Action, TaskOutcome, Undone};

use self::{
    callers::Callers,
    dead_man::Returning,
    echo::Echo,
    input::{CutPoint, Front, Input},
    output::Output,
    recording::Told,
    task::Task,
};
use crate::{
    auth::PrincipalId,
    config::{Endpoint, Packing, Share},
    event::{Event, Events},
    metrics::EndpointMetrics,
    record::Tap,
    settings::ErrorCounts,
    target::{Caps, Port},
    wire::control::WINDOW_MAX,
};

/// A quarter of the largest window of `wsbridge.v1`.
const QUARTER: usize = WINDOW_MAX as usize / 4;

/// The longest datagram that can come, and a little more.
pub(crate) const DATAGRAM_READ: usize = 0xFFFF;

/// What a line's keeper and its seats share.
#[derive(Debug)]
struct Shared {
    name: String,
    /// The rules as they are now.
    endpoint: watch::Receiver<Arc<Endpoint>>,
    /// Whether both directions carry datagrams.
    datagrams: bool,
    /// Names the tape's axis: offsets of another epoch mean nothing here.
    epoch: String,
    output: Output,
    input: Input,
    callers: Callers,
    board: watch::Sender<Board>,
    /// Our own bytes that come back, where they are to be taken out.
    echo: Mutex<Option<Echo>>,
    port: Mutex<Option<OpenPort>>,
    /// What is owed to a device that is away.
    returning: Mutex<Option<Returning>>,
    /// How many seats of our own there were in the queue.
    own: AtomicUsize,
    metrics: Arc<EndpointMetrics>,
    events: Arc<Events>,
    /// Where recordings and captures listen, and which of its connections this line is.
    tap: Arc<Tap>,
    stream: u32,
    told: Mutex<Told>,
    /// Owns what goes on past the queue; each task ends by itself, within the 10 s of a sequence or
    /// the port's own time limit.
    tasks: TaskTracker,
}

/// An open device's controls.
#[derive(Debug)]
struct OpenPort {
    port: Port,
    /// What its driver had counted when it was last asked.
    counted: Option<ErrorCounts>,
    /// Cancelled when the device holds bytes that it can neither send nor discard.
    stuck: CancellationToken,
}

/// Lives while somebody holds the line; the keeper watches the other end.
#[derive(Debug)]
struct LineHold {
    _end: watch::Sender<()>,
}

impl Shared {
    fn new(
        endpoint: watch::Receiver<Arc<Endpoint>>,
        events: Arc<Events>,
        tap: Arc<Tap>,
        tasks: TaskTracker,
    ) -> Self {
        let now = Arc::clone(&endpoint.borrow());
        let metrics = events.metrics().endpoint(&now.name);
        let share = now.share.unwrap_or(Share::Exclusive);
        // A private line waits for its only seat, which says at each quarter of its window what it
        // has read.
        let datagrams = now.target.has_datagrams();
        let least = match now.share {
            // Nobody would hear a datagram longer than the tape.
            Some(_) if datagrams => 2 * DATAGRAM_READ,
            Some(_) => 0,
            None => QUARTER,
        };
        let history = now.history.max(least);
        let mut epoch = [0; 8];
        // Without randomness the time of creation has to do: the epoch only has to differ from the
        // one before.
        if getrandom::fill(&mut epoch).is_err() {
            let since =
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            epoch = since.as_micros().to_le_bytes().first_chunk().copied().unwrap_or_default();
        }
        let board = watch::Sender::new(Board::new(share));
        // Private lines are several at a time.
        let stream = if now.share.is_some() { 0 } else { tap.stream() };
        Self {
            name: now.name.clone(),
            endpoint,
            epoch: format!("{:016x}", u64::from_le_bytes(epoch)),
            output: Output::new(history, datagrams),
            input: Input::default(),
            datagrams,
            callers: Callers::default(),
            told: Told::new(board.subscribe()),
            board,
            echo: Mutex::new(None),
            port: Mutex::new(None),
            returning: Mutex::default(),
            own: AtomicUsize::new(0),
            metrics,
            events,
            tap,
            stream,
            tasks,
        }
    }

    /// Discards a datagram that is too long for the network.
    fn refused(&self, front: Front<'_>) {
        let bytes = front.refused();
        self.metrics.undelivered.add(bytes as u64);
        tracing::debug!(endpoint = self.name, bytes, "the network takes no datagram of that size");
    }

    fn lock_port(&self) -> MutexGuard<'_, Option<OpenPort>> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_returning(&self) -> MutexGuard<'_, Option<Returning>> {
        self.returning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat of our own in the queue, which no client has.
    fn next_own_seat(&self) -> SeatId {
        SeatId::MAX - self.own.fetch_add(1, Ordering::Relaxed) as SeatId
    }

    fn port(&self) -> Option<Port> {
        self.lock_port().as_ref().map(|open| open.port.clone())
    }

    /// What a port can do on this line.
    fn caps(&self, port: &Port) -> Caps {
        let (caps, packing) = (port.caps(), self.endpoint.borrow().packing);
        Caps { gap: caps.drain && matches!(packing, Packing::ModbusRtu { .. }), ..caps }
    }

    /// The open device's controls, and how to say that it is stuck.
    fn open_port(&self) -> Option<(Port, CancellationToken)> {
        self.lock_port().as_ref().map(|open| (open.port.clone(), open.stuck.clone()))
    }

    /// Notes a device that came; its driver's counters begin at `counted`. Returns a token that is
    /// cancelled when it is stuck.
    fn set_port(&self, port: Port, counted: Option<ErrorCounts>) -> CancellationToken {
        let stuck = CancellationToken::new();
        *self.lock_port() = Some(OpenPort { port, counted, stuck: stuck.clone() });
        stuck
    }

    /// Notes that the device is gone.
    fn forget_port(&self) {
        *self.lock_port() = None;
    }

    /// Adds to the metrics what the driver has counted since last time.
    fn count_errors(&self, now: ErrorCounts) {
        if let Some(open) = &mut *self.lock_port() {
            self.metrics.line_errors(now.since(open.counted.unwrap_or(now)));
            open.counted = Some(now);
        }
    }

    /// Bytes that the driver holds.
    fn unsent(&self) -> usize {
        self.port().map_or(0, |port| port.unsent())
    }

    /// Says what state the device is in, and from which byte on.
    fn set_state(&self, state: LineState) {
        let (_, at) = self.output.bounds();
        self.board.send_if_modified(|board| {
            let changed = board.state != state;
            if changed {
                let up = state == LineState::Up;
                // Another reason for the same state is not a new beginning.
                if board.state.word() != state.word() {
                    board.since = SystemTime::now();
                }
                board.was_up |= up;
                (board.state, board.at) = (state, at);
                if up && board.vacated {
                    // Before anybody can do anything with it.
                    self.input.push_task(Task::unasked(Action::Release));
                }
                if up && let Some(returning) = self.lock_returning().take() {
                    returning.queue(self);
                }
            }
            changed
        });
    }

    /// Changes the lease; everyone is told if that changed anything.
    fn lease<T>(&self, change: impl FnOnce(&mut Lease) -> T) -> Option<T> {
        let (mut result, mut passed) = (None, None);
        self.board.send_if_modified(|board| {
            let before = board.lease.clone();
            result = Some(change(&mut board.lease));
            passed = board.lease.passed_on(&before);
            board.lease != before
        });
        self.tell(passed);
        result
    }

    /// The lease was taken from a seat: its data still goes, up to the first of its tasks. If it
    /// was in a break, that ends after the data.
    fn cut(&self, seat: SeatId) {
        let bytes = self.input.cut(seat, CutPoint::Waiting);
        if self.board.borrow().breaks(seat) {
            self.input.push_task(Task::unasked(Action::EndBreak(seat)));
        }
        if bytes > 0 {
            self.metrics.undelivered.add(bytes as u64);
            tracing::info!(
                endpoint = self.name,
                bytes,
                "discarded what was queued behind a task when the lease was taken"
            );
        }
    }

    /// Discards what a seat has in the queue and with the driver, and ends its break: nothing of it
    /// leaves together with what comes from now on. The seat hears of it as lost. Returns how many
    /// bytes that makes, at most.
    fn cut_all(self: &Arc<Self>, seat: SeatId) -> usize {
        let held = self.port().map_or(0, |port| port.held().bytes);
        let bytes = self.input.cut(seat, CutPoint::All) + self.input.lose_driven(seat, held);
        self.input.hold();
        let line = Arc::clone(self);
        self.tasks.spawn(async move { controls::discard(&line, seat).await });
        if self.board.borrow().breaks(seat) {
            self.input.push_task(Task::unasked(Action::EndBreak(seat)));
        }
        self.metrics.undelivered.add(bytes as u64);
        bytes
    }

    /// Reports that the lease changed hands, if it did.
    fn tell(&self, passed: Option<(Option<PrincipalId>, &'static str)>) {
        if let Some((holder, reason)) = passed {
            self.events.tell(Event::Lease {
                endpoint: &self.name,
                holder: holder.as_ref(),
                reason,
            });
        }
    }
}

/// A line as the gateway's list holds it.
#[derive(Clone, Debug)]
struct ListedLine {
    shared: Arc<Shared>,
    life: Arc<LineHold>,
}
