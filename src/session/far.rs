//! The far side of a session: a dedicated connection or a seat on a line, one shape for the pump.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    line::{Heard, Kind, Mark, Seat},
    stream::Stream,
    wire::close::Ended,
};

/// What a far side gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// So many bytes were put into the buffer.
    Bytes(usize),
    /// It paused for so long before its next byte.
    Pause(Duration),
    /// It has ended, and why; everything it sent was given before.
    End(Ended),
}

/// The far side of a session. Both directions are polled by one task and never wait for each other.
pub trait Far {
    /// Reads into `buf`, at most its length.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Input>;

    /// Takes bytes; pending is back-pressure. An error ends this direction only: the last words of the far side are
    /// still to be read.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// The client will send no more: hand on the half-close, drain what was taken.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// It has ended, and only the client's farewell is awaited: lets go of what others may want.
    fn release(&mut self);

    /// Bytes taken that are not yet with the device; what is abandoned when a session must end now.
    fn undelivered(&self) -> usize;
}

impl Far for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Input> {
        let mut buf = ReadBuf::new(buf);
        Pin::new(self).poll_read(cx, &mut buf).map(|read| match read {
            Ok(()) if buf.filled().is_empty() => Input::End(Ended::TargetEnded),
            Ok(()) => Input::Bytes(buf.filled().len()),
            Err(error) => Input::End(Ended::TargetFailed(format!("the device failed: {error}"))),
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }

    fn release(&mut self) {}

    fn undelivered(&self) -> usize {
        0
    }
}

impl Far for Seat {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Input> {
        // A line has no end of its own after a half-close: the end is that everything was sent.
        if self.is_drained() {
            return Poll::Ready(Input::End(Ended::TargetEnded));
        }
        Self::poll_read(self, cx, buf).map(|heard| match heard {
            Heard::Bytes(n) => Input::Bytes(n),
            Heard::Mark(Mark { kind: Kind::Pause(pause), .. }) => Input::Pause(pause),
            // Plain mode asks for no other marks.
            Heard::Mark(_) => Input::Bytes(0),
            Heard::Gap(gap) => Input::End(Ended::TooSlow(gap.to - gap.from)),
            Heard::Ended(gone) => Input::End(Ended::TargetFailed(gone.to_string())),
        })
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

    fn release(&mut self) {
        self.leave();
    }

    fn undelivered(&self) -> usize {
        Self::undelivered(self)
    }
}
