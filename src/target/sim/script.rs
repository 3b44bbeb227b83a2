//! Output paced in time: a boot log, the dots of a ping.

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use bytes::BytesMut;

/// A text, and the pause before it.
pub(super) type TimedText = (Duration, Cow<'static, str>);

/// What is still to be said, and when the next of it is due.
#[derive(Default)]
pub(super) struct Script {
    steps: VecDeque<TimedText>,
    since: Duration,
}

impl Script {
    /// Says these from `now` on, in place of what was left.
    pub(super) fn start(&mut self, now: Duration, steps: impl IntoIterator<Item = TimedText>) {
        self.steps = steps.into_iter().collect();
        self.since = now;
    }

    /// Says no more.
    pub(super) fn stop(&mut self) {
        self.steps.clear();
    }

    /// Whether there is more to say.
    pub(super) fn is_running(&self) -> bool {
        !self.steps.is_empty()
    }

    /// When the next text is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.steps.front().map(|(pause, _)| self.since + *pause)
    }

    /// Says what is due at `now`.
    pub(super) fn play(&mut self, now: Duration, out: &mut BytesMut) {
        while let Some(due) = self.deadline().filter(|due| *due <= now) {
            self.since = due;
            if let Some((_, text)) = self.steps.pop_front() {
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}
