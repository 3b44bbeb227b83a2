//! A made-up machine to examine, and what was found on it.

mod network;
mod serial;
mod service;
mod tls;
mod words;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
};

use crate::cli::which::Which;

use super::{
    Args,
    finding::{DoctorReport, Finding, Id, Level},
    look,
    machine::Machine,
};
use crate::target::serial::tree::Tree;

/// 2026-06-01, the date on which all of this happens.
const NOW: i64 = 1_780_272_000;
const DAY: i64 = 24 * 3600;

/// Everybody may do everything on a port with two simulated devices, without TLS, on loopback.
const PLAIN: &str = "listen: [ { address: '127.0.0.1:0', tls: none } ]\nauth: none\n";

/// The hash of some password.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg";

/// A user with rights on everything, for configurations that the network can reach.
const ALICE: &str = "users: { alice: { password: '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg', rights: { '*': [ read ] } } }\n";

/// The machine, and the folder of its configuration.
struct Place {
    tree: Tree,
    machine: Machine,
}

impl Place {
    /// With systemd, a clock that is right, our rules, and the packages' service under user
    /// `wsbridge`.
    fn new() -> Self {
        let tree = Tree::new();
        let root = tree.roots.sys.parent().unwrap().to_owned();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        let machine = Machine {
            roots: tree.roots.clone(),
            root,
            now: NOW,
            privileged: true,
            host: "box".into(),
            ask: |_| None,
        };
        for path in [
            "run/systemd/system/.keep",
            "run/systemd/timesync/synchronized",
            "run/udev/control",
            "etc/udev/rules.d/60-wsbridge.rules",
            "etc/udev/rules.d/95-wsbridge-brltty.rules",
        ] {
            tree.write(path, "");
        }
        tree.write(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nwsbridge:x:64321:64321::/:/bin/false\n",
        );
        let own = rustix::process::getegid().as_raw();
        tree.write("etc/group", &format!("wsbridge:x:64321:\ndialout:x:{own}:\n"));
        let unit = include_str!("../../../../packaging/systemd/wsbridge.service");
        tree.write("usr/lib/systemd/system/wsbridge.service", unit);
        tree.write("proc/77/comm", "wsbridge\n");
        tree.write("proc/77/cmdline", "/usr/bin/wsbridge\0serve\0--config\0/FILE\0");
        Self { tree, machine }
    }

    fn file(&self) -> PathBuf {
        self.machine.root.join("wsbridge.yaml")
    }

    /// A file of the machine.
    fn path(&self, name: &str) -> PathBuf {
        self.machine.root.join(name)
    }

    fn write(&self, path: &str, text: &str) {
        self.tree.write(path, text);
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A drop-in of the service.
    fn unit(&self, lines: &str) {
        self.write(
            "etc/systemd/system/wsbridge.service.d/local.conf",
            &format!("[Service]\n{lines}\n"),
        );
    }

    /// A daemon that runs with the configuration, as user `wsbridge`.
    fn runs(&self, groups: &str) {
        let words = format!("/usr/bin/wsbridge\0serve\0--config\0{}\0", self.file().display());
        self.write("proc/77/cmdline", &words);
        self.write(
            "proc/77/status",
            &format!("Uid:\t64321\t64321\t64321\t64321\nGid:\t64321\t64321\nGroups:\t{groups}\n"),
        );
        self.write("proc/77/limits", "Limit Soft Hard Units\nMax open files            1024                 4096                 files\n");
        let exe = self.path("proc/77/exe");
        let _ = fs::remove_file(&exe);
        symlink("/usr/bin/wsbridge", exe).unwrap();
    }

    fn find(&self, config: &str) -> Found {
        self.find_with(config, true)
    }

    fn find_with(&self, config: &str, no_connect: bool) -> Found {
        let file = self.file();
        fs::write(&file, config).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        Found(look(&self.machine, &Args { which: Which::of(file), json: false, no_connect }))
    }
}

impl Place {
    /// [`Self::find`] for a router's configuration.
    fn find_uci(&self, config: &str) -> Found {
        self.write("etc/config/wsbridge", config);
        self.mode("etc/config/wsbridge", 0o600);
        let uci = Some(self.path("etc/config/wsbridge"));
        Found(look(
            &self.machine,
            &Args { which: Which::of_uci(uci), json: false, no_connect: true },
        ))
    }
}

/// What was found.
struct Found(DoctorReport);

impl Found {
    fn one(&self, id: Id, level: Level) -> Option<&Finding> {
        self.0.findings.iter().find(|finding| finding.id == id.text() && finding.level == level)
    }

    /// Something is reported as wrong, and the text has these parts.
    fn wrong(&self, id: Id, parts: &[&str]) {
        self.said(id, Level::Wrong, parts);
    }

    fn hint(&self, id: Id, parts: &[&str]) {
        self.said(id, Level::Hint, parts);
    }

    fn unseen(&self, id: Id, parts: &[&str]) {
        self.said(id, Level::Unseen, parts);
    }

    fn said(&self, id: Id, level: Level, parts: &[&str]) {
        let finding = self
            .one(id, level)
            .unwrap_or_else(|| panic!("no {level:?} {id:?} in {:#?}", self.0.findings));
        let text = format!("{}\n{}\n{}", finding.place, finding.what, finding.fix.join("\n"));
        for part in parts {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    /// Nothing was reported but that it is well.
    fn none(&self, id: Id) {
        let found = self
            .0
            .findings
            .iter()
            .find(|finding| finding.id == id.text() && finding.level != Level::Ok);
        assert!(found.is_none(), "{found:#?}");
    }

    /// Nothing is wrong, and there are no hints.
    fn well(&self) {
        let bad: Vec<_> =
            self.0.findings.iter().filter(|finding| finding.level != Level::Ok).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}
