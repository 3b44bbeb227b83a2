//! How long the steps that a seat has queued are going to wait.

use std::time::Duration;

use crate::line::task::{Action, PACE_MOST};

/// The most a seat may have queued: nobody else is kept waiting longer.
const QUEUED_WAITS_MAX: Duration = Duration::from_secs(10);

/// The waits of one seat.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// For everything in the queue, and what is running.
    queued: Duration,
    /// The last step with a clock: the client's time then, and how long the steps up to it wait.
    last: Option<(Duration, Duration)>,
}

impl Waits {
    /// Adds a task's waits; returns how long they are, or `None` if that would be too much.
    pub(super) fn add(&mut self, what: &Action) -> Option<Duration> {
        let Action::Signals { steps, .. } = what else { return Some(Duration::ZERO) };
        let (mut all, mut last) = (Duration::ZERO, self.last);
        for step in steps {
            if let Some(at) = step.at {
                let (before, waited) = last.unwrap_or((at, Duration::ZERO));
                let apart = at.saturating_sub(before);
                all +=
                    if apart > PACE_MOST { Duration::ZERO } else { apart.saturating_sub(waited) };
                last = Some((at, Duration::ZERO));
            }
            all += step.hold;
            last = last.map(|(at, waited)| (at, waited + step.hold));
        }
        if self.queued + all > QUEUED_WAITS_MAX {
            return None;
        }
        (self.queued, self.last) = (self.queued + all, last);
        Some(all)
    }

    /// Notes that a task has done its waiting.
    pub(super) fn done(&mut self, wait: Duration) {
        self.queued = self.queued.saturating_sub(wait);
    }

    /// Notes that nothing is queued any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Levels, Step};

    /// Steps with these `at` and `ms`.
    fn signals(steps: &[(Option<u64>, u64)]) -> Action {
        let step = |(at, ms): &(Option<u64>, u64)| Step {
            change: Levels::default(),
            hold: Duration::from_millis(*ms),
            at: at.map(Duration::from_millis),
        };
        Action::Signals { steps: steps.iter().map(step).collect(), seat: 1, by: None }
    }

    fn add(waits: &mut Waits, steps: &[(Option<u64>, u64)]) -> Option<u128> {
        waits.add(&signals(steps)).map(|wait| wait.as_millis())
    }

    #[test]
    fn holds_and_clocks_sum_to_ten_seconds_and_no_more() {
        let mut waits = Waits::default();
        assert_eq!(add(&mut waits, &[(None, 6000)]), Some(6000));
        assert_eq!(add(&mut waits, &[(None, 4001)]), None);
        assert_eq!(add(&mut waits, &[(None, 4000)]), Some(4000));
        assert_eq!(
            add(&mut waits, &[(None, 0)]),
            Some(0),
            "what waits for nothing may always come"
        );
        waits.done(Duration::from_secs(6));
        assert_eq!(add(&mut waits, &[(None, 6000)]), Some(6000));
    }

    #[test]
    fn a_clock_counts_as_far_as_it_waits() {
        let mut waits = Waits::default();
        // Nothing comes before the first; a pause of more than a second does not count; a hold
        // before a step counts once.
        assert_eq!(
            add(&mut waits, &[(Some(5000), 0), (Some(5100), 0), (Some(7000), 0)]),
            Some(100)
        );
        assert_eq!(add(&mut waits, &[(Some(7300), 200), (Some(7600), 0)]), Some(300 + 200 + 100));
        assert_eq!(add(&mut waits, &[(None, 500), (Some(8400), 0)]), Some(500 + 300));
        // A clock that goes back causes no wait.
        assert_eq!(add(&mut waits, &[(Some(1000), 0)]), Some(0));
        let second: Vec<_> = (2..40).map(|second| (Some(second * 1000), 0)).collect();
        assert_eq!(add(&mut Waits::default(), &second), None);
    }
}
