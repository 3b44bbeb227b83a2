//! The words of the file: addresses, origins, rights, ports, each with its grammar and what to type instead.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Address, ListenTls, OpenWhen, Rights, Share, SimDevice, TcpAddress,
    units::{Word, choose},
};
use crate::settings::{Flow, Format, UsbId};

/// Words that map to values, and their schema.
macro_rules! choices {
    ($type:ty, $($word:literal => $value:expr),+) => {
        impl Word for $type {
            fn read(text: &str) -> Result<Self, String> {
                choose(text, &[$(($word, $value)),+])
            }

            fn schema() -> Value {
                json!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}

/// `auth: none`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoAuth;
/// `plain: accepted`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted;
/// `keep`: lines stay as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay;

/// `packing: none`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoPacking;

/// Bytes written as text with escapes, or as hex behind `0x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub Vec<u8>);

choices!(NoPacking, "none" => Self);
choices!(NoAuth, "none" => Self);
choices!(Accepted, "accepted" => Self);
choices!(Stay, "keep" => Self);
choices!(Flow, "none" => Self::None, "rtscts" => Self::Hardware, "xonxoff" => Self::Software);
choices!(Share, "exclusive" => Self::Exclusive, "one-writer" => Self::OneWriter, "everyone" => Self::Everyone);
choices!(OpenWhen, "always" => Self::Always, "on-demand" => Self::OnDemand);
choices!(Rights, "read" => Self::READ, "write" => Self::WRITE, "signals" => Self::SIGNALS,
    "settings" => Self::SETTINGS, "takeover" => Self::TAKEOVER);
choices!(SimDevice, "modem" => Self::Modem, "modbus-rtu" => Self::ModbusRtu, "modbus-tcp" => Self::ModbusTcp,
    "console" => Self::Console, "echo" => Self::Echo, "echo-tcp" => Self::EchoTcp, "source" => Self::Source);

impl Word for ListenTls {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::Off),
            "self-signed" => Ok(Self::SelfSigned),
            _ => choose(text, &[("none", ()), ("self-signed", ())])
                .map(|()| Self::Off)
                .map_err(|error| format!("{error}, or {{ certificate: FILE, key: FILE }}")),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["self-signed", "none"] })
    }
}

impl Word for Format {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[5-8][NEOMSneoms](1|1\\.5|2)$", "examples": ["8N1", "7E1"] })
    }
}

impl Word for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        absolute(text).ok_or_else(|| format!("`{text}` is no absolute path; begin it with /"))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^/" })
    }
}

fn absolute(text: &str) -> Option<PathBuf> {
    Path::new(text).is_absolute().then(|| PathBuf::from(text))
}

/// Path of a device file.
#[derive(Clone, Debug)]
pub(super) struct PortPath(pub PathBuf);

impl Word for PortPath {
    fn read(text: &str) -> Result<Self, String> {
        absolute(text).map(Self).ok_or_else(|| {
            format!("`{text}` is no path of a device; write one like /dev/serial/by-id/usb-..., or run `wsbridge ports`")
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^/", "examples": ["/dev/ttyUSB0"] })
    }
}

impl Word for Address {
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
                Err(format!("`{name}` is no FileDescriptorName"))
            };
        }
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!(
                "`{text}` is nothing to listen on; write IP:PORT (\"[::]:8443\" is every address, 127.0.0.1:8443 this \
                 machine alone), unix:/path or systemd:NAME"
            )
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["[::]:8443", "127.0.0.1:8443", "unix:/run/wsbridge/http.sock",
            "systemd:wsbridge"] })
    }
}

impl Word for TcpAddress {
    fn read(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return PathBuf::read(path).map(Self::Unix);
        }
        let wrong = || format!("`{text}` is no address; write HOST:PORT, \"[IPv6]:PORT\" or unix:/path");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let good = match bare {
            // A link-local address may name its interface: fe80::1%eth0.
            Some(inner) => inner.split('%').next().is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
            None => host_name(host),
        };
        if good { Ok(Self::Host(bare.unwrap_or(host).to_owned(), port)) } else { Err(wrong()) }
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["192.0.2.20:502", "plc.example:502", "unix:/run/device.sock"] })
    }
}

/// `[a-z0-9][a-z0-9._-]{0,63}`
pub(super) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&text.len())
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b"._-".contains(&b))
}

/// A host name or an IPv4 address, in ASCII.
pub(super) fn host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

impl Word for UsbId {
    fn read(text: &str) -> Result<Self, String> {
        let hex = |part: &str| (part.len() == 4).then(|| u16::from_str_radix(part, 16).ok()).flatten();
        text.split_once(':').and_then(|(vid, pid)| Some(Self { vid: hex(vid)?, pid: hex(pid)? })).ok_or_else(
            || format!("`{text}` is no USB vendor:product; write four hex digits each, like \"0403:6001\""),
        )
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$", "examples": ["0403:6001"] })
    }
}

/// SHA-256 in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sha256(pub [u8; 32]);

impl Word for Sha256 {
    fn read(text: &str) -> Result<Self, String> {
        // What was written is not repeated: it may be the token itself.
        let wrong = || "not 64 hex digits; `wsbridge token new NAME` prints the line to paste".to_owned();
        let mut sum = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        for (byte, index) in sum.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(index..index + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(sum))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" })
    }
}

/// When a token ends, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry(pub i64);

impl Word for Expiry {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no date; write 2027-01-31 (good through that day, UTC) or 2027-01-31T12:00:00Z"
            )
        };
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(time.as_second()));
        }
        // `Date` would also take the date of a local time, which nobody can place.
        let day: jiff::civil::Date =
            Some(text).filter(|text| text.len() == 10).ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
        let next =
            day.tomorrow().and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC)).map_err(|_| wrong())?;
        Ok(Self(next.timestamp().as_second()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["2027-01-31", "2027-01-31T12:00:00Z"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_address_is_a_socket_a_path_or_systemds() {
        assert_eq!(Address::read("[::]:8443"), Ok(Address::Tcp("[::]:8443".parse().unwrap())));
        assert_eq!(Address::read("localhost:80"), Ok(Address::Tcp("127.0.0.1:80".parse().unwrap())));
        assert_eq!(Address::read("unix:/run/w"), Ok(Address::Unix("/run/w".into())));
        assert_eq!(Address::read("systemd:http"), Ok(Address::Systemd("http".into())));
        for wrong in ["8443", "gateway:8443", "unix:run", "systemd:", "::1:80", ""] {
            assert!(Address::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_target_address_is_host_and_port_or_a_path() {
        assert_eq!(TcpAddress::read("plc.example:502"), Ok(TcpAddress::Host("plc.example".into(), 502)));
        assert_eq!(TcpAddress::read("[fe80::1%eth0]:23"), Ok(TcpAddress::Host("fe80::1%eth0".into(), 23)));
        assert_eq!(TcpAddress::read("unix:/run/d"), Ok(TcpAddress::Unix("/run/d".into())));
        for wrong in ["plc", "plc:0", "plc:99999", "::1:502", "http://plc:502", ":502"] {
            assert!(TcpAddress::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_date_is_good_through_its_last_second() {
        assert_eq!(Expiry::read("1970-01-01"), Ok(Expiry(86_400)));
        assert_eq!(Expiry::read("1970-01-01T00:00:10Z"), Ok(Expiry(10)));
        for wrong in ["soon", "2027-13-01", "2027-01-31T12:00:00", "31.1.2027"] {
            assert!(Expiry::read(wrong).unwrap_err().contains("2027-01-31"), "{wrong}");
        }
    }

    #[test]
    fn a_hash_that_is_none_is_not_repeated() {
        assert_eq!(Sha256::read(&"0f".repeat(32)), Ok(Sha256([15; 32])));
        assert!(!Sha256::read("wsb_secret").unwrap_err().contains("wsb_secret"));
    }
}
