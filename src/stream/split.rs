//! A stream in two halves, and a gauge that tells how it stands with the next hop.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{NextHop, Outstanding, Sample, Stream};

/// A stream that its halves share; the lock is held for a poll.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Stream>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a stream apart.
pub fn split(stream: Stream) -> (ReadHalf, WriteHalf, Gauge) {
    let shared = Shared(Arc::new(Mutex::new(stream)));
    (ReadHalf(shared.clone()), WriteHalf(shared.clone()), Gauge(Arc::downgrade(&shared.0)))
}

/// The half that reads.
#[derive(Debug)]
pub struct ReadHalf(Shared);

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(cx, buf)
    }
}

/// The half that writes.
#[derive(Debug)]
pub struct WriteHalf(Shared);

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(cx)
    }
}

/// Asks a stream whose halves are elsewhere; holds it open no longer than they do.
#[derive(Clone, Debug)]
pub struct Gauge(Weak<Mutex<Stream>>);

impl Gauge {
    fn ask<T: Default>(&self, question: impl FnOnce(&Stream) -> T) -> T {
        self.0.upgrade().map(|stream| question(&Shared(stream).lock())).unwrap_or_default()
    }
}

impl NextHop for Gauge {
    fn sample(&self) -> Option<Sample> {
        self.ask(NextHop::sample)
    }

    fn outstanding(&self) -> Outstanding {
        self.ask(Stream::outstanding)
    }
}
