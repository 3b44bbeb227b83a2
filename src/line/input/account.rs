//! How far one seat's bytes have come, and who waits for that.

use std::task::{Context, Waker};

use tokio_util::sync::CancellationToken;

use super::waits::Waits;

#[derive(Debug, Default)]
pub(super) struct SeatAccount {
    /// Bytes taken from the seat.
    pub(super) taken: u64,
    /// Of these, how many have left the queue: to the driver, or discarded.
    pub(super) done: u64,
    /// Of these, how many were discarded because the device went, or the lease was taken.
    pub(super) lost: u64,
    /// Of these, how many were in datagrams that the network refused because of their length.
    pub(super) too_long: u64,
    /// Datagrams in the queue.
    pub(super) datagrams: usize,
    /// Tasks in the queue.
    pub(super) tasks: usize,
    /// How long its tasks wait, those queued and the one that runs.
    pub(super) waits: Waits,
    /// Cancelled when the seat loses its turn; created for its first task.
    pub(super) turn: Option<CancellationToken>,
    pub(super) waker: Option<Waker>,
    /// How much must be done before the seat is woken; it is woken sooner if that is all there is.
    pub(super) wake_at: u64,
}

impl SeatAccount {
    pub(super) fn queued(&self) -> usize {
        // It fits: the window limits the queue.
        usize::try_from(self.taken - self.done).unwrap_or(usize::MAX)
    }

    /// The token that is cancelled when the seat loses its turn.
    pub(super) fn turn(&mut self) -> CancellationToken {
        self.turn.get_or_insert_default().clone()
    }

    /// Has the seat wait until so much is done, or for what it was waiting for already.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>, done: u64) {
        self.wake_at = if self.waker.is_some() { self.wake_at.min(done) } else { done };
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }

    /// Notes that bytes which had left the queue are lost: whoever waits hears it now.
    pub(super) fn lose(&mut self, bytes: usize) {
        self.lost += bytes as u64;
        if bytes > 0
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    pub(super) fn wake(&mut self) {
        if (self.done >= self.wake_at || self.done == self.taken)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}
