//! How long a door's session has been quiet.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Ready when nothing has moved for as long as the session may be quiet.
#[derive(Debug)]
pub(super) struct Quiet {
    most: Option<Duration>,
    moved: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Quiet {
    /// `None` may be quiet for ever.
    pub(super) fn new(most: Option<Duration>) -> Self {
        Self { most, moved: Instant::now(), timer: None }
    }

    /// Something moved.
    pub(super) fn moved(&mut self) {
        self.moved = Instant::now();
    }

    /// From now on it may be quiet for so long and no longer.
    pub(super) fn last_words(&mut self, most: Duration) {
        *self = Self::new(Some(most));
    }

    /// Ready when it has been quiet for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(most) = self.most else { return Poll::Pending };
        loop {
            let until = self.moved + most;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
            // It is set anew when it fires, not at each byte.
            if timer.deadline() > until || timer.is_elapsed() {
                timer.as_mut().reset(until);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn quiet_begins_anew_whenever_something_moves() {
        let mut quiet = Quiet::new(Some(3 * SECOND));
        assert!(timeout(2 * SECOND, poll_fn(|cx| quiet.poll(cx))).await.is_err());
        quiet.moved();
        let begin = Instant::now();
        poll_fn(|cx| quiet.poll(cx)).await;
        assert_eq!(begin.elapsed(), 3 * SECOND);
        quiet.last_words(SECOND);
        advance(SECOND).await;
        poll_fn(|cx| quiet.poll(cx)).await;
        let mut never = Quiet::new(None);
        assert!(timeout(3600 * SECOND, poll_fn(|cx| never.poll(cx))).await.is_err());
    }
}
