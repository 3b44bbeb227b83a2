//! What the client sees of us, through a proxy the configuration trusts (RFC 7239, and the older X-Forwarded-*).

use std::net::IpAddr;

use super::{ClientAddress, Peer};

/// The forwarding headers of a request, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forwarded<'a> {
    /// `Forwarded`.
    pub standard: Option<&'a str>,
    /// `X-Forwarded-For`.
    pub addresses: Option<&'a str>,
    /// `X-Forwarded-Host`.
    pub host: Option<&'a str>,
    /// `X-Forwarded-Proto`.
    pub proto: Option<&'a str>,
}

/// How the client sees the gateway, and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Host and port as the client wrote them.
    pub host: String,
    /// Whether the client speaks TLS.
    pub tls: bool,
    /// Who it is.
    pub client: ClientAddress,
    /// Whether the client is on this machine, with no proxy between.
    pub here: bool,
}

/// Whether the peer is a proxy whose word counts. Behind a unix socket there is nobody else: browsers cannot reach it.
pub fn is_trusted(peer: &Peer, trusted: &[(IpAddr, u8)]) -> bool {
    match peer.client {
        ClientAddress::Local => true,
        ClientAddress::Direct(address) => {
            let address = address.ip().to_canonical();
            trusted.iter().any(|(network, length)| contains(network.to_canonical(), *length, address))
        }
        ClientAddress::Forwarded(_) => false,
    }
}

fn contains(network: IpAddr, length: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32_u32.saturating_sub(length.into());
            network.to_bits().checked_shr(shift).unwrap_or(0)
                == address.to_bits().checked_shr(shift).unwrap_or(0)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = 128_u32.saturating_sub(length.into());
            network.to_bits().checked_shr(shift).unwrap_or(0)
                == address.to_bits().checked_shr(shift).unwrap_or(0)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

impl Forwarded<'_> {
    fn is_empty(&self) -> bool {
        [self.standard, self.addresses, self.host, self.proto].iter().all(Option::is_none)
    }
}

/// The client's view: from the connection, or from the last word of a trusted proxy (the last element is the one the
/// proxy itself added; what stands before it came from the client).
pub(super) fn view(peer: &Peer, host: &str, forwarded: Forwarded<'_>, trusted: &[(IpAddr, u8)]) -> View {
    let mut view = View {
        host: host.to_owned(),
        tls: peer.tls,
        client: peer.client,
        here: peer.client.is_loopback() && forwarded.is_empty(),
    };
    if !is_trusted(peer, trusted) {
        return view;
    }
    view.here &= peer.client == ClientAddress::Local;
    let (mut seen_for, mut seen_host, mut seen_proto) =
        (last(forwarded.addresses), last(forwarded.host), last(forwarded.proto));
    for pair in last(forwarded.standard).unwrap_or_default().split(';') {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let value = Some(value.trim().trim_matches('"'));
        match key.trim().to_ascii_lowercase().as_str() {
            "for" => seen_for = value,
            "host" => seen_host = value,
            "proto" => seen_proto = value,
            _ => {}
        }
    }
    if let Some(host) = seen_host {
        host.clone_into(&mut view.host);
    }
    if let Some(proto) = seen_proto {
        view.tls = matches!(proto.to_ascii_lowercase().as_str(), "https" | "wss");
    }
    if let Some(address) = seen_for.and_then(node) {
        view.client = ClientAddress::Forwarded(address);
    }
    view
}

fn last(list: Option<&str>) -> Option<&str> {
    list.and_then(|list| list.rsplit(',').next()).map(str::trim).filter(|text| !text.is_empty())
}

/// The address of a node: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let address = bracketed.unwrap_or(text);
    address.parse().ok().or_else(|| address.split(':').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer { client: ClientAddress::Direct(address.parse().unwrap()), ..Peer::default() }
    }

    const TRUSTED: [(IpAddr, u8); 1] = [(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 0)), 24)];

    #[test]
    fn only_a_trusted_proxys_last_word_counts() {
        let forwarded = Forwarded {
            addresses: Some("203.0.113.66, 198.51.100.4"),
            host: Some("evil.example, gateway.example"),
            proto: Some("https"),
            standard: None,
        };
        let through = view(&peer("192.0.2.9:1"), "127.0.0.1:80", forwarded, &TRUSTED);
        assert_eq!((through.host.as_str(), through.tls), ("gateway.example", true));
        assert_eq!(through.client, ClientAddress::Forwarded("198.51.100.4".parse().unwrap()));
        let straight = view(&peer("192.0.3.9:1"), "127.0.0.1:80", forwarded, &TRUSTED);
        assert_eq!((straight.host.as_str(), straight.tls), ("127.0.0.1:80", false));
        assert_eq!(straight.client, ClientAddress::Direct("192.0.3.9:1".parse().unwrap()));
    }

    #[test]
    fn the_standard_header_is_read_with_quotes_and_brackets() {
        let standard = Some(r#"for=203.0.113.1, for="[2001:db8::7]:99";host="gw.example:444";proto=https"#);
        let seen = view(&peer("192.0.2.9:1"), "x", Forwarded { standard, ..Forwarded::default() }, &TRUSTED);
        assert_eq!((seen.host.as_str(), seen.tls), ("gw.example:444", true));
        assert_eq!(seen.client, ClientAddress::Forwarded("2001:db8::7".parse().unwrap()));
    }

    #[test]
    fn a_client_behind_a_proxy_on_this_machine_is_not_here() {
        let plain = Forwarded::default();
        assert!(view(&peer("127.0.0.1:5"), "localhost", plain, &[]).here);
        let told = Forwarded { addresses: Some("127.0.0.1"), ..plain };
        assert!(!view(&peer("127.0.0.1:5"), "localhost", told, &[]).here);
        assert!(!view(&peer("127.0.0.1:5"), "localhost", plain, &[(IpAddr::from([127, 0, 0, 0]), 8)]).here);
        assert!(!view(&peer("192.0.2.9:5"), "localhost", plain, &[]).here);
    }
}
