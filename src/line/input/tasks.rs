//! Tasks in the queue: put at its end, or where another seat's part would be cut.

use tokio_util::sync::CancellationToken;

use super::{Input, QueueItem, SeatAccount, SeatId};
use crate::line::task::{Task, Undone};

/// Tasks that a seat may have in the queue.
const TASKS: usize = 64;

impl Input {
    /// Puts a task that belongs to no seat at the end of the queue.
    pub(in crate::line) fn push_task(&self, task: Task) {
        let inner = &mut *self.lock();
        inner.queue.push_back((None, QueueItem::Task(task)));
        inner.wake_worker();
    }

    /// Puts a seat's task at the end of the queue, if the seat may have one more.
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

    /// The token that is cancelled when a seat loses its turn.
    pub(in crate::line) fn turn_of(&self, seat: SeatId) -> Option<CancellationToken> {
        self.lock().seats.get_mut(&seat).map(SeatAccount::turn)
    }

    /// Whether a seat has tasks waiting.
    pub(in crate::line) fn has_tasks(&self, seat: SeatId) -> bool {
        self.lock().seats.get(&seat).is_some_and(|account| account.tasks > 0)
    }

    /// Puts a task where the queue of `holder` would be cut. If a task of the holder is running,
    /// that place is now, and the task is given back.
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
