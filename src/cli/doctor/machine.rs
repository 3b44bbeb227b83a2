//! The machine that is examined: where its files are, who asks, what time it is. Tests make one up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{auth::own_name, regular_file, target::serial::Roots};

/// The largest system file that is read, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// Where to look, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// sysfs, procfs, device files, run-time state.
    pub(super) roots: Roots,
    /// `/`, for everything else.
    pub(super) root: PathBuf,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// Whether everything can be seen.
    pub(super) privileged: bool,
    /// Its name.
    pub(super) host: String,
    /// Runs a program and returns what it printed; `None` if there is no such program, or it
    /// failed.
    pub(super) ask: fn(&[&str]) -> Option<String>,
}

impl Machine {
    /// This machine.
    pub(super) fn this() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self {
            roots: Roots::default(),
            root: "/".into(),
            now: i64::try_from(now).unwrap_or(i64::MAX),
            privileged: rustix::process::geteuid().is_root(),
            host: own_name(),
            ask,
        }
    }

    /// A file that is neither in /sys, /proc, /dev nor /run.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A short text file, trimmed.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        text(&self.at(path))
    }

    /// Whether systemd runs this machine (`sd_booted(3)`).
    pub(super) fn has_systemd(&self) -> bool {
        self.roots.run.join("systemd/system").is_dir()
    }

    /// Whether a systemd unit is running.
    pub(super) fn runs_unit(&self, unit: &str) -> bool {
        self.roots.run.join(format!("systemd/units/invocation:{unit}")).symlink_metadata().is_ok()
    }

    /// Whether a program with this name is running.
    pub(super) fn runs(&self, command: &str) -> bool {
        self.processes()
            .any(|folder| text(&folder.join("comm")).is_some_and(|name| name == command))
    }

    /// The folders of all processes.
    pub(super) fn processes(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.roots.proc).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| pid(path).is_some())
    }
}

/// The process number that a folder stands for.
pub(super) fn pid(folder: &Path) -> Option<u32> {
    folder.file_name()?.to_str()?.parse().ok()
}

/// A short text file, trimmed; `None` if it is missing or empty.
pub(super) fn text(path: &Path) -> Option<String> {
    let text = String::from_utf8(regular_file::read(path, MAX_TEXT).ok()?).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn ask(words: &[&str]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
