//! Reverse proxies in front of us: whose word counts, and which of their headers.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::units::{Scalar, choose};
use crate::wire::head::is_token;

/// Proxies whose word about their clients counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Where they are, as (network, prefix length).
    pub addresses: Vec<(IpAddr, u8)>,
    /// The headers they write; those of the other family come from strangers.
    pub headers: HeaderFamily,
    /// Their `X-Forwarded-Host` counts.
    pub host: bool,
    /// Their `X-Forwarded-Prefix` counts.
    pub prefix: bool,
    /// The header in which they name a user of ours, in lower case.
    pub user_header: Option<String>,
    /// What distinguishes their requests from those of other programs on their machine.
    pub secret: Option<ProxySecret>,
}

/// A header that only a proxy can send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySecret {
    /// The header, in lower case.
    pub header: String,
    /// SHA-256 of its value.
    pub sha256: [u8; 32],
}

/// The name of a header without any other meaning, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderName(pub String);

impl Scalar for HeaderName {
    fn read(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        let own = [
            "host",
            "origin",
            "authorization",
            "cookie",
            "connection",
            "upgrade",
            "forwarded",
            "expect",
        ];
        let taken = own.contains(&name.as_str())
            || ["sec-", "content-", "x-forwarded-"].iter().any(|start| name.starts_with(start));
        if taken || !is_token(name.as_bytes()) || name.len() > 64 {
            return Err(format!(
                "`{text}` is not a header of a proxy's own; write one like Remote-User"
            ));
        }
        Ok(Self(name))
    }

    fn kind() -> String {
        "header".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": 64, "examples": ["Remote-User", "X-Gateway-Secret"] })
    }
}

/// The headers with which a proxy describes its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderFamily {
    /// `X-Forwarded-For`, `-Proto`, `-Port`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// A header that counts only if it is named, since proxies pass on what a stranger wrote there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Also {
    Host,
    Prefix,
}

/// A network: address and prefix length, host bits cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(pub IpAddr, pub u8);

impl Network {
    /// Reads ADDRESS or ADDRESS/PREFIX; returns network and prefix length.
    ///
    /// # Errors
    /// What is wrong with it, and how to write it.
    pub(crate) fn parse(text: &str) -> Result<(IpAddr, u8), String> {
        Self::read(text).map(|Self(ip, bits)| (ip, bits))
    }
}

impl Scalar for Network {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a network; write an address or ADDRESS/PREFIX, like 10.0.0.0/8"
            )
        };
        let (ip, prefix) =
            text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
        let bits: u8 = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = prefix
            .map_or(Ok(bits), str::parse)
            .ok()
            .filter(|prefix| *prefix <= bits)
            .ok_or_else(wrong)?;
        let shift = u32::from(bits - prefix);
        // `/0` would shift by all bits, which Rust refuses; its mask is 0.
        let ip = match ip {
            IpAddr::V4(ip) => {
                IpAddr::V4((ip.to_bits() & u32::MAX.checked_shl(shift).unwrap_or(0)).into())
            }
            IpAddr::V6(ip) => {
                IpAddr::V6((ip.to_bits() & u128::MAX.checked_shl(shift).unwrap_or(0)).into())
            }
        };
        Ok(Self(ip, prefix))
    }

    fn kind() -> String {
        "address or network".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["127.0.0.1", "10.0.0.0/8", "fd00::/8"] })
    }
}

impl Scalar for HeaderFamily {
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("x-forwarded", Self::XForwarded), ("forwarded", Self::Forwarded)])
    }

    fn kind() -> String {
        "`x-forwarded`, `forwarded`".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["x-forwarded", "forwarded"] })
    }

    fn text(&self) -> String {
        match self {
            Self::XForwarded => "x-forwarded".into(),
            Self::Forwarded => "forwarded".into(),
        }
    }
}

impl Scalar for Also {
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("host", Self::Host), ("prefix", Self::Prefix)])
    }

    fn kind() -> String {
        "`host`, `prefix`".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["host", "prefix"] })
    }
}

impl TrustedProxies {
    /// Whether a machine with that address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        contain(&self.addresses, address)
    }
}

/// Whether one of these networks, as (network, prefix length), has an address.
pub(crate) fn contain(networks: &[(IpAddr, u8)], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|(network, length)| within(network.to_canonical(), *length, address))
}

fn within(network: IpAddr, length: u8, address: IpAddr) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_loses_its_host_bits() {
        assert_eq!(Network::read("10.1.2.3/8"), Ok(Network("10.0.0.0".parse().unwrap(), 8)));
        assert_eq!(Network::read("0.0.0.0/0"), Ok(Network("0.0.0.0".parse().unwrap(), 0)));
        assert_eq!(Network::read("fd00:1::1/16"), Ok(Network("fd00::".parse().unwrap(), 16)));
        assert_eq!(Network::read("192.0.2.1"), Ok(Network("192.0.2.1".parse().unwrap(), 32)));
        assert!(Network::read("10.0.0.0/33").is_err() && Network::read("example").is_err());
    }

    #[test]
    fn a_network_has_its_own_addresses_however_they_are_written() {
        let networks = ["192.0.2.0/24", "2001:db8::/32"].map(|text| Network::read(text).unwrap());
        let addresses = networks.map(|network| (network.0, network.1)).to_vec();
        let trusted = TrustedProxies { addresses, ..TrustedProxies::default() };
        for (address, is) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.3.7", false),
            ("2001:db8:9::1", true),
        ] {
            assert_eq!(trusted.contains(address.parse().unwrap()), is, "{address}");
        }
    }
}
