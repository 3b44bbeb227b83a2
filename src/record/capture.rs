//! A live capture: what passes an endpoint, as a pcapng file that has no end.

use std::sync::Arc;

use super::{
    encode::Encoder,
    piece::{Batch, Kind, now},
    sink::Sink,
    tap::Tap,
};

/// A live capture. It ends when it is dropped, or with its endpoint.
#[derive(Debug)]
pub(crate) struct Capture {
    tap: Arc<Tap>,
    sink: Arc<Sink>,
    encoder: Encoder,
    spare: Batch,
    began: bool,
}

impl Capture {
    /// Begins one.
    pub(crate) fn begin(tap: Arc<Tap>) -> Self {
        let (sink, manner) = tap.join();
        Self { tap, sink, encoder: Encoder::new(manner), spare: Batch::default(), began: false }
    }

    /// The next bytes of the file, as soon as there are any; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.began, true) {
            // A reader wants to see at once what it is.
            self.encoder.begin(&mut out, now());
            return Some(out);
        }
        let taken = self.sink.next(std::mem::take(&mut self.spare)).await;
        if taken.batch.is_empty() && taken.closed {
            return None;
        }
        let mut gap = Batch::default();
        if taken.lost > 0 {
            gap.push((now(), 0), Kind::Lost(taken.lost), &[], true);
        }
        for (piece, bytes) in gap.iter().chain(taken.batch.iter()) {
            self.encoder.piece(&mut out, piece, bytes);
        }
        self.spare = taken.batch;
        self.spare.clear();
        Some(out)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.tap.leave(&self.sink);
    }
}
