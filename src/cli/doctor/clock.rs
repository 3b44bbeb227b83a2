//! The clock: gateways often have no battery, while TLS, tokens and tickets need the time.

use super::{
    finding::{DoctorReport, Id},
    machine::Machine,
};
use crate::tls::BUILT;

/// Whether it is set, and kept right.
pub(super) fn look(machine: &Machine, report: &mut DoctorReport) {
    let set = report.system.lines(
        &["sudo timedatectl set-ntp true", "timedatectl"],
        &["/etc/init.d/sysntpd enable; /etc/init.d/sysntpd restart", "date"],
    );
    let mark = report.mark();
    let now =
        jiff::Timestamp::from_second(machine.now).map(|now| now.to_string()).unwrap_or_default();
    if machine.now < BUILT {
        let what = format!(
            "it is {now} here, before this program was built: no certificate, token or code of an authenticator app is right then"
        );
        report.wrong(Id::ClockUnset, "clock", what, &set);
    } else if is_synchronised(machine) == Some(false) {
        let what = "the clock is not kept right by NTP; certificates and tokens go by it";
        report.hint(Id::ClockUnsynchronised, "clock", what, &set);
    }
    report.ok_since(mark, Id::Clock, "clock", now);
}

/// timesyncd leaves a mark, and systemd knows about every other service; without systemd nothing
/// tells.
fn is_synchronised(machine: &Machine) -> Option<bool> {
    if machine.roots.run.join("systemd/timesync/synchronized").exists() {
        return Some(true);
    }
    if !machine.has_systemd() {
        return None;
    }
    let said = (machine.ask)(&["timedatectl", "show", "--property=NTPSynchronized", "--value"])?;
    Some(said == "yes")
}
