//! Output played in time: a boot log, the dots of a ping.

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use bytes::BytesMut;

/// A text, and the pause before it.
pub(super) type TimedText = (Duration, Cow<'static, str>);

/// What has yet to be printed, and when the next part is due.
#[derive(Default)]
pub(super) struct Script {
    steps: VecDeque<TimedText>,
    since: Duration,
}

impl Script {
    /// Prints these from `now` on, in place of what was left.
    pub(super) fn start(&mut self, now: Duration, steps: impl IntoIterator<Item = TimedText>) {
        self.steps = steps.into_iter().collect();
        self.since = now;
    }

    /// Prints no more.
    pub(super) fn stop(&mut self) {
        self.steps.clear();
    }

    /// Whether there is more to print.
    pub(super) fn is_running(&self) -> bool {
        !self.steps.is_empty()
    }

    /// When the next text is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.steps.front().map(|(pause, _)| self.since + *pause)
    }

    /// Prints what is due at `now`.
    pub(super) fn play(&mut self, now: Duration, out: &mut BytesMut) {
        while let Some(due) = self.deadline().filter(|due| *due <= now) {
            self.since = due;
            if let Some((_, text)) = self.steps.pop_front() {
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}
