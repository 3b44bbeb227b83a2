//! A new endpoint, added with OpenWrt's `uci`.

use std::{path::Path, process::Command};

use super::NewEndpoint;
use crate::{
    cli::{
        CommandError, SysExit,
        load::{ConfigFile, load_with},
    },
    config::uci,
};

/// The init script, which applies what was committed.
const INIT: &str = "/etc/init.d/wsbridge";

/// Checks the whole configuration with it, commits it, and applies it.
pub(super) fn add(
    source: &ConfigFile,
    file: &Path,
    endpoint: &NewEndpoint,
) -> Result<(), CommandError> {
    let package = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let uci = Uci { folder: file.parent().unwrap_or(Path::new("/etc/config")), package: &package };
    let section = uci.free(&endpoint.name)?;
    let options = options(endpoint, &section);
    let mut text = format!("\n{}", uci::section("endpoint", &section));
    for (option, value) in &options {
        text.extend(["\toption ", option, " ", &uci::quoted(value), "\n"]);
    }
    load_with(source, Some((file.to_owned(), text))).map_err(|error| CommandError::from(&error))?;
    if !uci.run(&["changes", &package])?.is_empty() {
        let what = format!(
            "there are changes that are not committed: uci commit {package}, or uci revert {package}"
        );
        return Err(CommandError::new(SysExit::Data, what));
    }
    uci.set(&section, &options).inspect_err(|_| {
        let _ = uci.run(&["revert", &package]);
    })?;
    if file.starts_with("/etc/config") && Path::new(INIT).exists() {
        let done = Command::new(INIT).arg("reload").status();
        if !done.is_ok_and(|status| status.success()) {
            return Err(CommandError::new(
                SysExit::Unavailable,
                format!("it was added, but not applied: {INIT} reload"),
            ));
        }
    }
    Ok(())
}

/// The options of its section; with `name` if the section cannot have that name.
fn options(endpoint: &NewEndpoint, section: &str) -> Vec<(String, String)> {
    let own = (section != endpoint.name).then(|| ("name".to_owned(), endpoint.name.clone()));
    let title = endpoint.title.iter().map(|title| ("title".to_owned(), title.clone()));
    own.into_iter().chain(title).chain(endpoint.target.uci()).collect()
}

/// The name in a line `config TYPE 'NAME'`.
fn section_of(line: &str) -> Option<&str> {
    line.strip_prefix("config ")?.split_once(" '")?.1.strip_suffix('\'')
}

struct Uci<'a> {
    folder: &'a Path,
    package: &'a str,
}

impl Uci<'_> {
    /// A name for its section that no other section has, of any type: `set` would turn a user into
    /// an endpoint.
    fn free(&self, name: &str) -> Result<String, CommandError> {
        let sections = self.run(&["-n", "export", self.package])?;
        let taken: Vec<&str> = sections.lines().filter_map(section_of).collect();
        // UCI allows no `-` or `.` in the name of a section.
        let plain = name.replace(['-', '.'], "_");
        let numbered = (2..).map(|number| format!("{plain}_{number}"));
        let mut all = std::iter::once(plain.clone()).chain(numbered);
        Ok(all.find(|name| !taken.contains(&name.as_str())).unwrap_or_default())
    }

    fn set(&self, section: &str, options: &[(String, String)]) -> Result<(), CommandError> {
        let path = format!("{}.{section}", self.package);
        self.run(&["set", &format!("{path}=endpoint")])?;
        for (option, value) in options {
            self.run(&["set", &format!("{path}.{option}={value}")])?;
        }
        self.run(&["commit", self.package]).map(drop)
    }

    fn run(&self, words: &[&str]) -> Result<String, CommandError> {
        let failed = |why: &str| {
            CommandError::new(
                SysExit::Unavailable,
                format!("uci {}: {why}; nothing was added", words.join(" ")),
            )
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
