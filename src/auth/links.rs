//! The IPv6 networks that this machine itself is on: a host there can choose from all of the
//! network's addresses.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{ClientAddress, Source};

/// How long we trust the list of interfaces; addresses come and go.
const LINKS_VALID: Duration = Duration::from_secs(10);

/// The /64 networks of our interfaces, as last seen.
#[derive(Debug, Default)]
pub(super) struct Links {
    seen: Mutex<Option<(Instant, Vec<[u16; 4]>)>>,
}

impl Links {
    /// Whose connections and failures are counted together. A neighbour on one of our links counts
    /// alone: everybody there shares the /64.
    pub(super) fn source(&self, client: ClientAddress) -> Source {
        let address = match client {
            ClientAddress::Local => return Source::Local,
            ClientAddress::Direct(address) | ClientAddress::Announced(address) => {
                address.ip().to_canonical()
            }
            ClientAddress::Forwarded(address) => address.to_canonical(),
        };
        match address {
            IpAddr::V4(address) => Source::V4(address),
            IpAddr::V6(address) if self.has(address) => Source::Neighbour(address),
            IpAddr::V6(address) => Source::V6(network(address)),
        }
    }

    /// Whether an address is link-local or in one of our /64 networks.
    fn has(&self, address: Ipv6Addr) -> bool {
        if address.is_unicast_link_local() {
            return true;
        }
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = seen.take().filter(|(at, _)| now.duration_since(*at) < LINKS_VALID);
        let (_, networks) = seen.insert(fresh.unwrap_or_else(|| (now, ours())));
        networks.contains(&network(address))
    }
}

/// The upper half of an address.
pub(super) fn network(address: Ipv6Addr) -> [u16; 4] {
    let [a, b, c, d, ..] = address.segments();
    [a, b, c, d]
}

/// If the interfaces cannot be listed, there are none.
fn ours() -> Vec<[u16; 4]> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces
        .iter()
        .filter_map(|interface| match interface.ip() {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(network(address)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_counts_by_address_and_others_by_their_64() {
        let links = Links::default();
        let own: Ipv6Addr = "2001:db8:1:2::1".parse().unwrap();
        *links.seen.lock().unwrap() = Some((Instant::now(), vec![network(own)]));
        let source = |text: &str| links.source(ClientAddress::Forwarded(text.parse().unwrap()));
        assert_eq!(
            source("2001:db8:1:2::9"),
            Source::Neighbour("2001:db8:1:2::9".parse().unwrap())
        );
        assert_eq!(source("fe80::9"), Source::Neighbour("fe80::9".parse().unwrap()));
        assert_eq!(source("2001:db8:1:3::9"), source("2001:db8:1:3:ffff::1"));
        assert_ne!(source("2001:db8:1:3::9"), source("2001:db8:1:4::9"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
