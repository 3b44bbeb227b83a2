//! Who is at the other end: one address, whether that client connected to us itself or a trusted
//! proxy names it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// A client's address, by which limits, penalties, logs and the API know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAddress {
    /// Came by a unix socket, and no proxy names anybody else.
    #[default]
    Local,
    /// Connected to us directly.
    Direct(SocketAddr),
    /// A trusted proxy is connected to us and names the client, request by request.
    Forwarded(IpAddr),
    /// A trusted proxy is connected to us in the client's place (PROXY protocol).
    Announced(SocketAddr),
}

impl ClientAddress {
    /// The address alone; a unix socket has none.
    pub(crate) fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Local => None,
            Self::Direct(address) | Self::Announced(address) => Some(address.ip()),
            Self::Forwarded(address) => Some(address),
        }
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(self) -> bool {
        match self {
            Self::Local => true,
            Self::Direct(address) => address.ip().to_canonical().is_loopback(),
            // The loopback address would be the proxy's.
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
