//! A systemd unit as its files define it: the last value of a key, or a list that an empty line
//! restarts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::machine::{Machine, text};

/// Where unit files are; the first one found wins (`systemd.unit(5)`).
const FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// The keys and values of a unit, followed by those of its drop-ins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UnitFile(Vec<(String, String)>);

impl UnitFile {
    /// Reads a unit, if it is installed.
    pub(super) fn read(machine: &Machine, name: &str) -> Option<Self> {
        let folders = FOLDERS.map(|folder| machine.at(folder));
        let file = folders.iter().map(|folder| folder.join(name)).find(|file| file.exists())?;
        let mut all = Self::default();
        all.take(&file);
        let mut drop_ins: Vec<PathBuf> = Vec::new();
        for folder in &folders {
            let entries =
                fs::read_dir(folder.join(format!("{name}.d"))).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                let hidden = drop_ins.iter().any(|known| known.file_name() == path.file_name());
                if !hidden && path.extension().is_some_and(|end| end == "conf") {
                    drop_ins.push(path);
                }
            }
        }
        drop_ins.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        for file in drop_ins {
            all.take(&file);
        }
        Some(all)
    }

    fn take(&mut self, file: &Path) {
        let text = text(file).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';', '[']));
        let pairs = lines.filter_map(|line| line.split_once('='));
        self.0.extend(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())));
    }

    /// The last value of a key.
    pub(super) fn last(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().rfind(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.last(key).is_some_and(|value| matches!(value, "yes" | "true" | "on" | "1"))
    }

    /// Every value of a key since the last empty one.
    pub(super) fn lines(&self, key: &str) -> Vec<&str> {
        let mut all = Vec::new();
        for (_, value) in self.0.iter().filter(|(known, _)| known == key) {
            if value.is_empty() {
                all.clear();
            } else {
                all.push(value.as_str());
            }
        }
        all
    }

    /// All the words of those values.
    pub(super) fn words(&self, key: &str) -> Vec<&str> {
        self.lines(key).into_iter().flat_map(str::split_whitespace).collect()
    }
}
