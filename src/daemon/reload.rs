//! A new configuration, applied whole or not at all.

use std::{collections::BTreeSet, sync::Arc};

use super::{Again, Daemon};
use crate::{
    auth::{PrincipalId, PrincipalKind},
    config::{Config, EndpointAction, Plan, Rights},
    event::Event,
    systemd,
};

impl Daemon {
    /// Reads the configuration again and applies it; if anything is wrong with it, everything stays
    /// as it was.
    pub(super) async fn reload(&mut self, again: Option<&Again>) {
        let Some(again) = again else {
            tracing::warn!("this gateway runs without a file; there is nothing to read again");
            return;
        };
        systemd::reloading();
        let read = jiff::Timestamp::now();
        let outcome = match again() {
            Ok(config) => self.apply(Arc::new(config)).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(said) => {
                self.read = read;
                self.bridge
                    .events
                    .tell(Event::Reload { outcome: Ok(&said), config: &self.written });
                systemd::ready(&self.status());
            }
            Err(error) => {
                self.bridge
                    .events
                    .tell(Event::Reload { outcome: Err(&error), config: &self.written });
                systemd::ready(&format!("{}; the last reload failed: {error}", self.status()));
            }
        }
    }

    async fn apply(&mut self, new: Arc<Config>) -> Result<String, String> {
        let plan = Plan::between(&self.written, &new, |name| self.sims.has_failed(name));
        // Everything that can fail comes first.
        let fresh = self.listeners.bind(&plan, &new).map_err(|error| error.to_string())?;
        if let Some(why) = fresh.nobody().filter(|_| !self.listeners.serves(&plan)) {
            return Err(format!("{why}, and no listener would be left"));
        }

        let doors = self.doors.bind(&plan, &new, true).map_err(|error| error.to_string())?;
        if self.written.audit != new.audit {
            let audit = super::record::open(&new, &self.bridge.events)
                .map_err(|error| error.to_string())?;
            self.bridge.events.record(audit);
        }

        let admin = if self.written.admin == new.admin {
            None
        } else {
            Some(self.admin.bind(&new).map_err(|error| error.to_string())?)
        };

        self.written = Arc::clone(&new);
        let real = Arc::new(self.sims.apply(&plan, &new).await);
        self.current.send_replace(Arc::clone(&real));
        self.key.apply(&real, &self.bridge).await;
        // A session that has lost its right ends by itself; the endings decided here are these.
        let signed_out = signed_out(&plan);
        self.bridge
            .sessions
            .end(|entry| plan.ending(&entry.endpoint, signed_out.contains(&entry.principal)));
        self.bridge.parking.revoke(|who, endpoint| {
            let ended = plan.ending(endpoint, signed_out.contains(who)).is_some();
            let still = self.bridge.auth.find(&new, who).filter(|_| !ended);
            still.map_or(Rights::NONE, |principal| principal.rights.on(endpoint))
        });
        self.bridge.lines.apply(&plan, &real);
        self.bridge.metrics.retain(|name| real.endpoints.contains_key(name));
        self.listeners.retire(&plan);
        self.listeners.run(fresh, &self.bridge);
        self.doors.retire(&plan);
        self.doors.run(doors, &self.bridge);
        if let Some(admin) = admin {
            self.admin.run(admin, &self.bridge);
        }
        super::open_hub(&self.bridge, &real);
        self.announce();
        self.remark();
        Ok(told(&plan))
    }
}

/// Those who signed in with a password or token that has changed since.
fn signed_out(plan: &Plan) -> BTreeSet<PrincipalId> {
    let users = plan.users.iter().map(|name| PrincipalId::new(PrincipalKind::User, name));
    let tokens = plan.tokens.iter().map(|name| PrincipalId::new(PrincipalKind::Token, name));
    users.chain(tokens).collect()
}

/// What a reload did, in a few words.
fn told(plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing has changed".to_owned();
    }
    let mut words = Vec::new();
    for (what, names) in [
        ("added", plan.named(|action| action == EndpointAction::Add)),
        ("removed", plan.named(|action| action == EndpointAction::Remove)),
        ("changed", plan.named(|action| matches!(action, EndpointAction::Reopen(_)))),
        ("retuned", plan.named(|action| action == EndpointAction::Retune)),
    ] {
        if !names.is_empty() {
            words.push(format!("{what} {}", names.join(", ")));
        }
    }
    if plan.moves_listeners() {
        words.push("listeners changed".to_owned());
    }
    if plan.access {
        words.push("access changed".to_owned());
    }
    if plan.walls {
        words.push(
            "origins, hosts, limits, apps, audit, switch, admin, mdns or hsts changed".to_owned(),
        );
    }
    words.join("; ")
}
