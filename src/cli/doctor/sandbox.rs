//! The barrier between the service and devices, by the rules of `systemd.resource-control(5)` for
//! `DeviceAllow=`.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use rustix::fs::{Dev, major, makedev, minor};

use super::{
    Subject,
    finding::{DoctorReport, Id},
    machine::{Machine, text},
    unit::UnitFile,
    wanted::Wanted,
};

/// Devices that `DevicePolicy=closed` leaves open besides the list, as major and minor: null, zero,
/// full, random, urandom, tty, ptmx.
const STANDARD: [(u32, u32); 7] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)];

/// Whether the unit lets its service open the device for reading and writing.
pub(super) fn look(
    subject: &Subject<'_>,
    wanted: &Wanted,
    device: &Path,
    report: &mut DoctorReport,
) {
    let Some(unit) = subject.unit else { return };
    let Some(number) = number(subject.machine, device) else { return };
    let place = device.display();
    if unit.is_on("PrivateDevices") {
        let what = format!("the service's sandbox hides {place} (`PrivateDevices=yes`)");
        let fix = ["sudo systemctl edit wsbridge", "[Service]", "PrivateDevices=no"];
        return report.wrong(Id::PortDevicePolicy, &wanted.place, what, &fix.map(str::to_owned));
    }
    let names = names(subject.machine, major(number));
    if is_allowed(unit, number, &names) {
        return;
    }
    // A number works even before the module that has the name is loaded.
    let class = format!("char-{}", major(number));
    let told = names.last().map_or_else(String::new, |name| format!(", {name}"));
    let what = format!(
        "the service's sandbox has no `DeviceAllow=` for {place} (major {}{told})",
        major(number)
    );
    let fix = [
        "sudo systemctl edit wsbridge".to_owned(),
        "[Service]".into(),
        format!("DeviceAllow={class} rw"),
    ];
    report.wrong(Id::PortDevicePolicy, &wanted.place, what, &fix);
}

fn is_allowed(unit: &UnitFile, number: Dev, names: &[String]) -> bool {
    let rules = unit.lines("DeviceAllow");
    let policy = unit.last("DevicePolicy").unwrap_or("auto");
    let standard = STANDARD.contains(&(major(number), minor(number)))
        || names.iter().any(|name| name == "pts");
    match policy {
        "auto" if rules.is_empty() => true,
        "auto" | "closed" if standard => true,
        _ => rules.iter().any(|rule| covers(rule, number, names)),
    }
}

/// `char-ttyUSB rw`, `char-188`, `char-tty*`, `/dev/ttyS0 rw`; without a word for rights it grants
/// all of them.
fn covers(rule: &str, number: Dev, names: &[String]) -> bool {
    let mut words = rule.split_whitespace();
    let Some(specifier) = words.next() else { return false };
    if !words.next().is_none_or(|rights| rights.contains('r') && rights.contains('w')) {
        return false;
    }
    let Some(class) = specifier.strip_prefix("char-") else {
        return fs::metadata(specifier)
            .is_ok_and(|data| data.file_type().is_char_device() && data.rdev() == number);
    };
    class == "*"
        || class.parse() == Ok(major(number))
        || names.iter().any(|name| matches(class.as_bytes(), name.as_bytes()))
}

/// `fnmatch(3)` with stars and question marks; names of classes have no brackets.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            (0..=name.len()).any(|skip| matches(rest, name.get(skip..).unwrap_or_default()))
        }
        (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
        (Some((wanted, rest)), Some((first, name))) => wanted == first && matches(rest, name),
        _ => false,
    }
}

/// The number of a device file, or what sysfs says about it.
fn number(machine: &Machine, device: &Path) -> Option<Dev> {
    let data = fs::metadata(device).ok()?;
    if data.file_type().is_char_device() {
        return Some(data.rdev());
    }
    let told = text(&machine.roots.sys.join("class/tty").join(device.file_name()?).join("dev"))?;
    let (major, minor) = told.split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// Every name that /proc/devices has for a major number: 4 is `/dev/vc/0`, `tty` and `ttyS`.
fn names(machine: &Machine, major: u32) -> Vec<String> {
    let devices = text(&machine.roots.proc.join("devices")).unwrap_or_default();
    let lines = devices.lines().take_while(|line| !line.starts_with("Block"));
    let pairs = lines.filter_map(|line| line.trim().split_once(' '));
    pairs
        .filter(|(number, _)| number.parse() == Ok(major))
        .map(|(_, name)| name.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_covers_by_number_name_pattern_and_device_file() {
        let names = ["/dev/vc/0", "tty", "ttyS"].map(str::to_owned);
        let number = makedev(4, 64);
        for rule in
            ["char-ttyS rw", "char-tty? rw", "char-tty* rw", "char-4 rwm", "char-4", "char-* rw"]
        {
            assert!(covers(rule, number, &names), "{rule}");
        }
        for rule in [
            "char-ttyS r",
            "char-ttyS m",
            "char-ttyUSB rw",
            "char-188 rw",
            "block-4 rw",
            "char-ttyS? rw",
            "",
        ] {
            assert!(!covers(rule, number, &names), "{rule}");
        }
        let null = fs::metadata("/dev/null").unwrap().rdev();
        assert!(covers("/dev/null rw", null, &[]) && !covers("/dev/zero rw", null, &[]));
    }
}
