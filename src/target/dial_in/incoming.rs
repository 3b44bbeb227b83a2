//! The connection that is the device: what it says, without its heartbeats.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{Desk, ignored::Ignored};
use crate::{
    screen::{Screen, Verdict},
    settings::LineEvent,
    stream::{ReadHalf, StreamProbe},
    target::Source,
    wire::close::Refusal,
};

/// The device's connection, as those see it who want to follow it.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) probe: StreamProbe,
    pub(super) peer: SocketAddr,
    /// Cancelled when another connection follows it.
    pub(super) replaced: CancellationToken,
    /// It has sent something.
    pub(super) spoken: AtomicBool,
}

/// What the device says.
pub(super) struct Incoming {
    reader: ReadHalf,
    /// It has said nothing yet, and may still turn out to be a web page.
    screen: Option<Screen>,
    /// What is to be passed on before anything else.
    first: Vec<u8>,
    ignored: Option<Ignored>,
    replaced: Pin<Box<WaitForCancellationFutureOwned>>,
    present: Arc<Present>,
    desk: Desk,
}

impl Incoming {
    pub(super) fn new(
        reader: ReadHalf,
        (screen, first): (Option<Screen>, Vec<u8>),
        heartbeat: Option<Vec<u8>>,
        (present, desk): (Arc<Present>, Desk),
    ) -> Self {
        let replaced = Box::pin(present.replaced.clone().cancelled_owned());
        let mut incoming = Self {
            reader,
            screen,
            first: Vec::new(),
            ignored: heartbeat.map(Ignored::new),
            replaced,
            present,
            desk,
        };
        if !first.is_empty() {
            incoming.heard(&first);
        }
        incoming
    }

    /// Takes what the device said; a heartbeat is held back.
    fn heard(&mut self, bytes: &[u8]) {
        self.present.spoken.store(true, Relaxed);
        match &mut self.ignored {
            Some(ignored) => self.first.extend(ignored.take(bytes)),
            None => self.first.extend_from_slice(bytes),
        }
    }

    /// Reads as long as it is not known whether a web page is at the other end; ready when it is.
    fn poll_screen(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(screen) = &mut self.screen {
            let verdict = match screen.poll(cx) {
                Poll::Ready(verdict) => verdict,
                Poll::Pending => {
                    let mut bytes = [0; 1024];
                    let mut buf = ReadBuf::new(&mut bytes);
                    ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buf))?;
                    if !buf.filled().is_empty() {
                        screen.take(buf.filled());
                        continue;
                    }
                    screen.end()
                }
            };
            match verdict {
                Verdict::Pass(bytes) => {
                    self.screen = None;
                    if !bytes.is_empty() {
                        self.heard(&bytes);
                    }
                }
                Verdict::Foreign(foreign) => {
                    self.present.probe.cut();
                    let refusal = Refusal::Opening(foreign);
                    (self.desk.refused)(self.present.peer, &refusal);
                    let what = format!("{} came, and no device", foreign.word());
                    return Poll::Ready(Err(io::Error::other(what)));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads where heartbeats are looked for.
    fn poll_beside(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.first.is_empty() {
            let Some(ignored) = &mut self.ignored else { break };
            let before = buf.filled().len();
            match Pin::new(&mut self.reader).poll_read(cx, buf)? {
                Poll::Ready(()) if buf.filled().len() == before => {
                    // The end; a heartbeat before it is one.
                    self.first = ignored.end(&self.desk.metrics);
                    break;
                }
                Poll::Ready(()) => {
                    let (_, new) = buf.filled().split_at(before);
                    self.first = ignored.take(new);
                    buf.set_filled(before);
                }
                Poll::Pending => {
                    self.first = ready!(ignored.poll_late(cx, &self.desk.metrics));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Source for Incoming {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        _marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>> {
        if self.replaced.as_mut().poll(cx).is_ready() {
            self.present.probe.cut();
            let what = "it has connected anew";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, what)));
        }
        ready!(self.poll_screen(cx))?;
        if self.first.is_empty() && self.ignored.is_some() {
            ready!(self.poll_beside(cx, buf))?;
        } else if self.first.is_empty() {
            let read = ready!(Pin::new(&mut self.reader).poll_read(cx, buf));
            self.present.spoken.store(true, Relaxed);
            return Poll::Ready(read);
        }
        let length = self.first.len().min(buf.remaining());
        buf.put_slice(self.first.split_at(length).0);
        self.first.drain(..length);
        Poll::Ready(Ok(()))
    }
}
