//! Sessions on lent access are told before it ends: five minutes and one minute.

use std::{sync::Arc, time::Duration};

use super::Bridge;
use crate::{
    auth::{Moment, own_name},
    session::{Notice, RunningSession},
    span::readable,
};

/// When it is told, before the end; the last first.
const WARNINGS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(300)];

/// Tells a session what is due, and returns when to look again: at the next warning, or at the end.
/// `None`: nothing is lent to it.
pub(super) fn warn(bridge: &Bridge, entry: &RunningSession) -> Option<Duration> {
    let left = bridge.auth.grants.left(&entry.principal, &entry.endpoint, Moment::now())?;
    // Timers are not exact: a warning that comes a moment early is due.
    let due = WARNINGS.iter().position(|before| left <= *before + Duration::from_millis(500));
    if let Some(stage) = due
        && entry.warned_at(stage)
    {
        // What is left, to the nearest second.
        let left = Duration::from_secs((left + Duration::from_millis(500)).as_secs());
        let text = format!("the access that was lent to you ends in {}", readable(left));
        entry.tell(Arc::new(Notice { from: own_name(), text }));
    }
    let next = WARNINGS.iter().rev().filter_map(|before| left.checked_sub(*before));
    Some(next.filter(|wait| *wait > Duration::from_millis(500)).min().unwrap_or(left))
}
