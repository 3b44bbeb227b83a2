//! Which account the daemon runs as, and what that account may do with a file.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    machine::{Machine, text},
    system::System,
    unit::UnitFile,
};
use crate::config::UciInstance;

/// An account, or what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SystemAccount {
    /// Its name, for people.
    pub(super) name: String,
    /// Its number; `None` if systemd makes one up at each start.
    uid: Option<u32>,
    gids: Vec<u32>,
}

/// What to do with a file, in the terms of its mode.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    Read = 4,
    Write = 2,
    Both = 6,
    Enter = 1,
}

impl SystemAccount {
    /// The account of a process, found by its folder in /proc.
    pub(super) fn of_process(machine: &Machine, folder: &Path) -> Option<Self> {
        let status = text(&folder.join("status"))?;
        let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        let numbers = |key: &str| {
            line(key).into_iter().flat_map(str::split_whitespace).filter_map(|n| n.parse().ok())
        };
        let uid = numbers("Uid:").nth(1)?;
        let gids = numbers("Gid:").nth(1).into_iter().chain(numbers("Groups:")).collect();
        Some(Self { name: name_of(machine, uid), uid: Some(uid), gids })
    }

    /// The account under which a unit starts its service.
    pub(super) fn of_unit(machine: &Machine, unit: &UnitFile) -> Self {
        let group = |name: &str| name.parse().ok().or_else(|| group(machine, name));
        let own = unit.last("Group").and_then(group);
        let more = unit.words("SupplementaryGroups").into_iter().filter_map(group);
        let Some(name) = unit.last("User") else {
            return if unit.is_on("DynamicUser") {
                Self {
                    name: "the service's user".into(),
                    uid: None,
                    gids: own.into_iter().chain(more).collect(),
                }
            } else {
                Self::root()
            };
        };
        let mut account = Self::named(machine, name, unit.last("Group"));
        account.gids.extend(more);
        account
    }

    /// The account under which the init script has procd start it: the package's own user unless
    /// another is named, or root if there is no such user.
    pub(super) fn of_instance(machine: &Machine, instance: &UciInstance) -> Self {
        let own = || user(machine, "wsbridge").map(|_| "wsbridge");
        let name = instance.user.as_deref().or_else(own).unwrap_or("root");
        if name == "root" {
            Self::root()
        } else {
            Self::named(machine, name, instance.group.as_deref())
        }
    }

    /// A user of this machine, with another group instead of its own if one is named.
    pub(super) fn named(machine: &Machine, name: &str, own: Option<&str>) -> Self {
        let user = user(machine, name);
        let own = own.and_then(|name| name.parse().ok().or_else(|| group(machine, name)));
        let gids = own.or(user.map(|(_, gid)| gid)).into_iter().chain(groups_of(machine, name));
        Self { name: name.to_owned(), uid: user.map(|(uid, _)| uid), gids: gids.collect() }
    }

    /// Whoever runs this program.
    pub(super) fn asking(machine: &Machine) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let more = rustix::process::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(rustix::fs::Gid::as_raw);
        let gids = std::iter::once(rustix::process::getegid().as_raw()).chain(more).collect();
        Self { name: name_of(machine, uid), uid: Some(uid), gids }
    }

    fn root() -> Self {
        Self { name: "root".into(), uid: Some(0), gids: vec![0] }
    }

    /// Whether it is the account that may do everything.
    pub(super) fn is_root(&self) -> bool {
        self.uid == Some(0)
    }

    /// Whether it may do that with a file, considering the folders above it; an error if we may not
    /// look ourselves.
    pub(super) fn may(&self, path: &Path, want: Want) -> io::Result<bool> {
        let path = &std::path::absolute(path)?;
        for folder in path.ancestors().skip(1) {
            if !self.allowed(&fs::metadata(folder)?, Want::Enter) {
                return Ok(false);
            }
        }
        Ok(self.allowed(&fs::metadata(path)?, want))
    }

    /// Judged by the mode alone; access lists are rare on device files.
    fn allowed(&self, data: &fs::Metadata, want: Want) -> bool {
        let shift = if self.uid == Some(data.uid()) {
            6
        } else if self.gids.contains(&data.gid()) {
            3
        } else {
            0
        };
        let want = want as u32;
        self.is_root() || (data.mode() >> shift) & want == want
    }
}

/// Whether just anybody may read a file, considering the folders above it.
pub(super) fn is_public(path: &Path) -> io::Result<bool> {
    SystemAccount { name: String::new(), uid: None, gids: Vec::new() }.may(path, Want::Read)
}

/// How to close a file to strangers; the daemon's group keeps access if it exists.
pub(super) fn closing(machine: &Machine, system: System, file: &str) -> String {
    let close = system.root(&format!("chmod o= {file}"));
    match group(machine, "wsbridge") {
        Some(_) => format!("{} && {close}", system.root(&format!("chgrp wsbridge {file}"))),
        None => close,
    }
}

/// A file's group, by name if it has one.
pub(super) fn group_of(machine: &Machine, path: &Path) -> Option<String> {
    let gid = fs::metadata(path).ok()?.gid();
    let found = rows(machine, "etc/group").into_iter().find(|row| number(row, 2) == Some(gid));
    Some(found.and_then(|row| row.into_iter().next()).unwrap_or_else(|| gid.to_string()))
}

/// The lines of passwd(5) or group(5), split into fields.
fn rows(machine: &Machine, file: &str) -> Vec<Vec<String>> {
    let text = machine.text(file).unwrap_or_default();
    text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

fn number(row: &[String], field: usize) -> Option<u32> {
    row.get(field)?.parse().ok()
}

fn user(machine: &Machine, name: &str) -> Option<(u32, u32)> {
    let rows = rows(machine, "etc/passwd");
    let row = rows.iter().find(|row| row.first().is_some_and(|known| known == name))?;
    Some((number(row, 2)?, number(row, 3)?))
}

fn name_of(machine: &Machine, uid: u32) -> String {
    let found = rows(machine, "etc/passwd").into_iter().find(|row| number(row, 2) == Some(uid));
    found.and_then(|row| row.into_iter().next()).unwrap_or_else(|| format!("user {uid}"))
}

fn group(machine: &Machine, name: &str) -> Option<u32> {
    let rows = rows(machine, "etc/group");
    rows.iter()
        .find(|row| row.first().is_some_and(|known| known == name))
        .and_then(|row| number(row, 2))
}

fn groups_of(machine: &Machine, name: &str) -> Vec<u32> {
    let has = |row: &Vec<String>| {
        row.get(3).is_some_and(|all| all.split(',').any(|member| member == name))
    };
    rows(machine, "etc/group")
        .iter()
        .filter(|row| has(row))
        .filter_map(|row| number(row, 2))
        .collect()
}

/// The lowest folder on a path that exists, or the path itself.
pub(super) fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.exists()).unwrap_or(path).to_owned()
}
