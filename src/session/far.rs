//! The far side of a session: a dedicated connection or a seat on a line, one shape for plain mode.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::drain::Left;
use crate::{
    line::{Gone, Heard, Seat},
    stream::{NextHop as _, Sample, Stream},
};

/// The far side of a session. Both directions are polled by one task and never wait for each other.
pub trait Far {
    /// Whether it is a connection, which has an end of its own and answers a half-close; a line has neither.
    const IS_CONNECTION: bool;

    /// Reads into `buf`, at most its length.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Heard>;

    /// Takes bytes; pending is back-pressure. An error ends this direction only: the last words of the far side are
    /// still to be read.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// The client will send no more: hands on the half-close, drains what was taken.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Bytes taken that are not with the device: the next hop's kernel has not acknowledged them, or they are not on
    /// the wire.
    fn left(&self) -> Left;

    /// Bytes taken that will not get there: dropped, or gone with the device.
    fn lost(&self) -> u64;

    /// Discards what is not with the device, and lets go of it.
    fn cut(&mut self);
}

impl Far for Stream {
    const IS_CONNECTION: bool = true;

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Heard> {
        let mut buf = ReadBuf::new(buf);
        Pin::new(self).poll_read(cx, &mut buf).map(|read| match read {
            Ok(()) if buf.filled().is_empty() => Heard::Ended(Gone::Ended),
            Ok(()) => Heard::Bytes(buf.filled().len()),
            Err(error) => Heard::Ended(Gone::by(&error)),
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }

    fn left(&self) -> Left {
        // Behind a closed window the kernel probes; what answers is alive.
        let answers = |sample: &Sample| !sample.in_flight && sample.probes < 2;
        Left { bytes: self.outstanding().bytes, answers: self.sample().is_some_and(|now| answers(&now)) }
    }

    fn lost(&self) -> u64 {
        0
    }

    fn cut(&mut self) {
        // Closed so, the kernel discards what it holds, too (socket(7), SO_LINGER).
        if let Some(socket) = self.tcp() {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Far for Seat {
    const IS_CONNECTION: bool = false;

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Heard> {
        Self::poll_read(self, cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // Plain mode has no words for a lease: what an observer sends is dropped, and counted.
        if !self.is_writer() {
            self.ignore(bytes.len());
            return Poll::Ready(Ok(bytes.len()));
        }
        Self::poll_write(self, cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx).map(Ok)
    }

    fn left(&self) -> Left {
        Left { bytes: self.pending(), answers: false }
    }

    fn lost(&self) -> u64 {
        Self::lost(self)
    }

    fn cut(&mut self) {
        self.leave();
    }
}
