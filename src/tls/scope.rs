//! What an authority of this gateway may sign for: its name constraints (RFC 5280 section
//! 4.2.1.10).
//!
//! Whoever steals its key can make certificates for these names, and for addresses that nobody has
//! on the internet, but for nothing else.

use std::net::IpAddr;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

use super::wanted::WantedNames;

/// Networks whose addresses mean a different machine in every place: private ones (RFC 1918, RFC
/// 4193), link-local, loopback, and those behind a carrier's NAT (RFC 6598), which VPNs like
/// Tailscale give out.
const PRIVATE_NETWORKS: [(&str, u8); 9] = [
    ("10.0.0.0", 8),
    ("100.64.0.0", 10),
    ("127.0.0.0", 8),
    ("169.254.0.0", 16),
    ("172.16.0.0", 12),
    ("192.168.0.0", 16),
    ("::1", 128),
    ("fc00::", 7),
    ("fe80::", 10),
];

/// Names, each with everything below it, and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SigningScope {
    /// In lower case.
    pub names: Vec<String>,
    /// Address and length of the prefix.
    pub networks: Vec<(IpAddr, u8)>,
}

impl SigningScope {
    /// The scope of an authority that is made now.
    pub(super) fn of(wanted: &WantedNames) -> Self {
        let mut scope = Self::default();
        for (text, length) in PRIVATE_NETWORKS {
            scope.networks.extend(text.parse().map(|address: IpAddr| (address, length)));
        }
        for name in wanted.chosen() {
            match name.parse::<IpAddr>().map(|address| address.to_canonical()) {
                // A private address is permitted anyway.
                Ok(address) if !scope.permits(&name) => {
                    scope.networks.push((address, if address.is_ipv4() { 32 } else { 128 }));
                }
                Ok(_) => {}
                Err(_) => scope.names.push(name),
            }
        }
        scope
    }

    /// The scope written in a certificate. One without constraints may sign for everything.
    pub(super) fn read(certificate: &X509Certificate<'_>) -> Self {
        let mut scope = Self::default();
        let found = certificate.name_constraints().ok().flatten();
        let permitted = found.and_then(|found| found.value.permitted_subtrees.as_ref());
        for subtree in permitted.into_iter().flatten() {
            if let GeneralName::DNSName(name) = subtree.base {
                scope.names.push(name.to_ascii_lowercase());
            } else if let GeneralName::IPAddress(bytes) = subtree.base {
                scope.networks.extend(network(bytes));
            }
        }
        scope
    }

    /// The extension.
    pub(super) fn constraints(&self) -> NameConstraints {
        let names = self.names.iter().cloned().map(GeneralSubtree::DnsName);
        let networks = self.networks.iter().map(|(address, length)| {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *length))
        });
        NameConstraints {
            permitted_subtrees: names.chain(networks).collect(),
            excluded_subtrees: Vec::new(),
        }
    }

    /// Whether a certificate for this name or address is valid. A kind that no constraint mentions
    /// is permitted.
    pub(crate) fn permits(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            let within = |(network, length): &(IpAddr, u8)| is_within(address, *network, *length);
            return self.networks.is_empty() || self.networks.iter().any(within);
        }
        let host = host.to_ascii_lowercase();
        let below = |name: &String| {
            host.strip_suffix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.names.is_empty() || self.names.iter().any(below)
    }
}

/// Address and mask, as the extension has them.
fn network(bytes: &[u8]) -> Option<(IpAddr, u8)> {
    let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
    let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let four = <[u8; 4]>::try_from(address).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok()?;
    Some((address, u8::try_from(ones).ok()?))
}

fn is_within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((address, width), (network, of)) = (bits(address), bits(network));
    let ignored = 128 - u32::from(length);
    width == of && (address ^ network).checked_shr(ignored).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_gateway_and_private_addresses_are_permitted_and_nothing_else() {
        let hosts = ["gateway.example", "203.0.113.7", "10.1.2.3", "2001:db8::7"];
        let scope = SigningScope::of(&WantedNames::new("Box.lan", &hosts.map(str::to_owned)));
        for host in [
            "box.lan",
            "box.local",
            "BOX.local",
            "below.gateway.example",
            "localhost",
            "10.255.0.1",
            "100.127.0.1",
            "172.31.0.1",
            "192.168.7.7",
            "169.254.1.1",
            "127.0.0.1",
            "203.0.113.7",
            "2001:db8::7",
            "fd00::1",
            "fe80::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(scope.permits(host), "{host}");
        }
        for host in [
            "box",
            "notbox.local",
            "example",
            "bank.example",
            "local",
            "203.0.113.8",
            "100.128.0.1",
            "172.32.0.1",
            "11.0.0.1",
            "2001:db8::8",
            "::2",
            "::",
            "0.0.0.0",
        ] {
            assert!(!scope.permits(host), "{host}");
        }
        assert_eq!(scope.networks.len(), PRIVATE_NETWORKS.len() + 2);
        assert!(
            SigningScope::default().permits("bank.example")
                && SigningScope::default().permits("192.0.2.1")
        );
    }
}
