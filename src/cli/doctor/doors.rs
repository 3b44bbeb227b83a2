//! Doors: whether each can open, and to whom it is open.

use std::path::Path;

use super::{
    Subject,
    finding::{DoctorReport, Id},
    listening::holder,
};
use crate::config::{Address, DialInTarget, Door, Endpoint, Target};

/// Looks at all of them.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    for endpoint in config.endpoints.values() {
        for door in &endpoint.doors {
            one(subject, endpoint, door, report);
        }
        if let Target::DialIn(target) = &endpoint.target {
            device(subject, endpoint, target, report);
        }
    }
}

/// An address where a device connects to us.
fn device(
    subject: &Subject<'_>,
    endpoint: &Endpoint,
    target: &DialInTarget,
    report: &mut DoctorReport,
) {
    let place = format!("{}: tcp {}", endpoint.name, target.listen);
    let mark = report.mark();
    if let Some(who) = holder(subject, target.listen) {
        let fix = ["tcp: { listen: \"IP:PORT\" }    # a free port, at the device, too".into()];
        report.wrong(Id::DoorTaken, &place, format!("the port is in use by {who}"), &fix);
    }
    let open_to = target.open_to();
    if !target.is_local() && target.registration.is_none() {
        let fix = ["registration: \"TEXT\"    # what the device says first".into()];
        report.hint(Id::DoorOpen, &place, format!("{open_to} is the device"), &fix);
    }
    report.ok_since(mark, Id::Door, &place, format!("the device is {open_to}"));
}

fn one(subject: &Subject<'_>, endpoint: &Endpoint, door: &Door, report: &mut DoctorReport) {
    let place = format!("{}: {}", endpoint.name, door.way);
    let mark = report.mark();
    if let Address::Tcp(address) = door.way.address()
        && let Some(who) = holder(subject, address)
    {
        let fix = [format!("doors: [ {{ {}: \"IP:PORT\" }} ]    # a free port", door.way.kind())];
        report.wrong(Id::DoorTaken, &place, format!("the port is in use by {who}"), &fix);
    }
    if let Address::Unix(path) = door.way.address() {
        folder(&path, &place, report);
    }
    let open_to = door.open_to();
    if !door.way.is_local() && !door.way.asks_for_certificates() {
        let what = format!("open to {open_to}: whoever is on the way can read and write, too");
        let fix =
            ["use a `tls` door with `client_ca`, or `wsbridge connect` on the other machine"
                .into()];
        report.hint(Id::DoorOpen, &place, what, &fix);
    }
    report.ok_since(mark, Id::Door, &place, format!("open to {open_to}"));
}

/// Where a path is to be made there has to be a folder.
fn folder(path: &Path, place: &str, report: &mut DoctorReport) {
    let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) else { return };
    // The service makes its own when it starts.
    if folder == Path::new("/run/wsbridge") {
        return;
    }
    let fix = [
        format!("sudo install -d -o wsbridge -g wsbridge {}", folder.display()),
        "or name a path in /run/wsbridge, which the service makes".into(),
    ];
    report.wrong(Id::DoorFolder, place, format!("there is no folder {}", folder.display()), &fix);
}
