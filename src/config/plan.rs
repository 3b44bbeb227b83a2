//! What a reload does: compares two configurations and decides everything that follows. The owners
//! of listeners, lines, simulated devices and sessions each carry out a part of it, without
//! comparing anything again.

mod doors;
mod reopening;

use std::collections::BTreeMap;

pub(crate) use self::doors::{DoorAction, PlannedDoor};
use self::{doors::doors, reopening::reopening};
use super::{Address, Config, Endpoint, Listen, Target};
use crate::wire::close::Ended;

/// What becomes of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointAction {
    /// Only the new configuration has it.
    Add,
    /// It is as it was.
    Keep,
    /// Its settings or rules changed in a way that running sessions survive.
    Retune,
    /// It is connected again: its sessions end, and may come back.
    Reopen(Reopening),
    /// Only the old configuration has it: its sessions end for good.
    Remove,
}

/// Why an endpoint is connected again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reopening {
    /// It reaches something else, or in another way.
    Target,
    /// It is shared in another way, or is open at other times.
    Sharing,
    /// Its tape has another size.
    History,
    /// What it reaches did not run, and is tried again.
    NotRunning,
}

/// What becomes of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenerAction {
    /// It is as it was.
    Keep,
    /// Nothing listens there yet.
    Bind,
    /// A listener at this address runs under other rules, and hands over its socket.
    Rebind,
    /// A listener on this port at other addresses is leaving: the two overlap for a moment.
    Beside,
    /// Only the old configuration has it.
    Remove,
}

/// What becomes of the simulated device behind an endpoint of the new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SimAction {
    /// The running one goes on.
    Keep,
    /// Another one starts.
    Start,
}

/// What a reload does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Every endpoint of both configurations.
    pub endpoints: BTreeMap<String, EndpointAction>,
    /// Every listener of both configurations. One whose rules change is there twice.
    pub listeners: Vec<(Listen, ListenerAction)>,
    /// Every door of both configurations.
    pub doors: Vec<PlannedDoor>,
    /// Simulated devices by endpoint; any that is not here ends.
    pub sims: BTreeMap<String, SimAction>,
    /// Users whose password has changed: they are signed out.
    pub users: Vec<String>,
    /// Tokens whose text has changed.
    pub tokens: Vec<String>,
    /// Who may do what has changed: running sessions have to be checked again.
    pub access: bool,
    /// Origins, hosts, proxies or limits have changed: the new ones apply to new connections.
    pub walls: bool,
}

impl Plan {
    /// What starting with a configuration does.
    pub(crate) fn start(new: &Config) -> Self {
        let sims = new.endpoints.iter().filter(|(_, endpoint)| is_simulated(endpoint));
        Self {
            endpoints: new.endpoints.keys().map(|it| (it.clone(), EndpointAction::Add)).collect(),
            listeners: new.listen.iter().map(|it| (it.clone(), ListenerAction::Bind)).collect(),
            doors: doors(&BTreeMap::new(), &new.endpoints),
            sims: sims.map(|(name, _)| (name.clone(), SimAction::Start)).collect(),
            ..Self::default()
        }
    }

    /// What going from one configuration to another does; `fails` says whether what an endpoint
    /// reaches is not running and could be tried again.
    pub(crate) fn between(old: &Config, new: &Config, fails: impl Fn(&str) -> bool) -> Self {
        let mut plan = Self {
            access: old.access != new.access,
            walls: walls_differ(old, new),
            listeners: listeners(&old.listen, &new.listen),
            doors: doors(&old.endpoints, &new.endpoints),
            ..Self::default()
        };
        for (name, endpoint) in &new.endpoints {
            let before = old.endpoints.get(name);
            let action = match before.map(|before| (before, reopening(before, endpoint))) {
                None => EndpointAction::Add,
                Some((_, Some(why))) => EndpointAction::Reopen(why),
                Some(_) if fails(name) => EndpointAction::Reopen(Reopening::NotRunning),
                Some((before, None)) if before == endpoint => EndpointAction::Keep,
                Some((_, None)) => EndpointAction::Retune,
            };
            if is_simulated(endpoint) {
                let same = before.is_some_and(|before| before.target == endpoint.target);
                let sim = if same && !fails(name) { SimAction::Keep } else { SimAction::Start };
                plan.sims.insert(name.clone(), sim);
            }
            plan.endpoints.insert(name.clone(), action);
        }
        for name in old.endpoints.keys().filter(|name| !new.endpoints.contains_key(*name)) {
            plan.endpoints.insert(name.clone(), EndpointAction::Remove);
        }
        let users = new.access.users.iter().filter(|(name, user)| {
            old.access.users.get(*name).is_some_and(|before| before.password != user.password)
        });
        plan.users = users.map(|(name, _)| name.clone()).collect();
        let tokens = new.access.tokens.iter().filter(|(name, token)| {
            old.access.tokens.get(*name).is_some_and(|before| before.sha256 != token.sha256)
        });
        plan.tokens = tokens.map(|(name, _)| name.clone()).collect();
        plan
    }

    /// How a session on an endpoint ends, if it does, depending on whether its principal is
    /// `signed_out`.
    pub(crate) fn ending(&self, endpoint: &str, signed_out: bool) -> Option<Ended> {
        match self.endpoints.get(endpoint) {
            Some(EndpointAction::Remove) => Some(Ended::Removed),
            _ if signed_out => Some(Ended::NotAuthenticated),
            Some(EndpointAction::Reopen(_)) => Some(Ended::Restarting),
            Some(EndpointAction::Add | EndpointAction::Keep | EndpointAction::Retune) | None => {
                None
            }
        }
    }

    /// The endpoints whose action fits.
    pub(crate) fn named(&self, fits: impl Fn(EndpointAction) -> bool) -> Vec<&str> {
        let found = self.endpoints.iter().filter(|(_, action)| fits(**action));
        found.map(|(name, _)| name.as_str()).collect()
    }

    /// Whether a listener goes on as it is.
    pub(crate) fn keeps(&self, listen: &Listen) -> bool {
        self.listeners.contains(&(listen.clone(), ListenerAction::Keep))
    }

    /// Whether some listener changes.
    pub(crate) fn moves_listeners(&self) -> bool {
        self.listeners.iter().any(|(_, action)| *action != ListenerAction::Keep)
    }

    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        let kept = self.endpoints.values().all(|action| *action == EndpointAction::Keep);
        kept && !self.moves_listeners() && !self.access && !self.walls
    }
}

fn is_simulated(endpoint: &Endpoint) -> bool {
    matches!(endpoint.target, Target::Sim(_))
}

/// Whether anything differs that new connections have to pass.
fn walls_differ(old: &Config, new: &Config) -> bool {
    old.origins != new.origins
        || old.public != new.public
        || old.frame_ancestors != new.frame_ancestors
        || old.hosts != new.hosts
        || old.trusted_proxies != new.trusted_proxies
        || old.limits != new.limits
        || old.audit != new.audit
        || old.switch != new.switch
        || old.admin != new.admin
        || old.login != new.login
        || old.lending != new.lending
        || old.mdns != new.mdns
        || old.hsts != new.hsts
        || old.apps != new.apps
}

/// What becomes of each listener: first those of the new configuration in its order, then those
/// that go.
fn listeners(old: &[Listen], new: &[Listen]) -> Vec<(Listen, ListenerAction)> {
    let leaving: Vec<_> = old.iter().filter(|listen| !new.contains(listen)).collect();
    let action = |listen: &Listen| {
        if old.contains(listen) {
            ListenerAction::Keep
        } else if leaving.iter().any(|other| other.address == listen.address) {
            ListenerAction::Rebind
        } else if leaving.iter().any(|other| same_port(&other.address, &listen.address)) {
            ListenerAction::Beside
        } else {
            ListenerAction::Bind
        }
    };
    let stay = new.iter().map(|listen| (listen.clone(), action(listen)));
    let go = leaving.iter().map(|listen| ((*listen).clone(), ListenerAction::Remove));
    stay.chain(go).collect()
}

/// Whether two addresses have one port, so that they may get in each other's way.
pub(crate) fn same_port(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) => one.port() == other.port() && one.port() != 0,
        (Address::Tcp(_) | Address::Unix(_) | Address::Systemd(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoints: &str, rest: &str) -> Config {
        let text = format!("{rest}\nendpoints: {{ {endpoints} }}\n");
        let text = if rest.contains("users:") { text } else { format!("auth: none\n{text}") };
        crate::config::parse(&text, "test", &|_| Err("no secrets here".into())).unwrap().0
    }

    fn between(old: &Config, new: &Config) -> Plan {
        Plan::between(old, new, |_| false)
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let same = config("a: { sim: echo }", "");
        let plan = between(&same, &same.clone());
        assert!(plan.is_empty());
        assert_eq!(plan.endpoints["a"], EndpointAction::Keep);
        assert_eq!(plan.sims["a"], SimAction::Keep);
        assert!(same.listen.iter().all(|listen| plan.keeps(listen)));
        // What could not be started is tried again, although the file says the same.
        let plan = Plan::between(&same, &same, |name| name == "a");
        assert_eq!(plan.endpoints["a"], EndpointAction::Reopen(Reopening::NotRunning));
        assert_eq!(plan.sims["a"], SimAction::Start);
    }

    #[test]
    fn a_start_adds_everything() {
        let plan = Plan::start(&config("a: { sim: echo }, b: { tcp: { address: 'h:1' } }", ""));
        assert_eq!(plan.named(|action| action == EndpointAction::Add), ["a", "b"]);
        assert_eq!(plan.sims.into_iter().collect::<Vec<_>>(), [("a".into(), SimAction::Start)]);
        assert!(plan.listeners.iter().all(|(_, action)| *action == ListenerAction::Bind));
    }

    #[test]
    fn what_becomes_of_an_endpoint() {
        use EndpointAction::{Add, Keep, Remove, Reopen, Retune};
        use Reopening::{History, Sharing, Target};
        let serial = "a: { serial: { port: /dev/ttyS1 } }";
        let tcp = "a: { tcp: { address: 'h:1' } }";
        for (old, new, action) in [
            ("", serial, Add),
            (serial, "", Remove),
            (serial, serial, Keep),
            (tcp, "a: { tcp: { address: 'h:1', connect_timeout: 1s } }", Retune),
            (tcp, "a: { tcp: { address: 'h:1', tls: {} } }", Reopen(Target)),
            (tcp, "a: { tcp: { address: 'h:2' } }", Reopen(Target)),
            (tcp, "a: { rfc2217: { address: 'h:1' } }", Reopen(Target)),
            (tcp, "a: { tcp: { address: 'h:1' }, share: everyone }", Reopen(Sharing)),
            (serial, "a: { title: x, serial: { port: /dev/ttyS1, flow: rtscts } }", Retune),
            (serial, "a: { limits: { idle: 5m }, serial: { port: /dev/ttyS1 } }", Retune),
            (
                serial,
                "a: { serial: { port: /dev/ttyS1, macros: { m: [ { dtr: true } ] } } }",
                Retune,
            ),
            (
                serial,
                "a: { packing: { idle_ms: 4 }, pacing: { byte_delay: 1ms }, serial: { port: /dev/ttyS1 } }",
                Retune,
            ),
            (serial, "a: { lease_idle: 5m, serial: { port: /dev/ttyS1 } }", Retune),
            (
                serial,
                "a: { serial: { port: /dev/ttyS1, signals: { on_open: { dtr: false } } } }",
                Retune,
            ),
            (serial, "a: { share: everyone, serial: { port: /dev/ttyS1 } }", Reopen(Sharing)),
            (serial, "a: { open: on-demand, serial: { port: /dev/ttyS1 } }", Reopen(Sharing)),
            (serial, "a: { history: 8KiB, serial: { port: /dev/ttyS1 } }", Reopen(History)),
            (serial, "a: { serial: { port: /dev/ttyS1, rs485: {} } }", Reopen(Target)),
            (serial, "a: { serial: { port: /dev/ttyS2 } }", Reopen(Target)),
            (serial, tcp, Reopen(Target)),
            ("a: { sim: echo }", "a: { sim: modem }", Reopen(Target)),
        ] {
            let plan = between(&config(old, ""), &config(new, ""));
            assert_eq!(plan.endpoints["a"], action, "{old} to {new}");
            let ended = match action {
                Add | Keep | Retune => None,
                Reopen(_) => Some(Ended::Restarting),
                Remove => Some(Ended::Removed),
            };
            assert_eq!(plan.ending("a", false), ended, "{old} to {new}");
            assert_eq!(plan.is_empty(), action == Keep, "{old} to {new}");
        }
    }

    #[test]
    fn a_simulated_device_lives_as_long_as_it_is_the_same_one() {
        let old = config("a: { sim: echo }, b: { sim: echo }, c: { sim: echo }", "");
        let new = config("a: { sim: echo, share: everyone }, b: { sim: modem }", "");
        let plan = between(&old, &new);
        // Its line opens it again.
        assert_eq!(plan.endpoints["a"], EndpointAction::Reopen(Reopening::Sharing));
        let sims: Vec<_> =
            plan.sims.iter().map(|(name, action)| (name.as_str(), *action)).collect();
        assert_eq!(sims, [("a", SimAction::Keep), ("b", SimAction::Start)]);
    }

    #[test]
    fn what_becomes_of_a_listener() {
        use ListenerAction::{Beside, Bind, Keep, Rebind, Remove};
        let http = "{ address: '127.0.0.1:1', tls: none }";
        let unix = "{ address: 'unix:/run/w' }";
        for (old, new, actions) in [
            (http, http, vec![Keep]),
            (unix, http, vec![Bind, Remove]),
            (http, "{ address: '127.0.0.1:1' }", vec![Rebind, Remove]),
            (http, "{ address: '[::1]:1' }", vec![Beside, Remove]),
            (http, "{ address: '127.0.0.1:2' }", vec![Bind, Remove]),
            (
                http,
                "{ address: '127.0.0.1:1', tls: none }, { address: 'unix:/run/w' }",
                vec![Keep, Bind],
            ),
            // The system chooses another port each time.
            ("{ address: '127.0.0.1:0' }", "{ address: '[::1]:0' }", vec![Bind, Remove]),
        ] {
            let listen = |list: &str| config("", &format!("listen: [ {list} ]"));
            let plan = between(&listen(old), &listen(new));
            let found: Vec<_> = plan.listeners.iter().map(|(_, action)| *action).collect();
            assert_eq!(found, actions, "{old} to {new}");
            assert_eq!(plan.moves_listeners(), actions != [Keep], "{old} to {new}");
        }
    }

    #[test]
    fn whoever_has_another_secret_is_signed_out_unless_the_endpoint_goes() {
        let token = |sum: &str, rest: &str| {
            config(
                rest,
                &format!(
                    "tokens: {{ t: {{ sha256: '{}', rights: {{ '*': [ read ] }} }} }} #users:",
                    sum.repeat(32)
                ),
            )
        };
        let (a, b) = ("a: { sim: echo }", "a: { sim: echo }, b: { sim: echo }");
        let plan = between(&token("1f", b), &token("2e", a));
        assert!(plan.users.is_empty() && plan.access && !plan.walls);
        assert_eq!(plan.tokens, ["t"]);
        assert_eq!(plan.ending("a", true), Some(Ended::NotAuthenticated));
        assert_eq!(plan.ending("b", true), Some(Ended::Removed));
        // On the bus there is no endpoint.
        assert_eq!(plan.ending("", true), Some(Ended::NotAuthenticated));
        assert_eq!(plan.ending("", false), None);
        assert!(between(&token("1f", a), &token("1f", a)).tokens.is_empty());
    }
}
