//! The gate between a connection and hyper: only heads that passed the strict check get through.
//!
//! Two parsers that read one request differently are how requests are smuggled; so hyper's, which is lenient, sees
//! nothing that `wire::head` did not accept: a head, then exactly its body, then nothing until it has answered. Behind
//! a head that asks for a WebSocket it sees nothing more at all, and the stream is taken back when the answer is out.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    stream::Stream,
    wire::{close::Refusal, head},
};

/// Longest body of a request.
pub(super) const BODY_MAX: u64 = 16 * 1024;
/// Bytes kept while hyper must not see them: a pipelined request, or what a client sends right behind its handshake.
/// When full, nothing is read: TCP holds the client back.
const EARLY_MAX: usize = 64 * 1024;
/// How long a connection may wait between requests.
const IDLE: Duration = Duration::from_secs(30);
/// How long a client may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(20);

/// What the gate leaves to the connection's task when hyper is done: the stream, and what it is still to be told.
#[derive(Debug, Default)]
pub(super) struct Remains(Mutex<Option<(Stream, Option<Refusal>)>>);

impl Remains {
    /// Takes what is left, once.
    pub(super) fn take(&self) -> Option<(Stream, Option<Refusal>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct Gate {
    stream: Option<Stream>,
    /// Read from the stream, not yet given to hyper; the first `pass` bytes may be.
    inbox: BytesMut,
    pass: usize,
    phase: Phase,
    /// Part of an answer was written since the last head.
    wrote: bool,
    /// Time for a request that began, from its first byte.
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    stalled: Option<Pin<Box<Sleep>>>,
    reader: Option<Waker>,
    remains: Arc<Remains>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No byte of a further request yet.
    Idle,
    /// In a head.
    Head,
    /// In a body; bytes still to come.
    Body(u64),
    /// hyper answers.
    Answering,
    /// hyper answers an upgrade.
    Upgrading,
}

impl Gate {
    /// A gate on a new connection. `until` bounds the first head, `patience` the later ones.
    pub(super) fn new(stream: Stream, until: Instant, patience: Duration, remains: Arc<Remains>) -> Self {
        Self {
            stream: Some(stream),
            inbox: BytesMut::new(),
            pass: 0,
            phase: Phase::Head,
            wrote: false,
            patience,
            deadline: Box::pin(sleep_until(until)),
            stalled: None,
            reader: None,
            remains,
        }
    }

    /// The stream and what the client sent behind its handshake; `None` when the connection broke.
    pub(super) fn into_parts(mut self) -> Option<(Stream, Vec<u8>)> {
        self.stream.take().map(|stream| (stream, self.inbox.to_vec()))
    }

    /// Lets nothing further through and leaves the stream to the connection's task.
    fn refuse(&mut self, refusal: Refusal) -> io::Error {
        let told = (!self.wrote || self.phase == Phase::Head).then_some(refusal);
        self.leave(told);
        io::Error::new(io::ErrorKind::InvalidData, "request refused")
    }

    fn leave(&mut self, told: Option<Refusal>) {
        if let Some(stream) = self.stream.take() {
            *self.remains.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((stream, told));
        }
    }

    /// Decides how much of the inbox hyper may see.
    fn judge(&mut self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Idle | Phase::Head => {
                let Some(found) = head::scan(&self.inbox)? else { return Ok(()) };
                if found.body > BODY_MAX {
                    return Err(Refusal::BodyTooLarge);
                }
                self.pass = found.len;
                self.wrote = false;
                self.phase = match (found.upgrade, found.body) {
                    (true, _) => Phase::Upgrading,
                    (false, 0) => Phase::Answering,
                    (false, body) => Phase::Body(body),
                };
            }
            Phase::Body(left) => {
                let here = self.inbox.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.pass = here;
                let left = left - here as u64;
                self.phase = if left == 0 { Phase::Answering } else { Phase::Body(left) };
            }
            Phase::Answering | Phase::Upgrading => {}
        }
        Ok(())
    }

    /// Reads more into the inbox; false at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(false)) };
        if self.inbox.len() >= EARLY_MAX {
            return Poll::Pending;
        }
        let mut space = [0; 4096];
        let room = space.len().min(EARLY_MAX - self.inbox.len());
        let mut buf = ReadBuf::new(space.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(stream).poll_read(cx, &mut buf))?;
        self.inbox.extend_from_slice(buf.filled());
        Poll::Ready(Ok(!buf.filled().is_empty()))
    }

    /// Whether the time for a request, or between two, is over.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Head | Phase::Body(_))
            && self.deadline.as_mut().poll(cx).is_ready()
    }

    fn overdue(&mut self) -> Poll<io::Result<()>> {
        // Nobody waits for an answer to a request that was never begun.
        if self.phase == Phase::Idle || (self.phase == Phase::Head && self.inbox.is_empty()) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(self.refuse(Refusal::Timeout)))
    }

    /// An answer that is flushed now and then is not over: what hyper still writes shows that it is not.
    fn goes_on(&mut self) {
        let wait = match self.phase {
            Phase::Idle => IDLE,
            Phase::Head => self.patience,
            Phase::Body(_) | Phase::Answering | Phase::Upgrading => return,
        };
        self.deadline.as_mut().reset(Instant::now() + wait);
    }

    fn answered(&mut self) {
        if self.phase == Phase::Answering && self.wrote {
            self.phase = Phase::Idle;
            self.deadline.as_mut().reset(Instant::now() + IDLE);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
    }
}

use std::future::Future as _;

impl AsyncRead for Gate {
    /// An end without bytes is the end of the connection, to hyper.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.pass == 0
                && let Err(refusal) = this.judge()
            {
                return Poll::Ready(Err(this.refuse(refusal)));
            }
            if this.pass > 0 {
                let count = this.pass.min(buf.remaining());
                buf.put_slice(this.inbox.get(..count).unwrap_or_default());
                this.inbox.advance(count);
                this.pass -= count;
                return Poll::Ready(Ok(()));
            }
            if this.poll_overdue(cx) {
                return this.overdue();
            }
            // Also while hyper answers: the client's leaving ends a dial made for it.
            match this.poll_fill(cx) {
                Poll::Ready(Ok(true)) => {}
                // Who has only ended its own side still waits for the answer.
                Poll::Ready(Ok(false)) if this.phase == Phase::Answering => {
                    this.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
            if this.phase == Phase::Idle {
                this.phase = Phase::Head;
                this.deadline.as_mut().reset(Instant::now() + this.patience);
            }
        }
    }
}

impl AsyncWrite for Gate {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        this.wrote = true;
        if let Poll::Ready(wrote) = Pin::new(stream).poll_write(cx, buf) {
            this.stalled = None;
            this.goes_on();
            return Poll::Ready(wrote);
        }
        let stalled = this.stalled.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALLED)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(stream) = &mut this.stream {
            ready!(Pin::new(stream).poll_flush(cx))?;
        }
        this.answered();
        Poll::Ready(Ok(()))
    }

    /// hyper is done; the connection's task closes the stream so that the client reads the last answer.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().leave(None);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time::advance,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_is_not_idle_and_what_follows_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let until = Instant::now() + IDLE;
        let mut gate = Gate::new(Stream::from(stream), until, IDLE, Arc::default());
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut head = [0; 64];
        assert_eq!(gate.read(&mut head).await.unwrap(), 27);
        let mut next = [0; 1];
        for _ in 0..5 {
            gate.write_all(b"a part").await.unwrap();
            gate.flush().await.unwrap();
            advance(IDLE * 2 / 3).await;
            let idle = poll_fn(|cx| {
                let mut buf = ReadBuf::new(&mut next);
                Poll::Ready(Pin::new(&mut gate).poll_read(cx, &mut buf))
            });
            assert!(idle.await.is_pending());
        }
        advance(IDLE).await;
        assert_eq!(gate.read(&mut next).await.unwrap(), 0);
    }
}
