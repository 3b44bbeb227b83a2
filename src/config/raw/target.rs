//! The shapes of what an endpoint reaches: serial ports here and elsewhere, sockets.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{Leaf, Named, OneOf, Placed};
use crate::{
    config::{
        PortControl, TcpAddress,
        words::{PortPath, Stay},
    },
    settings::{Flow, Format, UsbId},
};

/// A serial port of this machine.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Serial {
    /// Path of the device, or how it is known again; `wsbridge ports` prints what to paste.
    pub port: Placed<OneOf<PortPath, Port>>,
    /// Bits per second. Default: 9600.
    pub baud: Option<Leaf<u32>>,
    /// Data bits, parity letter (N E O M S), stop bits. Default: 8N1.
    pub format: Option<Leaf<Format>>,
    /// Flow control. Default: none.
    pub flow: Option<Leaf<Flow>>,
    /// RS-485 direction control by the driver. Default: null, off.
    pub rs485: Option<Placed<Rs485>>,
    /// What DTR and RTS do.
    #[serde(default)]
    pub signals: Signals,
    /// Ask the driver for low latency where it knows it. Default: true.
    pub low_latency: Option<Leaf<bool>>,
    /// Open even a tty that is the kernel's console or has a getty. Default: false.
    pub allow_console: Option<Leaf<bool>>,
    /// Named signal sequences: at most 32 steps and 10 s each.
    #[serde(default)]
    pub macros: Named<Vec<MacroStep>>,
}

/// A serial port on another box: ser2net, Moxa, Digi and their like.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Rfc2217 {
    /// `HOST:PORT` (resolved at each connect), `[IPv6]:PORT`, or `unix:/path`.
    pub address: Leaf<TcpAddress>,
    /// Bits per second. Default: 9600.
    pub baud: Option<Leaf<u32>>,
    /// Data bits, parity letter (N E O M S), stop bits. Default: 8N1.
    pub format: Option<Leaf<Format>>,
    /// Flow control. Default: none.
    pub flow: Option<Leaf<Flow>>,
    /// Whether a peer without control of its port will do: `required`, or `optional` for plain telnet. Default:
    /// required.
    pub control: Option<Leaf<PortControl>>,
    /// What DTR and RTS do.
    #[serde(default)]
    pub signals: Signals,
    /// Time for all connect attempts together, and again for the negotiation. Default: 5s.
    pub connect_timeout: Option<Leaf<Duration>>,
    /// Idle time before keepalive probes; 0s sends none. Default: 30s.
    pub keepalive: Option<Leaf<Duration>>,
    /// `TCP_USER_TIMEOUT`: cuts a peer that leaves data unacknowledged for so long, also one that is only slow; 0s sets
    /// none. Default: 0s.
    pub user_timeout: Option<Leaf<Duration>>,
    /// Named signal sequences: at most 32 steps and 10 s each.
    #[serde(default)]
    pub macros: Named<Vec<MacroStep>>,
}

/// How a port is known again: `usb` (with `serial`, `interface`), or `path`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Port {
    /// USB vendor and product number, like 0403:6001.
    pub usb: Option<Leaf<UsbId>>,
    /// USB serial number; without it, the only such adapter.
    pub serial: Option<Leaf<String>>,
    /// Interface number of an adapter with several ports.
    pub interface: Option<Leaf<u32>>,
    /// Path of the device, best one under /dev/serial.
    pub path: Option<Leaf<PortPath>>,
}

/// RS-485 direction control by the driver.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Rs485 {
    /// RTS level while sending. Default: true.
    pub rts_on_send: Option<Leaf<bool>>,
    /// RTS level otherwise. Default: false.
    pub rts_after_send: Option<Leaf<bool>>,
    /// Hear what we send. Default: false.
    pub rx_during_tx: Option<Leaf<bool>>,
    /// Switch the bus terminator on. Default: false.
    pub terminate: Option<Leaf<bool>>,
    /// Pause between RTS and the first bit, up to 100ms. Default: 0ms.
    pub delay_before: Option<Leaf<Duration>>,
    /// Pause between the last bit and RTS, up to 100ms. Default: 0ms.
    pub delay_after: Option<Leaf<Duration>>,
}

/// What DTR and RTS do.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Signals {
    /// When the device is opened. Default: keep, what the driver does.
    pub on_open: Option<Placed<OneOf<Stay, Lines>>>,
    /// When the last session has left. Default: keep.
    pub on_last_close: Option<Placed<OneOf<Stay, Lines>>>,
}

/// Levels of DTR and RTS; a line left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Lines {
    /// Data Terminal Ready.
    pub dtr: Option<Leaf<bool>>,
    /// Request To Send.
    pub rts: Option<Leaf<bool>>,
}

/// One step of a macro: what moves together, then a pause.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct MacroStep {
    /// Data Terminal Ready.
    pub dtr: Option<Leaf<bool>>,
    /// Request To Send.
    pub rts: Option<Leaf<bool>>,
    /// Break condition.
    #[serde(rename = "break")]
    pub brk: Option<Leaf<bool>>,
    /// Milliseconds to wait after the change. Default: 0.
    pub wait_ms: Option<Leaf<u32>>,
}

/// A TCP or unix socket.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tcp {
    /// `HOST:PORT` (resolved at each connect), `[IPv6]:PORT`, or `unix:/path`.
    pub address: Leaf<TcpAddress>,
    /// Time for all connect attempts together. Default: 5s.
    pub connect_timeout: Option<Leaf<Duration>>,
    /// Idle time before keepalive probes; 0s sends none. Default: 30s.
    pub keepalive: Option<Leaf<Duration>>,
    /// `TCP_USER_TIMEOUT`: cuts a peer that leaves data unacknowledged for so long, also one that is only slow; 0s sets
    /// none. Default: 0s.
    pub user_timeout: Option<Leaf<Duration>>,
    /// TLS to the target. Default: null, none.
    pub tls: Option<Placed<TargetTls>>,
}

/// TLS to a target; `{}` checks against the system's authorities.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct TargetTls {
    /// Authority, PEM. Default: the system's.
    pub ca: Option<Leaf<PathBuf>>,
    /// Name asked for and checked. Default: the address's host.
    pub server_name: Option<Leaf<String>>,
    /// Our certificate chain, PEM.
    pub certificate: Option<Leaf<PathBuf>>,
    /// Our private key, PEM.
    pub key: Option<Leaf<PathBuf>>,
}
