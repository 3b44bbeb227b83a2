//! The connection: data and commands share its way out, a sub-negotiation is never cut by data.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf},
    sync::watch,
};

use super::heard::{Heard, count, hear, line_events};
use crate::{
    settings::LineEvent,
    stream::Stream,
    target::Source,
    wire::telnet::{self, Decoder, Event, Known, Options, comport::Command},
};

/// Commands waiting for the socket. Full: the peer asks without end and reads nothing; the connection is given up.
const QUEUE_MAX: usize = 16 * 1024;

/// Data escaped at a time.
const CHUNK: usize = 16 * 1024;

/// What the halves and the controls of a connection share. Locks are held for a system call at most.
#[derive(Debug)]
pub(super) struct Link {
    out: Mutex<Out>,
    wakers: Arc<Wakers>,
    heard: watch::Sender<Heard>,
}

#[derive(Debug)]
struct Out {
    /// `None` once the connection is closed, though somebody may still hold its controls.
    half: Option<WriteHalf<Stream>>,
    /// Commands that go before the next data.
    queue: Vec<u8>,
    /// The peer wants no data now (FLOWCONTROL-SUSPEND).
    suspended: bool,
}

/// Everybody who waits for the way out. The socket knows one waker alone: this one, which wakes them all.
#[derive(Debug, Default)]
struct Wakers(Mutex<Vec<Waker>>);

impl Wakers {
    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, waker: &Waker) {
        let mut all = self.lock();
        all.retain(|known| !known.will_wake(waker));
        all.push(waker.clone());
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let all = std::mem::take(&mut *self.lock());
        all.into_iter().for_each(Waker::wake);
    }
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Heard> {
        self.heard.subscribe()
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.borrow().clone()
    }

    /// Queues commands, together, before all data that are not on their way yet.
    pub(super) fn command(&self, wire: &[u8]) -> io::Result<()> {
        let mut out = self.lock();
        if out.half.is_none() {
            return Err(closed());
        }
        if out.queue.len() + wire.len() > QUEUE_MAX {
            return Err(io::Error::other("the peer asks without end and takes no answer"));
        }
        out.queue.extend_from_slice(wire);
        Ok(())
    }

    /// How much is queued.
    pub(super) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Ready when the socket has taken all commands.
    pub(super) fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(cx, Out::poll_queue)
    }

    /// Runs `work` with the waker of all; the caller is woken when it is worth to come again.
    fn poll_out<T>(
        &self,
        cx: &mut Context<'_>,
        mut work: impl FnMut(&mut Out, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut out = self.lock();
        let all = Waker::from(Arc::clone(&self.wakers));
        let mut all = Context::from_waker(&all);
        let result = work(&mut out, &mut all);
        if result.is_ready() {
            return result;
        }
        self.wakers.add(cx.waker());
        // It may have become possible before the caller was on the list.
        work(&mut out, &mut all)
    }

    fn suspend(&self, suspended: bool) {
        self.lock().suspended = suspended;
        self.wakers.wake_by_ref();
    }

    /// Takes a sub-negotiation of COM-PORT-OPTION; what happened on the line goes to `mark`.
    fn take(&self, content: &[u8], mark: impl FnMut(LineEvent)) -> io::Result<()> {
        let Some(command) = Command::decode(content) else {
            tracing::debug!(?content, "the peer sent a command that is none");
            return Ok(());
        };
        match &command {
            Command::Suspend => self.suspend(true),
            Command::Resume => self.suspend(false),
            Command::Signature(text) if text.is_empty() => {
                let mut wire = Vec::new();
                let name = concat!("wsbridge ", env!("CARGO_PKG_VERSION"));
                Command::Signature(name.into()).encode(&mut wire);
                return self.command(&wire);
            }
            Command::LineState(bits) => {
                let events = line_events(*bits);
                self.heard.send_if_modified(|heard| {
                    for event in &events {
                        count(&mut heard.errors, *event);
                    }
                    !events.is_empty()
                });
                events.into_iter().for_each(mark);
            }
            Command::Baud(_)
            | Command::DataSize(_)
            | Command::Parity(_)
            | Command::StopSize(_)
            | Command::Control(_)
            | Command::ModemState(_)
            | Command::Signature(_)
            | Command::LineMask(_)
            | Command::ModemMask(_)
            | Command::Purge(_) => self.heard.send_modify(|heard| hear(heard, &command)),
        }
        Ok(())
    }

    /// Nothing comes or goes any more.
    fn close(&self, why: &str) {
        let half = {
            let mut out = self.lock();
            out.queue.clear();
            out.half.take()
        };
        drop(half);
        self.heard.send_modify(|heard| {
            heard.gone.get_or_insert_with(|| why.to_owned());
        });
        self.wakers.wake_by_ref();
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the connection is closed")
}

impl Out {
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let half = self.half.as_mut().ok_or_else(closed)?;
        while !self.queue.is_empty() {
            match ready!(Pin::new(&mut *half).poll_write(cx, &self.queue))? {
                0 => return Poll::Ready(Err(closed())),
                written => drop(self.queue.drain(..written)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes data behind all commands. Nothing of it stays here but the second half of an IAC pair.
    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_queue(cx))?;
        if self.suspended {
            return Poll::Pending;
        }
        let half = self.half.as_mut().ok_or_else(closed)?;
        let data = data.get(..CHUNK).unwrap_or(data);
        if !data.contains(&telnet::IAC) {
            return Pin::new(half).poll_write(cx, data);
        }
        scratch.clear();
        telnet::escape(data, scratch);
        let written = ready!(Pin::new(half).poll_write(cx, scratch))?;
        let (count, owed) = telnet::taken(data, written);
        self.queue.extend(owed.then_some(telnet::IAC));
        Poll::Ready(Ok(count))
    }
}

/// Line to device: escapes; waits while the peer has suspended us.
#[derive(Debug)]
pub(super) struct Writer {
    link: Arc<Link>,
    scratch: Vec<u8>,
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let Self { link, scratch } = self.get_mut();
        link.poll_out(cx, |out, cx| out.poll_data(cx, data, scratch))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.poll_sent(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.poll_out(cx, |out, cx| {
            ready!(out.poll_queue(cx))?;
            out.half.as_mut().map_or(Poll::Ready(Ok(())), |half| Pin::new(half).poll_shutdown(cx))
        })
    }
}

/// Device to line: takes the commands out and answers them. Dropped, it closes the connection for all.
#[derive(Debug)]
pub(super) struct Reader {
    half: ReadHalf<Stream>,
    decoder: Decoder,
    link: Arc<Link>,
}

/// Takes a connection apart and asks for the options.
pub(super) fn split(stream: Stream) -> (Reader, Writer, Arc<Link>) {
    let (read, write) = tokio::io::split(stream);
    let mut queue = Vec::new();
    let options = Options::ask(&mut queue);
    let link = Arc::new(Link {
        out: Mutex::new(Out { half: Some(write), queue, suspended: false }),
        wakers: Arc::default(),
        heard: watch::Sender::new(Heard { options, ..Heard::default() }),
    });
    let reader = Reader { half: read, decoder: Decoder::default(), link: Arc::clone(&link) };
    (reader, Writer { link: Arc::clone(&link), scratch: Vec::new() }, link)
}

impl Reader {
    /// Decodes what was read; the number of data bytes at its front.
    fn decode(&mut self, bytes: &mut [u8], marks: &mut Vec<(usize, LineEvent)>) -> io::Result<usize> {
        let (link, mut failed) = (&self.link, Ok(()));
        let kept = self.decoder.decode(bytes, |at, event| {
            let took = match event {
                Event::Said(verb, option) => {
                    let mut answer = None;
                    link.heard.send_modify(|heard| answer = heard.options.hear(verb, option));
                    answer.map_or(Ok(()), |answer| link.command(&answer))
                }
                Event::Sub(option, content) if option == Known::ComPort.code() => {
                    link.take(content, |event| marks.push((at, event)))
                }
                Event::Sub(..) => Ok(()),
            };
            if failed.is_ok() {
                failed = took;
            }
        });
        failed.map(|()| kept)
    }

    /// Ready with data, marks, or the end (neither).
    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>> {
        loop {
            // Answers go out as far as they can; no reading waits for them.
            if let Poll::Ready(Err(error)) = self.link.poll_sent(cx) {
                return Poll::Ready(Err(error));
            }
            let mut raw = ReadBuf::new(buf.initialize_unfilled());
            ready!(Pin::new(&mut self.half).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let kept = self.decode(raw.filled_mut(), marks)?;
            buf.advance(kept);
            if kept > 0 || !marks.is_empty() {
                // What was answered goes out now, not with the next read.
                return match self.link.poll_sent(cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
                };
            }
        }
    }
}

impl Source for Reader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>> {
        let (before, marked) = (buf.filled().len(), marks.len());
        let result = ready!(self.poll_some(cx, buf, marks));
        match &result {
            Err(error) => self.link.close(&error.to_string()),
            Ok(()) if buf.filled().len() == before && marks.len() == marked => {
                self.link.close("the peer closed the connection");
            }
            Ok(()) => {}
        }
        Poll::Ready(result)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.link.close("the connection was closed");
    }
}
