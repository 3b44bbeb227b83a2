//! How long an ending waits for bytes on their way to the target: while they move.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use super::endings::Remainder;
use crate::config::EndpointLimits;

/// How soon the next hop is asked again how much it has acknowledged, at first and at most: nothing
/// announces that.
const DRAIN_INTERVAL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

/// How long a drain may go without progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linger {
    /// With no sign of life.
    pub still: Duration,
    /// With no byte acknowledged, while the other side shows that it is alive and takes nothing (a
    /// closed window).
    pub alive: Duration,
}

impl Linger {
    /// The limits of an endpoint.
    pub(crate) fn of(limits: &EndpointLimits) -> Self {
        Self { still: limits.linger, alive: limits.linger_max }
    }
}

/// What a drain sees of the bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Bytes that are not yet where they should be.
    pub bytes: u64,
    /// Whether there are exactly that many; otherwise at most, and once the other side has left
    /// nobody knows.
    pub exact: bool,
    /// Whether the other side shows that it is alive, although it takes nothing.
    pub answers: bool,
}

/// A drain that is under way.
#[derive(Debug)]
pub(super) struct Drain {
    linger: Linger,
    /// When it is over, whatever moves.
    until: Option<Instant>,
    seen: u64,
    /// When the number last went down.
    moved: Instant,
    /// When there last was a sign of life, or progress.
    alive: Instant,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Drain {
    /// Begins a drain; `left` is what is still on its way.
    pub(super) fn new(linger: Linger, rest: Remainder, left: u64) -> Self {
        let now = Instant::now();
        let mut drain = Self {
            linger,
            until: None,
            seen: left,
            moved: now,
            alive: now,
            pause: DRAIN_INTERVAL.0,
            timer: Box::pin(sleep(DRAIN_INTERVAL.0)),
        };
        drain.hurry(rest);
        drain
    }

    /// Applies a stricter rule from now on.
    pub(super) fn hurry(&mut self, rest: Remainder) {
        let within = match rest {
            Remainder::Drain => return,
            Remainder::Within(within) => within,
            Remainder::Discard => Duration::ZERO,
        };
        let until = Instant::now() + within;
        self.until = Some(self.until.map_or(until, |set| set.min(until)));
    }

    /// Ready each time it is worth looking at what is left; with `true` when patience has run out.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, left: impl FnOnce() -> Left) -> Poll<bool> {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            return Poll::Ready(true);
        }
        ready!(self.timer.as_mut().poll(cx));
        let (now, Left { bytes, answers, .. }) = (Instant::now(), left());
        // Where nothing is left, nothing is stuck: it is the client that has not answered yet.
        if bytes < self.seen || bytes == 0 {
            (self.moved, self.alive, self.pause) = (now, now, DRAIN_INTERVAL.0);
        } else {
            self.pause = (self.pause * 2).min(DRAIN_INTERVAL.1);
        }
        if answers {
            self.alive = now;
        }
        self.seen = bytes;
        let next = now + self.pause;
        self.timer.as_mut().reset(self.until.map_or(next, |until| next.min(until)));
        let still = now - self.alive >= self.linger.still || now - self.moved >= self.linger.alive;
        Poll::Ready(still || self.until.is_some_and(|until| until <= now))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LINGER: Linger =
        Linger { still: Duration::from_secs(5), alive: Duration::from_secs(600) };

    /// How long a drain waits for bytes that leave as `left` says for each second.
    async fn waits(rest: Remainder, left: impl Fn(u64) -> Left) -> u64 {
        let start = Instant::now();
        let mut drain = Drain::new(LINGER, rest, left(0).bytes);
        while !poll_fn(|cx| drain.poll(cx, || left(start.elapsed().as_secs()))).await {}
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn what_moves_is_waited_for_and_what_stands_still_is_not() {
        let moving =
            |second: u64| Left { bytes: 1000 - second.min(900), exact: true, answers: false };
        assert!(matches!(waits(Remainder::Drain, moving).await, 905..=906));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_window_that_answers_is_waited_for_longer() {
        let closed = |_| Left { bytes: 1000, exact: true, answers: true };
        assert!(matches!(waits(Remainder::Drain, closed).await, 600..=601));
        // Windows open in large steps.
        let lumps = |second: u64| Left { bytes: 1000 - second / 500, exact: true, answers: true };
        let end = |second: u64| {
            if second < 5000 { lumps(second) } else { Left { answers: false, ..lumps(second) } }
        };
        assert!(matches!(waits(Remainder::Drain, end).await, 5004..=5006));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_six_seconds_whatever_moves() {
        let moving = |second: u64| Left { bytes: 1000 - second, exact: true, answers: true };
        assert!(matches!(waits(Remainder::Within(Duration::from_secs(6)), moving).await, 6..=7));
        assert_eq!(waits(Remainder::Discard, moving).await, 0);
    }
}
