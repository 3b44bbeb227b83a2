//! Seats to device: one queue in the order sent, bounded for each seat.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{io::AsyncWrite, sync::oneshot};

use super::output::SeatId;
use crate::settings::Settings;

/// Bytes a seat may have in the queue; a full queue is back-pressure on that seat alone.
pub(super) const WINDOW: usize = 64 * 1024;

/// What waits in the queue beside data.
#[derive(Debug)]
pub(super) enum Task {
    /// Answer when the transmitter is empty.
    Drain(oneshot::Sender<()>),
    /// Set the port anew: the configuration changed.
    Retune(Settings),
}

#[derive(Debug)]
enum Item {
    Data { bytes: Vec<u8>, sent: usize },
    Task(Task),
}

/// The queue. Its lock is held for one non-blocking write and never across an await.
#[derive(Debug, Default)]
pub(super) struct Input(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<(Option<SeatId>, Item)>,
    seats: BTreeMap<SeatId, Account>,
    /// The uplink, when it has nothing to do or the device takes nothing.
    worker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Account {
    /// Bytes in the queue.
    queued: usize,
    waker: Option<Waker>,
}

/// What the uplink does next.
#[derive(Debug)]
pub(super) enum Work {
    /// Bytes went to the device.
    Wrote,
    /// A task is due.
    Task(Task),
}

impl Input {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, seat: SeatId) {
        self.lock().seats.insert(seat, Account::default());
    }

    /// A seat leaves; what it had in the queue is discarded, and counted.
    pub(super) fn leave(&self, seat: SeatId) -> usize {
        let mut inner = self.lock();
        inner.queue.retain(|(owner, _)| *owner != Some(seat));
        inner.seats.remove(&seat).map_or(0, |account| account.queued)
    }

    /// Takes bytes of a seat, as many as fit its window; pending when none do.
    pub(super) fn poll_push(&self, seat: SeatId, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<usize> {
        let inner = &mut *self.lock();
        let Some(account) = inner.seats.get_mut(&seat) else {
            return Poll::Ready(0);
        };
        let n = bytes.len().min(WINDOW - account.queued);
        if n == 0 {
            account.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        account.queued += n;
        let bytes = bytes.get(..n).unwrap_or_default();
        match inner.queue.back_mut() {
            // Single bytes of one seat gather in one piece: a thousand key strokes are no thousand allocations.
            Some((owner, Item::Data { bytes: last, .. })) if *owner == Some(seat) => {
                last.extend_from_slice(bytes);
            }
            _ => inner.queue.push_back((Some(seat), Item::Data { bytes: bytes.to_vec(), sent: 0 })),
        }
        inner.wake_worker();
        Poll::Ready(n)
    }

    /// Puts a task behind everything queued.
    pub(super) fn push_task(&self, seat: Option<SeatId>, task: Task) {
        let mut inner = self.lock();
        inner.queue.push_back((seat, Item::Task(task)));
        inner.wake_worker();
    }

    /// Bytes of a seat still in the queue.
    pub(super) fn queued(&self, seat: SeatId) -> usize {
        self.lock().seats.get(&seat).map_or(0, |account| account.queued)
    }

    /// Bytes of all seats still in the queue.
    pub(super) fn depth(&self) -> usize {
        self.lock().seats.values().map(|account| account.queued).sum()
    }

    /// Does the next thing: writes to the device, or hands out a task. Pending while there is nothing to do or the
    /// device takes nothing; in both cases something new in the queue wakes the caller.
    pub(super) fn poll_work<W>(&self, cx: &mut Context<'_>, device: &mut W) -> Poll<io::Result<Work>>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let inner = &mut *self.lock();
        inner.worker = Some(cx.waker().clone());
        match inner.queue.front_mut() {
            None => Poll::Pending,
            Some((_, Item::Task(_))) => match inner.queue.pop_front() {
                Some((_, Item::Task(task))) => Poll::Ready(Ok(Work::Task(task))),
                _ => Poll::Pending,
            },
            Some((owner, Item::Data { bytes, sent })) => {
                let rest = bytes.get(*sent..).unwrap_or_default();
                match Pin::new(device).poll_write(cx, rest) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(n)) => {
                        *sent += n;
                        let (owner, done) = (*owner, *sent == bytes.len());
                        inner.written(owner, n, done);
                        Poll::Ready(Ok(Work::Wrote))
                    }
                }
            }
        }
    }

    /// The device is gone: what is queued can go nowhere. Returns how many bytes were discarded.
    pub(super) fn discard(&self) -> usize {
        let inner = &mut *self.lock();
        inner.queue.clear();
        let mut discarded = 0;
        for account in inner.seats.values_mut() {
            discarded += std::mem::take(&mut account.queued);
            if let Some(waker) = account.waker.take() {
                waker.wake();
            }
        }
        discarded
    }
}

impl Inner {
    fn written(&mut self, owner: Option<SeatId>, n: usize, done: bool) {
        if done {
            self.queue.pop_front();
        }
        if let Some(account) = owner.and_then(|seat| self.seats.get_mut(&seat)) {
            account.queued -= n;
            if let Some(waker) = account.waker.take() {
                waker.wake();
            }
        }
    }

    fn wake_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_full_window_holds_back_its_own_seat_alone() {
        let input = Input::default();
        input.enter(1);
        input.enter(2);
        let first = poll_fn(|cx| input.poll_push(1, cx, &vec![1; 2 * WINDOW])).await;
        assert_eq!(first, WINDOW);
        assert!(poll_fn(|cx| Poll::Ready(input.poll_push(1, cx, &[1]).is_pending())).await);
        assert_eq!(poll_fn(|cx| input.poll_push(2, cx, &[2])).await, 1);
        assert_eq!((input.queued(1), input.queued(2), input.depth()), (WINDOW, 1, WINDOW + 1));
        assert_eq!(input.leave(1), WINDOW);
        let (mut near, mut far) = duplex(16);
        let work = poll_fn(|cx| input.poll_work(cx, &mut near)).await;
        assert!(matches!(work, Ok(Work::Wrote)));
        assert_eq!(far.read_u8().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn data_and_tasks_take_effect_in_the_order_sent() {
        let input = Input::default();
        input.enter(1);
        let (mut near, _far) = duplex(16);
        poll_fn(|cx| input.poll_push(1, cx, b"before")).await;
        let (sender, mut drained) = oneshot::channel();
        input.push_task(Some(1), Task::Drain(sender));
        poll_fn(|cx| input.poll_push(1, cx, b"after")).await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let work = poll_fn(|cx| input.poll_work(cx, &mut near)).await.unwrap();
            seen.push((matches!(work, Work::Task(_)), input.queued(1)));
        }
        assert_eq!(seen, [(false, 5), (true, 5), (false, 0)]);
        assert!(drained.try_recv().is_err());
    }
}
