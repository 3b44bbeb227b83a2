//! What is wrong or odd with a file: each mistake with its place, its path and what to do.

use std::fmt::Write as _;

use super::{
    raw::{At, Leaf},
    text::Text,
    units::Word,
};

/// One mistake or oddity.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) at: At,
    /// Path of keys; empty for the file itself.
    pub(super) path: String,
    pub(super) what: String,
}

impl Found {
    /// The file it is in.
    fn file<'a>(&self, files: &[Text<'a>]) -> Text<'a> {
        let index = usize::try_from(self.at.file).unwrap_or_default();
        files.get(index).copied().unwrap_or(Text { name: "", text: "" })
    }

    /// As a reader of the YAML file is told: `FILE:LINE:COLUMN: PATH: WHAT`.
    pub(super) fn told(&self, files: &[Text<'_>]) -> String {
        let name = self.file(files).name;
        let colon = if self.path.is_empty() { "" } else { ": " };
        let what = format!("{}{colon}{}", self.path, self.what);
        if self.at.line == 0 {
            return format!("{name}: {what}");
        }
        format!("{name}:{}:{}: {what}", self.at.line, self.at.column)
    }

    /// The line it is in with a mark under the place, or nothing.
    pub(super) fn shown(&self, files: &[Text<'_>]) -> String {
        let text = self.file(files).text;
        let mut all = String::new();
        if let (Some(line), Ok(column)) = (line(text, self.at.line), usize::try_from(self.at.column)) {
            let number = self.at.line;
            let _ = write!(all, "\n{number:>5} | {line}\n      | {:>column$}", "^");
        }
        all
    }
}

/// A line of a file that may be shown. Password hashes are shown to nobody, long lines to no terminal.
pub(super) fn line(text: &str, number: u64) -> Option<&str> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    let line = text.lines().nth(index)?.trim_end();
    let fits = line.chars().count() <= 160
        && !line.trim_start().chars().any(char::is_control)
        && !["password", "sha256", "$argon2"].iter().any(|word| line.contains(word));
    fits.then_some(line)
}

/// What was found wrong or odd so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) problems: Vec<Found>,
    pub(super) warnings: Vec<Found>,
}

impl Report {
    /// Notes a mistake.
    pub(super) fn wrong(&mut self, at: At, path: &str, what: &str) {
        self.problems.push(Found { at, path: path.to_owned(), what: what.to_owned() });
    }

    /// Notes an oddity.
    pub(super) fn odd(&mut self, at: At, path: &str, what: &str) {
        self.warnings.push(Found { at, path: path.to_owned(), what: what.to_owned() });
    }

    /// Reads a word, or notes why it is none.
    pub(super) fn read<T: Word>(&mut self, path: &str, leaf: &Leaf<T>) -> Option<T> {
        self.read_text(path, &leaf.text, leaf.at)
    }

    /// The same for a word whose place is known otherwise.
    pub(super) fn read_text<T: Word>(&mut self, path: &str, text: &str, at: At) -> Option<T> {
        T::read(text).map_err(|what| self.wrong(at, path, &what)).ok()
    }

    /// Reads a word that need not be there.
    pub(super) fn or<T: Word>(&mut self, path: &str, leaf: Option<&Leaf<T>>, default: T) -> T {
        leaf.and_then(|leaf| self.read(path, leaf)).unwrap_or(default)
    }

    /// The same, within bounds; `show` prints a bound.
    pub(super) fn within<T: Word + PartialOrd + Copy>(
        &mut self,
        path: &str,
        leaf: Option<&Leaf<T>>,
        (least, default, most): (T, T, T),
        show: fn(T) -> String,
    ) -> T {
        let value = self.or(path, leaf, default);
        if let Some(leaf) = leaf
            && (value < least || value > most)
        {
            self.wrong(
                leaf.at,
                path,
                &format!("`{}` is not from {} to {}", leaf.text, show(least), show(most)),
            );
        }
        value
    }
}
