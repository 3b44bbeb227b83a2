//! A TCP or unix socket: its part of the configuration.

use std::{path::PathBuf, time::Duration};

use super::{
    Heartbeat, Target,
    cursor::{Key, Keys, Placed},
    dial_in,
    heartbeat::heartbeat,
    kept::{Kept, kept},
};
use crate::settings::UsbId;

impl Target {
    /// The USB numbers that the configuration states.
    pub fn stated_usb(&self) -> Option<UsbId> {
        match self {
            Self::Tcp(tcp) => tcp.usb,
            Self::DialIn(target) => target.usb,
            Self::Rfc2217(remote) => remote.tcp.usb,
            Self::Serial(_) | Self::Udp(_) | Self::Sim(_) => None,
        }
    }
}

/// A TCP or unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpTarget {
    /// Where it is.
    pub address: TcpAddress,
    /// How long all attempts together may take.
    pub connect_timeout: Duration,
    /// Idle time before keepalive probes; `None` sends none.
    pub keepalive: Option<Duration>,
    /// A peer that acknowledges nothing of what it was sent for this long is dead.
    pub dead_after: Duration,
    /// The kernel's own limit (`TCP_USER_TIMEOUT`), which also cuts off a peer that is slow; `None`
    /// sets none.
    pub user_timeout: Option<Duration>,
    /// TLS to the target.
    pub tls: Option<TargetTls>,
    /// USB numbers of the device behind it, as stated by the operator: the connection does not
    /// tell.
    pub usb: Option<UsbId>,
    /// What is sent while nothing else is, and after how long.
    pub heartbeat: Option<(Duration, Vec<u8>)>,
}

/// Address of a stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpAddress {
    /// Host name or address, and port; resolved at each connect.
    Host(String, u16),
    /// Path of a unix stream socket.
    Unix(PathBuf),
}

impl std::fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetTls {
    /// Authority; `None` takes the system's.
    pub ca: Option<PathBuf>,
    /// The name requested and checked; `None` takes the address's host.
    pub server_name: Option<String>,
    /// Our certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Reads `tcp:`.
pub(super) fn tcp(k: &mut Keys<'_>, dead_after: Duration) -> Option<Target> {
    let address = address(k).without("needed, unless the device connects to us (`listen`)").maybe();
    let own = dial_in::keys(k);
    let heartbeat = heartbeat(k);
    let kept = kept(k, dead_after);
    let tls = k
        .key("tls", "TLS to the target; `{}` checks against the system's authorities")
        .without("none")
        .uci("tls")
        .map(target_tls);
    match (address, k.has("listen")) {
        (None, false) => {
            let what =
                "write `address: HOST:PORT`, or `listen: IP:PORT` where the device connects to us";
            if !k.has("address") {
                k.lacks(&["address", "listen"], k.at, what);
            }
            dial_in::without_effect(k);
            None
        }
        (Some(address), false) => {
            dial_in::without_effect(k);
            if let Some(Heartbeat { theirs: Some(_), .. }) = heartbeat.as_ref().map(|it| &it.value)
            {
                let what =
                    "`ignore` goes with `listen`: only a device that connects to us sends such";
                k.wrong_in("heartbeat", heartbeat.as_ref().map_or(k.at, |it| it.at), what);
            }
            let target = at(address.value, kept, heartbeat.and_then(|it| it.value.ours));
            Some(Target::Tcp(secured(target, tls, k)))
        }
        (address, true) => {
            for (key, at, what) in [
                (
                    "address",
                    address.map(|it| it.at),
                    "goes without `listen`; keep one of them: who connects to whom?",
                ),
                (
                    "tls",
                    tls.map(|it| it.at),
                    "is not spoken with a device that connects to us; leave it out",
                ),
                (
                    "connect_timeout",
                    k.place("connect_timeout"),
                    "has no effect: the device connects to us",
                ),
            ] {
                match at {
                    Some(at) if key == "connect_timeout" => k.odd_in(key, at, what),
                    Some(at) => k.wrong_in(key, at, what),
                    None => {}
                }
            }
            own.target(k, kept, heartbeat.map(|it| it.value).unwrap_or_default())
                .map(Target::DialIn)
        }
    }
}

/// A target with its TLS, if it has any.
fn secured(target: TcpTarget, tls: Option<Placed<TargetTls>>, k: &Keys<'_>) -> TcpTarget {
    if let (TcpAddress::Unix(_), Some(Placed { value: TargetTls { server_name: None, .. }, at })) =
        (&target.address, &tls)
    {
        k.wrong_in("tls", *at, "a unix socket has no host to check; add `server_name`");
    }
    TcpTarget { tls: tls.map(|tls| tls.value), ..target }
}

/// Reads where a target is and how the connection to it is kept, without TLS.
pub(super) fn connection(k: &mut Keys<'_>, dead_after: Duration) -> Option<TcpTarget> {
    let address = address(k).needed::<TcpAddress>();
    let kept = kept(k, dead_after);
    Some(at(address?.value, kept, None))
}

fn address<'k, 'a>(k: &'k mut Keys<'a>) -> Key<'k, 'a> {
    k.key(
        "address",
        "`HOST:PORT` (resolved at each connect, all addresses tried), `\"[IPv6]:PORT\"` or `unix:/path`",
    )
    .uci("address")
}

/// The target at an address.
fn at(address: TcpAddress, kept: Kept, heartbeat: Option<(Duration, Vec<u8>)>) -> TcpTarget {
    let Kept { connect_timeout, keepalive, dead_after, user_timeout, usb } = kept;
    TcpTarget {
        address,
        connect_timeout,
        keepalive,
        dead_after,
        user_timeout,
        tls: None,
        usb,
        heartbeat,
    }
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
