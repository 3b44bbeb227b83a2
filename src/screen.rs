//! What a raw connection has sent before it is known that no web page is at its other end: nothing
//! of it is passed on.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::wire::opening::{ENOUGH, Foreign, Opening, opening};

/// After the first byte so long is waited for more, unless there is enough: a tool may send less and
/// wait for the answer.
const GATHER: Duration = Duration::from_millis(20);

/// What may still become something foreign is held for so long.
const HOLD: Duration = Duration::from_secs(1);

/// What is to become of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is a tool's; what it has sent so far.
    Pass(Vec<u8>),
    /// It is somebody else's, or may have been.
    Foreign(Foreign),
}

/// The first bytes of a connection, held back.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Whatever comes passes: no web page reaches this.
    passes_all: bool,
    held: Vec<u8>,
    /// When the first of them came.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Screen {
    /// One that passes whatever comes first, at once.
    pub(crate) fn passing_all() -> Self {
        Self { passes_all: true, ..Self::default() }
    }

    /// Holds more bytes back.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.since.get_or_insert_with(Instant::now);
            self.held.extend_from_slice(bytes);
        }
    }

    /// Bytes held back.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Ready when it is decided; never before the first byte.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let Some(since) = self.since else { return Poll::Pending };
        if self.passes_all {
            return Poll::Ready(self.pass());
        }
        let (until, over) = match opening(&self.held) {
            Opening::Foreign(foreign) => return Poll::Ready(Verdict::Foreign(foreign)),
            Opening::Clear if self.held.len() >= ENOUGH => return Poll::Ready(self.pass()),
            Opening::Clear => (since + GATHER, true),
            Opening::Undecided => (since + HOLD, false),
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(if over { self.pass() } else { Verdict::Foreign(Foreign::Unclear) })
    }

    /// The other end sends no more: what it has sent is all there will be.
    pub(crate) fn end(&mut self) -> Verdict {
        match opening(&self.held) {
            Opening::Foreign(foreign) if !self.passes_all => Verdict::Foreign(foreign),
            Opening::Foreign(_) | Opening::Clear | Opening::Undecided => self.pass(),
        }
    }

    /// What was held back passes, whatever it is.
    pub(crate) fn pass(&mut self) -> Verdict {
        self.timer = None;
        Verdict::Pass(std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// The verdict over pieces that come at these milliseconds, and when it falls.
    async fn screened(pieces: &[(u64, &[u8])]) -> (Verdict, u64) {
        let (mut screen, begin) = (Screen::default(), Instant::now());
        for (at, bytes) in pieces {
            let until = begin + Duration::from_millis(*at);
            tokio::select! {
                biased;
                verdict = poll_fn(|cx| screen.poll(cx)) => {
                    return (verdict, millis(begin));
                }
                () = sleep_until(until) => screen.take(bytes),
            }
        }
        (poll_fn(|cx| screen.poll(cx)).await, millis(begin))
    }

    fn millis(since: Instant) -> u64 {
        u64::try_from(since.elapsed().as_millis()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_request_passes_after_20_ms_and_a_longer_one_at_once() {
        assert_eq!(screened(&[(0, b"AT\r")]).await, (Verdict::Pass(b"AT\r".into()), 20));
        assert_eq!(screened(&[(5, b"AT"), (9, b"\r")]).await, (Verdict::Pass(b"AT\r".into()), 25));
        let long = b"AT+CGMR=1;&F\r";
        assert_eq!(screened(&[(0, long)]).await, (Verdict::Pass(long.to_vec()), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_found_however_its_request_comes() {
        let http = Verdict::Foreign(Foreign::Http);
        assert_eq!(screened(&[(0, b"POST / HTTP/1.1\r\n\r\nAT+X")]).await, (http.clone(), 0));
        let slow = [(0, &b"P"[..]), (300, b"OST"), (600, b" "), (900, b"/")];
        assert_eq!(screened(&slow).await, (http, 900));
        let unclear = Verdict::Foreign(Foreign::Unclear);
        assert_eq!(screened(&[(0, b"GE")]).await, (unclear.clone(), 1000));
        assert_eq!(screened(&[(0, b"GE"), (990, b"T")]).await, (unclear, 1000));
        // A tool that only began so.
        assert_eq!(screened(&[(0, b"GE"), (40, b"M")]).await, (Verdict::Pass(b"GEM".into()), 40));
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_there_is_all_there_is() {
        let mut screen = Screen::default();
        screen.take(b"G");
        assert_eq!(screen.len(), 1);
        assert_eq!(screen.end(), Verdict::Pass(b"G".into()));
        screen.take(b"GET /");
        assert_eq!(screen.end(), Verdict::Foreign(Foreign::Http));
        let mut all = Screen::passing_all();
        all.take(b"GET /");
        assert_eq!(poll_fn(|cx| all.poll(cx)).await, Verdict::Pass(b"GET /".into()));
        assert_eq!(
            [Foreign::Http, Foreign::Tls, Foreign::Stun].map(Foreign::word),
            ["HTTP", "TLS", "STUN"]
        );
    }
}
