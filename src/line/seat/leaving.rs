//! How a seat is left: what of its bytes is still on its way, and what becomes of it.

use std::{sync::Arc, time::SystemTime};

use super::Seat;
use crate::line::{
    controls,
    task::{Action, Task},
};

impl Seat {
    /// Bytes this seat sent that are on their way: in the queue, or with the driver.
    pub fn pending(&self) -> u64 {
        let progress = self.progress();
        if self.is_drained() || progress.taken == self.ignored {
            return 0;
        }
        progress.taken - progress.done + self.shared.unsent() as u64
    }

    /// Bytes this seat sent that will not get to the device: it might not write, or the device went.
    pub fn lost(&self) -> u64 {
        self.ignored + if self.left { self.gone } else { self.progress().lost }
    }

    /// Discards what is not on the wire, and leaves.
    pub fn cut(&mut self) {
        if self.pending() > 0 {
            drop(self.flush_output());
        }
        self.leave();
    }

    /// Leaves the line before the seat itself goes: what it still had queued is discarded, the lease is free.
    pub fn leave(&mut self) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        self.gone = self.progress().lost;
        let discarded = self.shared.input.leave(self.id);
        self.shared.output.leave(self.id);
        self.shared.probes.leave(self.id);
        // Noted at once: a line without seats forgets what was driven.
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
                // Before the next one can come, so that it is in the queue before whatever that does.
                self.shared.input.push_task(None, Task::unasked(Action::Release));
            }
        });
        self.shared.tell(passed);
        if discarded > 0 {
            self.shared.metrics.undelivered.add(discarded as u64);
            tracing::info!(
                endpoint = self.shared.name,
                bytes = discarded,
                "discarded what a session left unsent"
            );
        }
    }
}
