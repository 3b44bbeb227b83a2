//! Who is at the other end: one address, whether it connected to us or a trusted proxy names it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// A client's address: what limits, penalties, logs and the API know it by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAddress {
    /// A unix socket, and no proxy names anybody else.
    #[default]
    Local,
    /// It is connected to us.
    Direct(SocketAddr),
    /// A trusted proxy is connected to us and names it, request by request.
    Forwarded(IpAddr),
    /// A trusted proxy is connected to us in its place (PROXY protocol).
    Announced(SocketAddr),
}

impl ClientAddress {
    /// Whether it is on this machine.
    pub(crate) fn is_loopback(self) -> bool {
        match self {
            Self::Local => true,
            Self::Direct(address) => address.ip().to_canonical().is_loopback(),
            // Loopback is the proxy's there.
            Self::Forwarded(_) | Self::Announced(_) => false,
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("unix"),
            Self::Direct(address) | Self::Announced(address) => {
                SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f)
            }
            Self::Forwarded(address) => address.to_canonical().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_as_people_write_addresses() {
        let direct = |text: &str| ClientAddress::Direct(text.parse().unwrap()).to_string();
        assert_eq!(direct("[::ffff:192.0.2.1]:80"), "192.0.2.1:80");
        assert_eq!(direct("[2001:db8::1]:80"), "[2001:db8::1]:80");
        assert_eq!(
            ClientAddress::Forwarded("::ffff:192.0.2.1".parse().unwrap()).to_string(),
            "192.0.2.1"
        );
        assert_eq!(ClientAddress::Local.to_string(), "unix");
    }
}
