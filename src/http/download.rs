//! What is sent while it is read from a disk, piece by piece.

use std::{
    io::{self, Write},
    sync::Arc,
};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::mpsc;

use super::Bridge;

/// Pieces that wait for the network.
const WAITING: usize = 4;
/// Bytes of such a piece.
const PIECE: usize = 32 << 10;

/// The body that `work` writes, on a thread of its own. That ends with what it reads, or when the
/// client has left and nobody takes what it sends.
pub(super) fn streamed(
    bridge: &Arc<Bridge>,
    work: impl FnOnce(&mut Sender) -> io::Result<()> + Send + 'static,
) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    bridge.tasks.spawn_blocking(move || {
        let mut out = Sender { sender, held: Vec::new() };
        let done = work(&mut out).and_then(|()| out.flush());
        if let Err(error) = done {
            // A download with a hole would pass for the whole: it fails instead, visibly.
            let _ = out.sender.blocking_send(Err(error));
        }
    });
    Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}

/// From a thread that reads a file to the task that sends it.
#[derive(Debug)]
pub(super) struct Sender {
    sender: mpsc::Sender<io::Result<Bytes>>,
    held: Vec<u8>,
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.held));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
