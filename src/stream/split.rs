//! A stream in two halves that notice a dead peer, and a probe that reports its state.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{NextHop, Outstanding, Sample, Stream, vigil::Vigil};
use crate::sys::ioctl;

/// What the halves share; the lock is held for the length of a poll.
#[derive(Debug)]
struct SplitState {
    stream: Stream,
    /// Something was written since the reader last looked.
    wrote: bool,
    /// The reader's waker, while it wants to hear about a write.
    reader: Option<Waker>,
}

fn lock(inner: &Mutex<SplitState>) -> MutexGuard<'_, SplitState> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Splits a stream. If the peer acknowledges nothing of what it was sent for `dead_after`, the
/// stream ends, and the reading half says so.
pub(crate) fn split(stream: Stream, dead_after: Duration) -> (ReadHalf, WriteHalf, StreamProbe) {
    let inner = Arc::new(Mutex::new(SplitState { stream, wrote: false, reader: None }));
    let gauge = StreamProbe(Arc::downgrade(&inner));
    (ReadHalf { inner: Arc::clone(&inner), vigil: Vigil::new(dead_after) }, WriteHalf(inner), gauge)
}

/// The half that reads.
#[derive(Debug)]
pub(crate) struct ReadHalf {
    inner: Arc<Mutex<SplitState>>,
    vigil: Vigil,
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, vigil } = self.get_mut();
        let inner = &mut *lock(inner);
        let read = Pin::new(&mut inner.stream).poll_read(cx, buf);
        if read.is_ready() {
            return read;
        }
        // Nothing has arrived: time to look whether the connection is still alive.
        if std::mem::take(&mut inner.wrote) | inner.stream.has_beaten() {
            vigil.wrote();
        }
        let stream = &inner.stream;
        if let Poll::Ready(Some(why)) = vigil.poll(cx, |liveness, now| liveness.look(stream, now)) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
        inner.reader = vigil.is_idle().then(|| cx.waker().clone());
        Poll::Pending
    }
}

/// The half that writes.
#[derive(Debug)]
pub(crate) struct WriteHalf(Arc<Mutex<SplitState>>);

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let inner = &mut *lock(&self.0);
        let written = Pin::new(&mut inner.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(1..)) = written {
            inner.wrote = true;
            inner.reader.take().into_iter().for_each(Waker::wake);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_shutdown(cx)
    }
}

/// Asks about a stream whose halves are elsewhere; does not keep it open longer than they do.
#[derive(Clone, Debug)]
pub struct StreamProbe(Weak<Mutex<SplitState>>);

impl StreamProbe {
    /// Whether both halves are gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Lets the kernel ask an idle peer after this time whether it is still there, and again at
    /// these intervals.
    pub(crate) fn ask_after(&self, keepalive: &TcpKeepalive) {
        self.ask(|stream| {
            if let Some(socket) = stream.tcp() {
                let _ = SockRef::from(socket).set_tcp_keepalive(keepalive);
            }
        });
    }

    /// When it is closed it is reset, and what the kernel still holds is discarded.
    pub(crate) fn cut(&self) {
        self.ask(|stream| {
            if let Some(socket) = stream.tcp() {
                let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
            }
        });
    }

    /// How long nothing has come from the peer, neither data nor an acknowledgement; `None` if that
    /// cannot be known.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let info = self.ask(|stream| ioctl::tcp_info(stream.tcp()?).ok())?;
        Some(Duration::from_millis(info.last_ack_recv.min(info.last_data_recv).into()))
    }

    fn ask<T: Default>(&self, question: impl FnOnce(&Stream) -> T) -> T {
        self.0.upgrade().map(|inner| question(&lock(&inner).stream)).unwrap_or_default()
    }
}

impl NextHop for StreamProbe {
    fn sample(&self) -> Option<Sample> {
        self.ask(NextHop::sample)
    }

    fn outstanding(&self) -> Outstanding {
        self.ask(Stream::outstanding)
    }
}
