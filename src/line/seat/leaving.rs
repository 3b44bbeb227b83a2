//! How a seat is left: which of its bytes are still on their way, and what becomes of them.

use std::{sync::Arc, time::SystemTime};

use super::{Drained, Seat};
use crate::{
    line::{
        controls,
        task::{Action, Task},
    },
    target::{Held, Port},
};

/// Bytes on their way to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsent {
    /// How many there are: in the queue, in the driver and in an adapter.
    pub bytes: u64,
    /// Whether there are exactly that many; otherwise at most: nobody can say how much an adapter
    /// has sent of what it took.
    pub exact: bool,
    /// Whether the other side of a connection shows that it is alive, although it takes nothing.
    pub answers: bool,
}

impl Seat {
    /// This seat's bytes that are on their way.
    pub(crate) fn pending(&self) -> Unsent {
        let progress = self.progress();
        if self.is_drained() || self.left || progress.taken == self.ignored {
            return Unsent { bytes: 0, exact: true, answers: false };
        }
        let port = self.shared.port();
        let held = port.as_ref().map_or(Held::default(), Port::held);
        let answers = port.is_some_and(|port| port.answers());
        let own = self.shared.input.driver_share(self.id, held.bytes) as u64;
        Unsent {
            bytes: progress.taken - progress.done + own,
            exact: own == 0 || !held.at_most,
            answers,
        }
    }

    /// Bytes sent on this seat that will not get to the device: it was not allowed to write, or the
    /// device went.
    pub(crate) fn lost(&self) -> u64 {
        self.ignored + if self.left { self.gone } else { self.progress().lost }
    }

    /// Leaves the line before the seat itself is dropped: what is not on the wire is discarded and
    /// counted, and the lease becomes free. Nothing of it leaves together with what others send
    /// from now on: a device that neither sends nor discards its part is reopened.
    pub(crate) fn leave(&mut self) {
        if self.left {
            return;
        }
        self.discard();
        self.left = true;
        self.gone = self.progress().lost;
        self.shared.input.leave(self.id);
        self.shared.output.leave(self.id);
        self.shared.callers.leave(self.id);
        // Noted now: a line without seats forgets what was driven.
        if controls::forget_break(&self.shared, self.id) {
            let shared = Arc::clone(&self.shared);
            self.shared.tasks.spawn(async move { controls::break_off(&shared).await });
        }
        let (now, mut passed) = (SystemTime::now(), None);
        self.shared.board.send_modify(|board| {
            let before = board.lease.clone();
            board.lease.leave(self.id, now);
            passed = board.lease.passed_on(&before);
            board.ghosts.remove(&self.id);
            board.seats = board.seats.saturating_sub(1);
            board.listeners = board.listeners.saturating_sub(usize::from(self.listens));
            if board.seats == 0 && board.vacate() {
                // Before the next seat can come, so that this is in the queue before anything that
                // one does.
                self.shared.input.push_task(Task::unasked(Action::Release));
            }
        });
        self.shared.tell(passed);
    }

    fn discard(&mut self) {
        let Unsent { bytes, exact, .. } = self.pending();
        if bytes > 0 {
            self.shared.metrics.undelivered.add(bytes);
            tracing::info!(
                endpoint = self.shared.name,
                bytes,
                exact,
                "discarded what a session left unsent"
            );
            self.shared.input.flush(self.id);
            let (shared, seat) = (Arc::clone(&self.shared), self.id);
            self.shared.tasks.spawn(async move { controls::discard(&shared, seat).await });
        }
        self.drained = Drained::Done;
    }
}
