//! What a seat loses of the queue together with the lease.

use super::{Input, QueueItem, SeatId};
use crate::line::task::Undone;

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::line) enum CutPoint {
    /// All of it: its client is gone.
    All,
    /// Its first task and everything after that: whoever takes the lease waits for data alone.
    Waiting,
}

impl Input {
    /// Cuts a seat's part of the queue, and ends the wait of a task that is running. The seat is
    /// told how many bytes were discarded, as lost, and of each task that it was not done.
    pub(in crate::line) fn cut(&self, seat: SeatId, cut: CutPoint) -> usize {
        let inner = &mut *self.lock();
        let Some(account) = inner.seats.get_mut(&seat) else { return 0 };
        if let Some(turn) = account.turn.take() {
            turn.cancel();
        }
        let runs = inner.running.take_if(|(owner, _)| *owner == seat).is_some();
        let (mut keeps, mut discarded, mut undone) =
            (cut == CutPoint::Waiting && !runs, 0, Vec::new());
        let mut kept = 0;
        for (owner, item) in std::mem::take(&mut inner.queue) {
            match item {
                item if owner != Some(seat) => inner.queue.push_back((owner, item)),
                QueueItem::Task(task) => {
                    keeps = false;
                    undone.push(task);
                }
                QueueItem::Data { .. } if keeps => {
                    kept += 1;
                    inner.queue.push_back((owner, item));
                }
                QueueItem::Data { bytes, sent } => discarded += bytes.len() - sent,
            }
        }
        account.done += discarded as u64;
        account.lost += discarded as u64;
        account.tasks = 0;
        account.datagrams = account.datagrams.min(kept);
        account.waits.clear();
        account.wake();
        inner.wake_worker();
        for task in undone {
            task.answer(Err(Undone::Taken));
        }
        discarded
    }
}
