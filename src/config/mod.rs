//! The resolved configuration: immutable and complete; nothing in it means "default".
//!
//! `yaml` and `uci` turn a file into a tree, and `cursor` reads it: the sections' functions give
//! each key once. `plan` compares two configurations for a reload.

mod access;
mod addresses;
mod admin;
mod app;
mod audit;
mod carrier;
mod certificate;
mod cursor;
mod dead_man;
mod described;
mod dial_in;
mod door;
mod endpoint;
mod escaped;
mod fingerprint;
mod fleet;
mod gateway;
mod heartbeat;
mod import;
mod issuer;
mod joined;
mod kept;
mod lending;
mod lines;
mod listen;
mod login;
#[cfg(test)]
mod manual;
mod node;
mod origin;
mod pacing;
mod packing;
mod password;
mod plan;
mod port;
mod proxies;
mod public;
mod record;
mod registration;
mod report;
mod resolve;
mod rfc2217;
mod rights;
mod schema;
mod secret;
mod serial;
mod sim;
mod subprotocol;
mod switch;
mod tcp;
mod text;
mod trust;
pub(crate) mod uci;
mod udp;
mod units;
mod words;
mod yaml;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

pub(crate) use admin::AdminSocket;
pub(crate) use app::App;
pub(crate) use audit::{AuditRules, WitnessRules};
pub(crate) use carrier::CarrierLine;
pub use carrier::CarrierRules;
pub(crate) use dead_man::{DEAD_MAN_TIME, DeadMan, DeadManStep};
pub(crate) use dial_in::DialInTarget;
pub(crate) use door::{Door, DoorWay};
pub(crate) use fingerprint::read_fingerprint;
pub(crate) use fleet::{CallHome, HubRules};
pub(crate) use gateway::Limits;
pub(crate) use heartbeat::Heartbeat;
pub use import::{Import, ImportKind, Imported, import};
pub(crate) use issuer::{Issuer, KeyPlace, OidcClient, WebAddress};
pub(crate) use lending::Lending;
pub(crate) use lines::{LocalLine, LocalPlace, parse_lines};
pub(crate) use listen::{Address, Listen, ListenTls};
pub(crate) use login::Login;
pub(crate) use origin::Origin;
pub(crate) use pacing::Pacing;
#[cfg(test)]
pub(crate) use pacing::Prompt;
pub(crate) use packing::{PACKET_MOST, modbus_pause};
pub(crate) use password::Password;
pub(crate) use plan::{
    DoorAction, EndpointAction, ListenerAction, Plan, PlannedDoor, SimAction, same_port,
};
pub(crate) use proxies::Network;
#[cfg(test)]
pub(crate) use proxies::ProxySecret;
pub(crate) use proxies::{HeaderFamily, TrustedProxies, contain};
pub(crate) use public::{Public, prefix};
pub(crate) use record::{RecordFirst, RecordFormat, RecordRules};
pub use resolve::parse;
pub(crate) use resolve::{ConfigError, MAX_FILE, Warning, parse_files};
pub use rfc2217::{PortControl, Rfc2217Target};
pub(crate) use rights::{Rights, RightsTable};
pub(crate) use schema::schema;
pub(crate) use secret::{SecretReader, SecretSource};
pub(crate) use sim::{SimDevice, SimTarget};
pub(crate) use switch::{GpioLine, KeySwitch, SwitchSource};
pub(crate) use tcp::TargetTls;
pub use tcp::{TcpAddress, TcpTarget};
pub(crate) use text::Text;
pub(crate) use uci::{UciInstance, uci_instance};
pub use uci::{parse_uci, uci_as_yaml};
pub(crate) use udp::UdpTarget;
pub(crate) use units::{duration_text, read_duration, seconds_of, size_text};
pub(crate) use words::{HomeProxy, KnownResets};

pub(crate) use crate::wire::frames::Packing;

use crate::settings::{Levels, Settings, Step, UsbId};

/// Everything the daemon runs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it listens; never empty.
    pub listen: Vec<Listen>,
    /// Who may do what.
    pub access: Access,
    /// Origins allowed besides our own.
    pub origins: Vec<Origin>,
    /// Where browsers find it through its proxy.
    pub public: Option<Public>,
    /// Pages that may show ours in a frame.
    pub frame_ancestors: Vec<Origin>,
    /// How long browsers are told to use only HTTPS (`Strict-Transport-Security`), if they are.
    pub hsts: Option<Duration>,
    /// Host names that we answer to, in lower case, besides our own addresses, `localhost`, the
    /// host's name and NAME.local.
    pub hosts: Vec<String>,
    /// Reverse proxies whose word counts.
    pub trusted_proxies: TrustedProxies,
    /// Whether listeners that other machines reach are announced by multicast DNS.
    pub mdns: bool,
    /// How long a browser stays signed in.
    pub login: Login,
    /// How access may be lent to others.
    pub lending: Lending,
    /// What strangers may take.
    pub limits: Limits,
    /// The files that it was read from, each with the SHA-256 of its bytes in hexadecimal.
    pub files: BTreeMap<String, String>,
    /// The record of who did what, if one is kept.
    pub audit: Option<AuditRules>,
    /// The key switch, if there is one.
    pub switch: Option<KeySwitch>,
    /// Where commands of this machine reach it.
    pub admin: AdminSocket,
    /// What people may do who come by this gateway's hub.
    pub call_home: CallHome,
    /// What makes this a hub, if it is one.
    pub hub: Option<HubRules>,
    /// Other people's web tools, by name.
    pub apps: BTreeMap<String, Arc<App>>,
    /// Endpoints by name.
    pub endpoints: BTreeMap<String, Arc<Endpoint>>,
    /// Where generated keys are kept; systemd's StateDirectory or `/var/lib/wsbridge`.
    pub state_directory: PathBuf,
    /// How long a client may be silent before it counts as dead, 5 s to 10 min; pings go out after
    /// a third of that.
    pub dead_after: Duration,
    /// How long a `wsbridge.v1` session outlives its socket.
    pub resume: Duration,
}

/// Who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `auth: none`: whoever reaches a loopback listener has every right.
    pub open: bool,
    /// Users by name.
    pub users: BTreeMap<String, User>,
    /// API tokens by name.
    pub tokens: BTreeMap<String, Token>,
    /// Client certificates by the name of their principal.
    pub certificates: BTreeMap<String, Certificate>,
    /// Issuers of signed tokens by name.
    pub issuers: BTreeMap<String, Issuer>,
    /// Where every right comes from, for `wsbridge check`.
    pub given: Vec<Given>,
}

/// Where a right comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// `users.alice`, `tokens.billing`, `certificates.plc`.
    pub principal: String,
    /// The role it came through; `None` for the principal's own rights.
    pub role: Option<String>,
    /// The pattern of endpoints.
    pub pattern: String,
    /// What it gives.
    pub rights: Rights,
}

/// A person with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The password.
    pub password: Password,
    /// What the user's roles add up to.
    pub rights: RightsTable,
}

/// A program with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token's text.
    pub sha256: [u8; 32],
    /// Seconds since 1970 after which it is no longer valid.
    pub expires: Option<i64>,
    /// Several programs use it.
    pub shared: bool,
    /// What it may do.
    pub rights: RightsTable,
}

/// A machine with a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What it is known by.
    pub by: CertificateMatch,
    /// What it may do.
    pub rights: RightsTable,
}

/// What a client certificate is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateMatch {
    /// The common name of its subject, which must have exactly one.
    CommonName(String),
    /// One of its subject's alternative names.
    San(String),
    /// SHA-256 of the whole certificate.
    Fingerprint([u8; 32]),
}

/// A text that neither a log nor `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is published, and the rules for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name in the URL.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// What it reaches.
    pub target: Target,
    /// `None`: each session has its own connection (dedicated TCP). Otherwise one line, shared like
    /// this.
    pub share: Option<Share>,
    /// Bytes of output kept for scrollback and resume.
    pub history: usize,
    /// When a line's device is open.
    pub open: OpenWhen,
    /// Time without a byte after which the holder of the lease loses it.
    pub lease_idle: Option<Duration>,
    /// How long ago somebody may have signed in who wants to write.
    pub reauth: Option<Duration>,
    /// Which bytes of the device make one message.
    pub packing: Packing,
    /// How slowly data is sent to the device.
    pub pacing: Pacing,
    /// Whether `base64` may be negotiated.
    pub base64: bool,
    /// Subprotocols answered in plain mode, the best first.
    pub subprotocols: Vec<String>,
    /// Limits of its sessions.
    pub limits: EndpointLimits,
    /// Named signal sequences.
    pub macros: BTreeMap<String, Vec<Step>>,
    /// What is done with a line that has lost its writer.
    pub dead_man: Option<DeadMan>,
    /// What is recorded of it, if anything is.
    pub record: Option<RecordRules>,
    /// Other ways in.
    pub doors: Vec<Door>,
}

/// How a line is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// One seat at a time; a second is refused.
    Exclusive,
    /// Many read, the holder of the lease writes.
    OneWriter,
    /// Everyone with the right writes.
    Everyone,
}

/// When a line's device is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenWhen {
    /// For the daemon's life.
    Always,
    /// While there are seats.
    OnDemand,
}

/// Limits of an endpoint's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointLimits {
    /// Sessions at a time.
    pub sessions: usize,
    /// Time without a byte in either direction after which a session ends with 4440.
    pub idle: Option<Duration>,
    /// Bytes per second and direction.
    pub rate: Option<u64>,
    /// How long a session's last bytes may stand still on their way to the target, and how long a
    /// target may go on sending after the client's Close.
    pub linger: Duration,
    /// How long they may be unacknowledged while the target shows that it is alive but takes
    /// nothing.
    pub linger_max: Duration,
}

/// What an endpoint reaches.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A TCP or unix socket.
    Tcp(TcpTarget),
    /// A device that connects to us.
    DialIn(DialInTarget),
    /// A serial port of this machine.
    Serial(SerialTarget),
    /// A serial port on another box.
    Rfc2217(Rfc2217Target),
    /// A UDP port of another machine.
    Udp(UdpTarget),
    /// A simulated device.
    Sim(SimTarget),
}

impl Target {
    /// Whether what it sends and receives has borders, which are kept.
    pub fn has_datagrams(&self) -> bool {
        matches!(self, Self::Udp(_) | Self::Sim(SimTarget { device: SimDevice::Nmea }))
    }

    /// The word for its kind, as clients are told: the key in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) | Self::DialIn(_) => "tcp",
            Self::Serial(_) => "serial",
            Self::Rfc2217(_) => "rfc2217",
            Self::Udp(_) => "udp",
            Self::Sim(_) => "sim",
        }
    }
}

/// A serial port of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct SerialTarget {
    /// Which port.
    pub port: PortIdentity,
    /// How it is set up.
    pub settings: Settings,
    /// RS-485 direction control by the driver.
    pub rs485: Option<Rs485>,
    /// DTR and RTS when the device is opened.
    pub on_open: Levels,
    /// DTR and RTS when the last session has left; an empty change leaves them.
    pub on_release: Levels,
    /// What its modem lines mean for sessions.
    pub carrier: CarrierRules,
    /// Whether what we send and hear again is taken out.
    pub removes_echo: bool,
    /// Whether to ask the driver for low latency, if it knows that.
    pub low_latency: bool,
    /// Whether to open even a tty that is the kernel's console or has a getty.
    pub allow_console: bool,
}

/// How a port is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortIdentity {
    /// A device file, or a link of /dev/serial.
    Path(PathBuf),
    /// USB numbers, serial number, interface.
    Usb {
        /// Vendor and product.
        id: UsbId,
        /// Serial number; `None` takes the only one there is.
        serial: Option<String>,
        /// Interface number of a device with several ports.
        interface: Option<u8>,
    },
}

/// RS-485 direction control by the driver (TIOCSRS485).
#[expect(clippy::struct_excessive_bools, reason = "independent switches of one ioctl")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rs485 {
    /// RTS level while sending.
    pub rts_on_send: bool,
    /// RTS level otherwise.
    pub rts_after_send: bool,
    /// Whether to receive what we send.
    pub rx_during_tx: bool,
    /// Whether to switch the bus terminator on.
    pub terminate: bool,
    /// Pause between RTS and the first bit.
    pub delay_before: Duration,
    /// Pause between the last bit and RTS.
    pub delay_after: Duration,
}
