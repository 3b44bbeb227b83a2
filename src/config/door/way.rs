//! What a door speaks, and where.

use std::{fmt, net::SocketAddr, path::PathBuf};

use crate::config::{Address, ListenTls};

/// What a door speaks, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DoorWay {
    /// The device's bytes over TCP.
    Tcp(SocketAddr),
    /// The same, with signals and settings by telnet's COM port option (RFC 2217).
    Rfc2217(SocketAddr),
    /// The device's bytes over TLS.
    Tls(SocketAddr, ListenTls),
    /// The device's bytes over a unix stream socket.
    Unix(PathBuf),
    /// The device's bytes at a device node, with the speed that a tool sets there.
    Pty(PathBuf),
}

impl DoorWay {
    /// The key of this kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Rfc2217(_) => "rfc2217",
            Self::Tls(..) => "tls",
            Self::Unix(_) => "unix",
            Self::Pty(_) => "pty",
        }
    }

    /// The listening address; of a node, its path.
    pub fn address(&self) -> Address {
        match self {
            Self::Tcp(address) | Self::Rfc2217(address) | Self::Tls(address, _) => {
                Address::Tcp(*address)
            }
            Self::Unix(path) | Self::Pty(path) => Address::Unix(path.clone()),
        }
    }

    /// Whether it is a device node, and no socket.
    pub fn is_node(&self) -> bool {
        matches!(self, Self::Pty(_))
    }

    /// Whether one can take the other's place while it is open.
    pub fn has_place_of(&self, other: &Self) -> bool {
        self.address() == other.address() && self.is_node() == other.is_node()
    }

    /// Its TLS.
    pub fn tls(&self) -> &ListenTls {
        match self {
            Self::Tls(_, tls) => tls,
            Self::Tcp(_) | Self::Rfc2217(_) | Self::Unix(_) | Self::Pty(_) => &ListenTls::Off,
        }
    }

    /// Whether clients show a certificate that says who they are.
    pub fn asks_for_certificates(&self) -> bool {
        matches!(self.tls(), ListenTls::Files { client_ca: Some(_), .. })
    }

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) | Self::Rfc2217(address) | Self::Tls(address, _) => {
                address.ip().to_canonical().is_loopback()
            }
            Self::Unix(_) | Self::Pty(_) => true,
        }
    }
}

impl fmt::Display for DoorWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Rfc2217(address) => write!(f, "rfc2217 {address}"),
            Self::Tls(address, _) => write!(f, "tls {address}"),
            Self::Unix(path) => write!(f, "unix {}", path.display()),
            Self::Pty(path) => write!(f, "pty {}", path.display()),
        }
    }
}
