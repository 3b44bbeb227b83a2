//! The service: whether it is installed, running, and as new as its binary and its file; its state
//! directory and its descriptors.

use std::path::{Path, PathBuf};

use super::{
    Subject,
    account::{SystemAccount, Want, existing},
    finding::{DoctorReport, Id},
    machine::{Machine, pid, text},
    system::System,
    unit::UnitFile,
};
use crate::{
    cli::{load::ConfigFile, served},
    config::UciInstance,
};

/// The unit the packages install.
pub(super) const SERVICE_UNIT: &str = "wsbridge.service";

/// What our daemon says in `systemctl status` after its endpoints and addresses.
const STATUS_READ: &str = "configuration read ";
/// What follows that after a reload that failed.
const STATUS_FAILED: &str = "the last reload failed: ";

/// A daemon that runs with the file being examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunningDaemon {
    /// Its number.
    pub(super) pid: u32,
    /// Its folder of /proc.
    pub(super) folder: PathBuf,
}

impl RunningDaemon {
    /// Finds it: a daemon of ours with that configuration.
    pub(super) fn find(machine: &Machine, source: &ConfigFile) -> Option<Self> {
        machine
            .processes()
            .find(|folder| daemon_of(folder).is_some_and(|its| same(&its, source)))
            .and_then(|folder| {
                let pid = pid(&folder)?;
                Some(Self { pid, folder })
            })
    }
}

/// The configuration of a daemon of ours, found by its folder in /proc.
pub(super) fn daemon_of(folder: &Path) -> Option<ConfigFile> {
    let line = text(&folder.join("cmdline"))?;
    let words: Vec<&str> = line.trim_end_matches('\0').split('\0').collect();
    let program = words.first()?.rsplit('/').next()?;
    let source = (program == "wsbridge").then(|| served(&words)).flatten()?;
    // Resolved as that process would resolve it.
    let at = |file: &Path| std::fs::read_link(folder.join("cwd")).unwrap_or_default().join(file);
    Some(match source {
        ConfigFile::Yaml(file) => ConfigFile::Yaml(at(&file)),
        ConfigFile::Uci(file) => ConfigFile::Uci(at(&file)),
    })
}

/// Whether both are the same file in the same form.
fn same(one: &ConfigFile, other: &ConfigFile) -> bool {
    let canonical = |source: &ConfigFile| source.path().canonicalize().ok();
    let files = one.path() == other.path()
        || canonical(one).is_some_and(|path| canonical(other) == Some(path));
    System::of(one) == System::of(other) && files
}

/// The configuration that a unit starts the daemon with.
fn started(unit: &UnitFile) -> Option<ConfigFile> {
    let line = unit.last("ExecStart")?.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    served(&line.split_whitespace().collect::<Vec<_>>())
}

/// Looks at all of it.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let machine = subject.machine;
    let place =
        subject.running.map_or_else(|| "service".into(), |it| format!("wsbridge (pid {})", it.pid));
    let mark = report.mark();
    match subject.running {
        Some(running) => {
            age(machine, running, &place, report);
            reloaded(machine, subject.source.path(), &place, report);
        }
        None if is_meant_to_run(subject) => {
            let fix = [report.system.log(), report.system.restart()];
            report.wrong(Id::ServiceOff, &place, "it is enabled but not running", &fix);
        }
        None => delivered_off(subject, report),
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

/// Whether it is enabled, for the configuration being examined.
fn is_meant_to_run(subject: &Subject<'_>) -> bool {
    match subject.source {
        ConfigFile::Uci(_) => {
            let at_boot =
                std::fs::read_dir(subject.machine.at("etc/rc.d")).into_iter().flatten().flatten();
            let mut links = at_boot.filter_map(|entry| entry.file_name().into_string().ok());
            let on = subject.instance.is_some_and(|instance| instance.enabled);
            on && links.any(|name| name.starts_with('S') && name.ends_with("wsbridge"))
        }
        ConfigFile::Yaml(_) => {
            let started = subject.unit.and_then(started);
            started.is_some_and(|started| same(&started, subject.source))
                && is_enabled(subject.machine)
        }
    }
}

/// OpenWrt's package is delivered with the daemon switched off.
fn delivered_off(subject: &Subject<'_>, report: &mut DoctorReport) {
    if subject.instance.is_some_and(|instance| !instance.enabled) {
        let fix = [
            "uci set wsbridge.main.enabled=1; uci commit wsbridge".to_owned(),
            report.system.reload(),
        ];
        report.hint(
            Id::ServiceOff,
            "service",
            "`option enabled` is 0: procd does not start it",
            &fix,
        );
    }
}

/// A link in a target's folder (`systemctl enable`).
fn is_enabled(machine: &Machine) -> bool {
    let folders =
        std::fs::read_dir(machine.at("etc/systemd/system")).into_iter().flatten().flatten();
    let mut wants = folders
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "wants"));
    wants.any(|folder| folder.join(SERVICE_UNIT).symlink_metadata().is_ok())
}

/// A package or a build has replaced the binary.
fn age(machine: &Machine, running: &RunningDaemon, place: &str, report: &mut DoctorReport) {
    match std::fs::read_link(running.folder.join("exe")) {
        Ok(path) if path.to_string_lossy().ends_with(" (deleted)") => report.wrong(
            Id::ServiceOld,
            place,
            "the binary was replaced after this daemon started; the old one still runs",
            &[report.system.restart()],
        ),
        Err(_) if !machine.privileged => {
            report.unseen(Id::ServiceOld, place, "whether it is the binary installed");
        }
        _ => {}
    }
}

/// systemd passes on what the daemon says about itself.
fn reloaded(machine: &Machine, file: &Path, place: &str, report: &mut DoctorReport) {
    if !machine.has_systemd() {
        return;
    }
    let asked =
        (machine.ask)(&["systemctl", "show", "--property=StatusText", "--value", SERVICE_UNIT]);
    let Some(status) = asked.filter(|status| !status.is_empty()) else { return };
    if let Some((_, why)) = status.split_once(STATUS_FAILED) {
        let fix = ["sudo wsbridge check".to_owned(), "sudo systemctl reload wsbridge".into()];
        report.wrong(Id::ReloadFailed, place, format!("the last reload failed: {why}"), &fix);
        return;
    }
    let read = status
        .split_once(STATUS_READ)
        .and_then(|(_, rest)| rest.split([';', ' ']).next()?.parse().ok());
    let read: Option<jiff::Timestamp> = read;
    let (Some(read), Some(changed)) = (read, changed(file)) else { return };
    // The daemon reports only whole seconds.
    if changed.as_second() > read.as_second() {
        let what = format!("{} was changed after the daemon read it", file.display());
        report.wrong(Id::NotReloaded, place, what, &["sudo systemctl reload wsbridge".into()]);
    }
}

fn changed(file: &Path) -> Option<jiff::Timestamp> {
    jiff::Timestamp::try_from(std::fs::metadata(file).ok()?.modified().ok()?).ok()
}

/// Where generated keys are kept. systemd makes and owns a `StateDirectory=` itself.
fn state_directory(subject: &Subject<'_>, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let folder = &config.state_directory;
    let systemds = subject.unit.and_then(|unit| unit.last("StateDirectory"));
    let by_systemd =
        systemds.is_some_and(|name| folder.ends_with(name) && folder.starts_with("/var/lib"));
    if by_systemd {
        return;
    }
    let (place, account) = (folder.display().to_string(), subject.account);
    let there = existing(folder);
    match account.may(&there, Want::Write) {
        Ok(true) => {}
        Ok(false) => {
            let user = &account.name;
            // busybox has `install` only in some builds.
            let fix = report.system.pick(
                format!("sudo install -d -m 700 -o {user} {place}"),
                format!("mkdir -p {place}; chmod 700 {place}; chown {user} {place}"),
            );
            let key = report.system.option(("tls", "self-signed"), ("tls", "self-signed"));
            let what = format!("{user} may not write there; `{key}` keeps its key there");
            report.wrong(Id::StateDirectory, &place, what, &[fix]);
        }
        Err(error) => {
            report.unseen(Id::StateDirectory, &place, format!("rights of the folder: {error}"));
        }
    }
}

/// A session takes up to two descriptors, a line three; the rest is negligible.
fn descriptors(subject: &Subject<'_>, place: &str, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let needed = config.limits.connections * 2 + config.endpoints.len() * 3 + 64;
    let running = subject.running.and_then(|running| text(&running.folder.join("limits")));
    let limit = running.as_deref().map_or_else(
        || {
            subject
                .unit
                .and_then(|unit| unit.last("LimitNOFILE")?.split(':').next_back()?.parse().ok())
        },
        |limits| {
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
            // The daemon itself raises the soft limit to the hard one.
            line.split_whitespace().nth(1)?.parse().ok()
        },
    );
    if limit.is_some_and(|limit: usize| limit < needed) {
        let limit = limit.unwrap_or_default();
        let key = report.system.pick("limits.connections", "option connections");
        let what = format!(
            "{key} is {}, which takes about {needed} open files; the service may have {limit}",
            config.limits.connections
        );
        let fix = match report.system {
            System::Linux => vec![
                "sudo systemctl edit wsbridge".to_owned(),
                "[Service]".into(),
                format!("LimitNOFILE={needed}"),
            ],
            System::OpenWrt => {
                let fewer = limit.saturating_sub(config.endpoints.len() * 3 + 64) / 2;
                vec![format!("option connections '{}'    # in `config wsbridge`", fewer.max(1))]
            }
        };
        report.wrong(Id::Descriptors, place, what, &fix);
    }
}

/// The account it runs as: the one it runs as now, or that its unit or procd will start it as, or
/// else whoever asks.
pub(super) fn account(
    machine: &Machine,
    running: Option<&RunningDaemon>,
    unit: Option<&UnitFile>,
    instance: Option<&UciInstance>,
) -> SystemAccount {
    let running = running.and_then(|running| SystemAccount::of_process(machine, &running.folder));
    running.unwrap_or_else(|| match (instance, unit) {
        (Some(instance), _) => SystemAccount::of_instance(machine, instance),
        (None, Some(unit)) => SystemAccount::of_unit(machine, unit),
        (None, None) => SystemAccount::asking(machine),
    })
}
