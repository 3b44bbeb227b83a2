//! The YAML file's shapes: every key there is, as it may be written. `docs/config.md` explains each.

#[cfg(test)]
mod described;
mod joined;
mod read;
mod shape;
mod target;
#[cfg(test)]
mod tests;
mod tree;
mod written;
mod yaml;

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

pub(super) use self::{
    read::read,
    target::{Lines, MacroStep, Port, Rfc2217, Rs485, Serial, Signals, TargetTls, Tcp},
    tree::At,
    written::{Mark, Node, write},
    yaml::{Leaf, ListOr, Named, OneOf, Placed},
};
use super::{
    Address, HeaderFamily, ListenTls, OpenWhen, Origin, Rights, Share, SimDevice,
    fingerprint::Fingerprint,
    proxies::{Also, HeaderName, Network},
    subprotocol::Subprotocol,
    units::{Rate, Size},
    words::{Accepted, Bytes, Expiry, NoAuth, NoPacking, Sha256},
};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(test, schemars(title = "wsbridge configuration"))]
pub(super) struct File {
    /// Where to listen. Default: 127.0.0.1:8443 with a self-signed certificate.
    pub listen: Option<Vec<Placed<Listen>>>,
    /// `none`: no login at all. Only with loopback and unix listeners, and without users, tokens and certificates.
    pub auth: Option<Leaf<NoAuth>>,
    /// Origins of web pages allowed beside the gateway's own: `scheme://host` or `scheme://host:port`.
    pub origins: Vec<Leaf<Origin>>,
    /// Origins of pages that may show the gateway's in a frame. Default: none.
    pub frame_ancestors: Vec<Leaf<Origin>>,
    /// Names the gateway answers to beside its own addresses, `localhost`, its host name and NAME.local.
    pub hosts: Vec<Leaf<String>>,
    /// Reverse proxies whose headers count: a list of addresses or networks, or which of their headers as well.
    pub trusted_proxies: Option<Placed<ListOr<Network, Proxies>>>,
    /// How long browsers use HTTPS alone, for every port of the names they know the gateway by (HSTS), up to 730d; 0s makes
    /// them forget it. Default: nothing is said.
    pub hsts: Option<Leaf<Duration>>,
    /// Whether listeners that other machines reach are announced by multicast DNS. Default: true.
    pub mdns: Option<Leaf<bool>>,
    /// People, by name.
    pub users: Named<User>,
    /// Programs, by name.
    pub tokens: Named<Token>,
    /// Machines with a client certificate, by name.
    pub certificates: Named<Certificate>,
    /// Sets of rights by name, to be given to users, tokens and certificates.
    pub roles: Named<Named<Vec<Leaf<Rights>>>>,
    /// How long a browser stays signed in.
    pub login: Login,
    /// What strangers may take.
    pub limits: Limits,
    /// Time a client may be silent before it counts as dead, 5s to 10m. Default: 30s.
    pub dead_after: Option<Leaf<Duration>>,
    /// How long a session outlives its lost connection, up to 1h. Default: 60s.
    pub resume: Option<Leaf<Duration>>,
    /// Where generated keys are kept. Default: /var/lib/wsbridge.
    pub state_directory: Option<Leaf<PathBuf>>,
    /// Web tools of others, by name, each served from an origin of its own.
    pub apps: Named<Placed<App>>,
    /// What is published, by name: `plc1` becomes `wss://gateway/ws/plc1`.
    pub endpoints: Named<Placed<Endpoint>>,
}

/// How long a browser stays signed in.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Login {
    /// Time without a request or a byte typed after which a sign-in ends, 1s to 90d. Default: 12h.
    pub idle: Option<Leaf<Duration>>,
    /// Time after which it ends in any case, 1s to 90d. Default: 7d.
    pub lifetime: Option<Leaf<Duration>>,
}

/// One listening address.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    /// `IP:PORT`, `[IPv6]:PORT`, `unix:/path`, or `systemd:NAME` for a socket systemd hands over.
    pub address: Leaf<Address>,
    /// `self-signed`, `none`, or certificate files. Default: self-signed; none for unix sockets.
    pub tls: Option<Placed<OneOf<ListenTls, TlsFiles>>>,
    /// `accepted`: unencrypted connections from other machines are accepted with `tls: none`.
    pub plain: Option<Leaf<Accepted>>,
    /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2; trusted proxies alone connect
    /// then. Default: false.
    pub proxy_protocol: Option<Leaf<bool>>,
}

/// A web tool: a folder of static files, served with Web Serial over the network put first in its pages.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct App {
    /// What people call it.
    pub title: Option<Leaf<String>>,
    /// The folder of its files.
    pub directory: Leaf<PathBuf>,
    /// A listener of its own: the tool's pages share no origin with the gateway's.
    pub listen: Placed<Listen>,
    /// Its origin as browsers see it, where a proxy stands before the listener.
    pub url: Option<Leaf<Origin>>,
    /// Endpoints it may use.
    pub endpoints: Vec<Leaf<String>>,
}

/// PEM files of a listener, read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: Leaf<PathBuf>,
    /// Private key, PEM.
    pub key: Leaf<PathBuf>,
    /// Authority of client certificates, PEM; without it none is asked for.
    pub client_ca: Option<Leaf<PathBuf>>,
    /// Lists of revoked client certificates (CRL), PEM.
    pub client_crl: Option<Leaf<PathBuf>>,
}

/// Reverse proxies, and which of their headers count.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Proxies {
    /// Their addresses or networks.
    pub addresses: Vec<Leaf<Network>>,
    /// The headers they write: `x-forwarded` or `forwarded`; those of the other family are ignored. Default: x-forwarded.
    pub headers: Option<Leaf<HeaderFamily>>,
    /// A header in which they name the user that has signed in with them. Default: none.
    pub user_header: Option<Leaf<HeaderName>>,
    /// What tells their requests from those of other programs on this machine. Default: none.
    pub secret: Option<Placed<ProxySecret>>,
    /// Of `host` and `prefix`, those whose X-Forwarded header they write themselves. Default: none.
    pub also: Vec<Leaf<Also>>,
}

/// A header that a proxy alone can send.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ProxySecret {
    /// The header.
    pub header: Leaf<HeaderName>,
    /// SHA-256 of its value in hex, as `wsbridge token new` prints it, or where to find it.
    pub sha256: Placed<OneOf<Sha256, Elsewhere>>,
}

/// A secret kept elsewhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Elsewhere {
    /// A file whose first line is the value.
    pub file: Option<Leaf<PathBuf>>,
    /// The name of a systemd credential (`LoadCredential=`).
    pub credential: Option<Leaf<String>>,
}

/// A person with a password.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    /// Argon2id hash that `wsbridge passwd` prints, or where to find it.
    pub password: Placed<OneOf<String, Elsewhere>>,
    /// Names of roles.
    #[serde(default)]
    pub roles: Vec<Leaf<String>>,
    /// Rights by endpoint pattern.
    #[serde(default)]
    pub rights: Named<Vec<Leaf<Rights>>>,
}

/// A program with a token.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    /// SHA-256 of the token's text in hex, as `wsbridge token new` prints it, or where to find it.
    pub sha256: Placed<OneOf<Sha256, Elsewhere>>,
    /// Last day (UTC) it is good, or an exact time like 2027-01-31T12:00:00Z. Default: never ends.
    pub expires: Option<Leaf<Expiry>>,
    /// Whether several programs have it: none of their sessions gives the lease to another. Default: no.
    pub shared: Option<Leaf<bool>>,
    /// Names of roles.
    #[serde(default)]
    pub roles: Vec<Leaf<String>>,
    /// Rights by endpoint pattern.
    #[serde(default)]
    pub rights: Named<Vec<Leaf<Rights>>>,
}

/// A machine with a client certificate.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Certificate {
    /// Common name of the certificate's subject. Default: the name it has here.
    pub common_name: Option<Leaf<String>>,
    /// One of the subject's alternative names instead: a host name, an address, a mail address or a URI.
    pub san: Option<Leaf<String>>,
    /// SHA-256 of the very certificate instead, in hex.
    pub fingerprint: Option<Leaf<Fingerprint>>,
    /// Names of roles.
    pub roles: Vec<Leaf<String>>,
    /// Rights by endpoint pattern.
    pub rights: Named<Vec<Leaf<Rights>>>,
}

/// What strangers may take.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// Connections in all. Default: 256.
    pub connections: Option<Leaf<u32>>,
    /// Connections of one address (IPv6: of one /64). Default: 32.
    pub per_address: Option<Leaf<u32>>,
    /// Connections that have not authenticated. Default: 64.
    pub unauthenticated: Option<Leaf<u32>>,
    /// Time for TLS and the whole request head, 1s to 5m. Default: 10s.
    pub handshake: Option<Leaf<Duration>>,
    /// Longest header section of a request, 4KiB to 64KiB. Default: 16KiB.
    pub head: Option<Leaf<Size>>,
}

/// What is published: exactly one of `serial`, `rfc2217`, `tcp` and `sim`, and the rules for it.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Endpoint {
    /// What people call it.
    pub title: Option<Leaf<String>>,
    /// A serial port of this machine.
    pub serial: Option<Placed<Serial>>,
    /// A serial port on another box, by RFC 2217.
    pub rfc2217: Option<Rfc2217>,
    /// A TCP or unix socket.
    pub tcp: Option<Tcp>,
    /// A simulated device.
    pub sim: Option<Leaf<SimDevice>>,
    /// How one line is shared. Default: one-writer for serial; TCP has a connection for each session unless this is set.
    pub share: Option<Leaf<Share>>,
    /// When a line's device is open. Default: always; on-demand for a shared TCP target.
    pub open: Option<Leaf<OpenWhen>>,
    /// Output kept for scrollback and resume, 4KiB to 64MiB. Default: 256KiB.
    pub history: Option<Leaf<Size>>,
    /// Time without a byte after which the holder of the lease loses it. Default: never.
    pub lease_idle: Option<Leaf<Duration>>,
    /// Which bytes of the device make one message. Default: none, whatever one read gave.
    pub packing: Option<Placed<OneOf<NoPacking, Packing>>>,
    /// How slowly the device is sent to; lines only. Default: as fast as it takes.
    pub pacing: Option<Placed<Pacing>>,
    /// Whether the `base64` subprotocol may be negotiated. Default: false.
    pub base64: Option<Leaf<bool>>,
    /// Subprotocols that are answered in plain mode, the best first: `mqtt`. Default: none.
    pub subprotocols: Vec<Leaf<Subprotocol>>,
    /// Limits of its sessions.
    pub limits: EndpointLimits,
}

/// Limits of an endpoint's sessions.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct EndpointLimits {
    /// Sessions at once. Default: 16.
    pub sessions: Option<Leaf<u32>>,
    /// Time without a byte either way after which a session ends. Default: no limit.
    pub idle: Option<Leaf<Duration>>,
    /// Bytes per second and direction. Default: no limit.
    pub rate: Option<Leaf<Rate>>,
    /// How long the last bytes of a session may stand still on their way to the target, and how long a target may go on
    /// sending after the client's Close. Default: 5s, of a serial line 30s.
    pub linger: Option<Leaf<Duration>>,
    /// How long they may be unacknowledged while the target says that it lives and takes nothing. Default: 10m.
    pub linger_max: Option<Leaf<Duration>>,
}

/// Which bytes of the device make one message: exactly one of `idle_ms`, `delimiter`, `length` and `modbus-rtu`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Packing {
    /// Milliseconds of silence that end a message, 1 to 60000.
    pub idle_ms: Option<Leaf<u32>>,
    /// 1 to 4 bytes that end a message: text with \r \n \t \e \0 \xHH, or all in hex like 0x0d0a.
    pub delimiter: Option<Leaf<Bytes>>,
    /// Whether the delimiter is part of the message; always so in control mode. Default: true.
    pub keep: Option<Leaf<bool>>,
    /// Bytes behind the delimiter that belong to the message, a checksum: 1 to 64. Not with `keep: false`.
    pub plus: Option<Leaf<u32>>,
    /// Bytes of a message, 1 to 32764.
    pub length: Option<Leaf<u32>>,
    /// Frames of Modbus RTU, requests and responses, by function code and checksum.
    #[serde(rename = "modbus-rtu")]
    pub modbus_rtu: Option<Leaf<bool>>,
}

/// How slowly a device is sent to.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Pacing {
    /// Pause after each byte, 1ms to 1s. Default: none.
    pub byte_delay: Option<Leaf<Duration>>,
    /// Pause after each line end (CR, LF or both), 1ms to 60s. Default: none.
    pub line_delay: Option<Leaf<Duration>>,
    /// Text of the device, 1 to 64 bytes written like a delimiter, that is waited for after each line. Default: none.
    pub prompt: Option<Leaf<Bytes>>,
    /// How long the prompt is waited for, 1ms to 60s. Default: 2s.
    pub timeout: Option<Leaf<Duration>>,
}
