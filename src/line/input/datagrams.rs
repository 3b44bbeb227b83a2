//! Datagrams in the queue: each is an item of its own, which is sent in one write or not at all.

use std::task::{Context, Poll};

use super::{Front, Input, QueueItem, SeatId, WINDOW, WORTH};

/// Datagrams that a seat may have in the queue: empty ones take no room in its window.
const DATAGRAMS: usize = 1024;

impl Input {
    /// Takes a seat's datagram whole; pending while it does not fit the seat's window. Returns
    /// whether the seat exists.
    pub(in crate::line) fn poll_push_datagram(
        &self,
        seat: SeatId,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<bool> {
        let inner = &mut *self.lock();
        let Some(account) = inner.seats.get_mut(&seat) else { return Poll::Ready(false) };
        if account.datagrams >= DATAGRAMS || account.queued() + bytes.len() > WINDOW {
            account.wait(cx, account.done + WORTH);
            return Poll::Pending;
        }
        account.taken += bytes.len() as u64;
        account.datagrams += 1;
        inner.queue.push_back((Some(seat), QueueItem::Data { bytes: bytes.to_vec(), sent: 0 }));
        inner.wake_worker();
        Poll::Ready(true)
    }

    /// Whether a seat has as many in the queue as it may.
    pub(in crate::line) fn is_full(&self, seat: SeatId) -> bool {
        self.lock().seats.get(&seat).is_some_and(|account| account.datagrams >= DATAGRAMS)
    }
}

impl Front<'_> {
    /// Discards a datagram that is too long for the network. Returns its length.
    pub(in crate::line) fn refused(mut self) -> usize {
        let (owner, length) = (self.owner(), self.bytes().len());
        if let Some(account) = owner.and_then(|seat| self.0.seats.get_mut(&seat)) {
            account.lost += length as u64;
            account.too_long += length as u64;
        }
        self.0.written(length);
        length
    }
}
