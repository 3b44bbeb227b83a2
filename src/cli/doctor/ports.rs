//! Serial ports: whether they exist, are ours to open, are used by nobody else, and are no console.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    Subject,
    account::{Want, group_of},
    finding::{DoctorReport, Id},
    neighbours, sandbox,
    service::daemon_of,
    system::System,
    usb,
    wanted::Wanted,
};
use crate::{
    cli::ports::{uci_identity, yaml_identity},
    config::{PortIdentity, Target},
    target::{
        OpenError,
        serial::{self, FoundPort, Roots},
    },
};

/// The ports of the configuration; without one, all that were found and are free.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let found = serial::find(&subject.machine.roots);
    let configured = subject.config.map_or_else(Vec::new, |config| {
        let serial = config.endpoints.values().filter_map(|endpoint| match &endpoint.target {
            Target::Serial(serial) => Some(Wanted {
                place: report.system.place("endpoint", &endpoint.name),
                identity: Some(serial.port.clone()),
                baud: Some(serial.settings.baud),
                low_latency: serial.low_latency,
                allow_console: serial.allow_console,
            }),
            Target::Tcp(_)
            | Target::DialIn(_)
            | Target::Rfc2217(_)
            | Target::Udp(_)
            | Target::Sim(_) => None,
        });
        serial.collect()
    });
    let all =
        if subject.config.is_some() { configured } else { plugged(&found, &subject.machine.roots) };
    let mut usb_ports = false;
    for wanted in &all {
        let mark = report.mark();
        let Some(device) = device(subject, wanted, &found, report) else { continue };
        let port = found.iter().find(|port| same(&port.device, &device));
        rights(subject, wanted, &device, report);
        sandbox::look(subject, wanted, &device, report);
        occupied(subject, wanted, &device, report);
        if let Some(port) = port {
            usb_ports |= port.usb.is_some();
            speed(wanted, port, report);
            usb::look(subject, wanted, port, &found, report);
            neighbours::look(subject.machine, wanted, port, report);
        }
        report.ok_since(mark, Id::Port, &wanted.place, device.display().to_string());
    }
    if usb_ports {
        neighbours::rules(subject.machine, report);
    }
}

/// Ports that somebody may intend to publish: a console that no configuration names is as it should
/// be.
fn plugged(found: &[FoundPort], roots: &Roots) -> Vec<Wanted> {
    let free = |port: &&FoundPort| port.hardware && serial::warning(&port.device, roots).is_none();
    let ports = found.iter().filter(free);
    ports
        .map(|port| Wanted {
            place: port.device.display().to_string(),
            identity: Some(PortIdentity::Path(port.device.clone())),
            baud: None,
            low_latency: true,
            allow_console: false,
        })
        .collect()
}

fn same(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().is_ok_and(|one| one == other)
}

/// The device file that an identity means now.
fn device(
    subject: &Subject<'_>,
    wanted: &Wanted,
    found: &[FoundPort],
    report: &mut DoctorReport,
) -> Option<PathBuf> {
    let identity = wanted.identity.as_ref()?;
    match serial::resolve(identity, &subject.machine.roots) {
        Ok(device) => {
            unstable(wanted, &device, found, report);
            return Some(device);
        }
        Err(OpenError::Unfit(what)) => {
            let fix: Vec<String> = found
                .iter()
                .filter(|port| fits(identity, port))
                .filter_map(|port| port.by_path.as_ref())
                .map(|path| report.system.port_by_path(path))
                .collect();
            report.wrong(Id::PortAmbiguous, &wanted.place, what, &fix);
        }
        Err(error) => {
            if !neighbours::unbound(subject.machine, identity, &wanted.place, report) {
                let fix = report.system.lines(
                    &[
                        "sudo wsbridge ports    # what is plugged in, and the YAML for it",
                        "sudo dmesg | tail -20    # what the kernel says of the last plug-in",
                    ],
                    &[
                        "wsbridge ports --uci    # what is plugged in, and the options for it",
                        "dmesg | tail -20    # what the kernel says of the last plug-in",
                    ],
                );
                report.wrong(Id::PortMissing, &wanted.place, error.to_string(), &fix);
            }
        }
    }
    None
}

fn fits(identity: &PortIdentity, port: &FoundPort) -> bool {
    match identity {
        PortIdentity::Path(path) => same(&port.device, path),
        PortIdentity::Usb { id, serial, interface } => {
            port.fits(*id, serial.as_deref(), *interface)
        }
    }
}

/// `/dev/ttyUSB0` is whichever adapter came first.
fn unstable(wanted: &Wanted, device: &Path, found: &[FoundPort], report: &mut DoctorReport) {
    let Some(PortIdentity::Path(path)) = &wanted.identity else { return };
    let Some(port) = found.iter().find(|port| same(&port.device, device)) else { return };
    // Without a configuration it is we who chose the device file.
    if port.usb.is_some() && *path == port.device && wanted.place != path.display().to_string() {
        let what =
            format!("{} may be another adapter after the next plug-in or restart", path.display());
        let fix = match report.system {
            System::Linux => vec![format!("port: {}", yaml_identity(port, found))],
            System::OpenWrt => uci_identity(port, found),
        };
        report.hint(Id::PortUnstable, &wanted.place, what, &fix);
    }
}

/// The driver accepts a speed that its chip cannot do, and sets another.
fn speed(wanted: &Wanted, port: &FoundPort, report: &mut DoctorReport) {
    let (Some(baud), Some(slowest)) = (wanted.baud, port.slowest()) else { return };
    if baud < slowest {
        let (device, driver) = (port.device.display(), port.driver.as_deref().unwrap_or_default());
        let what = format!("{device} ({driver}) cannot do {baud} baud; its slowest is {slowest}");
        let least = slowest.to_string();
        let fix =
            [report.system.option(("baud", &least), ("baud", &least)) + "    # or another adapter"];
        report.wrong(Id::PortSpeed, &wanted.place, what, &fix);
    }
}

/// The device file's mode, with regard to whoever runs the daemon.
fn rights(subject: &Subject<'_>, wanted: &Wanted, device: &Path, report: &mut DoctorReport) {
    if subject.account.may(device, Want::Both).unwrap_or(true) {
        return;
    }
    let (user, place) = (&subject.account.name, device.display());
    let group = group_of(subject.machine, device).unwrap_or_default();
    let mode = std::fs::metadata(device).map_or(0, |data| data.mode());
    let name = device.file_name().unwrap_or_default().to_string_lossy();
    let kernel = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let for_group = mode & 0o060 == 0o060 && group != "root";
    let fix = match (for_group, report.system, subject.unit) {
        (true, System::OpenWrt, _) => vec![
            format!("option group '{group}'    # in `config wsbridge`, beside `option user`"),
            report.system.restart(),
        ],
        (false, System::OpenWrt, _) => vec![
            format!("chgrp dialout {place} && chmod 660 {place}"),
            "for good, the same in /etc/hotplug.d/tty/50-wsbridge".into(),
        ],
        (true, _, Some(unit)) if unit.is_on("DynamicUser") => vec![
            "sudo systemctl edit wsbridge".into(),
            "[Service]".into(),
            format!("SupplementaryGroups={group}"),
            report.system.restart(),
        ],
        (true, _, unit) => {
            let again = unit.map_or_else(|| "sign in again".into(), |_| report.system.restart());
            vec![format!("sudo adduser {user} {group}"), again]
        }
        (false, ..) => vec![
            format!("in /etc/udev/rules.d/61-{kernel}.rules:"),
            format!("SUBSYSTEM==\"tty\", KERNEL==\"{kernel}*\", GROUP=\"dialout\", MODE=\"0660\""),
            format!("sudo udevadm control --reload && sudo udevadm trigger --name-match={place}"),
        ],
    };
    let what = format!("{user} may not open {place} (mode {:04o}, group {group})", mode & 0o7777);
    report.wrong(Id::PortRights, &wanted.place, what, &fix);
}

/// Something else uses it: a console, a login, another program.
fn occupied(subject: &Subject<'_>, wanted: &Wanted, device: &Path, report: &mut DoctorReport) {
    if !wanted.allow_console
        && let Some(found) = serial::warning(device, &subject.machine.roots)
    {
        let name = device.file_name().unwrap_or_default().to_string_lossy();
        let fix = match report.system {
            System::Linux if found.fix.starts_with("systemctl") => {
                vec![format!("sudo {}", found.fix)]
            }
            System::Linux => vec![found.fix],
            System::OpenWrt => vec![
                format!("take the line of {name} out of /etc/inittab, then reboot"),
                "option allow_console '1'    # or this, to use it all the same".into(),
            ],
        };
        return report.wrong(Id::PortConsole, &wanted.place, found.what, &fix);
    }
    let ours = subject.running.map(|running| running.pid);
    // A pty's maker has both ends open; whoever uses one leaves a lock file.
    let mut others = if serial::is_pty(device) { Vec::new() } else { serial::holders(device) };
    others.extend(serial::locked_by(device, &subject.machine.roots.locks));
    others.retain(|process| Some(process.pid) != ours && process.pid != std::process::id());
    others.sort_by_key(|process| process.pid);
    others.dedup();
    for process in &others {
        let mut what = format!("{} is in use by {process}", device.display());
        let mut fix = report
            .system
            .root(&format!("kill {}    # or stop that program in its own way", process.pid));
        if let Some(other) = daemon_of(&subject.machine.roots.proc.join(process.pid.to_string())) {
            what = format!("{what}, the gateway that runs with {}", other.path().display());
            fix = "a port belongs to one gateway: take it out of one of the two configurations"
                .into();
        }
        report.wrong(Id::PortInUse, &wanted.place, what, &[fix]);
    }
    if others.is_empty() && !subject.machine.privileged {
        report.unseen(Id::PortInUse, "ports", "whether programs of other users have them open");
    }
}
