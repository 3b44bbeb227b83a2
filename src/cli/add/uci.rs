//! A new endpoint by OpenWrt's `uci`.

use std::{path::Path, process::Command};

use super::Endpoint;
use crate::{
    cli::{
        Code, Failure,
        load::{Source, load_with},
    },
    config::uci,
};

/// The init script, which applies what was committed.
const INIT: &str = "/etc/init.d/wsbridge";

/// Checks the whole with it, commits it, and applies it.
pub(super) fn add(source: &Source, file: &Path, endpoint: &Endpoint) -> Result<(), Failure> {
    let options = options(endpoint);
    let mut section = format!("\n{}", uci::section("endpoint", &endpoint.name));
    for (option, value) in &options {
        section.extend(["\toption ", option, " ", &uci::quoted(value), "\n"]);
    }
    load_with(source, Some((file.to_owned(), section))).map_err(|error| Failure::from(&error))?;
    let package = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let uci = Uci { folder: file.parent().unwrap_or(Path::new("/etc/config")), package: &package };
    if !uci.run(&["changes", &package])?.is_empty() {
        let what = format!(
            "there are changes that are not committed: uci commit {package}, or uci revert {package}"
        );
        return Err(Failure::new(Code::Data, what));
    }
    uci.set(&endpoint.name, &options).inspect_err(|_| {
        let _ = uci.run(&["revert", &package]);
    })?;
    if file.starts_with("/etc/config") && Path::new(INIT).exists() {
        let done = Command::new(INIT).arg("reload").status();
        if !done.is_ok_and(|status| status.success()) {
            return Err(Failure::new(
                Code::Unavailable,
                format!("it was added, but not applied: {INIT} reload"),
            ));
        }
    }
    Ok(())
}

fn options(endpoint: &Endpoint) -> Vec<(String, String)> {
    let title = endpoint.title.iter().map(|title| ("title".to_owned(), title.clone()));
    title.chain(endpoint.target.uci()).collect()
}

struct Uci<'a> {
    folder: &'a Path,
    package: &'a str,
}

impl Uci<'_> {
    fn set(&self, name: &str, options: &[(String, String)]) -> Result<(), Failure> {
        // UCI has no `-` and `.` in a section's name.
        let section = name.replace(['-', '.'], "_");
        let path = format!("{}.{section}", self.package);
        self.run(&["set", &format!("{path}=endpoint")])?;
        let own = (section != name).then(|| ("name".to_owned(), name.to_owned()));
        for (option, value) in own.iter().chain(options) {
            self.run(&["set", &format!("{path}.{option}={value}")])?;
        }
        self.run(&["commit", self.package]).map(drop)
    }

    fn run(&self, words: &[&str]) -> Result<String, Failure> {
        let failed = |why: &str| {
            Failure::new(Code::Unavailable, format!("uci {}: {why}; nothing was added", words.join(" ")))
        };
        let output = Command::new("uci")
            .arg("-c")
            .arg(self.folder)
            .args(words)
            .output()
            .map_err(|error| failed(&error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(failed(String::from_utf8_lossy(&output.stderr).trim()))
    }
}
