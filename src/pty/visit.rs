//! A tool at a node, from its coming to its leaving, as a byte stream that ends when it has left.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

use super::{Master, Registered};

/// Bytes of one read, without the byte in front of them.
const PACKET_MAX: usize = 4096;

/// How a tool's visit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VisitEnd {
    /// The last program has closed the node, which is as new again.
    Left,
    /// The node is of no use to the next one: the stream was dropped while somebody had it open, or
    /// it cannot be made as new.
    Spent,
}

/// What is known of a visit, beside its bytes.
#[derive(Debug)]
pub(crate) struct Visit {
    master: Arc<Master>,
    end: watch::Sender<Option<VisitEnd>>,
}

impl Visit {
    /// Ready when it is over.
    pub(crate) async fn over(&self) -> VisitEnd {
        let mut end = self.end.subscribe();
        // The sender is ours.
        let end = end.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        end.unwrap_or(VisitEnd::Spent)
    }

    /// Whether it is.
    pub(crate) fn is_over(&self) -> bool {
        self.end.borrow().is_some()
    }
}

/// The bytes of a visit. Reading ends when the last program has closed the node; then it has been
/// cleared of what that one did not read.
#[derive(Debug)]
pub(crate) struct VisitStream {
    end: Registered,
    visit: Arc<Visit>,
}

impl VisitStream {
    pub(super) fn new(master: Arc<Master>) -> io::Result<Self> {
        let visit = Visit { master: Arc::clone(&master), end: watch::Sender::new(None) };
        Ok(Self { end: Registered::new(master)?, visit: Arc::new(visit) })
    }

    /// What is known beside the bytes.
    pub(crate) fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }

    fn left(&self) {
        let end = match self.visit.master.clear() {
            Ok(_) => VisitEnd::Left,
            // As when a tool has it opened exclusively, which stays so.
            Err(_) => VisitEnd::Spent,
        };
        self.visit.end.send_replace(Some(end));
    }
}

impl Drop for VisitStream {
    fn drop(&mut self) {
        if !self.visit.is_over() {
            self.visit.end.send_replace(Some(VisitEnd::Spent));
        }
    }
}

impl AsyncRead for VisitStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.visit.is_over() {
            return Poll::Ready(Ok(()));
        }
        let mut packet = [0; 1 + PACKET_MAX];
        let most = 1 + PACKET_MAX.min(buf.remaining());
        let (space, _) = packet.split_at_mut(most);
        let read = ready!(self.end.poll_read(cx, space))?;
        match space.split_at(read).0 {
            [] => self.left(),
            [0, data @ ..] if !data.is_empty() => buf.put_slice(data),
            [_, ..] => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for VisitStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.visit.is_over() {
            return Poll::Pending;
        }
        let written = ready!(self.end.poll_write(cx, bytes))?;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The end of our side alone is nothing that a node could have.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
