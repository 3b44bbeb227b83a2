//! How a remedy is typed here: with sudo, systemctl and YAML, or, on OpenWrt, as root with init
//! scripts and UCI.

use std::path::Path;

use crate::cli::load::ConfigFile;

/// The kind of system whose terms are used; the form of the configuration decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum System {
    /// A distribution with systemd and YAML.
    #[default]
    Linux,
    /// procd and UCI; commands are typed as root.
    OpenWrt,
}

impl System {
    pub(super) fn of(source: &ConfigFile) -> Self {
        match source {
            ConfigFile::Yaml(_) => Self::Linux,
            ConfigFile::Uci(_) => Self::OpenWrt,
        }
    }

    /// The one that applies to this system.
    pub(super) fn pick<T>(self, linux: T, openwrt: T) -> T {
        match self {
            Self::Linux => linux,
            Self::OpenWrt => openwrt,
        }
    }

    /// [`Self::pick`] for lines to type.
    pub(super) fn lines(self, linux: &[&str], openwrt: &[&str]) -> Vec<String> {
        self.pick(linux, openwrt).iter().map(|&line| line.to_owned()).collect()
    }

    /// A command that root types.
    pub(super) fn root(self, command: &str) -> String {
        self.pick("sudo ", "").to_owned() + command
    }

    pub(super) fn restart(self) -> String {
        self.pick("sudo systemctl restart wsbridge", "/etc/init.d/wsbridge restart").to_owned()
    }

    pub(super) fn reload(self) -> String {
        self.pick("sudo systemctl reload wsbridge", "/etc/init.d/wsbridge reload").to_owned()
    }

    /// The doctor itself, run so that it sees everything.
    pub(super) fn doctor(self) -> String {
        self.pick("sudo wsbridge doctor", "wsbridge doctor --uci    # as root").to_owned()
    }

    /// The last log lines of the service.
    pub(super) fn log(self) -> String {
        self.pick(
            "journalctl -u wsbridge -n 20    # why",
            "logread -e wsbridge | tail -20    # why",
        )
        .to_owned()
    }

    /// Where something is in the configuration: `endpoints.modem1`, or `endpoint 'modem1'`.
    pub(super) fn place(self, kind: &str, name: &str) -> String {
        match self {
            Self::Linux => format!("{kind}s.{name}"),
            Self::OpenWrt => format!("{kind} '{name}'"),
        }
    }

    /// A listener with a certificate of its own.
    pub(super) fn listen(self, address: &str) -> String {
        self.pick(
            format!("listen: [ {{ address: \"{address}\", tls: self-signed }} ]"),
            format!("list listen '{address}'    # with: option tls 'self-signed'"),
        )
    }

    /// A port, by the socket it is plugged into.
    pub(super) fn port_by_path(self, path: &Path) -> String {
        let path = path.display().to_string();
        self.option(("port", &format!("{{ path: \"{path}\" }}")), ("port", &path))
    }

    /// A key of the configuration with its value: `name: value`, or `option name 'value'`.
    pub(super) fn option(self, (key, value): (&str, &str), option: (&str, &str)) -> String {
        match self {
            Self::Linux => format!("{key}: {value}"),
            Self::OpenWrt => format!("option {} '{}'", option.0, option.1),
        }
    }
}
