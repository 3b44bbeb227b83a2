//! A seat: one participant's place on a line.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

use super::{
    Life, Shared,
    input::Task,
    output::{Heard, SeatId},
};

/// One participant of a line. Leaving it (drop) discards what it still had queued, and gives the line back.
#[derive(Debug)]
pub struct Seat {
    shared: Arc<Shared>,
    id: SeatId,
    drained: Option<oneshot::Receiver<()>>,
    finished: bool,
    /// Keeps the line alive.
    _life: Arc<Life>,
}

impl Seat {
    pub(super) fn new(shared: Arc<Shared>, life: Arc<Life>, id: SeatId) -> Self {
        // Whoever holds a line alone misses nothing: a slow one holds the device back, and flow control does the rest.
        shared.output.enter(id, true);
        shared.input.enter(id);
        shared.seats.send_modify(|seats| *seats += 1);
        Self { shared, id, drained: None, finished: false, _life: life }
    }

    /// What the line says next.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Heard> {
        self.shared.output.poll_read(self.id, cx, buf)
    }

    /// Takes bytes for the device; pending while the seat's window of the queue is full.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.input.poll_push(self.id, cx, bytes).map(|n| match n {
            0 if !bytes.is_empty() => Err(io::ErrorKind::NotConnected.into()),
            n => Ok(n),
        })
    }

    /// Ready when everything this seat sent has left the transmitter (TIOCOUTQ), or the device is gone.
    pub fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.finished {
            return Poll::Ready(());
        }
        let drained = self.drained.get_or_insert_with(|| {
            let (sender, receiver) = oneshot::channel();
            self.shared.input.push_task(Some(self.id), Task::Drain(sender));
            receiver
        });
        // An error means that the device went and the queue was discarded.
        ready!(Pin::new(drained).poll(cx)).ok();
        self.finished = true;
        Poll::Ready(())
    }

    /// Whether [`poll_drained`](Self::poll_drained) has been ready.
    pub fn is_drained(&self) -> bool {
        self.finished
    }

    /// Bytes this seat sent that have not left the transmitter.
    pub fn undelivered(&self) -> usize {
        if self.finished { 0 } else { self.shared.input.queued(self.id) + self.shared.unsent() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let discarded = self.shared.input.leave(self.id);
        self.shared.output.leave(self.id);
        self.shared.left(self.id);
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
