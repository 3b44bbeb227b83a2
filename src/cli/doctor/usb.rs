//! USB adapters: which one it is, and what its driver and the bus do to it.

use std::path::{Path, PathBuf};

use super::{
    Subject,
    finding::{DoctorReport, Id},
    machine::text,
    system::System,
    wanted::Wanted,
};
use crate::{config::PortIdentity, target::serial::FoundPort};

/// From this many milliseconds on, the time for which `ftdi_sio` waits for more bytes is noticeable;
/// its default is longer.
const SLOW: u32 = 4;

/// Looks at one adapter.
pub(super) fn look(
    subject: &Subject<'_>,
    wanted: &Wanted,
    port: &FoundPort,
    found: &[FoundPort],
    report: &mut DoctorReport,
) {
    if port.usb.is_none() {
        return;
    }
    let folder = subject.machine.roots.sys.join("class/tty").join(&port.name).join("device");
    let Ok(folder) = folder.canonicalize() else { return };
    nameless(wanted, port, found, report);
    latency(wanted, port, &folder, report);
    autosuspend(wanted, port, &folder, report);
}

/// Cheap adapters all have the same numbers: only the socket tells them apart.
fn nameless(wanted: &Wanted, port: &FoundPort, found: &[FoundPort], report: &mut DoctorReport) {
    let Some(PortIdentity::Usb { .. }) = wanted.identity else { return };
    let Some(usb) = &port.usb else { return };
    let twin = |other: &&FoundPort| {
        other.device != port.device
            && other.usb.as_ref().is_some_and(|its| its.id == usb.id && its.serial == usb.serial)
            && other.usb.as_ref().map(|its| its.interface) == Some(usb.interface)
    };
    let twins: Vec<_> =
        found.iter().filter(twin).map(|other| other.device.display().to_string()).collect();
    let fix = [report.system.port_by_path(port.by_path.as_ref().unwrap_or(&port.device))];
    if !twins.is_empty() {
        let what =
            format!("{} and {} identify themselves alike", port.device.display(), twins.join(", "));
        report.wrong(Id::PortAmbiguous, &wanted.place, what, &fix);
    } else if usb.serial.is_none() {
        let what = format!(
            "the adapter {} has no serial number: a second one of its kind would be taken for it; name its USB socket",
            usb.id
        );
        report.hint(Id::UsbNoSerial, &wanted.place, what, &fix);
    }
}

/// FTDI chips hold a few bytes back for this long, in the hope of more.
fn latency(wanted: &Wanted, port: &FoundPort, folder: &Path, report: &mut DoctorReport) {
    let timer = text(&folder.join("latency_timer")).and_then(|text| text.parse::<u32>().ok());
    let Some(timer) = timer.filter(|timer| *timer > SLOW && !wanted.low_latency) else { return };
    let fix = report.system.lines(
        &[
            "low_latency: true    # beside `port:`",
            "or in /etc/udev/rules.d/61-latency.rules:",
            "SUBSYSTEM==\"usb-serial\", DRIVER==\"ftdi_sio\", ATTR{latency_timer}=\"1\"",
        ],
        &["option low_latency '1'"],
    );
    let what =
        format!("the driver of {} holds bytes back for up to {timer} ms", port.device.display());
    report.hint(Id::UsbLatency, &wanted.place, what, &fix);
}

/// Power saving that puts an adapter to sleep; some do not wake up again.
fn autosuspend(wanted: &Wanted, port: &FoundPort, folder: &Path, report: &mut DoctorReport) {
    let Some(adapter) = adapter(folder) else { return };
    let Some(usb) = &port.usb else { return };
    if text(&adapter.join("power/control")).as_deref() == Some("auto") {
        let (vid, pid) = (usb.id.vid, usb.id.pid);
        let switch = adapter.join("power/control").display().to_string();
        let rule = format!(
            "SUBSYSTEM==\"usb\", ATTR{{idVendor}}==\"{vid:04x}\", ATTR{{idProduct}}==\"{pid:04x}\", \
             ATTR{{power/control}}=\"on\""
        );
        let fix = match report.system {
            System::Linux => vec![
                format!("echo on | sudo tee {switch}"),
                "for good, in /etc/udev/rules.d/61-power.rules:".into(),
                rule,
            ],
            System::OpenWrt => vec![format!("echo on > {switch}    # for good, in /etc/rc.local")],
        };
        let what =
            format!("USB autosuspend may put the adapter of {} to sleep", port.device.display());
        report.hint(Id::UsbAutosuspend, &wanted.place, what, &fix);
    }
}

/// The USB device above a sysfs folder.
pub(super) fn adapter(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join("idVendor").exists()).map(Path::to_owned)
}
