//! Where pieces wait for whoever keeps them: with a limit, and without anybody waiting for room.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::piece::{Batch, Kind};

/// Bytes that wait before a thread is woken for them: a page of flash, not each byte.
const WORTH: usize = 64 << 10;
/// How long they wait at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that may wait; more are not kept, and counted.
const ROOM: usize = 1 << 20;

/// Where pieces wait.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    waiting: Mutex<Waiting>,
    /// Wakes the thread.
    due: Condvar,
    /// Wakes the task.
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    /// Since when there is something.
    since: Option<Instant>,
    /// Bytes of the line that found no room.
    lost: u64,
    /// Pieces that came, and those that were written or given up.
    pushed: u64,
    done: u64,
    /// Somebody waits for the last piece to be written.
    urgent: bool,
    /// Nothing can be written.
    failing: bool,
    /// Nothing more will come.
    closed: bool,
    wakers: Vec<Waker>,
}

impl Waiting {
    /// Whoever waits is woken by the next change; once, however often it looks until then.
    fn wake_later(&mut self, cx: &Context<'_>) {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

/// What was taken out.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) batch: Batch,
    /// Bytes that found no room before it.
    pub(super) lost: u64,
    /// Number of its last piece.
    pub(super) number: u64,
    /// Somebody waits for it.
    pub(super) urgent: bool,
    /// Nothing more will come.
    pub(super) closed: bool,
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a piece, and gives its number. `urgent`: it is to be written now.
    pub(super) fn push(
        &self,
        at: (u64, u32),
        (kind, bytes): (Kind, &[u8]),
        (whole, urgent): (bool, bool),
    ) -> u64 {
        let mut inner = self.lock();
        inner.pushed += 1;
        if inner.batch.size() + bytes.len() > ROOM {
            if matches!(kind, Kind::FromDevice | Kind::ToDevice) {
                inner.lost += bytes.len() as u64;
            }
            return inner.pushed;
        }
        let first = inner.batch.is_empty();
        inner.batch.push(at, kind, bytes, whole);
        inner.urgent |= urgent;
        if first {
            inner.since = Some(Instant::now());
            self.news.notify_one();
        }
        let number = inner.pushed;
        if first || urgent || inner.batch.size() >= WORTH {
            drop(inner);
            self.due.notify_one();
        }
        number
    }

    /// Ready when a piece has been written: true; or, false, when nothing can be.
    pub(super) fn poll_written(&self, number: u64, cx: &mut Context<'_>) -> Poll<bool> {
        let mut inner = self.lock();
        if inner.failing {
            return Poll::Ready(false);
        }
        if inner.done >= number {
            return Poll::Ready(true);
        }
        inner.wake_later(cx);
        Poll::Pending
    }

    /// Ready while something can be written.
    pub(super) fn poll_able(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if !inner.failing {
            return Poll::Ready(());
        }
        inner.wake_later(cx);
        Poll::Pending
    }

    /// Whether nothing can be written.
    pub(super) fn is_failing(&self) -> bool {
        self.lock().failing
    }

    /// Notes that all up to this number is written, or that it cannot be.
    pub(super) fn settle(&self, number: u64, failing: bool) {
        let mut inner = self.lock();
        inner.failing = failing;
        inner.done = inner.done.max(number);
        inner.wake();
    }

    /// No more will come, or nobody takes any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.wake();
        drop(inner);
        self.due.notify_one();
        self.news.notify_one();
    }

    fn take(inner: &mut Waiting, spare: Batch) -> Taken {
        Taken {
            batch: std::mem::replace(&mut inner.batch, spare),
            lost: std::mem::take(&mut inner.lost),
            number: inner.pushed,
            urgent: std::mem::take(&mut inner.urgent),
            closed: inner.closed,
        }
    }

    /// Waits until there is enough, somebody waits for it, it has waited long enough, or `again` is
    /// over. For a thread.
    pub(super) fn wait(&self, spare: Batch, again: Option<Instant>) -> Taken {
        let mut inner = self.lock();
        loop {
            let due = inner.since.map(|since| since + PATIENCE).into_iter().chain(again).min();
            let now = Instant::now();
            let late = due.is_some_and(|due| due <= now);
            if inner.closed || inner.urgent || late || inner.batch.size() >= WORTH {
                inner.since = None;
                return Self::take(&mut inner, spare);
            }
            inner = match due {
                Some(due) => {
                    let waited = self.due.wait_timeout(inner, due - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.due.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Waits until there is something, or nothing more comes. For a task.
    pub(super) async fn next(&self, spare: Batch) -> Taken {
        loop {
            let notified = self.news.notified();
            {
                let mut inner = self.lock();
                if inner.closed || !inner.batch.is_empty() {
                    return Self::take(&mut inner, spare);
                }
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Wake};

    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn whoever_looks_often_at_a_slow_disk_is_remembered_once() {
        let (sink, waker) = (Sink::default(), Waker::from(Arc::new(Nobody)));
        let mut cx = Context::from_waker(&waker);
        let number = sink.push((0, 0), (Kind::ToDevice, b"x"), (false, true));
        for _ in 0..3 {
            assert!(sink.poll_written(number, &mut cx).is_pending());
        }
        assert_eq!(sink.lock().wakers.len(), 1);
        sink.settle(number, false);
        assert!(sink.poll_written(number, &mut cx).is_ready());
    }
}
