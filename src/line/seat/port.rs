//! What a seat has done to the line's port: tasks queued after what was sent, past the queue, or
//! beside it.

use std::{future::Future, sync::Arc};

use tokio::{sync::oneshot, time::timeout};

use super::{Patience, Seat};
use crate::{
    line::{
        Action, DRAIN_MOST, LineState, Shared, Undone, controls,
        output::SeatId,
        task::{Task, TaskOutcome},
    },
    settings::{ErrorCounts, Inputs, Levels, Settings, Step},
    target::PortError,
    wire::control::SettingsChange,
};

/// The result of discarding output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// Bytes that were not discarded: a USB driver cannot flush, and what others sent stays.
    pub kept: usize,
}

impl Seat {
    /// Puts a task into the queue, after what was sent; the receiver gets its outcome. A line that
    /// is down drops it immediately.
    pub(crate) fn submit(&self, what: Action) -> TaskOutcome {
        let (task, outcome) = Task::new(what);
        if self.shared.board.borrow().state == LineState::Up {
            self.shared.input.offer(self.id, task);
        }
        outcome
    }

    /// The same for a seat that is about to take the lease: where the holder's queue is going to be
    /// cut, after the data that still goes and ahead of what that one waits for.
    pub(crate) fn submit_ahead(&self, what: Action) -> TaskOutcome {
        let (holder, state) = {
            let board = self.shared.board.borrow();
            (board.lease.holder().map(|holder| holder.seat), board.state.clone())
        };
        let Some(holder) = holder.filter(|holder| *holder != self.id) else {
            return self.submit(what);
        };
        let (task, outcome) = Task::new(what);
        if state == LineState::Up
            && let Some(task) = self.shared.input.push_ahead(self.id, holder, task)
        {
            self.perform_now(task);
        }
        outcome
    }

    /// Puts a drain into the queue, after what was sent. `Timeout` if nothing has left the queue
    /// for 30 s: a slow line may take minutes for a full window.
    pub(crate) fn drain(&self) -> impl Future<Output = Result<(), Undone>> + Send + use<> {
        let mut outcome = self.submit(Action::Drain);
        let (shared, seat) = (Arc::clone(&self.shared), self.id);
        async move {
            let mut patience = Patience::new(DRAIN_MOST, position(&shared, seat));
            loop {
                match timeout(Patience::PROGRESS_INTERVAL, &mut outcome).await {
                    Ok(outcome) => return outcome.unwrap_or(Err(Undone::Gone)),
                    Err(_) if patience.is_over(position(&shared, seat)) => {
                        return Err(Undone::Timeout);
                    }
                    Err(_) => {}
                }
            }
        }
    }

    /// The action that changes settings.
    pub(crate) fn configure(&self, change: SettingsChange, drain: bool) -> Action {
        Action::Configure { change, drain, by: self.who.principal.clone() }
    }

    /// If somebody else left the settings changed, puts them back as configured; the receiver says
    /// when that is done.
    pub(crate) fn as_configured(&self) -> Option<TaskOutcome> {
        let changed = self.shared.board.borrow().settings_by.is_some();
        let settings = self.endpoint().target.settings().filter(|_| changed)?;
        Some(self.submit(Action::Retune(settings)))
    }

    /// The action that moves signals; `name` is that of a macro.
    pub(crate) fn signals(&self, steps: Vec<Step>, name: Option<String>) -> Action {
        let by = Some((self.who.principal.clone(), name));
        Action::Signals { steps, seat: self.id, by }
    }

    /// Does a task immediately, past the queue: for a line that is stuck. It runs to its end
    /// whether or not anybody still waits, unless the lease is taken: a board is not left in reset
    /// because a socket was lost.
    pub(crate) fn do_now(&self, what: Action) -> TaskOutcome {
        let (task, outcome) = Task::new(what);
        self.perform_now(task);
        outcome
    }

    fn perform_now(&self, mut task: Task) {
        let Some(port) = self.shared.port() else { return };
        task.turn = self.shared.input.turn_of(self.id).unwrap_or_default();
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move { controls::perform_now(&shared, task, &port).await });
    }

    /// Discards what this seat has sent and the driver has not put on the wire. That includes
    /// nothing sent from now on, and nothing that others sent before: while the driver holds some
    /// of that, its share goes out.
    pub(crate) fn flush_output(
        &self,
    ) -> impl Future<Output = Result<Flushed, Undone>> + Send + use<> {
        let (reply, outcome) = oneshot::channel();
        self.shared.input.flush(self.id);
        let (shared, seat) = (Arc::clone(&self.shared), self.id);
        self.shared.tasks.spawn(async move {
            let port = shared.port();
            let flushed = match &port {
                Some(port) if shared.input.owns_driver(seat, port.unsent()) => {
                    port.flush(false, true).await
                }
                Some(_) | None => Ok(()),
            };
            let kept = port.map_or(0, |port| shared.input.driver_share(seat, port.unsent()));
            shared.input.go_on();
            reply.send(flushed.map(|()| Flushed { kept }).map_err(Undone::from)).ok();
        });
        async move { outcome.await.unwrap_or(Err(Undone::Gone)) }
    }

    /// Discards what the driver has received and not yet given us.
    pub(crate) fn flush_input(&self) -> impl Future<Output = Result<(), PortError>> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            match shared.port() {
                Some(port) => port.flush(true, false).await,
                None => Ok(()),
            }
        }
    }

    /// Settings, modem lines and counters as the driver has them now; `None` for those it lacks.
    pub(crate) fn look(
        &self,
    ) -> impl Future<Output = (Option<Settings>, Option<Inputs>, Option<ErrorCounts>)> + Send + use<>
    {
        let shared = Arc::clone(&self.shared);
        async move {
            let Some(port) = shared.port() else { return (None, None, None) };
            let settings = port.settings().await.ok();
            let errors = port.errors().await.ok().filter(|_| port.caps().errors);
            (settings, port.inputs().await.ok(), errors)
        }
    }

    /// DTR, RTS and break as a client last drove them.
    pub(crate) fn outputs(&self) -> Levels {
        self.shared.board.borrow().outputs
    }

    /// Ends a break that this seat has left behind, if there still is one when this is awaited.
    pub(crate) fn end_break(&self) -> impl Future<Output = ()> + Send + use<> {
        let (shared, seat) = (Arc::clone(&self.shared), self.id);
        async move { controls::end_break(&shared, seat).await }
    }
}

fn position(shared: &Shared, seat: SeatId) -> (u64, usize) {
    let (done, queued) = shared.input.position(seat);
    (done, queued + shared.unsent())
}
