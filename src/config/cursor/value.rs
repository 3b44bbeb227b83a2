//! The value of a key: a word, a list, a mapping of known keys or of names.

use std::{cell::RefCell, ops::RangeInclusive, rc::Rc};

use super::{Keys, Placed, Reading};
use crate::config::{
    described::{Described, Shape, WordShape},
    node::{self, At, Node, NodeKind},
    units::Scalar,
    yaml::unspaced,
};

const NOTHING: &str = "there is no value here; write one, or leave the key out";

/// A word, or a mapping instead.
#[derive(Clone, Debug)]
pub(in crate::config) enum Either<T, R> {
    Word(T),
    Map(R),
}

/// Where a value's shape is recorded when keys are described.
#[derive(Clone, Debug, Default)]
pub(super) struct Sink(Rc<RefCell<Shape>>);

impl Sink {
    pub(super) fn take(&self) -> Shape {
        self.0.take()
    }
}

/// A value that is about to be read; empty if the key is absent.
#[derive(Debug)]
pub(in crate::config) struct Value<'a> {
    run: &'a Reading,
    node: Option<&'a Node>,
    path: String,
    pub(super) level: Vec<&'static str>,
    pub(super) sink: Option<Sink>,
}

/// A path under which to note mistakes.
#[derive(Clone, Debug)]
pub(in crate::config) struct Spot<'a> {
    pub(super) run: &'a Reading,
    pub(in crate::config) path: String,
}

impl Spot<'_> {
    /// Notes a mistake.
    pub(in crate::config) fn wrong(&self, at: At, what: &str) {
        self.run.wrong(at, &self.path, what);
    }

    /// Notes an oddity.
    pub(in crate::config) fn odd(&self, at: At, what: &str) {
        self.run.odd(at, &self.path, what);
    }

    /// Notes a mistake in the value of a key below this path.
    pub(in crate::config) fn wrong_in(&self, name: &str, at: At, what: &str) {
        self.run.wrong(at, &format!("{}.{name}", self.path), what);
    }
}

/// The name that stands in for a free key when keys are described.
static NO_NAME: node::NodeKey =
    node::NodeKey { at: At { file: 0, line: 0, column: 0 }, text: String::new() };

impl<'a> Value<'a> {
    pub(super) fn new(run: &'a Reading, node: Option<&'a Node>, path: String) -> Self {
        Self { run, node, path, level: Vec::new(), sink: None }
    }

    /// Where to report mistakes in it once it has been read.
    pub(in crate::config) fn spot(&self) -> Spot<'a> {
        Spot { run: self.run, path: self.path.clone() }
    }

    fn describe(&self, shape: impl FnOnce() -> Shape) {
        if let Some(sink) = &self.sink {
            *sink.0.borrow_mut() = shape();
        }
    }

    /// Describes a mapping of known keys together with what else may stand in its place.
    fn describe_map<R>(
        &self,
        read: impl FnOnce(&mut Keys<'a>) -> R,
        shape: impl FnOnce(Vec<Described>) -> Shape,
    ) {
        let map = self.inner(None, self.path.clone());
        let below = map.sink.clone().unwrap_or_default();
        map.keys(read);
        if let Shape::Keys(keys) = below.take() {
            self.describe(|| shape(keys));
        }
    }

    /// A value below this one, which is described with it.
    fn inner(&self, node: Option<&'a Node>, path: String) -> Self {
        let sink = self.sink.as_ref().map(|_| Sink::default());
        Self { run: self.run, node, path, level: self.level.clone(), sink }
    }

    fn wrong(&self, at: At, what: &str) {
        self.run.wrong(at, &self.path, what);
    }

    /// Its text, or a mistake.
    fn text(&self) -> Option<(&'a str, At)> {
        let node = self.node?;
        match &node.kind {
            NodeKind::Text(text) => return Some((text, node.at)),
            NodeKind::Nothing => self.wrong(node.at, NOTHING),
            NodeKind::List(_) | NodeKind::Map(_) => {
                self.wrong(node.at, "write a single value here, not a list or a mapping");
            }
        }
        None
    }

    fn read<T: Scalar>(&self) -> Option<Placed<T>> {
        self.read_or(|what| what)
    }

    /// Reads it; `misread` completes the message for a text that is not such a word.
    fn read_or<T: Scalar>(&self, misread: impl FnOnce(String) -> String) -> Option<Placed<T>> {
        let (text, at) = self.text()?;
        match T::read(text) {
            Ok(value) => Some(Placed { value, at }),
            Err(what) => {
                self.wrong(at, &misread(what));
                None
            }
        }
    }

    /// A word.
    pub(in crate::config) fn word<T: Scalar>(self) -> Option<Placed<T>> {
        self.describe(|| Shape::Word(WordShape::of::<T>()));
        self.read()
    }

    /// A word within bounds.
    pub(super) fn bounded<T: Scalar + PartialOrd>(
        self,
        bounds: &RangeInclusive<T>,
    ) -> Option<Placed<T>> {
        let [least, most] = [bounds.start(), bounds.end()].map(Scalar::text);
        self.describe(|| Shape::Word(WordShape::within::<T>(&least, &most)));
        let read: Placed<T> = self.read_or(|what| T::misread(&what, &least, &most))?;
        if let (false, Some((text, at))) = (bounds.contains(&read.value), self.text()) {
            self.wrong(at, &format!("`{text}` is not from {least} to {most}"));
        }
        Some(read)
    }

    /// A list of words; empty if there is no list.
    pub(in crate::config) fn words<T: Scalar>(self) -> Vec<Placed<T>> {
        self.describe(|| Shape::List(Box::new(Shape::Word(WordShape::of::<T>()))));
        let items = self.items().unwrap_or_default().iter();
        items.filter_map(|item| self.inner(Some(item), self.path.clone()).read()).collect()
    }

    /// A list of mappings.
    pub(in crate::config) fn list<R>(self, mut read: impl FnMut(Self) -> R) -> Option<Vec<R>> {
        if self.sink.is_some() {
            let item = self.inner(None, format!("{}[]", self.path));
            let sink = item.sink.clone().unwrap_or_default();
            read(item);
            self.describe(|| Shape::List(Box::new(sink.take())));
        }
        let items = self.items()?.iter().enumerate();
        Some(
            items
                .map(|(index, item)| {
                    read(self.inner(Some(item), format!("{}[{index}]", self.path)))
                })
                .collect(),
        )
    }

    fn items(&self) -> Option<&'a [Node]> {
        let node = self.node?;
        if let NodeKind::List(items) = &node.kind {
            return Some(items);
        }
        self.wrong(node.at, "write a list here, like [ a, b ]");
        None
    }

    /// A mapping with free keys.
    pub(in crate::config) fn named<R>(
        self,
        mut read: impl FnMut(&'a node::NodeKey, Self) -> R,
    ) -> Vec<R> {
        if self.sink.is_some() {
            let value = self.inner(None, format!("{}.*", self.path));
            let sink = value.sink.clone().unwrap_or_default();
            read(&NO_NAME, value);
            self.describe(|| Shape::Named(Box::new(sink.take())));
        }
        let Some(rows) = self.node.and_then(|node| self.rows(node)) else { return Vec::new() };
        let mut all = Vec::new();
        for (key, node) in rows {
            let path = format!("{}.{}", self.path, key.text);
            if matches!(node.kind, NodeKind::Nothing) {
                self.run.odd(key.at, &path, "there is no value here, so the key is ignored");
            } else {
                all.push(read(key, self.inner(Some(node), path)));
            }
        }
        all
    }

    fn rows(&self, node: &'a Node) -> Option<&'a [(node::NodeKey, Node)]> {
        match &node.kind {
            NodeKind::Map(rows) => return Some(rows),
            NodeKind::Nothing => self.wrong(node.at, NOTHING),
            NodeKind::Text(text) => match unspaced(text) {
                Some((key, value)) => {
                    self.wrong(
                        node.at,
                        &format!("a colon needs a space after it; write `{key}: {value}`"),
                    );
                }
                None => self.no_mapping(node.at),
            },
            NodeKind::List(_) => self.no_mapping(node.at),
        }
        None
    }

    fn no_mapping(&self, at: At) {
        self.wrong(at, "write a mapping here: `key: value` lines, or { key: value }");
    }

    /// A mapping of known keys.
    pub(in crate::config) fn keys<R>(
        self,
        read: impl FnOnce(&mut Keys<'a>) -> R,
    ) -> Option<Placed<R>> {
        if self.sink.is_some() {
            let mut keys = Keys::new(self.run, At::default(), self.path.clone(), &[]);
            read(&mut keys);
            self.describe(|| Shape::of(keys));
            return None;
        }
        let node = self.node?;
        let rows = self.rows(node)?;
        let keys = Keys { level: self.level, ..Keys::new(self.run, node.at, self.path, rows) };
        let value = keys.whole(read);
        Some(Placed { value, at: node.at })
    }

    /// The same if all keys have a default.
    pub(super) fn part<R>(self, read: impl FnOnce(&mut Keys<'a>) -> R) -> R {
        let (at, rows) =
            self.node.and_then(|node| Some((node.at, self.rows(node)?))).unwrap_or_default();
        let level = self.level.clone();
        let mut keys = Keys { level, ..Keys::new(self.run, at, self.path.clone(), rows) };
        let value = read(&mut keys);
        keys.finish();
        self.describe(|| Shape::of(keys));
        value
    }

    /// A word or a mapping of known keys.
    pub(in crate::config) fn either<T: Scalar, R>(
        self,
        read: impl FnOnce(&mut Keys<'a>) -> R,
    ) -> Option<Placed<Either<T, R>>> {
        if self.sink.is_some() {
            self.describe_map(read, |keys| Shape::Either(WordShape::of::<T>(), keys));
            return None;
        }
        match &self.node?.kind {
            NodeKind::Map(_) => {
                let Placed { value, at } = self.keys(read)?;
                Some(Placed { value: Either::Map(value), at })
            }
            NodeKind::Text(_) => {
                let Placed { value, at } = self.read()?;
                Some(Placed { value: Either::Word(value), at })
            }
            NodeKind::Nothing | NodeKind::List(_) => {
                let at = self.node?.at;
                self.wrong(at, "write a text or a mapping here, not a list");
                None
            }
        }
    }

    /// A list of words, or a mapping that says more.
    pub(in crate::config) fn list_or_map<T: Scalar, R>(
        self,
        read: impl FnOnce(&mut Keys<'a>) -> R,
    ) -> Option<Either<Vec<Placed<T>>, R>> {
        if self.sink.is_some() {
            self.describe_map(read, |keys| Shape::ListOr(WordShape::of::<T>(), keys));
            return None;
        }
        let node = self.node?;
        match &node.kind {
            NodeKind::Map(_) => self.keys(read).map(|map| Either::Map(map.value)),
            NodeKind::List(_) => Some(Either::Word(self.words())),
            NodeKind::Nothing | NodeKind::Text(_) => {
                self.wrong(node.at, "write a list here, like [ a, b ], or a mapping");
                None
            }
        }
    }
}
