//! A tty on which somebody logs in, or to which the kernel writes, is not ours to take: finds
//! consoles and gettys, and says what to do.

use std::{fmt, fs, os::unix::fs::MetadataExt, path::Path};

use rustix::fs::{major, minor};

use super::{
    super::OpenError,
    holders::{Process, pids, stat_field},
    identity::Roots,
};

/// Refuses a device that [`warning`] warns about.
pub(super) fn check(device: &Path, roots: &Roots) -> Result<(), OpenError> {
    warning(device, roots).map_or(Ok(()), |warning| {
        Err(OpenError::Denied(format!(
            "{warning}; to use it all the same, set `allow_console: true`"
        )))
    })
}

/// What uses a device, and how to end that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occupied {
    /// What: `/dev/ttyS0 has a login prompt`.
    pub what: String,
    /// The command to type, or what to do.
    pub fix: String,
}

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.fix)
    }
}

/// Where a Raspberry Pi switches both off.
const RASPI: &str = "(on a Raspberry Pi: raspi-config, Interface Options, Serial Port)";

/// Why a device should not be taken from its console or login, and how to end that.
pub(crate) fn warning(device: &Path, roots: &Roots) -> Option<Occupied> {
    let name = device.strip_prefix(&roots.dev).unwrap_or(device).to_str()?;
    let device = device.display();
    if is_console(name, roots) {
        return Some(Occupied {
            what: format!("{device} is the kernel's console"),
            fix: format!("take `console={name}` off the kernel's command line and restart {RASPI}"),
        });
    }
    if is_unit_active(name, roots) {
        return Some(Occupied {
            what: format!("{device} has a login prompt"),
            fix: format!("systemctl disable --now serial-getty@{} {RASPI}", escaped(name)),
        });
    }
    login(&roots.dev.join(name), name, roots).map(|process| Occupied {
        what: format!("{device} is the terminal of {process}"),
        fix: "end that login, and its getty in /etc/inittab if it has one".into(),
    })
}

/// systemd-escape: a path's `/` becomes `-`.
fn escaped(name: &str) -> String {
    name.replace('/', "-")
}

/// The kernel's own list, and the one for people, since either may be hidden.
fn is_console(name: &str, roots: &Roots) -> bool {
    let active = fs::read_to_string(roots.sys.join("class/tty/console/active")).unwrap_or_default();
    let consoles = fs::read_to_string(roots.proc.join("consoles")).unwrap_or_default();
    active
        .split_whitespace()
        .chain(consoles.lines().filter_map(|line| line.split_whitespace().next()))
        .any(|console| console == name)
}

/// systemd keeps a link for each running unit, which is visible even if `ProtectProc=` hides
/// processes.
fn is_unit_active(name: &str, roots: &Roots) -> bool {
    let unit = format!("systemd/units/invocation:serial-getty@{}.service", escaped(name));
    roots.run.join(unit).symlink_metadata().is_ok()
}

/// A process whose controlling terminal the device is, or a getty that waits for it.
fn login(device: &Path, name: &str, roots: &Roots) -> Option<Process> {
    let device = fs::metadata(device).ok().map(|data| data.rdev());
    let number = device.map(|device| terminal_number(major(device), minor(device)));
    pids()
        .find(|pid| {
            let controls =
                number.is_some_and(|number| number != 0 && stat_field(*pid, 7) == Some(number));
            controls || is_getty(*pid, name, roots)
        })
        .map(Process::of)
}

/// `tty_nr` of /proc/PID/stat: minor in bits 31 to 20 and 7 to 0, major in 15 to 8 (proc(5)).
fn terminal_number(major: u32, minor: u32) -> i64 {
    i64::from((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

/// `agetty ... ttyS0 vt100`, before it has opened its line.
fn is_getty(pid: u32, name: &str, roots: &Roots) -> bool {
    let words = fs::read(roots.proc.join(pid.to_string()).join("cmdline")).unwrap_or_default();
    let mut words = words.split(|byte| *byte == 0).filter_map(|word| str::from_utf8(word).ok());
    let program = words.next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    program.ends_with("getty")
        && words.any(|word| word.strip_prefix("/dev/").unwrap_or(word) == name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{super::tree::Tree, *};

    #[test]
    fn the_kernels_console_is_refused_and_the_text_says_what_to_do() {
        let tree = Tree::new();
        let device = tree.roots.dev.join("ttyS0");
        assert_eq!(check(&device, &tree.roots), Ok(()));
        tree.write("sys/class/tty/console/active", "tty0 ttyS0\n");
        let error = check(&device, &tree.roots).unwrap_err();
        assert!(matches!(error, OpenError::Denied(_)));
        let text = error.to_string();
        assert!(text.contains("raspi-config") && text.contains("allow_console: true"), "{text}");
        assert_eq!(check(&tree.roots.dev.join("ttyS1"), &tree.roots), Ok(()));
    }

    #[test]
    fn a_console_of_proc_alone_is_seen() {
        let tree = Tree::new();
        tree.write("proc/consoles", "ttyAMA0              -W- (EC p a)   204:64\n");
        assert!(check(&tree.roots.dev.join("ttyAMA0"), &tree.roots).is_err());
    }

    #[test]
    fn a_getty_of_systemd_is_refused_by_its_unit() {
        let tree = Tree::new();
        fs::create_dir_all(tree.roots.run.join("systemd/units")).unwrap();
        symlink("0123", tree.roots.run.join("systemd/units/invocation:serial-getty@ttyS0.service"))
            .unwrap();
        let text = check(&tree.roots.dev.join("ttyS0"), &tree.roots).unwrap_err().to_string();
        assert!(text.contains("systemctl disable --now serial-getty@ttyS0"), "{text}");
    }

    #[test]
    fn a_waiting_getty_is_seen_by_its_arguments() {
        let tree = Tree::new();
        let own = std::process::id();
        tree.write(&format!("proc/{own}/cmdline"), "/sbin/agetty\x00-L\x00ttyS0\x00vt100\x00");
        let text = check(&tree.roots.dev.join("ttyS0"), &tree.roots).unwrap_err().to_string();
        assert!(text.contains(&format!("(pid {own})")), "{text}");
        assert_eq!(check(&tree.roots.dev.join("ttyS1"), &tree.roots), Ok(()));
    }

    #[test]
    fn terminal_numbers_are_those_of_proc() {
        assert_eq!(terminal_number(4, 64), 0x0440);
        assert_eq!(terminal_number(136, 0x123), 0x0010_8823);
    }
}
