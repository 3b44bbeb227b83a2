//! A tool at a node, from its coming to its leaving, as a byte stream that ends when it has left.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

use super::{HELD_MAX, Master, Registered};

/// Bytes of one read, without the byte in front of them.
const PACKET_MAX: usize = 4096;

/// `TIOCPKT_FLUSHREAD`: the tool has discarded what it had not read (`tcflush`).
const FLUSHED_INPUT: u8 = 0x01;
/// `TIOCPKT_FLUSHWRITE`: the tool has discarded what it had written and we had not read.
const FLUSHED_OUTPUT: u8 = 0x02;
/// `TIOCPKT_IOCTL`: the tool has set its modes (`tcsetattr`).
const SET_MODES: u8 = 0x40;

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
    found_speed: Option<u32>,
    /// What the tool did, as bits of the kernel's.
    deeds: AtomicU8,
    /// Bytes that were in the slave when the last program closed it.
    left_unread: AtomicU64,
    end: watch::Sender<Option<VisitEnd>>,
}

impl Visit {
    /// Our end of the node.
    pub(crate) fn master(&self) -> &Master {
        &self.master
    }

    /// The speed that the tool found, where the line has one.
    pub(crate) fn found_speed(&self) -> Option<u32> {
        self.found_speed
    }

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

    /// Whether the tool has set its modes since this was last asked.
    pub(crate) fn has_set_modes(&self) -> bool {
        self.took(SET_MODES)
    }

    /// Whether it has discarded what it had not read since this was last asked. The kernel has done
    /// so with its 4 KiB, and has put what waited behind them in their place; that goes now.
    pub(crate) fn has_flushed_input(&self) -> bool {
        let flushed = self.took(FLUSHED_INPUT);
        if flushed && let Ok(deeds) = self.master.discard() {
            // Our own is among them.
            self.deeds.fetch_or(deeds & !FLUSHED_INPUT, Ordering::Relaxed);
        }
        flushed
    }

    /// Whether it has discarded what it had written since this was last asked.
    pub(crate) fn has_flushed_output(&self) -> bool {
        self.took(FLUSHED_OUTPUT)
    }

    fn took(&self, deed: u8) -> bool {
        self.deeds.fetch_and(!deed, Ordering::Relaxed) & deed != 0
    }
}

/// The bytes of a visit. Reading ends when the last program has closed the node; then it has been
/// cleared of what that one did not read.
#[derive(Debug)]
pub(crate) struct VisitStream {
    /// `None` once the visit is over: a master is registered once at a time.
    end: Option<Registered>,
    visit: Arc<Visit>,
    written: u64,
}

impl VisitStream {
    pub(super) fn new(master: Arc<Master>, found_speed: Option<u32>) -> io::Result<Self> {
        let visit = Visit {
            master: Arc::clone(&master),
            found_speed,
            deeds: AtomicU8::new(SET_MODES),
            left_unread: AtomicU64::new(0),
            end: watch::Sender::new(None),
        };
        Ok(Self { end: Some(Registered::new(master)?), visit: Arc::new(visit), written: 0 })
    }

    /// What is known beside the bytes.
    pub(crate) fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }

    /// Bytes written that no program has read, at most.
    pub(crate) fn unread(&self) -> u64 {
        if self.visit.is_over() {
            self.visit.left_unread.load(Ordering::Relaxed)
        } else {
            self.visit.master.unread(self.written)
        }
    }

    /// The last program has closed the node. If one has opened it since, it goes on with the visit:
    /// whose the last bytes were that we read nobody can tell.
    fn closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end = None;
        let Visit { master, found_speed, left_unread, deeds, end } = &*self.visit;
        let cleared = master.clear(*found_speed);
        let unread = cleared.as_ref().map_or(HELD_MAX, |unread| *unread).min(self.written);
        left_unread.fetch_add(unread, Ordering::Relaxed);
        if cleared.is_ok() && master.is_open() {
            self.end = Some(Registered::new(Arc::clone(master))?);
            self.written = 0;
            deeds.fetch_or(SET_MODES, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // It cannot be cleared where a tool has it open exclusively, which stays so.
        let how = if cleared.is_ok() { VisitEnd::Left } else { VisitEnd::Spent };
        end.send_replace(Some(how));
        Poll::Ready(Ok(()))
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
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(end) = &self.end else { return Poll::Ready(Ok(())) };
        let mut packet = [0; 1 + PACKET_MAX];
        let most = 1 + PACKET_MAX.min(buf.remaining());
        let (space, _) = packet.split_at_mut(most);
        let read = ready!(end.poll_read(cx, space))?;
        match space.split_at(read).0 {
            [] => return self.closed(cx),
            [0, data @ ..] if !data.is_empty() => buf.put_slice(data),
            [0, ..] => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // Whoever reads looks at it before the bytes that follow: the kernel tells it ahead of
            // those that came before, too, so that a tool which sets its speed and writes is
            // understood, and one that writes and sets it without waiting is not.
            [deeds, ..] => {
                self.visit.deeds.fetch_or(*deeds, Ordering::Relaxed);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for VisitStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(end) = &self.end else { return Poll::Pending };
        let written = ready!(end.poll_write(cx, bytes))?;
        self.written += written as u64;
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
