//! What a reload changes: two configurations compared.

use super::{Config, Endpoint, Listen, SerialTarget, Target};

/// What a reload changes. Every endpoint of both configurations is in exactly one list, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Endpoints only the new one has.
    pub added: Vec<String>,
    /// Endpoints only the old one has: their sessions end with 4404.
    pub removed: Vec<String>,
    /// Endpoints that reach something else or in another way: to be connected anew.
    pub changed: Vec<String>,
    /// Endpoints whose settings or rules changed in a way that running sessions live through.
    pub retuned: Vec<String>,
    /// Endpoints as they were.
    pub kept: Vec<String>,
    /// Listeners only the new one has.
    pub listeners_added: Vec<Listen>,
    /// Listeners only the old one has. One whose protection changed is in both lists.
    pub listeners_removed: Vec<Listen>,
    /// Listeners as they were.
    pub listeners_kept: Vec<Listen>,
    /// Who may do what has changed: running sessions are to be asked again.
    pub access: bool,
    /// Origins, hosts, proxies or limits have changed: they hold for new connections.
    pub walls: bool,
}

impl Plan {
    /// Compares two configurations.
    pub(crate) fn between(old: &Config, new: &Config) -> Self {
        let mut plan = Self {
            access: old.access != new.access,
            walls: old.origins != new.origins
                || old.public != new.public
                || old.frame_ancestors != new.frame_ancestors
                || old.hosts != new.hosts
                || old.trusted_proxies != new.trusted_proxies
                || old.limits != new.limits
                || old.login != new.login
                || old.mdns != new.mdns
                || old.hsts != new.hsts
                || old.apps != new.apps,
            ..Self::default()
        };
        for (name, endpoint) in &new.endpoints {
            let list = match old.endpoints.get(name) {
                None => &mut plan.added,
                Some(before) if before == endpoint => &mut plan.kept,
                Some(before) if same_place(before, endpoint) => &mut plan.retuned,
                Some(_) => &mut plan.changed,
            };
            list.push(name.clone());
        }
        plan.removed = old
            .endpoints
            .keys()
            .filter(|name| !new.endpoints.contains_key(*name))
            .cloned()
            .collect();
        for listen in &new.listen {
            let kept = old.listen.contains(listen);
            let list = if kept { &mut plan.listeners_kept } else { &mut plan.listeners_added };
            list.push(listen.clone());
        }
        plan.listeners_removed =
            old.listen.iter().filter(|listen| !new.listen.contains(listen)).cloned().collect();
        plan
    }

    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { added, removed, changed, retuned, kept: _, .. } = self;
        let endpoints =
            added.is_empty() && removed.is_empty() && changed.is_empty() && retuned.is_empty();
        let listeners = self.listeners_added.is_empty() && self.listeners_removed.is_empty();
        endpoints && listeners && !self.access && !self.walls
    }
}

/// Whether sessions of one can go on with the other: the same device, reached and shared the same
/// way.
pub(crate) fn same_place(old: &Endpoint, new: &Endpoint) -> bool {
    let target = match (&old.target, &new.target) {
        // Time-outs hold for the connections to come.
        (Target::Tcp(old), Target::Tcp(new)) => old.address == new.address && old.tls == new.tls,
        (Target::Serial(old), Target::Serial(new)) => same_port(old, new),
        (Target::Rfc2217(old), Target::Rfc2217(new)) => {
            old.tcp.address == new.tcp.address && old.control == new.control
        }
        (Target::Udp(old), Target::Udp(new)) => old == new,
        (Target::Sim(old), Target::Sim(new)) => old == new,
        (
            Target::Tcp(_)
            | Target::Serial(_)
            | Target::Rfc2217(_)
            | Target::Udp(_)
            | Target::Sim(_),
            _,
        ) => false,
    };
    target && old.share == new.share && old.open == new.open && old.history == new.history
}

/// Whether the device can stay open: line settings are set on it, the rest belongs to opening it.
fn same_port(old: &SerialTarget, new: &SerialTarget) -> bool {
    let SerialTarget {
        port,
        settings: _,
        rs485,
        on_open: _,
        on_release: _,
        low_latency,
        allow_console,
    } = old;
    *port == new.port
        && *rs485 == new.rs485
        && *low_latency == new.low_latency
        // Withdrawn permission closes the console.
        && (new.allow_console || !*allow_console)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoints: &str, rest: &str) -> Config {
        let text = format!("auth: none\n{rest}\nendpoints: {{ {endpoints} }}\n");
        crate::config::parse(&text, "test", &|_| Err("no secrets here".into())).unwrap().0
    }

    fn names(list: &[String]) -> Vec<&str> {
        list.iter().map(String::as_str).collect()
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let same = config("a: { sim: echo }", "");
        let plan = Plan::between(&same, &same.clone());
        assert!(plan.is_empty());
        assert_eq!(names(&plan.kept), ["a"]);
        assert_eq!(plan.listeners_kept, same.listen);
    }

    #[test]
    fn every_endpoint_is_in_exactly_one_list() {
        let old = config(
            "a: { sim: echo }, b: { serial: { port: /dev/ttyS1, baud: 300 } }, c: { tcp: { address: 'h:1' } }, d: { sim: modem }",
            "",
        );
        let new = config(
            "a: { sim: echo }, b: { serial: { port: /dev/ttyS1, baud: 1200 } }, c: { tcp: { address: 'h:2' } }, e: { sim: modem }",
            "",
        );
        let plan = Plan::between(&old, &new);
        assert_eq!(names(&plan.kept), ["a"]);
        assert_eq!(names(&plan.retuned), ["b"]);
        assert_eq!(names(&plan.changed), ["c"]);
        assert_eq!(names(&plan.removed), ["d"]);
        assert_eq!(names(&plan.added), ["e"]);
        assert!(!plan.access && !plan.walls && !plan.is_empty());
    }

    #[test]
    fn rules_retune_and_another_device_reconnects() {
        let base = "a: { serial: { port: /dev/ttyS1 } }";
        for (other, retuned) in [
            ("a: { title: x, serial: { port: /dev/ttyS1, flow: rtscts } }", true),
            (
                "a: { limits: { idle: 5m }, serial: { port: /dev/ttyS1, macros: { m: [ { dtr: true } ] } } }",
                true,
            ),
            (
                "a: { packing: { idle_ms: 4 }, pacing: { byte_delay: 1ms }, serial: { port: /dev/ttyS1 } }",
                true,
            ),
            ("a: { lease_idle: 5m, serial: { port: /dev/ttyS1 } }", true),
            ("a: { share: everyone, serial: { port: /dev/ttyS1 } }", false),
            ("a: { serial: { port: /dev/ttyS1, signals: { on_open: { dtr: false } } } }", true),
            ("a: { serial: { port: /dev/ttyS1, rs485: {} } }", false),
            ("a: { serial: { port: /dev/ttyS2 } }", false),
            ("a: { open: on-demand, serial: { port: /dev/ttyS1 } }", false),
            ("a: { tcp: { address: 'h:1' } }", false),
        ] {
            let plan = Plan::between(&config(base, ""), &config(other, ""));
            assert_eq!(
                (plan.retuned.len(), plan.changed.len()),
                if retuned { (1, 0) } else { (0, 1) },
                "{other}"
            );
        }
    }

    #[test]
    fn a_listener_with_other_protection_is_a_new_listener() {
        let old = config(
            "",
            "listen: [ { address: '127.0.0.1:1', tls: none }, { address: 'unix:/run/w' } ]",
        );
        let new = config(
            "",
            "listen: [ { address: '127.0.0.1:1' }, { address: 'unix:/run/w' } ]\nhosts: [ a ]",
        );
        let plan = Plan::between(&old, &new);
        assert_eq!(plan.listeners_added, new.listen[..1]);
        assert_eq!(plan.listeners_removed, old.listen[..1]);
        assert_eq!(plan.listeners_kept, old.listen[1..]);
        assert!(plan.walls && !plan.access);
    }
}
