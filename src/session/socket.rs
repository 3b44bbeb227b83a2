//! The WebSocket side of a session: RFC 6455 frames on a raw stream, read and written one buffer at
//! a time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::eol::Eol;
use crate::{
    stream::Stream,
    wire::frame::{self, Decoder, HEADER_MAX, Opcode},
};

/// How line bytes travel to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Binary frames.
    Binary,
    /// Text frames, invalid UTF-8 replaced (`?frames=text`).
    Text,
    /// Base64 in text frames, both ways.
    Base64,
}

/// Bytes from a line's client that may wait unread in the kernel, its overhead included.
const UNREAD_MAX: usize = 128 * 1024;

/// A server's WebSocket after the handshake.
///
/// It holds no buffer while idle: frames are built and taken apart in the caller's, and only what
/// the kernel did not take waits in `out`, at most one data frame and a few control frames.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    early: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
    pub(super) decoder: Decoder,
    pub(super) payload: Payload,
    /// What ends a line for the device, if that is not what the client sends.
    pub(super) eol: Option<Eol>,
}

impl Socket {
    /// Takes a stream whose handshake is done; `early` is what the client sent after it.
    pub(crate) fn new(stream: Stream, early: Vec<u8>, payload: Payload) -> Self {
        Self {
            stream,
            early,
            out: Vec::new(),
            sent: 0,
            decoder: Decoder::new(),
            payload,
            eol: None,
        }
    }

    /// Turns the client's line ends into this.
    #[must_use]
    pub(crate) fn with_line_ends(self, eol: Option<Eol>) -> Self {
        Self { eol, ..self }
    }

    /// Reads raw frames into `buf`; 0 means the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !self.early.is_empty() {
            let n = self.early.len().min(buf.len());
            for (to, from) in buf.iter_mut().zip(self.early.drain(..n)) {
                *to = from;
            }
            self.early.shrink_to_fit();
            return Poll::Ready(Ok(n));
        }
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Puts back bytes that were read too early.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.early.splice(..0, bytes.iter().copied());
    }

    /// Writes what waits; ready when nothing does. Returns whether anything moved.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut moved = false;
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.sent += n;
                    moved = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if moved => return Poll::Ready(Ok(true)),
                Poll::Pending => return Poll::Pending,
            }
        }
        // An idle connection keeps no buffer.
        (self.out, self.sent) = (Vec::new(), 0);
        // Under TLS the records may still be in rustls; a plain socket returns immediately.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(Ok(moved))
    }

    /// Bytes that wait to be written.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Sends a data frame whose payload lies at `buf[HEADER_MAX..][..length]`, header and payload
    /// in one write; what the kernel does not take waits. Call it only when nothing waits.
    #[expect(
        clippy::indexing_slicing,
        reason = "a header has at most HEADER_MAX bytes, a write takes what it is given"
    )]
    pub(super) fn send_in_place(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        length: usize,
    ) -> io::Result<()> {
        let mut header = [0; HEADER_MAX];
        let size = frame::header(&mut header, true, Opcode::Binary, length as u64);
        let start = HEADER_MAX - size;
        buf[start..HEADER_MAX].copy_from_slice(&header[start..]);
        let whole = &buf[start..HEADER_MAX + length];
        let taken = match Pin::new(&mut self.stream).poll_write(cx, whole) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => n,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => 0,
        };
        self.out.extend_from_slice(&whole[taken..]);
        Ok(())
    }

    /// Queues a whole frame after what waits.
    #[expect(clippy::indexing_slicing, reason = "a header has at most HEADER_MAX bytes")]
    pub(super) fn queue(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut header = [0; HEADER_MAX];
        let size = frame::header(&mut header, true, opcode, payload.len() as u64);
        self.out.extend_from_slice(&header[HEADER_MAX - size..]);
        self.out.extend_from_slice(payload);
    }

    /// Queues a Close frame after what waits: a code with its reason, or nothing (RFC 6455 section
    /// 5.5.1).
    pub(super) fn queue_close(&mut self, close: Option<(u16, &str)>) {
        let payload =
            close.map_or_else(Vec::new, |(code, reason)| frame::close_payload(code, reason));
        self.queue(Opcode::Close, &payload);
    }

    /// Limits what the client may have sent and we have not read: a line takes that at its own
    /// speed, and a Close behind it has to be noticed.
    pub(super) fn bound_unread(&self) {
        // If it cannot be set, autotuning goes on.
        let _ = self.stream.clamp_window(UNREAD_MAX);
    }

    /// The connection itself.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Ends our side of the stream.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
