//! Which processes have a device open, from /proc: for refusals that name them, and for the list of
//! ports.

use std::{fmt, fs, path::Path};

/// A process on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub pid: u32,
    /// Its short name (`comm`); empty if we may not see it.
    pub command: String,
}

impl Process {
    /// The process with this number.
    pub(crate) fn of(pid: u32) -> Self {
        let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Self { pid, command: command.trim_end().to_owned() }
    }
}

impl fmt::Display for Process {
    /// `picocom (pid 123)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.command.is_empty() {
            write!(f, "process {}", self.pid)
        } else {
            write!(f, "{} (pid {})", self.command, self.pid)
        }
    }
}

/// Every process that is seen to have `device` open. Without root, or under `ProtectProc=`, other
/// users' processes are not seen.
pub(crate) fn holders(device: &Path) -> Vec<Process> {
    pids().filter(|pid| has_open(*pid, device) == Some(true)).map(Process::of).collect()
}

/// Whether a process has `device` open; `None` if we may not look.
pub(super) fn has_open(pid: u32, device: &Path) -> Option<bool> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(
        descriptors
            .flatten()
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == device)),
    )
}

/// The processes of /proc.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
}

/// A field of /proc/PID/stat after the command, which may itself contain spaces and brackets;
/// `state` is number 3.
fn stat_text(pid: u32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_ascii_whitespace().nth(number.checked_sub(3)?)?.to_owned())
}

/// One that is a number.
pub(super) fn stat_field(pid: u32, number: usize) -> Option<i64> {
    stat_text(pid, number)?.parse().ok()
}

/// Whether the process has ended and only its parent has not noticed: it has nothing open.
pub(super) fn is_zombie(pid: u32) -> bool {
    stat_text(pid, 3).is_some_and(|state| state == "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_is_seen_with_our_name_and_number() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().canonicalize().unwrap();
        let found = holders(&path);
        assert_eq!(
            found.iter().map(|process| process.pid).collect::<Vec<_>>(),
            [std::process::id()]
        );
        assert!(
            found[0].to_string().ends_with(&format!("(pid {})", std::process::id())),
            "{}",
            found[0]
        );
    }

    #[test]
    fn fields_of_stat_are_counted_behind_the_command() {
        // Field 4 is the parent's number.
        assert_eq!(
            stat_field(std::process::id(), 4),
            Some(i64::from(rustix::process::getppid().unwrap().as_raw_nonzero().get()))
        );
    }
}
