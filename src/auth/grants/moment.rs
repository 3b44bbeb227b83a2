//! The time as lending access needs it: the wall's, by which people agree on an end, and one that
//! nobody can set back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// How far the wall clock may be set back unnoticed, in seconds: what keeps clocks right does so in
/// small steps.
const SLACK: i64 = 5;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Seconds since 1970.
    pub wall: i64,
    /// How much of the next one has passed.
    pub part: Duration,
    pub steady: Instant,
}

impl Moment {
    /// This one.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let part = Duration::from_nanos(since.subsec_nanos().into());
        Self { wall, part, steady: Instant::now() }
    }

    /// By how many seconds the wall clock was set since an earlier moment.
    pub(crate) fn step_since(self, earlier: Self) -> i64 {
        let ticked = self.steady.saturating_duration_since(earlier.steady).as_secs();
        self.wall - earlier.wall - i64::try_from(ticked).unwrap_or(0)
    }
}

/// The latest time that the wall clock is known to have shown.
#[derive(Debug, Default)]
pub(super) struct Latest(i64);

impl Latest {
    /// It has shown this.
    pub(super) fn see(&mut self, wall: i64) {
        self.0 = self.0.max(wall);
    }

    /// From now on this counts, even if it was later before.
    pub(super) fn accept(&mut self, wall: i64) {
        self.0 = wall;
    }

    /// By how many seconds the clock has been set back; `None`: it has not.
    pub(super) fn set_back(&self, wall: i64) -> Option<i64> {
        Some(self.0 - wall).filter(|back| *back > SLACK)
    }
}

/// When an end by the wall clock comes at the latest, whatever becomes of that clock.
pub(super) fn deadline(until: i64, now: Moment) -> Instant {
    let left = Duration::from_secs(u64::try_from(until - now.wall).unwrap_or(0));
    // A grant lasts for days at most.
    now.steady.checked_add(left.saturating_sub(now.part)).unwrap_or(now.steady)
}
