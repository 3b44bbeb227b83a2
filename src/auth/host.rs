//! The Host that a client asks for: one of ours, or DNS rebinding.
//!
//! A page that has pointed its own name at the gateway's address still sends its own name. So the
//! host must be an address of this machine, `localhost`, the host's name, NAME.local, the name that
//! our multicast DNS responder holds at the moment, or one that the configuration names. A name we
//! do not hold does not count: any machine on the link may give itself that name.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A host, and the port if one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// Lower case; IPv6 in brackets; without the dot of a fully qualified name.
    pub host: String,
    pub port: Option<u16>,
}

impl Authority {
    /// Reads `host[:port]` (RFC 9110 section 7.2); `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inner, tail) = rest.split_once(']')?;
                let address: Ipv6Addr = inner.parse().ok()?;
                (format!("[{address}]"), tail.strip_prefix(':').or(tail.is_empty().then_some("")))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (name(host)?, Some(port)),
                None => (name(text)?, Some("")),
            },
        };
        let port = match port? {
            "" if text.ends_with(':') => return None,
            "" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { host, port })
    }

    /// The address, if the host is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse().ok().map(IpAddr::V6),
            None => self.host.parse().ok().map(IpAddr::V4),
        }
    }

    /// Whether the host is `localhost` or a loopback address.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }
}

fn name(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let fits = !text.is_empty()
        && text.len() <= 253
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    fits.then(|| text.to_ascii_lowercase())
}

/// The names we go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnNames<'a> {
    /// The address the connection came in on.
    pub local: Option<SocketAddr>,
    /// The names in the configuration.
    pub hosts: &'a [String],
    /// The machine's own name.
    pub own: &'a str,
    /// The one that our responder of multicast DNS holds now.
    pub held: Option<&'a str>,
}

/// Whether a request for `authority` is meant for us. An address of ours is safe, since rebinding
/// needs a name.
pub(crate) fn is_ours(authority: &Authority, names: OwnNames<'_>) -> bool {
    let OwnNames { local, hosts, own, held } = names;
    if authority.is_loopback()
        || hosts.contains(&authority.host)
        || held == Some(authority.host.as_str())
    {
        return true;
    }
    if let Some(address) = authority.address() {
        return local.is_some_and(|local| local.ip().to_canonical() == address.to_canonical());
    }
    let own = own.to_ascii_lowercase();
    let short = own.split('.').next().unwrap_or(&own);
    // Whichever program on this machine answers for it.
    let local = authority.host.strip_suffix(".local") == Some(short);
    !short.is_empty() && (authority.host == own || local)
}

/// This machine's name, from uname(2).
pub fn own_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(host: &str) -> bool {
        let local = Some("192.0.2.7:8443".parse().unwrap());
        let hosts = ["gateway.example".to_owned()];
        let names =
            OwnNames { local, hosts: &hosts, own: "Box.lan", held: Some("wsbridge-box-3.local") };
        Authority::parse(host).is_some_and(|host| is_ours(&host, names))
    }

    #[test]
    fn our_addresses_names_and_localhost_are_ours() {
        for host in [
            "192.0.2.7",
            "192.0.2.7:8443",
            "[::ffff:192.0.2.7]:8443",
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:9",
            "[::1]:9",
            "gateway.example",
            "Gateway.Example.:443",
            "box.local",
            "wsbridge-box-3.local",
            "box.lan",
        ] {
            assert!(ours(host), "{host}");
        }
    }

    #[test]
    fn a_name_or_address_that_is_not_ours_is_rebinding() {
        for host in [
            "evil.example",
            "192.0.2.8",
            "0.0.0.0",
            "[::]",
            "192.0.2.7.evil.example",
            "127.0.0.1.nip.io",
            "localhost.evil.example",
            "evil.localhost.example",
            "gateway.example.evil.example",
            "evilgateway.example",
            "box.local.evil.example",
            "notbox.local",
            "box-2.local",
            "box-77.local",
            "wsbridge-box.local",
            "box-.local",
            "box-2x.local",
            "boxes.local",
            "wsbridge-notbox.local",
            "wsbridge-wsbridge-box.local",
            "box",
            "0x7f.1",
            "2130706433",
        ] {
            // The short name `box` on its own counts only if uname gives it.
            assert!(!ours(host), "{host}");
        }
    }

    #[test]
    fn what_is_no_authority_is_not_ours() {
        for host in [
            "",
            ":80",
            "[::1",
            "[::1]x",
            "localhost:",
            "localhost:99999",
            "localhost:8x",
            "a b",
            "u@localhost",
        ] {
            assert!(Authority::parse(host).is_none(), "{host}");
        }
    }
}
