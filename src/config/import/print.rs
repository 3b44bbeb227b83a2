//! Endpoints as they are written: as YAML or UCI, each with the comments that belong to it.

use std::fmt::Write as _;

use super::{
    Import, Imported,
    draft::{Draft, Drafts, Note},
};
use crate::config::{endpoint::KINDS, uci, yaml};

/// Prints everything.
pub(super) fn print(import: &Import<'_>, drafts: &Drafts<'_>) -> Imported {
    let mut out = String::new();
    let deep = match (import.uci, import.endpoints_only) {
        (true | false, true) => 0,
        (true, false) => {
            out.push_str(UCI_HEAD);
            0
        }
        (false, false) => {
            out.push_str(YAML_HEAD);
            out.push_str(if drafts.all.is_empty() { "endpoints: {}\n" } else { "endpoints:\n" });
            2
        }
    };
    for draft in &drafts.all {
        if import.uci {
            out.push_str(&notes(drafts, &draft.notes, 0));
            out.push_str(&uci_of(draft));
        } else {
            out.push_str(&notes(drafts, &draft.notes, deep));
            out.push_str(&yaml_of(draft, deep));
        }
    }
    if !drafts.notes.is_empty() {
        let _ =
            writeln!(out, "\n# Of no endpoint:\n{}", notes(drafts, &drafts.notes, 0).trim_end());
    }
    Imported { text: out, endpoints: drafts.all.len(), left: drafts.left() }
}

/// Whether our configuration accepts an endpoint; `check` reads a whole file.
pub(super) fn valid(
    draft: &Draft,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    let text = format!("auth: none\nendpoints:\n{}", yaml_of(draft, 2));
    // The first mistake is enough, and its place is of no use: the text is not theirs.
    check(&text).map_err(|why| {
        let first = why.lines().next().unwrap_or_default();
        let path = format!("endpoints.{}.", draft.name);
        first.split_once(&path).map_or(first, |(_, what)| what).to_owned()
    })
}

/// An endpoint in YAML, indented by `deep`.
fn yaml_of(draft: &Draft, deep: usize) -> String {
    let mut out = format!("{:deep$}{}:\n", "", key(&draft.name));
    let mut open: Vec<&str> = Vec::new();
    let mut said: Vec<_> = draft.said.iter().collect();
    // The target first, and everything below one key together, in the order in which it came.
    said.sort_by_key(|it| {
        let first = it.path.split('.').next().unwrap_or_default();
        let came = draft.said.iter().position(|other| other.path.split('.').next() == Some(first));
        (!KINDS.contains(&first), came)
    });
    for said in said {
        let mut path: Vec<&str> = said.path.split('.').collect();
        let last = path.pop().unwrap_or_default();
        let same = open.iter().zip(&path).take_while(|(a, b)| a == b).count();
        for (depth, key) in path.iter().enumerate().skip(same) {
            let _ = writeln!(out, "{:1$}{key}:", "", deep + 2 * (depth + 1));
        }
        let indent = deep + 2 * (path.len() + 1);
        let _ = writeln!(out, "{:indent$}{last}: {}", "", scalar(&said.value));
        open = path;
    }
    if !draft.doors.is_empty() {
        let _ = writeln!(out, "{:1$}doors:", "", deep + 2);
        for door in &draft.doors {
            let _ = writeln!(out, "{:1$}- {2}", "", deep + 4, door.yaml());
        }
    }
    out
}

/// An endpoint in UCI: a section.
fn uci_of(draft: &Draft) -> String {
    let mut out = uci::section("endpoint", &draft.name);
    let heads = draft.said.iter().filter_map(|said| said.path.split('.').next());
    let kind = heads.into_iter().find(|head| KINDS.contains(head));
    let _ = writeln!(out, "\toption type {}", uci::quoted(kind.unwrap_or_default()));
    for said in &draft.said {
        let value = match said.value.as_str() {
            "true" | "{}" => "1",
            "false" => "0",
            other => other,
        };
        let _ = writeln!(out, "\toption {} {}", said.option, uci::quoted(value));
    }
    out.push('\n');
    out
}

const YAML_HEAD: &str = "\
# Made by `wsbridge import`. What could not be said is a comment with its line.
auth: none    # this machine alone; give it users (`wsbridge passwd`) before others are let in
";

const UCI_HEAD: &str = "\
# Made by `wsbridge import`. What could not be said is a comment with its line.
config wsbridge 'main'
\toption enabled '1'
\toption auth 'none'

";

/// Comments: each line once, with everything there is to say about it.
fn notes(drafts: &Drafts<'_>, notes: &[Note], indent: usize) -> String {
    let mut out = String::new();
    let mut last = None;
    for note in notes {
        if last != Some(note.line) {
            let _ =
                writeln!(out, "{:indent$}# line {}: {}", "", note.line, drafts.shown(note.line));
            last = Some(note.line);
        }
        let said = if note.lost { "not taken over: " } else { "" };
        let why = note.why.replace(char::is_control, " ");
        let _ = writeln!(out, "{:indent$}#   {said}{why}", "");
    }
    out
}

/// A name as a key: with a letter before any digit it cannot be anything but a word.
fn key(name: &str) -> String {
    let word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.contains(|c: char| c.is_ascii_digit());
    if word { name.to_owned() } else { yaml::word(name) }
}

/// A value in YAML: quoted, unless it is a number or a word that cannot be mistaken.
fn scalar(value: &str) -> String {
    let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if number || PLAIN.contains(&value) { value.to_owned() } else { yaml::quoted(value) }
}

const PLAIN: [&str; 10] = [
    "{}",
    "true",
    "false",
    "rtscts",
    "xonxoff",
    "exclusive",
    "one-writer",
    "everyone",
    "optional",
    "required",
];
