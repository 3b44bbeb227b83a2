//! What waits for the disk, on threads of its own, so that no session waits with it.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::Bridge;
use crate::{
    auth::{EndOfGrant, Moment},
    event::{Event, GrantDeed, LendingEvent},
    wire::close::Refusal,
};

/// Runs what waits for the disk on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| Refusal::NotKept(format!("this may not have happened: {error}")))
}

/// Notes what is over, on a thread of its own, and tells it.
pub(super) fn sweep(bridge: &Arc<Bridge>) {
    if bridge.auth.grants.is_idle(Moment::now()) {
        return;
    }
    let bridge = Arc::clone(bridge);
    let tasks = bridge.tasks.clone();
    tasks.spawn_blocking(move || {
        let (config, now) = (bridge.config(), Moment::now());
        let (mut ended, expired) = bridge.auth.grants.sweep(now);
        if bridge.auth.grants.set_back(now).is_none() {
            ended.extend(bridge.auth.review_grants(&config, now));
        }
        for grant in &ended {
            let why = grant.over.as_ref().map_or(EndOfGrant::GiverLost, |over| over.why);
            let deed = GrantDeed::Over(why);
            bridge.events.tell(Event::Lending(LendingEvent::Grant {
                deed,
                by: None,
                grant,
                client: None,
            }));
        }
        for request in &expired {
            bridge.events.tell(Event::Lending(LendingEvent::Request {
                by: None,
                request,
                client: None,
            }));
        }
    });
}
