//! A session's clock: pings, the silent client, the idle limit, the deadline of an ending.

use std::{
    future::Future,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// How late a ping may be, as a fraction of the time a client may be silent: 1 s of 30 s.
const SLACK: u32 = 30;

/// The rules for a session's socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Silence after which the client counts as dead.
    pub(super) dead_after: Duration,
    /// Silence after which the client is pinged.
    pub(super) ping_after: Duration,
    /// Time without data in either direction after which the session ends.
    pub(super) idle: Option<Duration>,
    /// Bytes per second in each direction.
    pub(super) rate: Option<u64>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A ping.
    Ping,
    /// The client gave no sign of life for the whole time.
    Silent,
    /// No data in either direction for the idle limit.
    Idle,
    /// The time allowed for an ending is up.
    Deadline,
}

/// One timer for everything that can become due. Activity is only noted, and gets its time when the
/// timer is looked at: asking for the time is a system call on some machines.
#[derive(Debug)]
pub(super) struct Clock {
    dead_after: Duration,
    /// Silence after which a ping is due.
    ping_after: Duration,
    idle: Option<Duration>,
    news: News,
    heard: Instant,
    /// Silence up to this moment proves nothing.
    excused: Instant,
    pinged: Instant,
    moved: Instant,
    deadline: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// What has happened since the timer was last looked at.
#[derive(Clone, Copy, Debug, Default)]
struct News {
    heard: bool,
    moved: bool,
}

impl Clock {
    /// A clock that starts now. A ping goes out after `ping_after` of silence, and again after each
    /// further such span.
    pub(super) fn new(dead_after: Duration, ping_after: Duration, idle: Option<Duration>) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + ping_after));
        let news = News::default();
        Self {
            dead_after,
            ping_after,
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

    /// Data moved, in either direction. What was only handed to the kernel proves nothing about the
    /// client.
    pub(super) fn moved(&mut self) {
        self.news.moved = true;
    }

    /// How long nothing has been heard from the client.
    pub(super) fn silence(&self) -> Duration {
        if self.news.heard { Duration::ZERO } else { self.heard.elapsed() }
    }

    /// Sets the deadline of an ending; an earlier one stands.
    pub(super) fn end_within(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.deadline = Some(self.deadline.map_or(at, |set| set.min(at)));
        self.timer.as_mut().reset(Instant::now());
    }

    /// Lifts the deadline: what it was set for has happened.
    pub(super) fn lift(&mut self) {
        self.deadline = None;
    }

    /// Replaces the deadline by a new one.
    pub(super) fn extend(&mut self, time: Duration) {
        self.deadline = None;
        self.end_within(time);
    }

    /// What is due now. `deaf` says that we are not reading the client at present, because the
    /// target does not take what it sent: then its silence proves nothing.
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

    /// The pings of many sessions coincide, so that the processor wakes once for all of them.
    fn next_ping(&self) -> Instant {
        beat(self.heard.max(self.pinged) + self.ping_after, self.dead_after / SLACK)
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

/// The next of the instants, `apart` from each other, that all clocks share.
fn beat(at: Instant, apart: Duration) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = at.saturating_duration_since(*FIRST.get_or_init(Instant::now)).as_nanos();
    let late = since.checked_rem(apart.as_nanos()).filter(|late| *late > 0);
    let wait =
        late.and_then(|late| u64::try_from(apart.as_nanos() - late).ok()).unwrap_or_default();
    at + Duration::from_nanos(wait)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const DEAD: Duration = Duration::from_secs(30);

    /// What becomes due, one after the other, and after how many seconds.
    async fn due<const N: usize>(mut clock: Clock) -> [(Due, u64); N] {
        let start = Instant::now();
        let mut seen = [(Due::Idle, 0); N];
        for one in &mut seen {
            let due = poll_fn(|cx| clock.poll(cx, false)).await;
            *one = (due, start.elapsed().as_secs());
        }
        seen
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_gets_two_pings_and_is_dead_at_the_third_interval() {
        let seen = due(Clock::new(DEAD, DEAD / 3, None)).await;
        assert!(
            matches!(seen, [(Due::Ping, 10 | 11), (Due::Ping, 20..=22), (Due::Silent, 30)]),
            "a beat late at most: {seen:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_ping_is_enough_where_no_more_were_promised() {
        let seen = due(Clock::new(DEAD, DEAD * 2 / 3, None)).await;
        assert!(matches!(seen, [(Due::Ping, 20 | 21), (Due::Silent, 30)]), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn pings_of_sessions_that_began_apart_fall_together() {
        let mut begun = Vec::new();
        for _ in 0..100 {
            begun.push((Instant::now(), Clock::new(DEAD, DEAD / 3, None)));
            tokio::time::advance(Duration::from_millis(77)).await;
        }
        let mut times = std::collections::BTreeSet::new();
        for (start, clock) in begun {
            let due = clock.next_ping();
            assert!((DEAD / 3..=DEAD / 3 + DEAD / SLACK).contains(&(due - start)));
            times.insert(due);
        }
        assert!(times.len() <= 9, "{} beats in 7.7 s", times.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_we_do_not_read_is_never_silent() {
        let mut clock = Clock::new(DEAD, DEAD / 3, None);
        for _ in 0..100 {
            assert_eq!(poll_fn(|cx| clock.poll(cx, true)).await, Due::Ping);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn idle_is_counted_from_the_last_data_not_from_pongs() {
        let mut clock = Clock::new(DEAD, DEAD / 3, Some(Duration::from_secs(25)));
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
        let mut clock = Clock::new(DEAD, DEAD / 3, None);
        let start = Instant::now();
        clock.end_within(Duration::from_secs(2));
        clock.end_within(Duration::from_secs(5));
        assert_eq!(poll_fn(|cx| clock.poll(cx, false)).await, Due::Deadline);
        assert_eq!(start.elapsed().as_secs(), 2);
    }
}
