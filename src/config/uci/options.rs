//! Every section and option there is, and the path of keys each stands for. `docs/openwrt.md` explains them.

use self::Kind::{Flag, List, Name, Rights, Script, Steps, Switch, Text, Tls};

/// How an option's value becomes one of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Text,
    /// 1 or 0, in any of UCI's words.
    Flag,
    /// 1 makes the mapping that other options fill.
    Switch,
    /// Each value an item.
    List,
    /// `PATTERN=RIGHT,RIGHT`, each value a key.
    Rights,
    /// `dtr=1 wait_ms=100`, each value a step.
    Steps,
    /// A listener's protection, a word or `files`.
    Tls,
    /// What the section is about, told apart before.
    Name,
    /// Read by the init script, not by the daemon.
    Script,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) option: &'static str,
    /// Keys to the value; `*` is the endpoint's type.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    /// Types of endpoints that have it; all when empty.
    pub(super) of: &'static [&'static str],
}

const fn row(option: &'static str, path: &'static str, kind: Kind) -> Row {
    Row { option, path, kind, of: &[] }
}

const fn of(of: &'static [&'static str], option: &'static str, path: &'static str, kind: Kind) -> Row {
    Row { option, path, kind, of }
}

/// Types of endpoints.
pub(super) const TYPES: [&str; 4] = ["serial", "tcp", "rfc2217", "sim"];

const SERIAL: &[&str] = &["serial"];
const TCP: &[&str] = &["tcp"];
const RFC2217: &[&str] = &["rfc2217"];
const SIM: &[&str] = &["sim"];
const PORTS: &[&str] = &["serial", "rfc2217"];
const NETWORK: &[&str] = &["tcp", "rfc2217"];

/// A kind of section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sort {
    pub(super) kind: &'static str,
    /// Where sections of the kind are, by name; empty where they have no name there.
    pub(super) path: &'static str,
    pub(super) rows: &'static [Row],
    /// Options of which there must be exactly one.
    pub(super) one_of: &'static [&'static str],
}

/// Kinds of sections.
pub(super) const SORTS: [Sort; 9] = [
    Sort { kind: "wsbridge", path: "", rows: MAIN, one_of: &[] },
    Sort { kind: "listener", path: "", rows: LISTENER, one_of: &["address"] },
    Sort { kind: "user", path: "users", rows: USER, one_of: &["password", "password_file"] },
    Sort { kind: "token", path: "tokens", rows: TOKEN, one_of: &["sha256", "sha256_file"] },
    Sort { kind: "certificate", path: "certificates", rows: CERTIFICATE, one_of: &[] },
    Sort { kind: "role", path: "roles", rows: ROLE, one_of: &["right"] },
    Sort { kind: "endpoint", path: "endpoints", rows: ENDPOINT, one_of: &["type"] },
    Sort { kind: "app", path: "apps", rows: APP, one_of: &["directory"] },
    Sort { kind: "macro", path: "", rows: MACRO, one_of: &["endpoint"] },
];

/// What an endpoint of a type must have exactly one of.
pub(super) fn target_one_of(target: &str) -> &'static [&'static str] {
    match target {
        "serial" => &["port", "usb"],
        "sim" => &["device"],
        _ => &["address"],
    }
}

/// Options of a listener that `config wsbridge` has for all of its `list listen`.
pub(super) const LISTENER: &[Row] = &[
    row("address", "address", Text),
    row("tls", "tls", Tls),
    row("certificate", "tls.certificate", Text),
    row("key", "tls.key", Text),
    row("client_ca", "tls.client_ca", Text),
    row("client_crl", "tls.client_crl", Text),
    row("plain", "plain", Text),
    row("proxy_protocol", "proxy_protocol", Flag),
];

const MAIN: &[Row] = &[
    row("enabled", "", Script),
    row("user", "", Script),
    row("group", "", Script),
    row("config", "", Script),
    row("jail", "", Script),
    row("listen", "", Name),
    row("tls", "", Name),
    row("certificate", "", Name),
    row("key", "", Name),
    row("client_ca", "", Name),
    row("client_crl", "", Name),
    row("plain", "", Name),
    row("proxy_protocol", "", Name),
    row("auth", "auth", Text),
    row("origin", "origins", List),
    row("host", "hosts", List),
    row("frame_ancestor", "frame_ancestors", List),
    row("trusted_proxy", "trusted_proxies.addresses", List),
    row("proxy_headers", "trusted_proxies.headers", Text),
    row("proxy_also", "trusted_proxies.also", List),
    row("proxy_user_header", "trusted_proxies.user_header", Text),
    row("proxy_secret_header", "trusted_proxies.secret.header", Text),
    row("proxy_secret", "trusted_proxies.secret.sha256", Text),
    row("mdns", "mdns", Flag),
    row("hsts", "hsts", Text),
    row("dead_after", "dead_after", Text),
    row("resume", "resume", Text),
    row("state_directory", "state_directory", Text),
    row("connections", "limits.connections", Text),
    row("per_address", "limits.per_address", Text),
    row("unauthenticated", "limits.unauthenticated", Text),
    row("handshake", "limits.handshake", Text),
    row("head", "limits.head", Text),
    row("login_idle", "login.idle", Text),
    row("login_lifetime", "login.lifetime", Text),
];

const APP: &[Row] = &[
    row("name", "", Name),
    row("title", "title", Text),
    row("directory", "directory", Text),
    row("listen", "listen.address", Text),
    row("tls", "listen.tls", Text),
    row("certificate", "listen.tls.certificate", Text),
    row("key", "listen.tls.key", Text),
    row("client_ca", "listen.tls.client_ca", Text),
    row("client_crl", "listen.tls.client_crl", Text),
    row("plain", "listen.plain", Text),
    row("proxy_protocol", "listen.proxy_protocol", Flag),
    row("url", "url", Text),
    row("endpoint", "endpoints", List),
];

const USER: &[Row] = &[
    row("name", "", Name),
    row("password", "password", Text),
    row("password_file", "password.file", Text),
    row("role", "roles", List),
    row("right", "rights", Rights),
];

const TOKEN: &[Row] = &[
    row("name", "", Name),
    row("sha256", "sha256", Text),
    row("sha256_file", "sha256.file", Text),
    row("expires", "expires", Text),
    row("shared", "shared", Flag),
    row("role", "roles", List),
    row("right", "rights", Rights),
];

const CERTIFICATE: &[Row] = &[
    row("name", "", Name),
    row("common_name", "common_name", Text),
    row("san", "san", Text),
    row("fingerprint", "fingerprint", Text),
    row("role", "roles", List),
    row("right", "rights", Rights),
];

const ROLE: &[Row] = &[row("name", "", Name), row("right", "", Rights)];

const MACRO: &[Row] = &[row("name", "", Name), row("endpoint", "", Name), row("step", "", Steps)];

const ENDPOINT: &[Row] = &[
    row("name", "", Name),
    row("type", "", Name),
    row("enabled", "", Name),
    row("title", "title", Text),
    of(SERIAL, "port", "serial.port", Text),
    of(SERIAL, "usb", "serial.port.usb", Text),
    of(SERIAL, "serial", "serial.port.serial", Text),
    of(SERIAL, "interface", "serial.port.interface", Text),
    of(NETWORK, "address", "*.address", Text),
    of(SIM, "device", "sim", Text),
    of(PORTS, "baud", "*.baud", Text),
    of(PORTS, "format", "*.format", Text),
    of(PORTS, "flow", "*.flow", Text),
    of(RFC2217, "control", "rfc2217.control", Text),
    of(PORTS, "open_dtr", "*.signals.on_open.dtr", Flag),
    of(PORTS, "open_rts", "*.signals.on_open.rts", Flag),
    of(PORTS, "close_dtr", "*.signals.on_last_close.dtr", Flag),
    of(PORTS, "close_rts", "*.signals.on_last_close.rts", Flag),
    of(SERIAL, "low_latency", "serial.low_latency", Flag),
    of(SERIAL, "allow_console", "serial.allow_console", Flag),
    of(SERIAL, "rs485", "serial.rs485", Switch),
    of(SERIAL, "rs485_rts_on_send", "serial.rs485.rts_on_send", Flag),
    of(SERIAL, "rs485_rts_after_send", "serial.rs485.rts_after_send", Flag),
    of(SERIAL, "rs485_rx_during_tx", "serial.rs485.rx_during_tx", Flag),
    of(SERIAL, "rs485_terminate", "serial.rs485.terminate", Flag),
    of(SERIAL, "rs485_delay_before", "serial.rs485.delay_before", Text),
    of(SERIAL, "rs485_delay_after", "serial.rs485.delay_after", Text),
    of(NETWORK, "connect_timeout", "*.connect_timeout", Text),
    of(NETWORK, "keepalive", "*.keepalive", Text),
    of(NETWORK, "user_timeout", "*.user_timeout", Text),
    of(TCP, "tls", "tcp.tls", Switch),
    of(TCP, "tls_ca", "tcp.tls.ca", Text),
    of(TCP, "tls_server_name", "tcp.tls.server_name", Text),
    of(TCP, "tls_certificate", "tcp.tls.certificate", Text),
    of(TCP, "tls_key", "tcp.tls.key", Text),
    row("share", "share", Text),
    row("open", "open", Text),
    row("history", "history", Text),
    row("lease_idle", "lease_idle", Text),
    row("base64", "base64", Flag),
    row("subprotocol", "subprotocols", List),
    row("packing_idle_ms", "packing.idle_ms", Text),
    row("packing_delimiter", "packing.delimiter", Text),
    row("packing_keep", "packing.keep", Flag),
    row("packing_plus", "packing.plus", Text),
    row("packing_length", "packing.length", Text),
    row("packing_modbus_rtu", "packing.modbus-rtu", Flag),
    row("pacing_byte_delay", "pacing.byte_delay", Text),
    row("pacing_line_delay", "pacing.line_delay", Text),
    row("pacing_prompt", "pacing.prompt", Text),
    row("pacing_timeout", "pacing.timeout", Text),
    row("sessions", "limits.sessions", Text),
    row("idle", "limits.idle", Text),
    row("rate", "limits.rate", Text),
    row("linger", "limits.linger", Text),
    row("linger_max", "limits.linger_max", Text),
];
