//! A serial port on another box: its part of the configuration.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    CarrierRules, TcpTarget,
    cursor::Keys,
    port::{Macros, PortKeys, port},
    tcp::connection,
    units::{Scalar, choose},
};
use crate::settings::{Levels, Settings};

/// A serial port on another box, by RFC 2217.
#[derive(Clone, Debug, PartialEq)]
pub struct Rfc2217Target {
    /// Where it is, and how the connection is kept; without TLS. `connect_timeout` applies once
    /// more to the negotiation.
    pub tcp: TcpTarget,
    /// How it is set up.
    pub settings: Settings,
    /// DTR and RTS when the device is opened.
    pub on_open: Levels,
    /// DTR and RTS when the last session has left; an empty change leaves them.
    pub on_release: Levels,
    /// What its modem lines mean for sessions.
    pub carrier: CarrierRules,
    /// Whether a peer will do that gives no control of its port.
    pub control: PortControl,
}

/// Whether the port must accept settings and signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortControl {
    /// A peer that does not speak COM-PORT-OPTION is not opened.
    Required,
    /// Such a peer is used as plain telnet, for bytes only.
    Optional,
}

impl Scalar for PortControl {
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("required", Self::Required), ("optional", Self::Optional)])
    }

    fn kind() -> String {
        "`required`, `optional`".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["required", "optional"] })
    }

    fn text(&self) -> String {
        match self {
            Self::Required => "required".into(),
            Self::Optional => "optional".into(),
        }
    }
}

/// Reads `rfc2217:`, and with it the macros of its port.
pub(super) fn rfc2217(k: &mut Keys<'_>, dead_after: Duration) -> (Option<Rfc2217Target>, Macros) {
    let tcp = connection(k, dead_after);
    let PortKeys { settings, on_open, on_release, carrier, macros } = port(k);
    let control = k
        .key(
            "control",
            "whether a peer that does not agree to COM-PORT-OPTION will do: `optional` uses it as plain telnet, for bytes \
             alone (a byte 255 is still doubled, and a CR is followed by NUL unless the peer agrees to BINARY; for raw \
             bytes use `tcp`)",
        )
        .uci("control")
        .or(PortControl::Required);
    (tcp.map(|tcp| Rfc2217Target { tcp, settings, on_open, on_release, carrier, control }), macros)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Share, Target, TcpAddress, parse};

    fn read(remote: &str) -> Result<(Rfc2217Target, Option<Share>), String> {
        let text = format!("auth: none\nendpoints:\n  e: {{ rfc2217: {remote} }}\n");
        let (config, _) =
            parse(&text, "w.yaml", &|_| Err(String::new())).map_err(|error| error.to_string())?;
        let endpoint = &config.endpoints["e"];
        let Target::Rfc2217(target) = &endpoint.target else { panic!("{endpoint:?}") };
        Ok((target.clone(), endpoint.share))
    }

    #[test]
    fn it_is_a_line_and_defaults_are_those_of_serial_and_tcp() {
        let (target, share) = read("{ address: 'box:2217' }").unwrap();
        assert_eq!(share, Some(Share::OneWriter));
        assert_eq!(target.tcp.address, TcpAddress::Host("box".into(), 2217));
        assert_eq!(target.tcp.connect_timeout, Duration::from_secs(5));
        assert_eq!(target.settings, Settings::default());
        assert!(target.on_open.is_empty() && target.on_release.is_empty());
        assert_eq!(target.control, PortControl::Required);
    }

    #[test]
    fn every_key_is_read_and_a_wrong_one_is_named() {
        let (target, _) = read(
            "{ address: 'box:2217', baud: 115200, format: 7E1, flow: rtscts, control: optional, connect_timeout: 2s, \
             signals: { on_open: { dtr: false } }, macros: { reset: [ { rts: true, wait_ms: 5 } ] } }",
        )
        .unwrap();
        assert_eq!(target.settings.to_string(), "115200 7E1 rtscts");
        assert_eq!(target.on_open, Levels { dtr: Some(false), ..Levels::default() });
        assert_eq!(target.control, PortControl::Optional);
        let error = read("{ address: 'box:2217', control: maybe }").unwrap_err();
        assert!(
            error.contains("endpoints.e.rfc2217.control") && error.contains("optional"),
            "{error}"
        );
        assert!(read("{ baud: 9600 }").unwrap_err().contains("address"));
    }
}
