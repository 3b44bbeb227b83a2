//! What the client sees of us, through proxies that the configuration trusts: `X-Forwarded-*` or
//! `Forwarded` (RFC 7239).
//!
//! Each hop writes down who asked it. Read from our end, a hop's word counts while the hop itself
//! is trusted, so the client is the first one that is not; anything before it may have been written
//! by that client.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{AuthRequest, Authority, ClientAddress, Peer, Way, default_port, hops};
use crate::{
    config::{self, Config, HeaderFamily, Public, TrustedProxies},
    wire::close::Refusal,
};

/// A request's forwarding headers, line by line as they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forwarded<'a> {
    /// `Forwarded`.
    pub standard: Vec<&'a str>,
    /// `X-Forwarded-For`.
    pub addresses: Vec<&'a str>,
    /// `X-Forwarded-Proto`.
    pub proto: Vec<&'a str>,
    /// `X-Forwarded-Port`.
    pub port: Vec<&'a str>,
    /// `X-Forwarded-Host`.
    pub host: Vec<&'a str>,
    /// `X-Forwarded-Prefix`.
    pub prefix: Vec<&'a str>,
}

impl Forwarded<'_> {
    /// Whether there are any.
    pub(crate) fn is_said(&self) -> bool {
        let all =
            [&self.standard, &self.addresses, &self.proto, &self.port, &self.host, &self.prefix];
        all.iter().any(|said| !said.is_empty())
    }
}

/// How the client sees the gateway, and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Host and port as the client wrote them.
    pub host: String,
    /// Whether the client speaks TLS.
    pub tls: bool,
    /// The path under which it sees us: empty, or `/serial`.
    pub prefix: String,
    pub client: ClientAddress,
    /// Whether the client is on this machine, with no proxy between.
    pub here: bool,
}

/// Whether the peer is a proxy whose word counts. Behind a unix socket it can be nobody else:
/// browsers cannot reach it.
pub(crate) fn is_trusted(peer: &Peer, trusted: &TrustedProxies) -> bool {
    if peer.way != Way::Usual {
        return false;
    }
    match peer.client {
        ClientAddress::Local => true,
        ClientAddress::Direct(address) | ClientAddress::Announced(address) => {
            trusted.contains(address.ip())
        }
        ClientAddress::Forwarded(_) => false,
    }
}

impl Forwarded<'_> {
    pub(super) fn is_empty(&self) -> bool {
        let Self { standard, addresses, proto, port, host, prefix } = self;
        [standard, addresses, proto, port, host, prefix].iter().all(|lines| lines.is_empty())
    }
}

/// What a trusted proxy says about its client.
#[derive(Debug, Default)]
struct ProxyHeaders<'a> {
    client: Option<IpAddr>,
    proto: Option<&'a str>,
    port: Option<&'a str>,
    host: Option<&'a str>,
    prefix: Option<&'a str>,
}

impl<'a> ProxyHeaders<'a> {
    fn read(forwarded: &Forwarded<'a>, trusted: &TrustedProxies) -> Self {
        let prefix = items(&forwarded.prefix).last().filter(|_| trusted.prefix);
        if trusted.headers == HeaderFamily::Forwarded {
            let chain = hops::read(&forwarded.standard);
            let (client, depth) = client(chain.iter().map(|hop| hop.address), trusted);
            let hop = chain.get(depth.saturating_sub(1)).copied().unwrap_or_default();
            return Self { client, proto: hop.proto, port: None, host: hop.host, prefix };
        }
        let chain: Vec<_> = items(&forwarded.addresses).collect();
        let (client, depth) = client(chain.iter().rev().map(|text| hops::address(text)), trusted);
        // Proxies that append to these headers add one entry for each hop; those that overwrite
        // them leave one.
        let pick = |lines: &[&'a str]| {
            let all: Vec<_> = items(lines).collect();
            all.iter().rev().nth(depth.min(all.len()).saturating_sub(1)).copied()
        };
        let host = pick(&forwarded.host).filter(|_| trusted.host);
        Self { client, proto: pick(&forwarded.proto), port: pick(&forwarded.port), host, prefix }
    }
}

/// The items of a list that came in one line or several.
fn items<'a>(lines: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let all: Vec<_> = lines.iter().flat_map(|line| line.split(',')).collect();
    all.into_iter().map(str::trim).filter(|text| !text.is_empty())
}

/// The client, from hops read from our end, and how many hops away it is. We can see no further
/// than a hop that hides who asked it, or says nothing readable.
fn client(
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusted: &TrustedProxies,
) -> (Option<IpAddr>, usize) {
    let (mut found, mut depth) = (None, 0);
    for hop in hops {
        let Some(address) = hop else { break };
        (found, depth) = (Some(address), depth + 1);
        if !trusted.contains(address) {
            break;
        }
    }
    (found, depth)
}

/// Whoever asks, from the connection or by the word of trusted proxies.
pub(super) fn sender(
    peer: &Peer,
    forwarded: &Forwarded<'_>,
    trusted: &TrustedProxies,
) -> ClientAddress {
    if !is_trusted(peer, trusted) {
        return peer.client;
    }
    ProxyHeaders::read(forwarded, trusted).client.map_or(peer.client, ClientAddress::Forwarded)
}

/// What `public:` adds for a client of a trusted proxy: if the proxy passes on the name alone, or
/// only its own way to us, the client is taken to see what people type.
fn as_public(view: View, public: &Public) -> View {
    let Some(authority) = Authority::parse(&view.host) else { return view };
    let usual = default_port(&public.origin.scheme);
    let same = authority.host == public.origin.host
        && authority.port.is_none_or(|port| port == public.origin.port)
        && (authority.port.is_some() || public.origin.port == usual);
    if !same && !authority.is_loopback() {
        return view;
    }
    let port = if public.origin.port == usual {
        String::new()
    } else {
        format!(":{}", public.origin.port)
    };
    let prefix = if view.prefix.is_empty() { public.prefix.clone() } else { view.prefix };
    let host = format!("{}{port}", public.origin.host);
    View { host, tls: public.origin.scheme == "https", prefix, ..view }
}

/// The client's view, with what `public:` adds. `below`: the path was cut off the request.
pub(super) fn seen(config: &Config, peer: &Peer, ask: &AuthRequest<'_>) -> Result<View, Refusal> {
    let mut view = view(peer, ask.host, &ask.forwarded, &config.trusted_proxies)?;
    if let Some(public) = config.public.as_ref().filter(|_| peer.app.is_none()) {
        if is_trusted(peer, &config.trusted_proxies) {
            view = as_public(view, public);
        } else if ask.below {
            view.prefix.clone_from(&public.prefix);
        }
    }
    Ok(view)
}

/// The client's view: from the connection, or by the word of trusted proxies.
fn view(
    peer: &Peer,
    host: &str,
    forwarded: &Forwarded<'_>,
    trusted: &TrustedProxies,
) -> Result<View, Refusal> {
    let mut view = View {
        host: host.to_owned(),
        tls: peer.tls,
        prefix: String::new(),
        client: peer.client,
        here: peer.client.is_loopback() && forwarded.is_empty(),
    };
    if !is_trusted(peer, trusted) {
        return Ok(view);
    }
    view.here &= peer.client == ClientAddress::Local;
    let word = ProxyHeaders::read(forwarded, trusted);
    if let Some(host) = word.host {
        host.clone_into(&mut view.host);
    }
    if let Some(proto) = word.proto {
        view.tls = matches!(proto.to_ascii_lowercase().as_str(), "https" | "wss");
    }
    if let Some(host) = word.port.and_then(|port| with_port(&view, port)) {
        view.host = host;
    }
    if let Some(prefix) = word.prefix {
        view.prefix = config::prefix(prefix).ok_or(Refusal::BadRequest(
            "X-Forwarded-Prefix is not a valid prefix: 1 to 8 segments, 64 bytes at most",
        ))?;
    }
    if let Some(address) = word.client {
        view.client = ClientAddress::Forwarded(address);
    }
    Ok(view)
}

/// The host with the port added, if it has none and the port is not the default one.
fn with_port(view: &View, port: &str) -> Option<String> {
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let authority = Authority::parse(&view.host).filter(|authority| authority.port.is_none())?;
    let usual = default_port(if view.tls { "https" } else { "http" });
    (port != usual).then(|| format!("{}:{port}", authority.host))
}

/// Headers of trusted proxies that do not count but may be meant to: each is logged once.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    host: AtomicBool,
    prefix: AtomicBool,
    family: AtomicBool,
}

impl Unnamed {
    /// Warns, once for each kind, of headers that a trusted proxy sends and that do not count.
    pub(super) fn look(&self, peer: &Peer, forwarded: &Forwarded<'_>, trusted: &TrustedProxies) {
        if !is_trusted(peer, trusted) {
            return;
        }
        let x = trusted.headers == HeaderFamily::XForwarded;
        let (own, other) =
            if x { ("x-forwarded", "Forwarded") } else { ("forwarded", "X-Forwarded-For") };
        let of_other = if x { &forwarded.standard } else { &forwarded.addresses };
        let of_own = if x { &forwarded.addresses } else { &forwarded.standard };
        let proxy = peer.client;
        if x && !trusted.host
            && !forwarded.host.is_empty()
            && !self.host.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%proxy, "X-Forwarded-Host of a trusted proxy does not count: it may be what a client \
                sent. If the proxy writes it itself: `trusted_proxies: {{ addresses: [..], also: [ host ] }}`");
        }
        if !trusted.prefix
            && !forwarded.prefix.is_empty()
            && !self.prefix.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%proxy, "X-Forwarded-Prefix of a trusted proxy does not count: it may be what a client \
                sent. If the proxy writes it itself: `trusted_proxies: {{ addresses: [..], also: [ prefix ] }}`");
        }
        let only_other = of_own.is_empty() && !of_other.is_empty();
        if only_other && !self.family.swap(true, Ordering::Relaxed) {
            tracing::warn!(%proxy, "a trusted proxy sends {other}, and `headers: {own}` counts: its clients are \
                not told apart. Have it write the other, or change `headers:` of `trusted_proxies:`");
        }
    }
}

#[cfg(test)]
mod tests;
