//! The service: installed, running, as new as its binary and its file; its state directory and its descriptors.

use std::path::{Path, PathBuf};

use super::{
    Subject,
    account::{Account, Want, existing},
    finding::{Id, Report},
    machine::{Machine, pid, text},
    unit::Unit,
};

/// The unit the packages install.
pub(super) const UNIT: &str = "wsbridge.service";

/// What a daemon of ours says in `systemctl status` behind its endpoints and addresses.
const READ: &str = "configuration read ";
/// And behind that after a reload that failed.
const FAILED: &str = "the last reload failed: ";

/// A daemon that runs with the file looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    /// Its number.
    pub(super) pid: u32,
    /// Its folder of /proc.
    pub(super) folder: PathBuf,
}

impl Running {
    /// Finds it: `wsbridge serve`, whose `--config` is that file.
    pub(super) fn find(machine: &Machine, file: &Path) -> Option<Self> {
        machine.processes().find(|folder| is_ours(folder, file)).and_then(|folder| {
            let pid = pid(&folder)?;
            Some(Self { pid, folder })
        })
    }
}

fn is_ours(folder: &Path, file: &Path) -> bool {
    let line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let words: Vec<&str> =
        line.split(|byte| *byte == 0).filter_map(|word| str::from_utf8(word).ok()).collect();
    let is_daemon = words.first().is_some_and(|path| path.rsplit('/').next() == Some("wsbridge"))
        && words.iter().skip(1).any(|word| *word == "serve");
    let named = words.iter().enumerate().find_map(|(index, word)| match word.strip_prefix("--config") {
        Some("") => words.get(index + 1).copied(),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    });
    let named = Path::new(named.unwrap_or("/etc/wsbridge/wsbridge.yaml"));
    let same = || Some(named.canonicalize().ok()? == file.canonicalize().ok()?);
    is_daemon && (named == file || same().unwrap_or(false))
}

/// All of it.
pub(super) fn look(subject: &Subject<'_>, report: &mut Report) {
    let machine = subject.machine;
    let place = subject.running.map_or_else(|| "service".into(), |it| format!("wsbridge (pid {})", it.pid));
    let mark = report.mark();
    match subject.running {
        Some(running) => {
            age(machine, running, &place, report);
            reloaded(machine, subject.file, &place, report);
        }
        None if is_enabled(machine) => report.wrong(
            Id::ServiceOff,
            &place,
            "it is enabled and does not run",
            &["journalctl -u wsbridge -n 20    # why".into(), "sudo systemctl restart wsbridge".into()],
        ),
        None => {}
    }
    state_directory(subject, report);
    descriptors(subject, &place, report);
    let how = match (subject.running, subject.unit) {
        (Some(_), _) => "runs",
        (None, Some(_)) => "installed",
        (None, None) => "none is installed, and none runs with this file",
    };
    let user = &subject.account.name;
    report.ok_since(mark, Id::Service, &place, format!("{how}; rights are looked at for {user}"));
}

/// A link in a target's folder (`systemctl enable`).
fn is_enabled(machine: &Machine) -> bool {
    let folders = std::fs::read_dir(machine.at("etc/systemd/system")).into_iter().flatten().flatten();
    let mut wants =
        folders.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "wants"));
    wants.any(|folder| folder.join(UNIT).symlink_metadata().is_ok())
}

/// A package or a build has put another binary in its place.
fn age(machine: &Machine, running: &Running, place: &str, report: &mut Report) {
    match std::fs::read_link(running.folder.join("exe")) {
        Ok(path) if path.to_string_lossy().ends_with(" (deleted)") => report.wrong(
            Id::ServiceOld,
            place,
            "the binary was replaced after this daemon started; the old one still runs",
            &["sudo systemctl restart wsbridge".into()],
        ),
        Err(_) if !machine.privileged => {
            report.unseen(Id::ServiceOld, place, "whether it is the binary installed");
        }
        _ => {}
    }
}

/// systemd passes on what the daemon says of itself.
fn reloaded(machine: &Machine, file: &Path, place: &str, report: &mut Report) {
    if !machine.has_systemd() {
        return;
    }
    let asked = (machine.ask)(&["systemctl", "show", "--property=StatusText", "--value", UNIT]);
    let Some(status) = asked.filter(|status| !status.is_empty()) else { return };
    if let Some((_, why)) = status.split_once(FAILED) {
        let fix = ["sudo wsbridge check".to_owned(), "sudo systemctl reload wsbridge".into()];
        report.wrong(Id::ReloadFailed, place, format!("the last reload failed: {why}"), &fix);
        return;
    }
    let read = status.split_once(READ).and_then(|(_, rest)| rest.split([';', ' ']).next()?.parse().ok());
    let read: Option<jiff::Timestamp> = read;
    let (Some(read), Some(changed)) = (read, changed(file)) else { return };
    // The daemon tells the second.
    if changed.as_second() > read.as_second() {
        let what = format!("{} was changed after the daemon read it", file.display());
        report.wrong(Id::NotReloaded, place, what, &["sudo systemctl reload wsbridge".into()]);
    }
}

fn changed(file: &Path) -> Option<jiff::Timestamp> {
    jiff::Timestamp::try_from(std::fs::metadata(file).ok()?.modified().ok()?).ok()
}

/// Where generated keys are kept. systemd makes and owns a `StateDirectory=` itself.
fn state_directory(subject: &Subject<'_>, report: &mut Report) {
    let Some(config) = subject.config else { return };
    let folder = &config.state_directory;
    let systemds = subject.unit.and_then(|unit| unit.last("StateDirectory"));
    let by_systemd = systemds.is_some_and(|name| folder.ends_with(name) && folder.starts_with("/var/lib"));
    if by_systemd {
        return;
    }
    let (place, account) = (folder.display().to_string(), subject.account);
    let there = existing(folder);
    match account.may(&there, Want::Write) {
        Ok(true) => {}
        Ok(false) => {
            let user = &account.name;
            let fix = format!("sudo install -d -m 700 -o {user} {place}");
            let what = format!("{user} may not write there; `tls: self-signed` keeps its key there");
            report.wrong(Id::StateDirectory, &place, what, &[fix]);
        }
        Err(error) => report.unseen(Id::StateDirectory, &place, format!("rights of the folder: {error}")),
    }
}

/// A session takes up to two, a line three, the rest is small change.
fn descriptors(subject: &Subject<'_>, place: &str, report: &mut Report) {
    let Some(config) = subject.config else { return };
    let needed = config.limits.connections * 2 + config.endpoints.len() * 3 + 64;
    let running = subject.running.and_then(|running| text(&running.folder.join("limits")));
    let limit = running.as_deref().map_or_else(
        || subject.unit.and_then(|unit| unit.last("LimitNOFILE")?.split(':').next_back()?.parse().ok()),
        |limits| {
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
            // The daemon raises the soft limit to the hard one itself.
            line.split_whitespace().nth(1)?.parse().ok()
        },
    );
    if limit.is_some_and(|limit: usize| limit < needed) {
        let limit = limit.unwrap_or_default();
        let what = format!(
            "limits.connections is {}, which takes about {needed} open files; the service may have {limit}",
            config.limits.connections
        );
        let fix =
            ["sudo systemctl edit wsbridge".to_owned(), "[Service]".into(), format!("LimitNOFILE={needed}")];
        report.wrong(Id::Descriptors, place, what, &fix);
    }
}

/// Whom it runs as.
pub(super) fn account(machine: &Machine, running: Option<&Running>, unit: Option<&Unit>) -> Account {
    Account::of_daemon(machine, running.map(|running| running.folder.as_path()), unit)
}
