//! Seats to device: one queue in the order of sending, with a limit for each seat.

mod account;
mod cut;
mod datagrams;
mod driver;
mod tasks;
mod waits;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

pub(super) use self::cut::CutPoint;
use self::{account::SeatAccount, driver::Driver};
use super::{output::SeatId, task::Task};

/// Bytes that a seat may have in the queue; when that is full, only this seat feels back-pressure.
pub(crate) const WINDOW: usize = 64 * 1024;

/// Bytes gathered in one piece of the queue, which is freed when all of it has gone: a queue that
/// never runs empty does not grow because of that.
const QUEUE_PIECE: usize = 16 * 1024;

/// Bytes that leave the queue before a seat is woken: waking it for each write of a few bytes would
/// cost more than the write.
const WORTH: u64 = WINDOW as u64 / 4;

#[derive(Debug)]
enum QueueItem {
    Data { bytes: Vec<u8>, sent: usize },
    Task(Task),
}

/// The queue. Its lock is held for one non-blocking write at most ([`Front`]), and never across an
/// await.
#[derive(Debug, Default)]
pub(super) struct Input(Mutex<InputState>);

#[derive(Debug, Default)]
struct InputState {
    queue: VecDeque<(Option<SeatId>, QueueItem)>,
    seats: BTreeMap<SeatId, SeatAccount>,
    /// The uplink's waker, while it has nothing to do or the device takes nothing.
    worker: Option<Waker>,
    /// How many hold the queue back: what was sent after a flush may not reach the driver before
    /// that is done.
    held: usize,
    /// Whose bytes the driver has.
    driver: Driver,
    /// Whose task the uplink is carrying out, and how long that waits.
    running: Option<(SeatId, Duration)>,
}

#[cfg(test)]
impl QueueItem {
    fn capacity(&self) -> usize {
        match self {
            Self::Data { bytes, .. } => bytes.capacity(),
            Self::Task(_) => 0,
        }
    }
}

/// How far a seat's bytes have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes taken from the seat.
    pub taken: u64,
    /// Of these, how many have left the queue: to the driver, or discarded.
    pub done: u64,
    /// Of these, how many were discarded because the device went, or the lease was taken.
    pub lost: u64,
    /// Of these, how many were in datagrams that the network refused because of their length.
    pub too_long: u64,
}

/// What comes next in the queue.
#[derive(Debug)]
pub(super) enum Next<'a> {
    /// Bytes for the device.
    Data(Front<'a>),
    /// Before more goes to the device, [`Input::turn`] has to be told how much it holds.
    Turn,
    /// A task, taken from the queue.
    Task(Task),
}

/// The bytes at the front of the queue, which stays locked meanwhile: long enough for one
/// non-blocking write.
#[derive(Debug)]
pub(super) struct Front<'a>(MutexGuard<'a, InputState>);

impl Front<'_> {
    /// The bytes to write next, at least one; there may be more after them.
    pub(super) fn bytes(&self) -> &[u8] {
        match self.0.queue.front() {
            Some((_, QueueItem::Data { bytes, sent })) => bytes.split_at(*sent).1,
            Some((_, QueueItem::Task(_))) | None => {
                unreachable!("made with data at the front, and locked since")
            }
        }
    }

    /// Whose they are.
    pub(super) fn owner(&self) -> Option<SeatId> {
        self.0.queue.front().and_then(|(owner, _)| *owner)
    }

    /// Notes that this many of the bytes went to the device.
    pub(super) fn consumed(mut self, n: usize) {
        let left = self.bytes().len();
        assert!(n <= left, "{n} of {left} bytes consumed");
        self.0.written(n);
    }
}

impl Input {
    fn lock(&self) -> MutexGuard<'_, InputState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, seat: SeatId) {
        self.lock().seats.insert(seat, SeatAccount::default());
    }

    /// Removes a seat; what it had in the queue is discarded, and counted.
    pub(super) fn leave(&self, seat: SeatId) -> usize {
        let mut inner = self.lock();
        inner.queue.retain(|(owner, _)| *owner != Some(seat));
        inner.seats.remove(&seat).map_or(0, |account| account.queued())
    }

    /// Takes as many of a seat's bytes as fit its window; pending while none do.
    pub(super) fn poll_push(
        &self,
        seat: SeatId,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<usize> {
        let inner = &mut *self.lock();
        let Some(account) = inner.seats.get_mut(&seat) else {
            return Poll::Ready(0);
        };
        let n = bytes.len().min(WINDOW.saturating_sub(account.queued()));
        if n == 0 {
            account.wait(cx, account.done + WORTH);
            return Poll::Pending;
        }
        account.taken += n as u64;
        let (bytes, _) = bytes.split_at(n);
        match inner.queue.back_mut() {
            // Single bytes from one seat gather in one piece, so that a thousand keystrokes are not
            // a thousand allocations.
            Some((owner, QueueItem::Data { bytes: last, .. }))
                if *owner == Some(seat) && last.len() + n <= QUEUE_PIECE =>
            {
                last.extend_from_slice(bytes);
            }
            _ => inner
                .queue
                .push_back((Some(seat), QueueItem::Data { bytes: bytes.to_vec(), sent: 0 })),
        }
        inner.wake_worker();
        Poll::Ready(n)
    }

    /// Takes the last bytes of a seat that sends no more, even beyond its window: they are limited
    /// by what was read ahead.
    pub(super) fn push_rest(&self, seat: SeatId, bytes: &[u8]) {
        let inner = &mut *self.lock();
        let Some(account) = inner.seats.get_mut(&seat) else { return };
        account.taken += bytes.len() as u64;
        inner.queue.push_back((Some(seat), QueueItem::Data { bytes: bytes.to_vec(), sent: 0 }));
        inner.wake_worker();
    }

    /// Whether a seat is still taken.
    pub(super) fn has(&self, seat: SeatId) -> bool {
        self.lock().seats.contains_key(&seat)
    }

    /// Counts bytes of a seat that are thrown away.
    pub(super) fn ignore(&self, seat: SeatId, bytes: usize) {
        if let Some(account) = self.lock().seats.get_mut(&seat) {
            account.taken += bytes as u64;
            account.done += bytes as u64;
            account.wake();
        }
    }

    /// Holds everything back until [`go_on`](Self::go_on).
    pub(super) fn hold(&self) {
        self.lock().held += 1;
    }

    /// Discards those of a seat's bytes that have not gone to the driver; tasks stay. Nothing more
    /// goes to the driver until [`go_on`](Self::go_on), since it has to discard, too, before it
    /// gets what follows.
    pub(super) fn flush(&self, seat: SeatId) {
        let inner = &mut *self.lock();
        inner.held += 1;
        inner
            .queue
            .retain(|(owner, item)| *owner != Some(seat) || matches!(item, QueueItem::Task(_)));
        if let Some(account) = inner.seats.get_mut(&seat) {
            account.done = account.taken;
            account.datagrams = 0;
            account.wake();
        }
    }

    /// Ends one hold: what the queue was held back for is done.
    pub(super) fn go_on(&self) {
        let inner = &mut *self.lock();
        inner.held = inner.held.saturating_sub(1);
        inner.wake_worker();
    }

    /// Takes note that the driver holds that many bytes, and that the next are from another seat.
    pub(super) fn turn(&self, unsent: usize) {
        let inner = &mut *self.lock();
        if let Some((owner, QueueItem::Data { .. })) = inner.queue.front() {
            inner.driver.holds(unsent, *owner);
        }
    }

    /// Whether everything the driver holds, that many bytes, is this seat's.
    pub(super) fn owns_driver(&self, seat: SeatId, unsent: usize) -> bool {
        self.lock().driver.is_own(Some(seat), unsent)
    }

    /// How many of the bytes that the driver holds are this seat's.
    pub(super) fn driver_share(&self, seat: SeatId, held: usize) -> usize {
        self.lock().driver.share(seat, held)
    }

    /// Notes that those of the `held` bytes of the driver that are this seat's are lost. Returns how
    /// many these are.
    pub(super) fn lose_driven(&self, seat: SeatId, held: usize) -> usize {
        let inner = &mut *self.lock();
        let share = inner.driver.share(seat, held);
        if let Some(account) = inner.seats.get_mut(&seat) {
            account.lose(share);
        }
        share
    }

    /// How far a seat's bytes have come.
    pub(super) fn progress(&self, seat: SeatId) -> Progress {
        let inner = self.lock();
        let account = inner.seats.get(&seat);
        account.map_or(Progress::default(), |account| Progress {
            taken: account.taken,
            done: account.done,
            lost: account.lost,
            too_long: account.too_long,
        })
    }

    /// How far a seat's bytes and all others have come: a value that changes when anything has
    /// moved.
    pub(super) fn position(&self, seat: SeatId) -> (u64, usize) {
        (self.progress(seat).done, self.depth())
    }

    /// Ready when enough bytes have left the queue since `seen` to be worth telling: a quarter of
    /// the window, or all there were; or when more than `lost` have been lost.
    pub(super) fn poll_done(
        &self,
        seat: SeatId,
        cx: &mut Context<'_>,
        seen: u64,
        lost: u64,
    ) -> Poll<u64> {
        let inner = &mut *self.lock();
        let Some(account) = inner.seats.get_mut(&seat) else { return Poll::Pending };
        let new = account.done - seen;
        if account.lost > lost || new > 0 && (account.done == account.taken || new >= WORTH) {
            return Poll::Ready(account.done);
        }
        account.wait(cx, seen + WORTH);
        Poll::Pending
    }

    /// Bytes of all seats that are still in the queue.
    pub(super) fn depth(&self) -> usize {
        self.lock().seats.values().map(SeatAccount::queued).sum()
    }

    /// What has to be done next: bytes to write, or a task. Pending while there is nothing.
    /// Something new in the queue then wakes the caller, even one that could not write what it was
    /// given.
    pub(super) fn poll_front(&self, cx: &mut Context<'_>) -> Poll<Next<'_>> {
        let mut inner = self.lock();
        match &mut inner.worker {
            Some(worker) => worker.clone_from(cx.waker()),
            None => inner.worker = Some(cx.waker().clone()),
        }
        // A caller that asks again is done with the task it had.
        inner.finish_task();
        if inner.held > 0 {
            return Poll::Pending;
        }
        match inner.queue.front() {
            None => Poll::Pending,
            Some((_, QueueItem::Task(_))) => match inner.take_task() {
                Some(task) => Poll::Ready(Next::Task(task)),
                None => unreachable!("a task was at the front, and the queue is locked"),
            },
            Some((owner, QueueItem::Data { .. })) if inner.driver.is_due(*owner) => {
                Poll::Ready(Next::Turn)
            }
            Some((_, QueueItem::Data { .. })) => Poll::Ready(Next::Data(Front(inner))),
        }
    }

    /// Discards what is queued for a device that takes no more; pending while there is nothing.
    pub(super) fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let inner = &mut *self.lock();
        if inner.queue.is_empty() {
            inner.worker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(inner.discard())
    }

    /// Notes that the driver holds nothing any more.
    pub(super) fn forget_driver(&self) {
        self.lock().driver = Driver::default();
    }

    /// Notes that the device is gone: what is queued can go nowhere, and the `held` bytes of what
    /// was written are lost as well. Returns how many bytes that makes.
    pub(super) fn discard(&self, held: usize) -> usize {
        let inner = &mut *self.lock();
        let driver = std::mem::take(&mut inner.driver);
        for (seat, account) in &mut inner.seats {
            account.lose(driver.share(*seat, held));
        }
        held + inner.discard()
    }
}

impl InputState {
    /// Empties the queue; returns how many bytes it had.
    fn discard(&mut self) -> usize {
        self.queue.clear();
        self.running = None;
        let mut discarded = 0;
        for account in self.seats.values_mut() {
            let queued = account.queued();
            account.done = account.taken;
            account.lost += queued as u64;
            account.tasks = 0;
            account.datagrams = 0;
            account.waits.clear();
            account.wake();
            discarded += queued;
        }
        discarded
    }

    fn take_task(&mut self) -> Option<Task> {
        let (owner, item) = self.queue.pop_front()?;
        if let Some(account) = owner.and_then(|seat| self.seats.get_mut(&seat)) {
            account.tasks = account.tasks.saturating_sub(1);
        }
        match item {
            QueueItem::Task(task) => {
                self.running = owner.map(|seat| (seat, task.wait));
                Some(task)
            }
            QueueItem::Data { .. } => None,
        }
    }

    fn finish_task(&mut self) {
        if let Some((seat, wait)) = self.running.take()
            && let Some(account) = self.seats.get_mut(&seat)
        {
            account.waits.done(wait);
        }
    }

    /// Notes that this many of the bytes at the front went to the device.
    fn written(&mut self, n: usize) {
        let Some((owner, QueueItem::Data { bytes, sent })) = self.queue.front_mut() else { return };
        *sent += n;
        let (owner, done) = (*owner, *sent == bytes.len());
        self.driver.took(owner, n);
        if done {
            self.queue.pop_front();
        }
        if let Some(account) = owner.and_then(|seat| self.seats.get_mut(&seat)) {
            account.done += n as u64;
            account.datagrams = account.datagrams.saturating_sub(usize::from(done));
            account.wake();
        }
    }

    fn wake_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
