//! A disk that is soon full.

use std::{path::Path, process::Command};

use tempfile::TempDir;

/// A file system of 1 MB that can be full; `None` for whoever may not mount.
#[derive(Debug)]
pub(crate) struct Small(TempDir);

impl Small {
    pub(crate) fn mount() -> Option<Self> {
        let place = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(place.path())
            .output();
        if mounted.is_ok_and(|it| it.status.success()) {
            return Some(Self(place));
        }
        eprintln!("skipped: no right to mount a tmpfs");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
