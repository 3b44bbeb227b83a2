//! The configuration as OpenWrt keeps it, in UCI. It becomes the same tree as the YAML file and is
//! read by the same functions, so there is one set of rules; mistakes are reported in UCI's words.

mod instance;
mod options;
mod syntax;
mod told;
mod translate;

use std::{collections::BTreeSet, ffi::OsStr, path::Path};

pub(crate) use self::instance::{UciInstance, uci_instance};
pub(super) use self::syntax::Section;
use self::{
    options::{Sort, sorts},
    syntax::{Mistake, Read},
    translate::{Location, Translated, translate},
};
use super::{
    Config, ConfigError, MAX_FILE, SecretReader, Warning,
    node::At,
    report::{Complaint, Report, line},
    resolve::{described, read, too_big},
    yaml::print,
};

/// The name of the program, and of its file and folder.
const PROGRAM: &str = "wsbridge";

/// Parses and resolves a UCI file's text; the counterpart of [`super::parse`].
///
/// # Errors
/// All mistakes of the file, each with its line, section and option.
pub fn parse_uci(
    text: &str,
    name: &str,
    secrets: &SecretReader<'_>,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let sorts = sorts(&described());
    let file = understood(text, name, &sorts)?;
    let all = translate(&file.sections, &sorts, &state_directory(name));
    let (config, report) = read(&all.root, Report::default(), secrets);
    let place = |at: At| all.places.get(&at).copied().unwrap_or_default();
    let place_of = |found: &Complaint| match place(found.at) {
        // What is missing has no line of its own, only its section's.
        Location { section: Some(section), .. } if found.absent => {
            Location { line: section.at.line, section: Some(section), entry: None }
        }
        place => place,
    };
    // Something missing from a section with wrong options is missing because of those.
    let own: BTreeSet<_> =
        all.problems.iter().filter_map(|(at, _)| place(*at).section).map(|it| it.at).collect();
    let told_before = |found: &&Complaint| {
        found.absent && place(found.at).section.is_some_and(|it| own.contains(&it.at))
    };
    let mut problems: Vec<_> = report
        .problems
        .iter()
        .filter(|found| !told_before(found))
        .map(|found| (place_of(found), found.what.clone()))
        .collect();
    problems.extend(all.problems.iter().map(|(at, what)| (place(*at), what.clone())));
    if let (Some(config), true) = (config, problems.is_empty()) {
        let odd = file.odd.iter().map(|odd| said(name, odd, &sorts));
        let warnings = report.warnings.iter();
        let warnings =
            warnings.map(|found| told::told(name, &place(found.at), &found.what, &sorts));
        return Ok((config, odd.chain(warnings).map(Warning).collect()));
    }
    Err(ConfigError(listed(text, name, problems, &sorts)))
}

/// The same configuration as the YAML file would say it.
///
/// # Errors
/// Mistakes of the file that concern UCI itself; values are not checked.
pub fn uci_as_yaml(text: &str, name: &str) -> Result<String, ConfigError> {
    let sorts = sorts(&described());
    let file = understood(text, name, &sorts)?;
    let Translated { root, places, problems, .. } =
        translate(&file.sections, &sorts, &state_directory(name));
    if problems.is_empty() {
        return Ok(print(&root));
    }
    let problems =
        problems.into_iter().map(|(at, what)| (places.get(&at).copied().unwrap_or_default(), what));
    Err(ConfigError(listed(text, name, problems.collect(), &sorts)))
}

/// Where an instance keeps what has to outlive a restart, since a router's `/var` is gone by then.
/// Each has a folder of its own, because it may run as a user of its own; the init script makes it,
/// by the same rule.
fn state_directory(file: &str) -> String {
    let name = Path::new(file).file_name().and_then(OsStr::to_str).unwrap_or(PROGRAM);
    match name.strip_prefix(PROGRAM) {
        Some("") => format!("/etc/{PROGRAM}"),
        Some(rest) if rest.starts_with(['-', '_']) => format!("/etc/{PROGRAM}-{}", &rest[1..]),
        _ => format!("/etc/{PROGRAM}-{name}"),
    }
}

/// The file's sections, or its mistakes in grammar.
fn understood(text: &str, name: &str, sorts: &[Sort]) -> Result<Read, ConfigError> {
    if text.len() > MAX_FILE {
        return Err(ConfigError(too_big(name)));
    }
    let file = syntax::read(text);
    if file.mistakes.is_empty() {
        return Ok(file);
    }
    let told = file.mistakes.iter().map(|it| said(name, it, sorts) + &shown(text, it.line));
    Err(ConfigError(told.collect::<Vec<_>>().join("\n")))
}

fn said(name: &str, mistake: &Mistake, sorts: &[Sort]) -> String {
    told::told(name, &Location { line: mistake.line, ..Location::default() }, &mistake.what, sorts)
}

/// Every mistake once, in the order of the file.
fn listed(
    text: &str,
    name: &str,
    mut problems: Vec<(Location<'_>, String)>,
    sorts: &[Sort],
) -> String {
    problems.sort_by_key(|(place, _)| place.line);
    let mut all: Vec<_> = problems
        .iter()
        .map(|(place, what)| told::told(name, place, what, sorts) + &shown(text, place.line))
        .collect();
    all.dedup();
    all.join("\n")
}

fn shown(text: &str, number: usize) -> String {
    line(text, number)
        .map(|line| format!("\n{number:>5} | {}", line.trim_start()))
        .unwrap_or_default()
}

/// The sections of another program's file.
///
/// # Errors
/// It is not UCI, and where.
pub(super) fn read_sections(text: &str) -> Result<Vec<Section>, String> {
    let file = syntax::read(text);
    if file.mistakes.is_empty() {
        return Ok(file.sections);
    }
    let told = file.mistakes.iter().map(|it| format!("line {}: {}", it.line, it.what));
    Err(told.collect::<Vec<_>>().join("\n"))
}

/// The first lines of a section, with the name where UCI can take it as a section's name.
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

/// An option with the key it stands for and the types of endpoints that have it, for the manual.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: &'static str,
    pub(super) path: String,
    pub(super) key: super::described::Described,
    pub(super) of: Vec<&'static str>,
}

#[cfg(test)]
pub(super) use self::tests::listed as tests_of_options;

#[cfg(test)]
mod tests;
