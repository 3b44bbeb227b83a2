//! The key switch in force: followed, told, and heard by the warden.

use std::sync::{Arc, Weak};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, KeySwitch},
    event::Event,
    http::Bridge,
    switch::{Position, follow, look},
};

/// The switch that is followed.
#[derive(Debug, Default)]
pub(super) struct Key {
    rules: Option<KeySwitch>,
    following: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Key {
    /// Follows the switch of that configuration from now on. Where it stands is known when this
    /// returns.
    pub(super) async fn apply(&mut self, config: &Config, bridge: &Arc<Bridge>) {
        if self.rules == config.switch {
            return;
        }
        // Only one may have the line.
        if let Some((stop, following)) = self.following.take() {
            stop.cancel();
            // It ends here, or has ended with an error of its own.
            following.await.ok();
        }
        self.rules.clone_from(&config.switch);
        let Some(rules) = config.switch.clone() else {
            return turn(bridge, None);
        };
        turn(bridge, Some(&look(&rules).await));
        let (stop, weak) = (bridge.stop.child_token(), Arc::downgrade(bridge));
        let ends = stop.clone();
        let following = bridge.tasks.spawn(async move {
            let follows = follow(&rules, |position| turned(&weak, &position));
            ends.run_until_cancelled(follows).await;
        });
        self.following = Some((stop, following));
    }
}

fn turned(bridge: &Weak<Bridge>, position: &Position) {
    if let Some(bridge) = bridge.upgrade() {
        turn(&bridge, Some(position));
    }
}

/// Notes where the switch stands, and has all sessions follow.
fn turn(bridge: &Bridge, position: Option<&Position>) {
    let changed = bridge.switch.send_if_modified(|now| {
        let changed = now.as_ref() != position;
        *now = position.cloned();
        changed
    });
    if !changed {
        return;
    }
    bridge.metrics.switch(position.map(|position| position.on));
    if let Some(Position { on, why }) = position {
        bridge.events.tell(Event::Switch { on: *on, why });
    }
    bridge.look_at_sessions();
}
