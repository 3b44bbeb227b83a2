//! The words of the file: rights, ports, paths, hashes, dates; each with its grammar and what to
//! type instead.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    CarrierLine, OpenWhen, RecordFormat, Rights, Share, SimDevice,
    record::DecodeWord,
    units::{Scalar, choose},
};
use crate::settings::{Flow, Format, UsbId};

/// Words that map to values, and their schema.
macro_rules! choices {
    ($type:ty, $($word:literal => $value:expr),+) => {
        impl Scalar for $type {
            fn read(text: &str) -> Result<Self, String> {
                choose(text, &[$(($word, $value)),+])
            }

            fn kind() -> String {
                [$(concat!("`", $word, "`")),+].join(", ")
            }

            fn schema() -> Value {
                json!({ "type": "string", "enum": [$($word),+] })
            }

            fn text(&self) -> String {
                let all: &[(&str, Self)] = &[$(($word, $value)),+];
                all.iter().find(|(_, value)| value == self).map(|(word, _)| (*word).to_owned()).unwrap_or_default()
            }
        }
    };
}

/// `auth: none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoAuth;
/// `plain: accepted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted;
/// `keep`: lines stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay;

/// `admin: none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Off;

/// `restore: settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SettingsWord;

/// What the closed contact of a key switch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SwitchMode {
    Enables,
    Disables,
}

/// The level of a closed contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActiveLevel {
    Low,
    High,
}

/// Where an open contact is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bias {
    PullUp,
    PullDown,
}

/// The way to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HomeProxy {
    /// The proxy that the environment names, if it names one.
    System,
    /// No proxy.
    None,
}

/// `packing: none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoPacking;

/// Whether a raw door takes what a web page could send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpWord {
    Refuse,
    Allow,
}

/// Which resets a door recognises, to do them with the timing that they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KnownResets {
    /// None.
    None,
    /// Those of Espressif's chips.
    Esp,
}

/// An address of this machine and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketAddress(pub SocketAddr);

choices!(HttpWord, "refuse" => Self::Refuse, "allow" => Self::Allow);
choices!(KnownResets, "none" => Self::None, "esp" => Self::Esp);

/// What becomes of an echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EchoWord {
    Keep,
    Remove,
}

/// What becomes of sessions when the carrier falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CarrierLost {
    Keep,
    End,
}

choices!(EchoWord, "keep" => Self::Keep, "remove" => Self::Remove);
choices!(CarrierLost, "keep" => Self::Keep, "end" => Self::End);
choices!(CarrierLine, "dcd" => Self::Dcd, "dsr" => Self::Dsr);
choices!(NoPacking, "none" => Self);
choices!(Off, "none" => Self);
choices!(NoAuth, "none" => Self);
choices!(SwitchMode, "enables" => Self::Enables, "disables" => Self::Disables);
choices!(ActiveLevel, "low" => Self::Low, "high" => Self::High);
choices!(Bias, "pull-up" => Self::PullUp, "pull-down" => Self::PullDown);
choices!(HomeProxy, "system" => Self::System, "none" => Self::None);
choices!(SettingsWord, "settings" => Self);
choices!(Accepted, "accepted" => Self);
choices!(Stay, "keep" => Self);
choices!(Flow, "none" => Self::None, "rtscts" => Self::Hardware, "xonxoff" => Self::Software);
choices!(Share, "exclusive" => Self::Exclusive, "one-writer" => Self::OneWriter, "everyone" => Self::Everyone);
choices!(RecordFormat, "pcapng" => Self::Pcapng, "cast" => Self::Cast, "raw" => Self::Raw);
choices!(DecodeWord, "modbus" => Self::Modbus);
choices!(OpenWhen, "always" => Self::Always, "on-demand" => Self::OnDemand);
choices!(SimDevice, "modem" => Self::Modem, "modbus-rtu" => Self::ModbusRtu, "modbus-tcp" => Self::ModbusTcp,
    "console" => Self::Console, "echo" => Self::Echo, "echo-tcp" => Self::EchoTcp, "source" => Self::Source, "nmea" => Self::Nmea);

impl Scalar for Rights {
    fn read(text: &str) -> Result<Self, String> {
        choose(text, Self::WORDS)
    }

    fn kind() -> String {
        Self::WORDS.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    }

    fn schema() -> Value {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        json!({ "type": "string", "enum": words })
    }

    fn text(&self) -> String {
        let own = Self::WORDS.iter().find(|(_, right)| right == self);
        own.map(|(word, _)| (*word).to_owned()).unwrap_or_default()
    }
}

impl Scalar for SocketAddress {
    fn read(text: &str) -> Result<Self, String> {
        let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        local.as_deref().unwrap_or(text).parse().map(Self).map_err(|_| {
            format!(
                "`{text}` is not an address to listen on; write IP:PORT, like 127.0.0.1:2001 (this machine alone) or \
                 \"[::]:2001\""
            )
        })
    }

    fn kind() -> String {
        "address".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["127.0.0.1:2001", "[::1]:2217"] })
    }
}

impl Scalar for Format {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn kind() -> String {
        "like `8N1`".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[5-8][NEOMSneoms](1|1\\.5|2)$", "examples": ["8N1", "7E1"] })
    }
}

impl Scalar for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        absolute(text).ok_or_else(|| format!("`{text}` is not an absolute path; begin it with /"))
    }

    fn kind() -> String {
        "path".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^/" })
    }

    fn text(&self) -> String {
        self.display().to_string()
    }
}

fn absolute(text: &str) -> Option<PathBuf> {
    Path::new(text).is_absolute().then(|| PathBuf::from(text))
}

/// Path of a device file.
#[derive(Clone, Debug)]
pub(super) struct PortPath(pub PathBuf);

impl Scalar for PortPath {
    fn read(text: &str) -> Result<Self, String> {
        absolute(text).map(Self).ok_or_else(|| {
            format!("`{text}` is not the path of a device; write one like /dev/serial/by-id/usb-..., or run `wsbridge ports`")
        })
    }

    fn kind() -> String {
        "path".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^/", "examples": ["/dev/ttyUSB0"] })
    }
}

/// A path that may begin in the folder of the file it stands in.
#[derive(Clone, Debug)]
pub(super) struct NearPath(pub PathBuf);

impl Scalar for NearPath {
    fn read(text: &str) -> Result<Self, String> {
        String::read(text).map(|text| Self(text.into()))
    }

    fn kind() -> String {
        "path".into()
    }

    fn schema() -> Value {
        String::schema()
    }
}

/// `[a-z0-9][a-z0-9._-]{0,63}`
pub(super) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&text.len())
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b"._-".contains(&b))
}

impl Scalar for UsbId {
    fn read(text: &str) -> Result<Self, String> {
        let hex =
            |part: &str| (part.len() == 4).then(|| u16::from_str_radix(part, 16).ok()).flatten();
        text.split_once(':').and_then(|(vid, pid)| Some(Self { vid: hex(vid)?, pid: hex(pid)? })).ok_or_else(
            || {
                format!(
                    "`{text}` is not a USB vendor:product; write four hex digits each, like \"0403:6001\""
                )
            },
        )
    }

    fn kind() -> String {
        "`0403:6001`".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$", "examples": ["0403:6001"] })
    }
}

/// SHA-256 in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sha256(pub [u8; 32]);

impl Scalar for Sha256 {
    fn read(text: &str) -> Result<Self, String> {
        // What was written is not repeated, since it may be the token itself.
        let wrong =
            || "not 64 hex digits; `wsbridge token new NAME` prints the line to paste".to_owned();
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

    fn kind() -> String {
        "64 hex digits".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" })
    }
}

/// When a token expires, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry(pub i64);

impl Scalar for Expiry {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a date; write 2027-01-31 (valid through that day, UTC) or 2027-01-31T12:00:00Z"
            )
        };
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(time.as_second()));
        }
        // `Date` would also accept the date of a local time, whose time zone nobody knows.
        let day: jiff::civil::Date = Some(text)
            .filter(|text| text.len() == 10)
            .ok_or_else(wrong)?
            .parse()
            .map_err(|_| wrong())?;
        let next = day
            .tomorrow()
            .and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC))
            .map_err(|_| wrong())?;
        Ok(Self(next.timestamp().as_second()))
    }

    fn kind() -> String {
        "date or time".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["2027-01-31", "2027-01-31T12:00:00Z"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
