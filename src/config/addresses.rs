//! Addresses, the protection of listeners, and host names: each with its grammar and what to type
//! instead.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{
    Address, ListenTls, TcpAddress,
    units::{Scalar, choose},
};

impl Scalar for Address {
    fn read(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return PathBuf::read(path).map(Self::Unix);
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            let fits = !name.is_empty()
                && name.len() <= 255
                && name.chars().all(|c| c.is_ascii_graphic() && c != ':');
            return if fits {
                Ok(Self::Systemd(name.into()))
            } else {
                Err(format!("`{name}` is not a FileDescriptorName"))
            };
        }
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!(
                "`{text}` is not an address to listen on; write IP:PORT (\"[::]:8443\" is every address, 127.0.0.1:8443 this \
                 machine alone), unix:/path or systemd:NAME"
            )
        })
    }

    fn kind() -> String {
        "address".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["[::]:8443", "127.0.0.1:8443", "unix:/run/wsbridge/http.sock",
            "systemd:wsbridge"] })
    }
}

impl Scalar for ListenTls {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::Off),
            "self-signed" => Ok(Self::SelfSigned),
            _ => choose(text, &[("none", ()), ("self-signed", ())])
                .map(|()| Self::Off)
                .map_err(|error| format!("{error}, or {{ certificate: FILE, key: FILE }}")),
        }
    }

    fn kind() -> String {
        "`self-signed`, `none`".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["self-signed", "none"] })
    }
}

impl Scalar for TcpAddress {
    fn read(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return PathBuf::read(path).map(Self::Unix);
        }
        let wrong = || {
            format!("`{text}` is not an address; write HOST:PORT, \"[IPv6]:PORT\" or unix:/path")
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let good = match bare {
            // A link-local address may name its interface: fe80::1%eth0.
            Some(inner) => {
                inner.split('%').next().is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok())
            }
            None => host_name(host),
        };
        if good { Ok(Self::Host(bare.unwrap_or(host).to_owned(), port)) } else { Err(wrong()) }
    }

    fn kind() -> String {
        "address".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["192.0.2.20:502", "plc.example:502", "unix:/run/device.sock"] })
    }
}

/// A host name or an IPv4 address, in ASCII.
pub(super) fn host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// A name that the gateway answers to, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host(pub(super) String);

impl Scalar for Host {
    fn read(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if host_name(text) || bare.parse::<IpAddr>().is_ok() {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!(
            "`{text}` is not a host name; write it without scheme, port, path or `*`, like gateway.example"
        ))
    }

    fn kind() -> String {
        "name".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_address_is_a_socket_a_path_or_systemds() {
        assert_eq!(Address::read("[::]:8443"), Ok(Address::Tcp("[::]:8443".parse().unwrap())));
        assert_eq!(
            Address::read("localhost:80"),
            Ok(Address::Tcp("127.0.0.1:80".parse().unwrap()))
        );
        assert_eq!(Address::read("unix:/run/w"), Ok(Address::Unix("/run/w".into())));
        assert_eq!(Address::read("systemd:http"), Ok(Address::Systemd("http".into())));
        for wrong in ["8443", "gateway:8443", "unix:run", "systemd:", "::1:80", ""] {
            assert!(Address::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_target_address_is_host_and_port_or_a_path() {
        assert_eq!(
            TcpAddress::read("plc.example:502"),
            Ok(TcpAddress::Host("plc.example".into(), 502))
        );
        assert_eq!(
            TcpAddress::read("[fe80::1%eth0]:23"),
            Ok(TcpAddress::Host("fe80::1%eth0".into(), 23))
        );
        assert_eq!(TcpAddress::read("unix:/run/d"), Ok(TcpAddress::Unix("/run/d".into())));
        for wrong in ["plc", "plc:0", "plc:99999", "::1:502", "http://plc:502", ":502"] {
            assert!(TcpAddress::read(wrong).is_err(), "{wrong}");
        }
    }
}
