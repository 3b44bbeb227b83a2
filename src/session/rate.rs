//! An endpoint's rate limit: a bucket of bytes that fills over time.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// Bytes that may move now in one direction; up to a quarter of a second's worth can be saved.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: u64,
    /// Below 0 after a datagram that was longer than what had been saved.
    saved: i64,
    filled: Instant,
    timer: Pin<Box<Sleep>>,
}

impl RateLimit {
    /// A full bucket.
    pub(super) fn new(per_second: u64) -> Self {
        let timer = Box::pin(sleep(Duration::ZERO));
        let mut rate =
            Self { per_second: per_second.max(1), saved: 0, filled: Instant::now(), timer };
        rate.saved = rate.full();
        rate
    }

    /// How many bytes may move now; pending while none may.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            self.fill();
            if self.saved > 0 {
                return Poll::Ready(usize::try_from(self.saved).unwrap_or(usize::MAX));
            }
            // Wait for a tenth of the bucket, so that a slow rate moves pieces rather than single
            // bytes.
            let piece = (self.capacity() / 10).max(1).saturating_add(self.saved.unsigned_abs());
            let wait = Duration::from_secs_f64(to_f64(piece) / to_f64(self.per_second));
            self.timer.as_mut().reset(self.filled + wait);
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes out what has moved.
    pub(super) fn take(&mut self, bytes: usize) {
        self.saved = self.saved.saturating_sub_unsigned(bytes as u64);
    }

    fn capacity(&self) -> u64 {
        (self.per_second / 4).max(1)
    }

    fn full(&self) -> i64 {
        i64::try_from(self.capacity()).unwrap_or(i64::MAX)
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let nanos = u64::try_from((now - self.filled).as_nanos()).unwrap_or(u64::MAX);
        let gained = u128::from(nanos) * u128::from(self.per_second) / 1_000_000_000;
        let gained = u64::try_from(gained).unwrap_or(u64::MAX);
        if gained > 0 {
            self.saved = self.saved.saturating_add_unsigned(gained).min(self.full());
            self.filled = now;
        }
    }
}

/// An endpoint's limit for one session, in each direction; most have none.
#[derive(Debug)]
pub(super) struct BothRates(Option<Box<[RateLimit; 2]>>);

impl BothRates {
    pub(super) fn new(per_second: Option<u64>) -> Self {
        Self(per_second.map(|rate| Box::new([RateLimit::new(rate), RateLimit::new(rate)])))
    }

    /// How many bytes, of `most`, may come from the client now.
    pub(super) fn poll_up(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<usize> {
        match self.0.as_deref_mut() {
            // Frames without payload pass, at a small cost.
            Some([up, _]) => up.poll(cx).map(|room| room.clamp(64, most)),
            None => Poll::Ready(most),
        }
    }

    /// How many bytes, of `most`, may go to it now.
    pub(super) fn poll_down(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<usize> {
        match self.0.as_deref_mut() {
            Some([_, down]) if most > 0 => down.poll(cx).map(|room| room.min(most)),
            Some(_) | None => Poll::Ready(most),
        }
    }

    /// Whether a datagram of any length may go to it: after one that was too much, the bucket has
    /// to fill up first.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_down(cx, 1).map(drop)
    }

    /// Notes that this many came.
    pub(super) fn took(&mut self, bytes: usize) {
        if let Some([up, _]) = self.0.as_deref_mut() {
            up.take(bytes);
        }
    }

    /// Notes that this many went.
    pub(super) fn sent(&mut self, bytes: usize) {
        if let Some([_, down]) = self.0.as_deref_mut() {
            down.take(bytes);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate in bytes a second needs no more than 53 bits"
)]
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_moves_in_ten_seconds_is_the_rate_times_ten() {
        for per_second in [1, 30, 1000, 1 << 20] {
            let mut rate = RateLimit::new(per_second);
            let start = Instant::now();
            let mut moved = 0;
            while start.elapsed() < Duration::from_secs(10) {
                let n = poll_fn(|cx| rate.poll(cx)).await;
                rate.take(n);
                moved += n as u64;
            }
            let most = per_second * 11 + 2;
            assert!((per_second * 9..=most).contains(&moved), "{moved} at {per_second}");
        }
    }
}
