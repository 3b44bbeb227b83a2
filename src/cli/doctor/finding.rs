//! What `doctor` finds: each finding has a name that never changes, its severity, its place, and
//! what to type.

use std::collections::BTreeSet;

use serde::Serialize;

use super::system::System;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Something does not work, or is open to people it should not be open to.
    Wrong,
    /// It works, but probably not as meant.
    Hint,
    /// It could not be checked, usually for lack of rights.
    Unseen,
    /// All well.
    Ok,
}

/// One thing that was found to be wrong, or to be well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The name of the check; docs/doctor.md has a line for each.
    pub(super) id: &'static str,
    /// How bad it is.
    pub(super) level: Level,
    /// Where it is: a key of the configuration, a file, a device.
    pub(super) place: String,
    /// What was found.
    pub(super) what: String,
    /// Commands to type, or lines to write, one per item.
    pub(super) fix: Vec<String>,
    /// Why, in a word or two that several findings of a kind can share; empty if there is nothing
    /// to tell apart.
    #[serde(skip)]
    pub(super) reason: &'static str,
}

/// Everything that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
pub(super) struct DoctorReport {
    /// The kind of system in whose terms remedies are given.
    pub(super) system: System,
    /// What was found.
    pub(super) findings: Vec<Finding>,
    /// What could not be seen; each is reported once.
    unseen: BTreeSet<String>,
}

impl DoctorReport {
    /// Nothing yet.
    pub(super) fn new(system: System) -> Self {
        Self { system, ..Self::default() }
    }

    /// Reports that something is wrong.
    pub(super) fn wrong(&mut self, id: Id, place: &str, what: impl Into<String>, fix: &[String]) {
        self.add(id, Level::Wrong, (place, what.into()), fix);
    }

    /// Reports that something may be wrong.
    pub(super) fn hint(&mut self, id: Id, place: &str, what: impl Into<String>, fix: &[String]) {
        self.add(id, Level::Hint, (place, what.into()), fix);
    }

    /// Adds the reason for the last finding, for the summary of many.
    pub(super) fn because(&mut self, reason: &'static str) {
        if let Some(last) = self.findings.last_mut() {
            last.reason = reason;
        }
    }

    /// Reports that all is well.
    pub(super) fn ok(&mut self, id: Id, place: &str, what: impl Into<String>) {
        self.add(id, Level::Ok, (place, what.into()), &[]);
    }

    /// Reports something that could not be checked.
    pub(super) fn unseen(&mut self, id: Id, place: &str, what: impl Into<String>) {
        let what = what.into();
        if self.unseen.insert(format!("{place} {what}")) {
            let again = [self.system.doctor()];
            self.add(id, Level::Unseen, (place, what), &again);
        }
    }

    /// [`Self::ok`], unless something was reported after `mark` was taken.
    pub(super) fn ok_since(&mut self, mark: usize, id: Id, place: &str, what: impl Into<String>) {
        if self.findings.len() == mark {
            self.ok(id, place, what);
        }
    }

    /// How many findings there are so far.
    pub(super) fn mark(&self) -> usize {
        self.findings.len()
    }

    /// How many findings have a level.
    pub(super) fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    fn add(&mut self, id: Id, level: Level, (place, what): (&str, String), fix: &[String]) {
        self.findings.push(Finding {
            id: id.text(),
            level,
            place: place.to_owned(),
            what,
            fix: fix.to_vec(),
            reason: "",
        });
    }
}

/// Names that never change, in the order of docs/doctor.md.
macro_rules! ids {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// The name of a check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Id { $($name),+ }

        impl Id {
            /// Every name there is.
            #[cfg(test)]
            pub(super) const ALL: &'static [&'static str] = &[$($text),+];

            /// The name as it is printed.
            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

ids! {
    // The configuration.
    Config = "config",
    ConfigOdd = "config-odd",
    ConfigReadable = "config-readable",
    SecretReadable = "secret-readable",
    // Who may do what.
    Access = "access",
    TokenExpired = "token-expired",
    TokenExpires = "token-expires",
    NoRights = "no-rights",
    AuditWitness = "audit-witness",
    Switch = "switch",
    SwitchAbsent = "switch-absent",
    SwitchDisables = "switch-disables",
    OriginHttp = "origin-http",
    OriginHttps = "origin-https",
    OriginOwn = "origin-own",
    ProxyUntrusted = "proxy-untrusted",
    // The service.
    Service = "service",
    ServiceOff = "service-off",
    ServiceOld = "service-old",
    NotReloaded = "not-reloaded",
    ReloadFailed = "reload-failed",
    StateDirectory = "state-directory",
    Descriptors = "descriptors",
    // Clock and certificates.
    Clock = "clock",
    ClockUnset = "clock-unset",
    ClockUnsynchronised = "clock-unsynchronised",
    Certificate = "certificate",
    CertificateWrong = "certificate-wrong",
    CertificateExpired = "certificate-expired",
    CertificateExpires = "certificate-expires",
    CertificateEarly = "certificate-early",
    CertificateName = "certificate-name",
    CertificateAddress = "certificate-address",
    CertificateUnread = "certificate-unread",
    KeyReadable = "key-readable",
    HostMissing = "host-missing",
    // Listening.
    Listen = "listen",
    ListenTaken = "listen-taken",
    ListenNoAddress = "listen-no-address",
    ListenLow = "listen-low",
    ListenLoopback = "listen-loopback",
    ListenPlain = "listen-plain",
    SocketUnit = "socket-unit",
    SocketConflict = "socket-conflict",
    // Doors.
    Door = "door",
    DoorTaken = "door-taken",
    DoorFolder = "door-folder",
    DoorOpen = "door-open",
    // Serial ports.
    Port = "port",
    PortMissing = "port-missing",
    PortUnbound = "port-unbound",
    PortAmbiguous = "port-ambiguous",
    PortUnstable = "port-unstable",
    PortRights = "port-rights",
    PortDevicePolicy = "port-device-policy",
    PortInUse = "port-in-use",
    PortConsole = "port-console",
    PortSpeed = "port-speed",
    UsbNoSerial = "usb-no-serial",
    UsbLatency = "usb-latency",
    UsbAutosuspend = "usb-autosuspend",
    ModemManager = "modemmanager",
    Brltty = "brltty",
    UdevRules = "udev-rules",
    // Targets.
    Target = "target",
    TargetUnreachable = "target-unreachable",
    TargetTelnet = "target-telnet",
}
