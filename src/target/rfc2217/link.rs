//! The connection: data and commands share the way out, and data never cuts into a sub-negotiation.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use tokio::{io::AsyncWrite, sync::watch};
use tracing::{debug, warn};

use super::heard::{PeerState, count, hear, line_events};
use crate::{
    settings::LineEvent,
    stream::{Ledger, NextHop as _, Outstanding, Sample, StreamProbe, WriteHalf},
    wire::telnet::{Encoder, Fault, Options, Role, Verb, comport::ComPortCommand},
};

/// Bytes of commands that may wait for the socket. If they are more, the peer keeps asking and
/// reads nothing, and the connection is given up.
const QUEUE_MAX: usize = 16 * 1024;

/// Data encoded in one go.
const CHUNK: usize = 16 * 1024;

/// What is most likely wrong with a peer whose commands make no sense.
pub(super) const UNESCAPED: &str =
    "it may not be doubling bytes of 255 in its data, as telnet requires";

/// What the halves and the controls of a connection share. Its locks are held for one system call
/// at most.
#[derive(Debug)]
pub(super) struct SharedConnection {
    /// The peer's address, for the log.
    place: String,
    out: Mutex<Out>,
    wakers: Arc<Wakers>,
    heard: watch::Sender<PeerState>,
    gauge: StreamProbe,
}

#[derive(Debug)]
struct Out {
    /// `None` once the connection is closed, even if somebody still holds its controls.
    half: Option<WriteHalf>,
    /// Commands that go out before the next data.
    queue: Vec<u8>,
    /// The peer wants no data at present (FLOWCONTROL-SUSPEND).
    suspended: bool,
    /// Our data is BINARY.
    binary: bool,
    encoder: Encoder,
    /// Bytes that the socket took.
    wire: u64,
    /// Which of them carry data.
    ledger: Ledger,
}

/// Everybody who waits for the way out. The socket knows only one waker: this one, which wakes them
/// all.
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

impl SharedConnection {
    /// The way out of a new connection. Options are requested immediately.
    pub(super) fn new(place: &str, half: WriteHalf, gauge: StreamProbe) -> Self {
        let mut queue = Vec::new();
        let options = Options::open(Role::Client, &mut queue);
        Self {
            place: place.to_owned(),
            out: Mutex::new(Out {
                half: Some(half),
                queue,
                suspended: false,
                binary: false,
                encoder: Encoder::default(),
                wire: 0,
                ledger: Ledger::default(),
            }),
            wakers: Arc::default(),
            heard: watch::Sender::new(PeerState { options, ..PeerState::default() }),
            gauge,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<PeerState> {
        self.heard.subscribe()
    }

    pub(super) fn heard(&self) -> PeerState {
        self.heard.borrow().clone()
    }

    /// Queues commands, as one piece, ahead of all data that is not on its way yet.
    pub(super) fn command(&self, wire: &[u8]) -> io::Result<()> {
        let mut out = self.lock();
        if out.half.is_none() {
            return Err(closed());
        }
        if out.queue.len() + wire.len() > QUEUE_MAX {
            return Err(io::Error::other("the peer keeps asking and reads no answer"));
        }
        out.queue.extend_from_slice(wire);
        Ok(())
    }

    /// The peer's address.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// How much is queued.
    pub(super) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Data that the peer's kernel has not acknowledged.
    pub(super) fn outstanding(&self) -> Outstanding {
        let (out, below) = (self.lock(), self.gauge.outstanding());
        let bytes = out.ledger.outstanding(out.wire - below.bytes);
        Outstanding { bytes, exact: below.exact || bytes == 0 }
    }

    /// The state of the connection.
    pub(super) fn sample(&self) -> Option<Sample> {
        self.gauge.sample()
    }

    /// Ready when the socket has taken all commands.
    pub(super) fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(cx, Out::poll_queue)
    }

    /// Runs `work` with the waker of all; the caller is woken when it is worth trying again.
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

    /// Takes the peer's word about an option, and answers it.
    pub(super) fn negotiate(&self, verb: Verb, option: u8) -> io::Result<()> {
        let (mut answer, mut binary) = (None, false);
        self.heard.send_modify(|heard| {
            answer = heard.options.hear(verb, option);
            binary = heard.options.binary.us.is_on();
        });
        self.lock().binary = binary;
        answer.map_or(Ok(()), |answer| self.command(&answer))
    }

    /// Whether what the peer sends from here on is BINARY.
    pub(super) fn hears_binary(&self) -> bool {
        self.heard.borrow().options.binary.them.is_on()
    }

    /// Counts something that breaks the protocol, and logs it once.
    pub(super) fn fault(&self, fault: Fault) {
        let mut first = false;
        self.heard.send_modify(|heard| {
            first = heard.errors.telnet == 0;
            heard.errors.telnet = heard.errors.telnet.wrapping_add(1);
        });
        if first {
            let what = match fault {
                Fault::Overlong | Fault::Unended(_) => {
                    "a sub-negotiation without an end".to_owned()
                }
                Fault::NoCommand(byte) => format!("a command {byte}, which does not exist"),
            };
            warn!(
                peer = self.place,
                "the peer sent {what}; {UNESCAPED}; further ones are only counted"
            );
        }
    }

    /// Takes a sub-negotiation of COM-PORT-OPTION; line events go to `mark`.
    pub(super) fn take(&self, content: &[u8], mark: impl FnMut(LineEvent)) -> io::Result<()> {
        let Some(command) = ComPortCommand::decode(content) else {
            debug!(peer = self.place, ?content, "the peer sent an unknown command");
            return Ok(());
        };
        match &command {
            ComPortCommand::Suspend => self.suspend(true),
            ComPortCommand::Resume => self.suspend(false),
            ComPortCommand::Signature(text) if text.is_empty() => {
                let mut wire = Vec::new();
                let name = concat!("wsbridge ", env!("CARGO_PKG_VERSION"));
                ComPortCommand::Signature(name.into()).encode(Role::Client, &mut wire);
                return self.command(&wire);
            }
            ComPortCommand::LineState(bits) => {
                let events = line_events(*bits);
                self.heard.send_if_modified(|heard| {
                    for event in &events {
                        count(&mut heard.errors, *event);
                    }
                    !events.is_empty()
                });
                events.into_iter().for_each(mark);
            }
            ComPortCommand::Baud(_)
            | ComPortCommand::DataSize(_)
            | ComPortCommand::Parity(_)
            | ComPortCommand::StopSize(_)
            | ComPortCommand::Control(_)
            | ComPortCommand::ModemState(_)
            | ComPortCommand::Signature(_)
            | ComPortCommand::LineMask(_)
            | ComPortCommand::ModemMask(_)
            | ComPortCommand::Purge(_) => self.heard.send_modify(|heard| hear(heard, &command)),
        }
        Ok(())
    }

    /// Notes that nothing comes or goes any more.
    pub(super) fn close(&self, why: &str) {
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
                written => {
                    self.queue.drain(..written);
                    self.wire += written as u64;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes data, after all commands. Only the second half of a doubled byte is ever kept here.
    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        (scratch, gauge): (&mut Vec<u8>, &StreamProbe),
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_queue(cx))?;
        if self.suspended {
            return Poll::Pending;
        }
        let half = self.half.as_mut().ok_or_else(closed)?;
        let data = data.split_at_checked(CHUNK).map_or(data, |(chunk, _)| chunk);
        let (written, count) = if self.encoder.passes(data, self.binary) {
            let written = ready!(Pin::new(half).poll_write(cx, data))?;
            (written, written)
        } else {
            scratch.clear();
            self.encoder.encode(data, self.binary, scratch);
            let written = ready!(Pin::new(half).poll_write(cx, scratch))?;
            let (count, owed) = self.encoder.went(data, self.binary, written);
            self.queue.extend(owed);
            (written, count)
        };
        self.wire += written as u64;
        self.ledger.wrapped(count);
        // What is owed is the end of the last of these bytes.
        let (wire, end) = (self.wire, self.wire + self.queue.len() as u64);
        self.ledger.mark(end, || wire - gauge.outstanding().bytes);
        Poll::Ready(Ok(count))
    }
}

/// Line to device: escapes; waits while the peer has suspended us.
#[derive(Debug)]
pub(super) struct EscapingWriter {
    link: Arc<SharedConnection>,
    scratch: Vec<u8>,
}

impl EscapingWriter {
    pub(super) fn new(link: Arc<SharedConnection>) -> Self {
        Self { link, scratch: Vec::new() }
    }
}

impl AsyncWrite for EscapingWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { link, scratch } = self.get_mut();
        link.poll_out(cx, |out, cx| out.poll_data(cx, data, (&mut *scratch, &link.gauge)))
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
