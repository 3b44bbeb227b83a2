//! The configuration file: valid to the daemon's own loader, and not open to everybody.

use std::path::PathBuf;

use super::{
    account::{closing, is_public},
    finding::{DoctorReport, Id},
    machine::{Machine, text},
    unit::UnitFile,
};
use crate::{
    cli::load::{ConfigFile, LoadedConfig, UCI_FILE, read},
    config::{UciInstance, uci_instance},
    regular_file,
};

/// Loads it, and reports what is wrong with it.
pub(super) fn look(
    machine: &Machine,
    source: &ConfigFile,
    unit: Option<&UnitFile>,
    report: &mut DoctorReport,
) -> Option<LoadedConfig> {
    let file = source.path();
    let place = file.display().to_string();
    let opened = regular_file::open(file);
    let hidden = opened.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    if hidden && !machine.privileged {
        report.unseen(Id::Config, &place, "the configuration, and all that depends on it");
        return None;
    }
    let loaded = match read(source, &|name| credential(machine, unit, name)) {
        Ok(loaded) => loaded,
        Err(error) => {
            let text = error.to_string();
            let what = text.strip_prefix(&format!("{place}: ")).unwrap_or(&text);
            let fix = match (source, file.exists()) {
                (ConfigFile::Yaml(_), true) => {
                    [format!("sudoedit {place}"), format!("sudo wsbridge check {place}")]
                }
                (ConfigFile::Yaml(_), false) => [
                    "sudo wsbridge ports    # the YAML to begin with".to_owned(),
                    format!("sudoedit {place}"),
                ],
                // A router has neither sudo nor its editor.
                (ConfigFile::Uci(_), true) => {
                    [format!("vi {place}"), format!("wsbridge check --uci {place}")]
                }
                (ConfigFile::Uci(_), false) => [
                    "wsbridge ports --uci    # the sections to begin with".to_owned(),
                    format!("vi {place}"),
                ],
            };
            report.wrong(Id::Config, &place, what, &fix);
            return None;
        }
    };
    for warning in &loaded.warnings {
        report.hint(Id::ConfigOdd, "configuration", warning.to_string(), &[]);
    }
    let system = report.system;
    let access = &loaded.config.access;
    if is_public(file).unwrap_or(false) && !(access.users.is_empty() && access.tokens.is_empty()) {
        let what = "every user of this machine may read the hashes of passwords and tokens in it";
        report.hint(Id::ConfigReadable, &place, what, &[closing(machine, system, &place)]);
    }
    for secret in &loaded.secrets {
        if is_public(secret).unwrap_or(false) {
            let place = secret.display().to_string();
            report.wrong(
                Id::SecretReadable,
                &place,
                "every user of this machine may read this secret",
                &[closing(machine, system, &place)],
            );
        }
    }
    let count = loaded.config.endpoints.len();
    let s = if count == 1 { "" } else { "s" };
    report.ok(Id::Config, &place, format!("valid, {count} endpoint{s}"));
    Some(loaded)
}

/// How procd should run the daemon with that file.
pub(super) fn instance(machine: &Machine, source: &ConfigFile) -> Option<UciInstance> {
    let ConfigFile::Uci(file) = source else { return None };
    // A file with sections of its own, as people use to try one out, speaks for itself.
    let main = file.parent().map(|folder| folder.join("wsbridge")).and_then(|main| text(&main));
    main.and_then(|main| uci_instance(&main, file))
        .or_else(|| uci_instance(&machine.text(UCI_FILE)?, file))
}

/// What `LoadCredential=` hands to the service: its source, or what the running service was given.
fn credential(machine: &Machine, unit: Option<&UnitFile>, name: &str) -> Option<PathBuf> {
    let lines = unit.map(|unit| unit.lines("LoadCredential")).unwrap_or_default();
    let source =
        lines.into_iter().filter_map(|line| line.split_once(':')).find(|(known, _)| *known == name);
    let given = machine.roots.run.join("credentials/wsbridge.service").join(name);
    source
        .map(|(_, path)| machine.at(path))
        .filter(|path| path.is_absolute())
        .or_else(|| given.exists().then_some(given))
}
