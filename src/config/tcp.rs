//! A TCP or unix socket: its part of the configuration.

use std::time::Duration;

use super::{
    Target, TargetTls, TcpAddress, TcpTarget,
    cursor::{Keys, Placed},
};
use crate::settings::UsbId;

impl Target {
    /// The USB numbers that the configuration states.
    pub fn stated_usb(&self) -> Option<UsbId> {
        match self {
            Self::Tcp(tcp) => tcp.usb,
            Self::Rfc2217(remote) => remote.tcp.usb,
            Self::Serial(_) | Self::Udp(_) | Self::Sim(_) => None,
        }
    }
}

/// Reads `tcp:`.
pub(super) fn tcp(k: &mut Keys<'_>, dead_after: Duration) -> Option<TcpTarget> {
    let target = connection(k, dead_after);
    let tls = k
        .key("tls", "TLS to the target; `{}` checks against the system's authorities")
        .without("none")
        .uci("tls")
        .map(target_tls);
    let target = target?;
    if let (TcpAddress::Unix(_), Some(Placed { value: TargetTls { server_name: None, .. }, at })) =
        (&target.address, &tls)
    {
        k.wrong_in("tls", *at, "a unix socket has no host to check; add `server_name`");
    }
    Some(TcpTarget { tls: tls.map(|tls| tls.value), ..target })
}

/// Reads where a target is and how the connection to it is kept, without TLS.
pub(super) fn connection(k: &mut Keys<'_>, dead_after: Duration) -> Option<TcpTarget> {
    let second = Duration::from_secs(1);
    let address = k
        .key(
            "address",
            "`HOST:PORT` (resolved at each connect, all addresses tried), `\"[IPv6]:PORT\"` or `unix:/path`",
        )
        .uci("address")
        .needed::<TcpAddress>();
    let connect_timeout = k
        .key(
            "connect_timeout",
            "time for all attempts together; an `rfc2217` target has it once more for the negotiation",
        )
        .uci("connect_timeout")
        .within(Duration::from_millis(100)..=300 * second)
        .or(5 * second);
    let keepalive = k
        .key("keepalive", "idle time before keepalive probes; `0s` sends none")
        .uci("keepalive")
        .within(Duration::ZERO..=7200 * second)
        .or(30 * second);
    let user_timeout = k
        .key(
            "user_timeout",
            "the kernel's own limit (TCP_USER_TIMEOUT): data unacknowledged for this long ends the connection. It cuts off \
             devices that are slow or paused as well as dead ones; without it, `dead_after` finds only the dead ones. \
             `0s` sets none",
        )
        .uci("user_timeout")
        .within(Duration::ZERO..=3600 * second)
        .or(Duration::ZERO);
    let usb = k
        .key(
            "usb",
            "USB ids of the device behind it, for web tools that choose ports by them; the connection itself does not tell them",
        )
        .without("none")
        .uci("usb")
        .maybe::<UsbId>();
    let some = |time: Duration| (time > Duration::ZERO).then_some(time);
    let (keepalive, user_timeout) = (some(keepalive), some(user_timeout));
    Some(TcpTarget {
        address: address?.value,
        connect_timeout,
        keepalive,
        dead_after,
        user_timeout,
        tls: None,
        usb: usb.map(|usb| usb.value),
    })
}

fn target_tls(k: &mut Keys<'_>) -> TargetTls {
    let ca =
        k.key("ca", "authority, PEM").without("the system's authorities").uci("tls_ca").maybe();
    let server_name = k
        .key("server_name", "name requested and checked; a unix socket needs it")
        .without("the address's host")
        .uci("tls_server_name")
        .maybe();
    let certificate = k
        .key("certificate", "our own certificate chain, PEM; with `key`")
        .without("none")
        .uci("tls_certificate")
        .maybe();
    let key = k
        .key("key", "our own private key, PEM; with `certificate`")
        .without("none")
        .uci("tls_key")
        .maybe();
    if k.has("certificate") != k.has("key") {
        k.wrong(k.at, "`certificate` and `key` go together; write both or neither");
    }
    let client = certificate.zip(key).map(|(certificate, key)| (certificate.value, key.value));
    TargetTls { ca: ca.map(|it| it.value), server_name: server_name.map(|it| it.value), client }
}
