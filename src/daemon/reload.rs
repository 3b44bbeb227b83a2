//! A new configuration, applied whole or not at all.

use std::{collections::BTreeSet, sync::Arc};

use super::{Again, Daemon};
use crate::{
    auth::{PrincipalId, PrincipalKind, find, unix_now},
    config::{Access, Config, Plan, Rights},
    event::Event,
    systemd,
    wire::close::Ended,
};

impl Daemon {
    /// Reads the configuration again and applies it; what is wrong with it leaves everything as it
    /// was.
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
                self.bridge.events.tell(Event::Reload { outcome: Ok(&said) });
                systemd::ready(&self.status());
            }
            Err(error) => {
                self.bridge.events.tell(Event::Reload { outcome: Err(&error) });
                systemd::ready(&format!("{}; the last reload failed: {error}", self.status()));
            }
        }
    }

    async fn apply(&mut self, new: Arc<Config>) -> Result<String, String> {
        let plan = Plan::between(&self.written, &new);
        // All that can fail comes first.
        let fresh = self
            .listeners
            .bind(&new.listen, &new.state_directory)
            .map_err(|error| error.to_string())?;
        if let Some(why) = fresh.nobody().filter(|_| !self.listeners.serves(&new.listen)) {
            return Err(format!("{why}, and no listener would be left"));
        }

        let old = std::mem::replace(&mut self.written, Arc::clone(&new));
        let real = Arc::new(self.sims.realise(&new).await);
        self.current.send_replace(Arc::clone(&real));
        let rotated = rotated(&old.access, &new.access);
        // A session whose right or endpoint has gone ends by itself; these are the ends that are
        // decided here.
        self.bridge.sessions.end(|entry| {
            if plan.removed.contains(&entry.endpoint) {
                Some(Ended::Removed)
            } else if rotated.contains(&entry.principal) {
                Some(Ended::NotAuthenticated)
            } else {
                plan.changed.contains(&entry.endpoint).then_some(Ended::Restarting)
            }
        });
        let now = unix_now();
        self.bridge.parking.revoke(|who, endpoint| {
            let ended = plan.removed.iter().chain(&plan.changed).any(|gone| gone == endpoint);
            let still = find(&new.access, who, now).filter(|_| !ended && !rotated.contains(who));
            still.map_or(Rights::NONE, |principal| principal.rights.on(endpoint))
        });
        self.bridge.lines.apply(&real);
        self.bridge.metrics.retain(|name| real.endpoints.contains_key(name));
        self.listeners.retire(&new.listen);
        self.listeners.run(fresh, &self.bridge);
        self.announce();
        Ok(told(&plan))
    }
}

/// Those whose password or token is another one now: whoever signed in with the old one is signed
/// out.
fn rotated(old: &Access, new: &Access) -> BTreeSet<PrincipalId> {
    let users = new.users.iter().filter(|(name, user)| {
        old.users.get(*name).is_some_and(|before| before.password != user.password)
    });
    let tokens = new.tokens.iter().filter(|(name, token)| {
        old.tokens.get(*name).is_some_and(|before| before.sha256 != token.sha256)
    });
    let users = users.map(|(name, _)| PrincipalId::new(PrincipalKind::User, name));
    users.chain(tokens.map(|(name, _)| PrincipalId::new(PrincipalKind::Token, name))).collect()
}

/// What a reload did, in a few words.
fn told(plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing has changed".to_owned();
    }
    let mut words = Vec::new();
    for (what, names) in [
        ("added", &plan.added),
        ("removed", &plan.removed),
        ("changed", &plan.changed),
        ("retuned", &plan.retuned),
    ] {
        if !names.is_empty() {
            words.push(format!("{what} {}", names.join(", ")));
        }
    }
    if !plan.listeners_added.is_empty() || !plan.listeners_removed.is_empty() {
        words.push("listeners changed".to_owned());
    }
    if plan.access {
        words.push("access changed".to_owned());
    }
    if plan.walls {
        words.push("origins, hosts, limits, apps, mdns or hsts changed".to_owned());
    }
    words.join("; ")
}
