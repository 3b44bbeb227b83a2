//! Services that mistake serial adapters for something else, `ModemManager` and brltty, and the
//! rules that keep them away.

use std::{fs, path::Path};

use super::{
    finding::{DoctorReport, Id},
    machine::{Machine, text},
    usb::adapter,
    wanted::Wanted,
};
use crate::{config::PortIdentity, target::serial::FoundPort};

/// Our rules, by the names under which the packages install them.
const RULES: [&str; 2] = ["60-wsbridge.rules", "95-wsbridge-brltty.rules"];
/// Where udev looks (`udev(7)`).
const FOLDERS: [&str; 4] =
    ["etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"];

/// Installs the rules and applies them to what is plugged in.
fn install() -> Vec<String> {
    vec![
        "sudo cp packaging/udev/*.rules /etc/udev/rules.d/    # where no package of wsbridge did".into(),
        "sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=tty --subsystem-match=usb"
            .into(),
    ]
}

/// Whether `ModemManager` would open a port, going by its own marks in udev's database.
pub(super) fn look(
    machine: &Machine,
    wanted: &Wanted,
    port: &FoundPort,
    report: &mut DoctorReport,
) {
    if port.usb.is_none() {
        return;
    }
    let folder = machine.roots.sys.join("class/tty").join(&port.name);
    let ignored = udev(machine, &folder)
        .lines()
        .any(|line| matches!(line, "E:ID_MM_PORT_IGNORE=1" | "E:ID_MM_DEVICE_IGNORE=1"));
    let runs = machine.runs_unit("ModemManager.service") || machine.runs("ModemManager");
    if runs && !ignored {
        let what = format!(
            "ModemManager runs and is not kept away: it sends AT commands to {}",
            port.device.display()
        );
        let mut fix = report.system.pick(install(), Vec::new());
        fix.push(report.system.pick(
            "sudo systemctl disable --now ModemManager    # if there is no cellular modem".into(),
            "/etc/init.d/modemmanager disable; /etc/init.d/modemmanager stop    # if there is no cellular modem".into(),
        ));
        report.wrong(Id::ModemManager, &wanted.place, what, &fix);
    }
    if let Some(adapter) = adapter(&folder.join("device").canonicalize().unwrap_or_default())
        && claimed(machine, &adapter)
    {
        let what = format!("brltty's rules take {} for a Braille display", port.device.display());
        report.wrong(Id::Brltty, &wanted.place, what, &braille());
    }
}

fn braille() -> Vec<String> {
    let mut fix = install();
    fix.push("sudo apt purge brltty    # or this, where nobody reads Braille".into());
    fix
}

fn claimed(machine: &Machine, adapter: &Path) -> bool {
    let told = udev(machine, adapter);
    let mut drivers = told.lines().filter_map(|line| line.strip_prefix("E:BRLTTY_BRAILLE_DRIVER="));
    drivers.any(|driver| !driver.is_empty())
}

/// What udev knows about a device: its record is found by the number in sysfs.
fn udev(machine: &Machine, folder: &Path) -> String {
    let record = text(&folder.join("dev"))
        .map(|number| machine.roots.run.join(format!("udev/data/c{number}")));
    record.and_then(|file| text(&file)).unwrap_or_default()
}

/// An adapter that is plugged in but has no port: brltty took it, or no driver wants it. True if it
/// was reported.
pub(super) fn unbound(
    machine: &Machine,
    identity: &PortIdentity,
    place: &str,
    report: &mut DoctorReport,
) -> bool {
    let PortIdentity::Usb { id, serial, .. } = identity else { return false };
    let devices =
        fs::read_dir(machine.roots.sys.join("bus/usb/devices")).into_iter().flatten().flatten();
    let hex = |folder: &Path, file| u16::from_str_radix(&text(&folder.join(file))?, 16).ok();
    let found = devices.map(|entry| entry.path()).find(|folder| {
        hex(folder, "idVendor") == Some(id.vid)
            && hex(folder, "idProduct") == Some(id.pid)
            && (serial.is_none() || text(&folder.join("serial")) == *serial)
            && !has_port(folder)
    });
    let Some(folder) = found else { return false };
    if machine.runs("brltty") || claimed(machine, &folder) {
        let what = format!("the adapter {id} is plugged in, but brltty took it over");
        report.wrong(Id::Brltty, place, what, &braille());
    } else {
        let kernel = "dmesg | tail -20    # what the kernel says";
        let fix = [
            report.system.root(kernel),
            report.system.pick(
                "sudo modprobe -a usbserial ftdi_sio cp210x ch341 pl2303 cdc_acm".into(),
                format!(
                    "opkg update; opkg install {0}    # 25.12: apk update; apk add {0}",
                    module(id.vid)
                ),
            ),
        ];
        report.wrong(
            Id::PortUnbound,
            place,
            format!("the adapter {id} is plugged in, but no driver took it"),
            &fix,
        );
    }
    true
}

/// The OpenWrt package with the driver for a vendor's adapters.
fn module(vendor: u16) -> &'static str {
    match vendor {
        0x0403 => "kmod-usb-serial-ftdi",
        0x10c4 => "kmod-usb-serial-cp210x",
        0x1a86 => "kmod-usb-serial-ch341",
        0x067b => "kmod-usb-serial-pl2303",
        _ => "kmod-usb-acm",
    }
}

/// Whether a tty is below a USB device: in one of its interfaces.
fn has_port(adapter: &Path) -> bool {
    let list = |folder: &Path| {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    list(adapter).filter(|folder| folder.join("bInterfaceNumber").exists()).any(|interface| {
        list(&interface).any(|entry| {
            entry.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name == "tty" || name.starts_with("tty")
            })
        })
    })
}

/// Our rules are not installed at all.
pub(super) fn rules(machine: &Machine, report: &mut DoctorReport) {
    let there = |rule: &str| FOLDERS.iter().any(|folder| machine.at(folder).join(rule).exists());
    let missing: Vec<_> = RULES.into_iter().filter(|rule| !there(rule)).collect();
    // Without udev nothing would read them.
    if !missing.is_empty() && machine.roots.run.join("udev").is_dir() {
        let what = format!(
            "{} not installed: ModemManager and brltty may come later and take adapters",
            missing.join(", ")
        );
        report.hint(Id::UdevRules, "udev", what, &install());
    }
}
