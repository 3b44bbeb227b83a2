//! A session's clock: pings, the silent client, the idle limit, the deadline of an ending.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A ping.
    Ping,
    /// The client gave no sign of life for the whole time.
    Silent,
    /// No data either way for the idle limit.
    Idle,
    /// The time of an ending is over.
    Deadline,
}

/// One timer for everything that may become due; activity is only noted, and stamped when the timer is looked at: asking
/// for the time is a system call on some machines.
#[derive(Debug)]
pub(super) struct Clock {
    dead_after: Duration,
    idle: Option<Duration>,
    news: News,
    heard: Instant,
    /// Silence up to here proves nothing.
    excused: Instant,
    pinged: Instant,
    moved: Instant,
    deadline: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// What happened since the timer was looked at.
#[derive(Clone, Copy, Debug, Default)]
struct News {
    heard: bool,
    moved: bool,
}

impl Clock {
    /// A clock that starts now. Pings go out at a third of `dead_after`.
    pub(super) fn new(dead_after: Duration, idle: Option<Duration>) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + dead_after / 3));
        let news = News::default();
        Self {
            dead_after,
            idle,
            news,
            heard: now,
            excused: now,
            pinged: now,
            moved: now,
            deadline: None,
            timer,
        }
    }

    /// The client gave a sign of life.
    pub(super) fn heard(&mut self) {
        self.news.heard = true;
    }

    /// Data moved, either way. What was only handed to the kernel proves nothing of the client.
    pub(super) fn moved(&mut self) {
        self.news.moved = true;
    }

    /// Sets the deadline of an ending; an earlier one stands.
    pub(super) fn end_within(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.deadline = Some(self.deadline.map_or(at, |set| set.min(at)));
        self.timer.as_mut().reset(Instant::now());
    }

    /// Sets a new deadline in place of the old.
    pub(super) fn extend(&mut self, time: Duration) {
        self.deadline = None;
        self.end_within(time);
    }

    /// What is due now. `deaf` says that we do not read the client at present, because the target does not take what
    /// it sent: then its silence proves nothing.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deaf: bool) -> Poll<Due> {
        self.stamp();
        loop {
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if deaf {
                self.excused = now;
            }
            if self.deadline.is_some_and(|at| at <= now) {
                self.deadline = None;
                return Poll::Ready(Due::Deadline);
            }
            if now >= self.silent_at() {
                self.heard = now;
                return Poll::Ready(Due::Silent);
            }
            if self.idle.is_some_and(|idle| now >= self.moved + idle) {
                self.moved = now;
                return Poll::Ready(Due::Idle);
            }
            if now >= self.next_ping() {
                self.pinged = now;
                return Poll::Ready(Due::Ping);
            }
            let next = self.next();
            self.timer.as_mut().reset(next);
        }
    }

    fn stamp(&mut self) {
        let News { heard, moved } = std::mem::take(&mut self.news);
        if heard || moved {
            let now = Instant::now();
            if heard {
                self.heard = now;
            }
            if moved {
                self.moved = now;
            }
        }
    }

    fn next_ping(&self) -> Instant {
        self.heard.max(self.pinged) + self.dead_after / 3
    }

    fn silent_at(&self) -> Instant {
        self.heard.max(self.excused) + self.dead_after
    }

    fn next(&self) -> Instant {
        let mut next = self.next_ping().min(self.silent_at());
        if let Some(idle) = self.idle {
            next = next.min(self.moved + idle);
        }
        self.deadline.map_or(next, |at| next.min(at))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const DEAD: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_gets_two_pings_and_is_dead_at_the_third_interval() {
        let mut clock = Clock::new(DEAD, None);
        let start = Instant::now();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let due = poll_fn(|cx| clock.poll(cx, false)).await;
            seen.push((due, start.elapsed().as_secs()));
        }
        assert_eq!(seen, [(Due::Ping, 10), (Due::Ping, 20), (Due::Silent, 30)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_we_do_not_read_is_never_silent() {
        let mut clock = Clock::new(DEAD, None);
        for _ in 0..100 {
            assert_eq!(poll_fn(|cx| clock.poll(cx, true)).await, Due::Ping);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn idle_is_counted_from_the_last_data_not_from_pongs() {
        let mut clock = Clock::new(DEAD, Some(Duration::from_secs(25)));
        let start = Instant::now();
        loop {
            match poll_fn(|cx| clock.poll(cx, false)).await {
                Due::Ping => clock.heard(),
                due @ (Due::Silent | Due::Idle | Due::Deadline) => {
                    assert_eq!((due, start.elapsed().as_secs()), (Due::Idle, 25));
                    break;
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_stands() {
        let mut clock = Clock::new(DEAD, None);
        let start = Instant::now();
        clock.end_within(Duration::from_secs(2));
        clock.end_within(Duration::from_secs(5));
        assert_eq!(poll_fn(|cx| clock.poll(cx, false)).await, Due::Deadline);
        assert_eq!(start.elapsed().as_secs(), 2);
    }
}
