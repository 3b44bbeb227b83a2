//! How long to wait for a queue that may be stuck.

use std::time::Duration;

use tokio::time::Instant;

/// Waits for a queue while something moves in it.
#[derive(Debug)]
pub(crate) struct Patience {
    most: Duration,
    seen: (u64, usize),
    since: Instant,
}

impl Patience {
    /// How often to look.
    pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

    /// Gives up when nothing moves for `most`.
    pub(crate) fn new(most: Duration, seen: (u64, usize)) -> Self {
        Self { most, seen, since: Instant::now() }
    }

    /// Whether to give up, now that the queue is at this point.
    pub(crate) fn is_over(&mut self, at: (u64, usize)) -> bool {
        if at != self.seen {
            (self.seen, self.since) = (at, Instant::now());
        }
        self.since.elapsed() >= self.most
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_lasts_as_long_as_something_moves() {
        let most = Duration::from_secs(30);
        let mut patience = Patience::new(most, (0, 100));
        for left in (0..100).rev() {
            advance(Duration::from_secs(29)).await;
            assert!(!patience.is_over((0, left)));
        }
        advance(most).await;
        assert!(patience.is_over((0, 0)));
    }
}
