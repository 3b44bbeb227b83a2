//! A stream in two halves that notice a dead peer, and a probe that reports its state.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{NextHop, Outstanding, Sample, Stream, vigil::Vigil};

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
        if std::mem::take(&mut inner.wrote) {
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
