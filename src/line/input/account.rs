//! How far the bytes of one seat have come, and who waits for that.

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
    /// Of these, those in datagrams that the network did not take for their length.
    pub(super) too_long: u64,
    /// Datagrams in the queue.
    pub(super) datagrams: usize,
    /// Tasks in the queue.
    pub(super) tasks: usize,
    /// What they wait, and what of them runs.
    pub(super) waits: Waits,
    /// Cancelled when the seat loses its turn; made for its first task.
    pub(super) turn: Option<CancellationToken>,
    pub(super) waker: Option<Waker>,
    /// How much is done when the seat is to be woken; sooner if that is all there is.
    pub(super) wake_at: u64,
}

impl SeatAccount {
    pub(super) fn queued(&self) -> usize {
        // The queue is bounded by the window.
        usize::try_from(self.taken - self.done).unwrap_or(usize::MAX)
    }

    /// What is cancelled when the seat loses its turn.
    pub(super) fn turn(&mut self) -> CancellationToken {
        self.turn.get_or_insert_default().clone()
    }

    /// The seat waits for so much to be done, or for what it waited for already.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>, done: u64) {
        self.wake_at = if self.waker.is_some() { self.wake_at.min(done) } else { done };
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }

    /// This many bytes are lost that had left the queue: whoever waits hears it now.
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
