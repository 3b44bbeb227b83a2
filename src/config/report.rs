//! What is wrong or odd in a file: each mistake with its place, its path and what to do.

use std::fmt::Write as _;

use super::{node::At, text::Text};

/// The most mistakes that are reported for one file.
const MISTAKES_MAX: usize = 100;

/// One mistake or oddity.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Complaint {
    pub(super) at: At,
    /// Path of keys; empty for the file itself.
    pub(super) path: String,
    pub(super) what: String,
    /// Nothing written there is wrong; something is missing.
    pub(super) absent: bool,
}

impl Complaint {
    fn new(at: At, path: &str, what: &str) -> Self {
        Self { at, path: path.to_owned(), what: what.to_owned(), absent: false }
    }

    /// The file it is in.
    fn file<'a>(&self, files: &[Text<'a>]) -> Text<'a> {
        files.get(self.at.file).copied().unwrap_or(Text { name: "", text: "" })
    }

    /// In the form for a reader of the YAML file: `FILE:LINE:COLUMN: PATH: WHAT`.
    pub(super) fn told(&self, files: &[Text<'_>]) -> String {
        let name = self.file(files).name;
        let colon = if self.path.is_empty() { "" } else { ": " };
        let what = format!("{}{colon}{}", self.path, self.what);
        if self.at.line == 0 {
            return format!("{name}: {what}");
        }
        format!("{name}:{}:{}: {what}", self.at.line, self.at.column)
    }

    /// The line it is in, with a mark under the place; or nothing.
    pub(super) fn shown(&self, files: &[Text<'_>]) -> String {
        let text = self.file(files).text;
        let mut all = String::new();
        if let Some(line) = line(text, self.at.line) {
            let At { line: number, column, .. } = self.at;
            let _ = write!(all, "\n{number:>5} | {line}\n      | {:>column$}", "^");
        }
        all
    }
}

/// A line of a file, if it may be shown. Password hashes are not shown to anybody, nor long lines
/// to a terminal.
pub(super) fn line(text: &str, number: usize) -> Option<&str> {
    let line = text.lines().nth(number.checked_sub(1)?)?.trim_end();
    let fits = line.chars().count() <= 160
        && !line.trim_start().chars().any(char::is_control)
        && !["password", "sha256", "$argon2"].iter().any(|word| line.contains(word));
    fits.then_some(line)
}

/// What was found wrong or odd so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) problems: Vec<Complaint>,
    pub(super) warnings: Vec<Complaint>,
}

impl Report {
    /// Notes a mistake.
    pub(super) fn wrong(&mut self, at: At, path: &str, what: &str) {
        self.problems.push(Complaint::new(at, path, what));
    }

    /// Notes that something is missing.
    pub(super) fn absent(&mut self, at: At, path: &str, what: &str) {
        self.problems.push(Complaint { absent: true, ..Complaint::new(at, path, what) });
    }

    /// Notes an oddity.
    pub(super) fn odd(&mut self, at: At, path: &str, what: &str) {
        self.warnings.push(Complaint::new(at, path, what));
    }

    /// The mistakes in the order of the files, as many as anybody reads.
    pub(super) fn sorted(mut self) -> Vec<Complaint> {
        self.problems.sort();
        self.problems.dedup();
        self.problems.truncate(MISTAKES_MAX);
        self.problems
    }
}
