//! A device that connects to us: its part of the configuration.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    Address, Heartbeat, Listen,
    cursor::{Keys, Placed},
    kept::Kept,
    node::At,
    proxies::Network,
    words::SocketAddress,
};
use crate::{settings::UsbId, wire::registration::Registration};

/// A device that connects to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialInTarget {
    /// Where we wait for it.
    pub listen: SocketAddr,
    /// Networks it may come from, as (network, prefix length); none listed means this machine.
    pub from: Vec<(IpAddr, u8)>,
    /// What it says first, without which it is not let in.
    pub registration: Option<Registration>,
    /// Whether that is data as well.
    pub keep_registration: bool,
    /// Bytes that keep the connection open.
    pub heartbeat: Heartbeat,
    /// Idle time before keepalive probes.
    pub keepalive: Option<Duration>,
    /// Time without any acknowledgement after which it counts as gone.
    pub dead_after: Duration,
    /// The kernel's own limit for unacknowledged data.
    pub user_timeout: Option<Duration>,
    /// USB ids of the device behind it.
    pub usb: Option<UsbId>,
}

impl DialInTarget {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    /// Who may be the device, in words.
    pub fn open_to(&self) -> String {
        let networks: Vec<_> =
            self.from.iter().map(|(network, length)| format!("{network}/{length}")).collect();
        let from = if networks.is_empty() { "this machine".to_owned() } else { networks.join(" ") };
        match &self.registration {
            Some(_) => format!("whoever registers from {from}"),
            None => format!("whoever connects from {from}"),
        }
    }
}

/// The keys that only a device that connects to us has.
pub(super) struct OwnKeys {
    listen: Option<Placed<SocketAddress>>,
    from: Vec<(IpAddr, u8)>,
    registration: Option<Registration>,
    keep_registration: bool,
}

/// Reads them.
pub(super) fn keys(k: &mut Keys<'_>) -> OwnKeys {
    let listen = k
        .key(
            "listen",
            "`IP:PORT` where the device connects to us, in place of `address`: [below](#devices-that-connect-to-us)",
        )
        .without("the gateway connects to the device")
        .uci("listen")
        .maybe::<SocketAddress>();
    let from = k
        .key(
            "from",
            "with `listen`: networks that the device may come from; needed where other machines reach the address",
        )
        .without("this machine alone")
        .uci("from")
        .words::<Network>();
    let registration = k
        .key(
            "registration",
            "with `listen`: what the device says first (a registration packet). Text with the escapes of a `delimiter`, or \
             hex after `0x`; `?` is any one byte, `*` any number of them up to what follows. Nobody else is let in",
        )
        .without("whoever connects is the device")
        .uci("registration")
        .maybe::<Registration>();
    let keep_registration = k
        .key("keep_registration", "whether the registration is passed on as data as well")
        .uci("keep_registration")
        .or(false);
    OwnKeys {
        listen,
        from: from.iter().map(|it| (it.value.0, it.value.1)).collect(),
        registration: registration.map(|it| it.value),
        keep_registration,
    }
}

/// Complains about keys that mean nothing where we connect to the device.
pub(super) fn without_effect(k: &Keys<'_>) {
    for key in ["from", "registration", "keep_registration"] {
        if let Some(at) = k.place(key) {
            k.odd_in(key, at, "has no effect without `listen`");
        }
    }
}

impl OwnKeys {
    /// The target, if it has an address.
    pub(super) fn target(
        self,
        k: &Keys<'_>,
        kept: Kept,
        heartbeat: Heartbeat,
    ) -> Option<DialInTarget> {
        let Self { listen, from, registration, keep_registration } = self;
        let Placed { value: SocketAddress(listen), at } = listen?;
        let Kept { keepalive, dead_after, user_timeout, usb, .. } = kept;
        if let (true, Some(at)) = (registration.is_none(), k.place("keep_registration")) {
            k.odd_in("keep_registration", at, "has no effect without `registration`");
        }
        let target = DialInTarget {
            listen,
            from,
            registration,
            keep_registration,
            heartbeat,
            keepalive,
            dead_after,
            user_timeout,
            usb,
        };
        if !target.is_local() && target.from.is_empty() {
            let what = "other machines reach it; write `from: [ NETWORK ]`, the networks that the device may come from";
            k.wrong_in("listen", at, what);
        }
        Some(target)
    }
}

/// Checks the addresses where devices connect to us, beside the listeners; returns all that are
/// taken.
pub(super) fn check(
    waiting: &[(String, At, SocketAddr)],
    listen: &[Listen],
    k: &Keys<'_>,
) -> BTreeSet<Address> {
    let mut taken: BTreeSet<_> = listen.iter().map(|it| it.address.clone()).collect();
    for (endpoint, at, address) in waiting {
        if address.port() != 0 && !taken.insert(Address::Tcp(*address)) {
            let what = "is taken by a listener or by another endpoint; choose another port";
            k.wrong_in(&format!("endpoints.{endpoint}.tcp.listen"), *at, what);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Share, Target,
        resolve::tests::{good, mistakes},
    };

    fn text(keys: &str) -> String {
        format!("auth: none\nendpoints:\n  e:\n    tcp: {{ {keys} }}\n")
    }

    fn read(keys: &str) -> DialInTarget {
        let (config, warnings) = good(&text(keys));
        assert!(warnings.is_empty(), "{warnings:?}");
        let endpoint = &config.endpoints["e"];
        assert_eq!(endpoint.share, Some(Share::OneWriter), "one device, one line");
        let Target::DialIn(target) = &endpoint.target else { panic!("{endpoint:?}") };
        target.clone()
    }

    #[test]
    fn a_device_that_connects_to_us_has_an_address_of_ours() {
        let target = read("listen: 'localhost:7007'");
        assert_eq!(target.listen, "127.0.0.1:7007".parse().unwrap());
        assert_eq!(target.keepalive, Some(Duration::from_secs(30)));
        assert_eq!(target.open_to(), "whoever connects from this machine");
        let target = read(
            "listen: '0.0.0.0:7007', from: [ 10.64.0.0/16 ], registration: 'PUMP?', keep_registration: true, \
             heartbeat: { every: 1m, send: '\\0', ignore: HB }",
        );
        assert_eq!(target.open_to(), "whoever registers from 10.64.0.0/16");
        assert!(target.keep_registration);
        assert_eq!(target.heartbeat.ours, Some((Duration::from_secs(60), vec![0])));
        assert_eq!(target.heartbeat.theirs, Some(b"HB".to_vec()));
    }

    #[test]
    fn what_is_wrong_is_told_with_a_way_out() {
        for (keys, part) in [
            ("listen: '0.0.0.0:1'", "`from: [ NETWORK ]`"),
            ("listen: '127.0.0.1:1', address: 'h:1'", "keep one of them"),
            ("listen: '127.0.0.1:1', tls: {}", "leave it out"),
            ("keepalive: 1s", "or `listen: IP:PORT`"),
            ("listen: '127.0.0.1:1', registration: 'a*'", "has no end"),
            ("address: 'h:1', heartbeat: { ignore: x }", "goes with `listen`"),
            ("address: 'h:1', heartbeat: { send: '' }", "empty"),
        ] {
            let told = mistakes(&text(keys));
            assert!(told.contains("w.yaml:4:") && told.contains(part), "{keys}\n{told}");
        }
        let open = text("listen: '127.0.0.1:1'") + "    open: on-demand\n";
        assert!(mistakes(&open).contains("connects when it likes"), "{}", mistakes(&open));
        let twice = "auth: none\nendpoints:\n  a: { tcp: { listen: '127.0.0.1:1' } }\n  b: { sim: echo, doors: [ { tcp: '127.0.0.1:1' } ] }\n";
        assert!(mistakes(twice).contains("is taken by"), "{}", mistakes(twice));
    }

    #[test]
    fn what_has_no_effect_is_told() {
        for (keys, part) in [
            ("address: 'h:1', from: [ 10.0.0.0/8 ]", "no effect without `listen`"),
            ("listen: '127.0.0.1:1', keep_registration: true", "without `registration`"),
            ("listen: '127.0.0.1:1', connect_timeout: 1s", "the device connects to us"),
            ("address: 'h:1', heartbeat: { every: 1m }", "without `send`"),
        ] {
            let (_, warnings) = good(&text(keys));
            let told = warnings.iter().map(ToString::to_string).collect::<String>();
            assert!(told.contains(part), "{keys}\n{told}");
        }
    }
}
