//! One key of a mapping: its description, and how its value is read.

use std::ops::RangeInclusive;

use super::{Either, Keys, Placed, Value, value::Sink};
use crate::config::{
    described::{Described, Presence, Shape},
    units::Scalar,
};

/// A key that is about to be read.
#[derive(Debug)]
pub(in crate::config) struct Key<'k, 'a> {
    keys: &'k mut Keys<'a>,
    name: &'static str,
    meaning: &'static str,
    presence: Presence,
    uci: &'static str,
}

impl<'k, 'a> Key<'k, 'a> {
    pub(super) fn new(keys: &'k mut Keys<'a>, name: &'static str, meaning: &'static str) -> Self {
        Self { keys, name, meaning, presence: Presence::Optional(String::new()), uci: "" }
    }

    /// UCI's option for it, if there is one.
    pub(in crate::config) fn uci(mut self, option: &'static str) -> Self {
        self.uci = option;
        self
    }

    /// What applies without it, in words.
    pub(in crate::config) fn without(mut self, text: &str) -> Self {
        self.presence = Presence::Optional(text.to_owned());
        self
    }

    /// Its value, of any kind.
    pub(in crate::config) fn value(self) -> Value<'a> {
        let Self { keys, name, meaning, presence, uci } = self;
        keys.asked.push(name);
        let node = keys.row(name).map(|(_, node)| node);
        let mut value = Value::new(keys.run, node, keys.below(name));
        value.level = [keys.level.as_slice(), &[name]].concat();
        if keys.run.describing {
            let sink = Sink::default();
            keys.described.push((
                Described { name, meaning, presence, uci, shape: Shape::default() },
                sink.clone(),
            ));
            value.sink = Some(sink);
        }
        value
    }

    /// A word, or the default.
    pub(in crate::config) fn or<T: Scalar>(self, default: T) -> T {
        let text = format!("`{}`", default.text());
        self.without(&text).maybe().map_or(default, |it| it.value)
    }

    /// A word that may be absent.
    pub(in crate::config) fn maybe<T: Scalar>(self) -> Option<Placed<T>> {
        self.value().word()
    }

    /// A word that must be there.
    pub(in crate::config) fn needed<T: Scalar>(self) -> Option<Placed<T>> {
        self.must(Value::word)
    }

    /// A value of any kind that must be there.
    pub(in crate::config) fn must<R>(
        mut self,
        read: impl FnOnce(Value<'a>) -> Option<R>,
    ) -> Option<R> {
        self.presence = Presence::Needed;
        let (name, at) = (self.name, self.keys.at);
        match self.keys.rows.iter().find(|(key, _)| key.text == name) {
            None => self.keys.lacks(&[name], at, &format!("the key `{name}` is missing here")),
            Some((_, node)) if !self.keys.has(name) => {
                self.keys.wrong_in(name, node.at, "there is no value here; write one");
            }
            Some(_) => {}
        }
        read(self.value())
    }

    /// A word within bounds.
    pub(in crate::config) fn within<T>(self, bounds: RangeInclusive<T>) -> Within<'k, 'a, T> {
        Within { key: self, bounds }
    }

    /// A list of words; empty if there is no list.
    pub(in crate::config) fn words<T: Scalar>(self) -> Vec<Placed<T>> {
        self.value().words()
    }

    /// A mapping whose keys all have a default.
    pub(in crate::config) fn part<R>(self, read: impl FnOnce(&mut Keys<'a>) -> R) -> R {
        self.value().part(read)
    }

    /// A mapping that may be absent.
    pub(in crate::config) fn map<R>(
        self,
        read: impl FnOnce(&mut Keys<'a>) -> R,
    ) -> Option<Placed<R>> {
        self.value().keys(read)
    }

    /// A word or a mapping.
    pub(in crate::config) fn either<T: Scalar, R>(
        self,
        read: impl FnOnce(&mut Keys<'a>) -> R,
    ) -> Option<Placed<Either<T, R>>> {
        self.value().either(read)
    }
}

/// A key whose value has bounds.
#[derive(Debug)]
pub(in crate::config) struct Within<'k, 'a, T> {
    key: Key<'k, 'a>,
    bounds: RangeInclusive<T>,
}

impl<T: Scalar + PartialOrd> Within<'_, '_, T> {
    /// The value, or the default.
    pub(in crate::config) fn or(mut self, default: T) -> T {
        self.key.presence = Presence::Optional(format!("`{}`", default.text()));
        self.maybe().map_or(default, |it| it.value)
    }

    /// The value, if there is one. A value out of bounds is a mistake, but is still returned.
    pub(in crate::config) fn maybe(self) -> Option<Placed<T>> {
        self.key.value().bounded(&self.bounds)
    }
}
