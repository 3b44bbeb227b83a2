//! The first bytes of a program: whether a web page could have sent them is known before any goes
//! on.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use super::line::Parted;
use crate::screen::{Screen, Verdict};

/// Most bytes of one read that are looked at.
const LOOKED_AT_MAX: usize = 4096;

/// What is known of a program's first bytes.
#[derive(Debug)]
pub(super) enum Opening {
    /// They need no look.
    Any,
    /// They are looked at as they come.
    Looked,
    /// They have come.
    Read(Vec<u8>),
}

impl Opening {
    /// The first bytes; none at the end.
    pub(super) async fn read<R: AsyncRead + Unpin>(self, from: &mut R) -> Result<Vec<u8>, Parted> {
        let mut screen = match self {
            Self::Read(bytes) => return Ok(bytes),
            Self::Any => None,
            Self::Looked => Some(Screen::default()),
        };
        loop {
            let mut bytes = Vec::with_capacity(LOOKED_AT_MAX);
            let read = tokio::select! {
                biased;
                verdict = verdict(screen.as_mut()) => return passed(verdict),
                read = from.read_buf(&mut bytes) => read,
            };
            let read = read.map_err(|error| Parted::Tool(error.to_string()))?;
            let Some(screen) = &mut screen else { return Ok(bytes) };
            if read == 0 {
                return passed(screen.end());
            }
            screen.take(&bytes);
        }
    }
}

async fn verdict(screen: Option<&mut Screen>) -> Verdict {
    match screen {
        Some(screen) => poll_fn(|cx| screen.poll(cx)).await,
        None => std::future::pending().await,
    }
}

fn passed(verdict: Verdict) -> Result<Vec<u8>, Parted> {
    match verdict {
        Verdict::Pass(bytes) => Ok(bytes),
        Verdict::Foreign(foreign) => Err(Parted::Page(foreign.word())),
    }
}

/// What a program has done so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    wrote: AtomicBool,
    ended: AtomicBool,
}

impl Seen {
    /// Of one that has written, or has not.
    pub(super) fn new(wrote: bool) -> Self {
        Self { wrote: wrote.into(), ended: false.into() }
    }

    /// Whether it has sent anything.
    pub(super) fn has_written(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }

    /// Whether it will send no more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A reader that is watched.
#[derive(Debug)]
pub(super) struct Noted<'a, R> {
    inner: R,
    seen: &'a Seen,
}

impl<'a, R> Noted<'a, R> {
    /// Notes what it reads.
    pub(super) fn new(inner: R, seen: &'a Seen) -> Self {
        Self { inner, seen }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Noted<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        let noted = if buf.filled().len() > before { &self.seen.wrote } else { &self.seen.ended };
        noted.store(true, Ordering::Relaxed);
        Poll::Ready(result)
    }
}
