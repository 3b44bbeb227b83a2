//! The configuration as OpenWrt keeps it, in UCI. It becomes the keys of the YAML file and goes through the same
//! resolver, so that there is one set of rules; what is wrong is told in UCI's words.

mod instance;
mod options;
mod syntax;
mod told;
mod translate;

use std::{ffi::OsStr, path::Path};

pub use self::instance::{UciInstance, uci_instance};
use self::{
    syntax::{Mistake, Read},
    translate::{Place, Translated, translate},
};
use super::{
    Config, ConfigError, MAX_FILE, SecretReader, Warning,
    raw::write,
    report::{Found, line},
    resolve::{TOO_BIG, read},
    text::Text,
};

/// Name of the program, and of its file and folder.
const MAIN: &str = "wsbridge";

/// Parses and resolves a UCI file's text; the counterpart of [`super::parse`].
///
/// # Errors
/// All mistakes of the file, each with its line, section and option.
pub fn parse_uci(
    text: &str,
    name: &str,
    secrets: &SecretReader<'_>,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let file = understood(text, name)?;
    let all = translate(&file.sections, &state_directory(name));
    let (yaml, marks) = write(&all.root);
    let (config, report) = read(&[Text { name, text: &yaml }], secrets);
    let place = |found: &Found| {
        let index = usize::try_from(found.at.line).ok().and_then(|line| line.checked_sub(1));
        let mark = index.and_then(|index| marks.get(index));
        mark.and_then(|mark| all.places.get(*mark)).copied().unwrap_or_default()
    };
    let what = |found: &Found| match found.path.as_str() {
        // Of the file as a whole; its place says nothing.
        path if found.at.line == 0 && !path.is_empty() => format!("{path}: {}", found.what),
        _ => found.what.clone(),
    };
    let mut problems: Vec<_> = report.problems.iter().map(|found| (place(found), what(found))).collect();
    problems.extend(all.problems.iter().filter_map(|(at, what)| Some((*all.places.get(*at)?, what.clone()))));
    if let (Some(config), true) = (config, problems.is_empty()) {
        let odd = file.odd.iter().map(|odd| said(name, odd));
        let warnings = report.warnings.iter().map(|found| told::told(name, &place(found), &what(found)));
        return Ok((config, odd.chain(warnings).map(Warning).collect()));
    }
    Err(ConfigError(listed(text, name, problems)))
}

/// The same configuration as the YAML file would say it.
///
/// # Errors
/// Mistakes of the file that are UCI's own; values are not looked at.
pub fn uci_as_yaml(text: &str, name: &str) -> Result<String, ConfigError> {
    let file = understood(text, name)?;
    let Translated { root, places, problems } = translate(&file.sections, &state_directory(name));
    if problems.is_empty() {
        return Ok(write(&root).0);
    }
    let problems = problems.into_iter().filter_map(|(at, what)| Some((*places.get(at)?, what)));
    Err(ConfigError(listed(text, name, problems.collect())))
}

/// Where an instance keeps what outlives a restart: a router's `/var` is gone by then. Each has a folder of its own, for it may run as
/// a user of its own; the init script makes it, by the same rule.
fn state_directory(file: &str) -> String {
    let name = Path::new(file).file_name().and_then(OsStr::to_str).unwrap_or(MAIN);
    match name.strip_prefix(MAIN) {
        Some("") => format!("/etc/{MAIN}"),
        Some(rest) if rest.starts_with(['-', '_']) => format!("/etc/{MAIN}-{}", &rest[1..]),
        _ => format!("/etc/{MAIN}-{name}"),
    }
}

/// The file's sections, or its mistakes of grammar.
fn understood(text: &str, name: &str) -> Result<Read, ConfigError> {
    if text.len() > MAX_FILE {
        return Err(ConfigError(TOO_BIG.replace("{}", name)));
    }
    let file = syntax::read(text);
    if file.mistakes.is_empty() {
        return Ok(file);
    }
    let told = file.mistakes.iter().map(|it| said(name, it) + &shown(text, it.line));
    Err(ConfigError(told.collect::<Vec<_>>().join("\n")))
}

fn said(name: &str, mistake: &Mistake) -> String {
    told::told(name, &Place { line: mistake.line, ..Place::default() }, &mistake.what)
}

/// Every mistake once, in the order of the file.
fn listed(text: &str, name: &str, mut problems: Vec<(Place<'_>, String)>) -> String {
    problems.sort_by_key(|(place, _)| place.line);
    let mut all: Vec<_> = problems
        .iter()
        .map(|(place, what)| told::told(name, place, what) + &shown(text, place.line))
        .collect();
    all.dedup();
    all.join("\n")
}

fn shown(text: &str, number: u64) -> String {
    line(text, number).map(|line| format!("\n{number:>5} | {}", line.trim_start())).unwrap_or_default()
}

/// The first lines of a section: with the name, where UCI can take it as a section's.
pub(crate) fn section(kind: &str, name: &str) -> String {
    if syntax::is_name(name) {
        return format!("config {kind} '{name}'\n");
    }
    format!("config {kind}\n\toption name {}\n", quoted(name))
}

/// A text in single quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
