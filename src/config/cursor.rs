//! The reader of a configuration: each key is given once, with its name, unit, bounds, default and
//! meaning.
//!
//! A section's function asks its [`Keys`] for each key that may be there. The same lines yield the
//! values that are read, all mistakes at once, and (run over an empty file, by [`describe`]) the
//! schema, the tables of the manual, and UCI's options. This is why a function asks for every key
//! before it decides anything.

mod key;
mod value;

use std::cell::RefCell;

pub(super) use self::{
    key::Key,
    value::{Either, Spot, Value},
};
use super::{
    described::{Described, Shape},
    node::{self, At, Node},
    report::Report,
    units::{elsewhere, nearest, suggest},
};

/// A value, and where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// What all cursors of one run share.
#[derive(Debug, Default)]
pub(super) struct Reading {
    report: RefCell<Report>,
    /// Describes every key there is, to find out where one belongs.
    all: Option<fn() -> Vec<Described>>,
    /// Nothing is read: the keys only describe themselves.
    describing: bool,
}

impl Reading {
    /// A run that adds to what was found before; `all` describes every key there is.
    pub(super) fn new(report: Report, all: fn() -> Vec<Described>) -> Self {
        Self { report: RefCell::new(report), all: Some(all), describing: false }
    }

    /// What was found.
    pub(super) fn into_report(self) -> Report {
        self.report.into_inner()
    }

    /// Reads a whole file by its top level.
    pub(super) fn file<'a, R>(
        &'a self,
        root: &'a Node,
        read: impl FnOnce(&mut Keys<'a>) -> R,
    ) -> Option<R> {
        let empty = matches!(root.kind, node::NodeKind::Nothing);
        let value = Value::new(self, Some(root), String::new());
        if empty {
            Some(Keys::new(self, At::default(), String::new(), &[]).whole(read))
        } else {
            value.keys(read).map(|it| it.value)
        }
    }

    fn wrong(&self, at: At, path: &str, what: &str) {
        self.report.borrow_mut().wrong(at, path, what);
    }

    fn odd(&self, at: At, path: &str, what: &str) {
        self.report.borrow_mut().odd(at, path, what);
    }
}

/// Every key that a function asks for.
pub(super) fn describe<R>(read: impl for<'a> FnOnce(&mut Keys<'a>) -> R) -> Vec<Described> {
    let run = Reading { describing: true, ..Reading::default() };
    let mut keys = Keys::new(&run, At::default(), String::new(), &[]);
    read(&mut keys);
    keys.described()
}

/// A mapping that is being read.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    run: &'a Reading,
    /// Where the mapping begins.
    pub(super) at: At,
    /// The path of keys that leads here: `endpoints.modem1.serial`.
    pub(super) path: String,
    /// The same path, without names and indices.
    level: Vec<&'static str>,
    rows: &'a [(node::NodeKey, Node)],
    asked: Vec<&'static str>,
    /// Keys that should be here, and what to say if none is.
    absent: Vec<(Vec<&'static str>, At, String)>,
    described: Vec<(Described, value::Sink)>,
}

impl<'a> Keys<'a> {
    fn new(run: &'a Reading, at: At, path: String, rows: &'a [(node::NodeKey, Node)]) -> Self {
        let (asked, absent, described) = (Vec::new(), Vec::new(), Vec::new());
        Self { run, at, path, level: Vec::new(), rows, asked, absent, described }
    }

    /// Reads the mapping, and reports keys that nobody asked for.
    fn whole<R>(mut self, read: impl FnOnce(&mut Self) -> R) -> R {
        let read = read(&mut self);
        self.finish();
        read
    }

    /// A key: its name, and its meaning in the words of the manual.
    pub(super) fn key<'k>(&'k mut self, name: &'static str, meaning: &'static str) -> Key<'k, 'a> {
        Key::new(self, name, meaning)
    }

    /// Whether a key is written here, whether or not it is read.
    pub(super) fn has(&self, name: &str) -> bool {
        self.row(name).is_some()
    }

    /// Whether a key holds a mapping that is not empty.
    pub(super) fn fills(&self, name: &str) -> bool {
        self.row(name).is_some_and(|(_, node)| !node.rows().is_empty())
    }

    /// Where a key's value is written.
    pub(super) fn place(&self, name: &str) -> Option<At> {
        self.row(name).map(|(_, node)| node.at)
    }

    fn row(&self, name: &str) -> Option<&'a (node::NodeKey, Node)> {
        self.rows
            .iter()
            .find(|(key, node)| key.text == name && !matches!(node.kind, node::NodeKind::Nothing))
    }

    /// Notes a mistake in this mapping.
    pub(super) fn wrong(&self, at: At, what: &str) {
        self.run.wrong(at, &self.path, what);
    }

    /// Notes a mistake in the value of a key.
    pub(super) fn wrong_in(&self, name: &str, at: At, what: &str) {
        self.run.wrong(at, &self.below(name), what);
    }

    /// Notes an oddity in this mapping.
    pub(super) fn odd(&self, at: At, what: &str) {
        self.run.odd(at, &self.path, what);
    }

    /// Notes an oddity in the value of a key.
    pub(super) fn odd_in(&self, name: &str, at: At, what: &str) {
        self.run.odd(at, &self.below(name), what);
    }

    /// Notes that one of these keys is required, unless a misspelt form of one is here.
    pub(super) fn lacks(&mut self, names: &[&'static str], at: At, what: &str) {
        self.absent.push((names.to_vec(), at, what.to_owned()));
    }

    /// Where to report mistakes once the mapping has been read.
    pub(super) fn spot(&self) -> Spot<'a> {
        Spot { run: self.run, path: self.path.clone() }
    }

    /// The path of a key in this mapping.
    pub(super) fn below(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn finish(&mut self) {
        let mut meant = Vec::new();
        for (key, _) in self.rows {
            // Top-level keys with this prefix hold what anchors refer to.
            if self.asked.contains(&key.text.as_str())
                || (self.path.is_empty() && key.text.starts_with("x-"))
            {
                continue;
            }
            let other = elsewhere(&key.text, &self.asked);
            meant.extend(other.or_else(|| nearest(&key.text, &self.asked).map(|(_, name)| name)));
            let hint = match other {
                Some(name) => format!("; did you mean `{name}`?"),
                None => self.stands_below(&key.text).unwrap_or_else(|| self.meant(&key.text)),
            };
            self.run.wrong(key.at, &self.path, &format!("unknown key `{}`{hint}", key.text));
        }
        for (names, at, what) in std::mem::take(&mut self.absent) {
            if !names.iter().any(|name| meant.contains(name)) {
                self.run.report.borrow_mut().absent(at, &self.path, &what);
            }
        }
    }

    /// Suggests the key that was meant; lists all keys only if none is close.
    fn meant(&self, text: &str) -> String {
        let near = nearest(text, &self.asked).map(|(_, name)| format!("; did you mean `{name}`?"));
        near.unwrap_or_else(|| suggest(text, &self.asked))
    }

    /// Says where a key belongs that was looked for one level too high, if it is closer to what was
    /// written than any key here.
    fn stands_below(&self, text: &str) -> Option<String> {
        let all = self.run.all?();
        let level = self.level.iter().try_fold(all.as_slice(), |keys, name| {
            keys.iter().find(|key| key.name == *name).map(|key| key.shape.keys())
        })?;
        let near = level.iter().filter(|part| part.shape.is_mapping()).filter_map(|part| {
            let names: Vec<_> = part.shape.keys().iter().map(|key| key.name).collect();
            nearest(text, &names).map(|(far, name)| (far, !self.has(part.name), name, part.name))
        });
        let (far, _, key, part) = near.min()?;
        let nearer_here = nearest(text, &self.asked).is_some_and(|(here, _)| here <= far);
        (!nearer_here)
            .then(|| format!("; `{key}` stands under `{part}`: write {part}: {{ {key}: ... }}"))
    }

    fn described(self) -> Vec<Described> {
        let rows = self.described.into_iter();
        rows.map(|(described, sink)| Described { shape: sink.take(), ..described }).collect()
    }
}

impl Shape {
    fn of(keys: Keys<'_>) -> Self {
        Self::Keys(keys.described())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::resolve::tests::mistakes;

    #[test]
    fn a_key_of_the_part_below_is_told_with_its_part() {
        for (text, hint) in [
            (
                "endpoints: { a: { sim: echo, linger: 9s } }",
                "unknown key `linger`; `linger` stands under `limits`: write limits: { linger: ... }",
            ),
            (
                "endpoints: { a: { sim: echo, lingr: 9s } }",
                "unknown key `lingr`; `linger` stands under `limits`",
            ),
            (
                "endpoints: { a: { serial: { port: /dev/x }, baud: 9600 } }",
                "`baud` stands under `serial`: write serial: { baud: ... }",
            ),
            ("conections: 9", "`connections` stands under `limits`"),
            // A part that is written is more likely meant than one that is not.
            (
                "endpoints: { a: { rfc2217: { address: 'h:1' }, baud: 9600 } }",
                "`baud` stands under `rfc2217`: write rfc2217: { baud: ... }",
            ),
            (
                "endpoints: { a: { serial: { port: /dev/x, termnate: true } } }",
                "`terminate` stands under `rs485`",
            ),
            // A closer key on this level is what was meant.
            ("endpoints: { a: { sim: echo, limit: {} } }", "did you mean `limits`?"),
        ] {
            assert!(mistakes(text).contains(hint), "{}", mistakes(text));
        }
    }
}
