//! What the log says of a device that comes and goes, and how soon it is opened again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    line::{LineState, Shared, output::Gone},
    span::readable,
    target::OpenError,
};

/// A device that has been open for this long is taken to stay.
pub(super) const STEADY: Duration = Duration::from_secs(5);

/// Pause before a failed device is opened again.
const REOPEN_AFTER_FAILURE: Duration = Duration::from_millis(200);

/// The same for one that keeps ending as soon as it is open.
const PAUSE_MOST: Duration = Duration::from_secs(10);

/// One log line when a device goes and one when it is back, not one for each attempt in between.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// The end of a private line is its session's, and is logged there.
    private: bool,
    last: Option<(String, Instant)>,
    /// How often in a row it ended as soon as it was open.
    soon: u32,
}

impl Quiet {
    /// For a private line.
    pub(super) fn private() -> Self {
        Self { private: true, ..Self::default() }
    }

    /// Notes that it is open.
    pub(super) fn opened(&mut self, shared: &Shared, notes: &[String]) {
        if self.soon > 0 {
            return; // logged once it is there to stay
        }
        self.back(shared);
        for note in notes {
            warn!(endpoint = shared.name, "{note}");
        }
    }

    /// Notes that it has been open for a while.
    pub(super) fn steady(&mut self, shared: &Shared) {
        if std::mem::take(&mut self.soon) > 0 {
            self.back(shared);
        }
    }

    fn back(&mut self, shared: &Shared) {
        if let Some((_, since)) = self.last.take() {
            info!(endpoint = shared.name, after = readable(since.elapsed()), "device is back");
        } else {
            info!(endpoint = shared.name, "device open");
        }
    }

    /// Notes that it ended after this long; returns the pause before it is opened again.
    pub(super) fn pause(&mut self, lived: Duration) -> Duration {
        let soon = if lived < STEADY { self.soon } else { 0 };
        self.soon = soon.saturating_add(u32::from(lived < STEADY));
        REOPEN_AFTER_FAILURE.saturating_mul(1 << soon.min(16)).min(PAUSE_MOST)
    }

    /// Notes that it went, or is not there.
    pub(super) fn failed(&mut self, shared: &Shared, why: &OpenError, gone: Gone) {
        shared.output.set_down(Some(gone));
        shared.set_state(LineState::Down(why.clone()));
        let text = why.to_string();
        match &mut self.last {
            _ if self.private => {}
            Some((last, _)) if *last == text => {}
            Some((last, _)) => {
                info!(endpoint = shared.name, reason = text, "device still not there");
                *last = text;
            }
            None => {
                warn!(
                    endpoint = shared.name,
                    reason = text,
                    "device not there; trying again until it is"
                );
                self.last = Some((text, Instant::now()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_of_a_device_that_ends_as_soon_as_it_is_open_grow_until_it_stays() {
        let mut quiet = Quiet::default();
        let soon = Duration::from_millis(3);
        let pauses: Vec<_> = (0..8).map(|_| quiet.pause(soon).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(quiet.pause(STEADY), REOPEN_AFTER_FAILURE);
        assert_eq!(quiet.pause(soon), REOPEN_AFTER_FAILURE);
    }
}
