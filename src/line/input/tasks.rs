//! Tasks in the queue: behind what was sent, or where another's would be cut.

use tokio_util::sync::CancellationToken;

use super::{Input, QueueItem, SeatAccount, SeatId};
use crate::line::task::{Task, Undone};

/// Tasks a seat may have in the queue.
const TASKS: usize = 64;

impl Input {
    /// Puts a task of nobody behind everything queued.
    pub(in crate::line) fn push_task(&self, task: Task) {
        let inner = &mut *self.lock();
        inner.queue.push_back((None, QueueItem::Task(task)));
        inner.wake_worker();
    }

    /// Puts a task of a seat behind everything queued, if it may have one more.
    pub(in crate::line) fn offer(&self, seat: SeatId, mut task: Task) {
        let inner = &mut *self.lock();
        let Some(account) = inner.seats.get_mut(&seat) else { return };
        if account.tasks >= TASKS {
            return task.answer(Err(Undone::Full));
        }
        let Some(wait) = account.waits.add(&task.what) else {
            return task.answer(Err(Undone::TooLong));
        };
        account.tasks += 1;
        (task.wait, task.turn) = (wait, account.turn());
        inner.queue.push_back((Some(seat), QueueItem::Task(task)));
        inner.wake_worker();
    }

    /// What is cancelled when a seat loses its turn.
    pub(in crate::line) fn turn_of(&self, seat: SeatId) -> Option<CancellationToken> {
        self.lock().seats.get_mut(&seat).map(SeatAccount::turn)
    }

    /// Whether tasks of a seat wait.
    pub(in crate::line) fn has_tasks(&self, seat: SeatId) -> bool {
        self.lock().seats.get(&seat).is_some_and(|account| account.tasks > 0)
    }

    /// Puts a task where the queue of `holder` would be cut. Given back where that is now: a task
    /// of it runs.
    pub(in crate::line) fn push_ahead(
        &self,
        seat: SeatId,
        holder: SeatId,
        mut task: Task,
    ) -> Option<Task> {
        let inner = &mut *self.lock();
        if inner.running.is_some_and(|(owner, _)| owner == holder) {
            return Some(task);
        }
        if let Some(account) = inner.seats.get_mut(&seat) {
            account.tasks += 1;
            task.turn = account.turn();
        }
        let waits = |(owner, item): &(_, QueueItem)| {
            *owner == Some(holder) && matches!(item, QueueItem::Task(_))
        };
        let at = inner.queue.iter().position(waits).unwrap_or(inner.queue.len());
        inner.queue.insert(at, (Some(seat), QueueItem::Task(task)));
        inner.wake_worker();
        None
    }
}
