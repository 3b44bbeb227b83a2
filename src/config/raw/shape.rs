//! From the tree to the file's shapes: serde's view of it, small on purpose, since every shape is compiled against it.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use super::tree::{At, Kind, Mistake, Node};
use crate::config::units::{nearest, suggest};

/// The tuple that asks for a value's place: file, line, column, the value.
pub(super) const PLACED: &str = "a value and its place";

const NOTHING: &str = "nothing is written here; write a value, or leave the key out";

/// Keys that are looked for one level too high: a key by which the level is known, the part they stand in, and they.
pub(super) const INSIDE: [(&str, &str, &[&str]); 5] = [
    ("share", "limits", &["sessions", "idle", "rate", "linger", "linger_max"]),
    (
        "share",
        "serial",
        &["port", "baud", "format", "flow", "rs485", "signals", "low_latency", "allow_console"],
    ),
    ("share", "tcp", &["address", "connect_timeout", "keepalive", "user_timeout"]),
    ("endpoints", "limits", &["connections", "per_address", "unauthenticated", "handshake"]),
    ("endpoints", "login", &["idle", "lifetime"]),
];

/// Where such a key stands, if it is nearer to what was written than any key of this level.
fn inside(field: &str, expected: &[&str]) -> Option<String> {
    let parts = INSIDE.iter().filter(|(level, part, _)| expected.contains(level) && expected.contains(part));
    let near = parts.filter_map(|(_, part, keys)| nearest(field, keys).map(|(far, key)| (far, key, part)));
    let (far, key, part) = near.min()?;
    let here = nearest(field, expected).is_none_or(|(here, _)| far < here);
    here.then(|| format!("; `{key}` stands under `{part}`: write {part}: {{ {key}: ... }}"))
}

/// A mistake, and its place once that is known.
#[derive(Debug)]
pub(super) struct Wrong(Box<Inner>);

#[derive(Debug)]
struct Inner {
    at: Option<At>,
    what: String,
    key: Key,
}

/// What is wrong with a key, if that is it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// There is none of that name.
    Unknown(String),
    /// It is not there.
    Missing,
    /// Something else is wrong.
    Other,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Self {
        Self::key(Key::Other, what.into())
    }

    fn key(key: Key, what: String) -> Self {
        Self(Box::new(Inner { at: None, what, key }))
    }

    /// It is here, unless it is known to be deeper inside.
    fn at(mut self, at: At) -> Self {
        self.0.at.get_or_insert(at);
        self
    }

    pub(super) fn into_mistake(self) -> (Key, Mistake) {
        let Inner { at, what, key } = *self.0;
        (key, (at.unwrap_or_default(), what))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::new(what.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("{expected} is wanted here, not a {found}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let hint = inside(field, expected).unwrap_or_else(|| suggest(field, expected));
        let what = format!("unknown key `{field}`{hint}");
        Self::key(Key::Unknown(field.to_owned()), what)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::key(Key::Missing, format!("the key `{field}` is missing here"))
    }
}

/// A value, to be read as a shape.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a>(pub(super) &'a Node);

impl<'de> Shape<'de> {
    fn wrong(self, what: &str) -> Wrong {
        let nothing = matches!(self.0.kind, Kind::Nothing);
        Wrong::new(if nothing { NOTHING } else { what }).at(self.0.at)
    }

    fn text(self) -> Result<&'de str, Wrong> {
        match &self.0.kind {
            Kind::Text(text) => Ok(text),
            Kind::Nothing | Kind::List(_) | Kind::Map(_) => {
                Err(self.wrong("write a single value here, not a list or a mapping"))
            }
        }
    }
}

impl<'de> Deserializer<'de> for Shape<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let read = match &self.0.kind {
            Kind::Nothing => visitor.visit_unit(),
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::List(items) => visitor.visit_seq(Items(items.iter())),
            Kind::Map(rows) => visitor.visit_map(Rows { rows: rows.iter(), value: None }),
        };
        read.map_err(|wrong| wrong.at(self.0.at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if matches!(self.0.kind, Kind::Nothing) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if !matches!(self.0.kind, Kind::List(_)) {
            return Err(self.wrong("write a list here, like [ a, b ]"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if !matches!(self.0.kind, Kind::Map(_)) {
            return Err(self.wrong("write a mapping here: `key: value` lines, or { key: value }"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_map(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        if name == PLACED { visitor.visit_seq(Place(self, 0)) } else { self.deserialize_seq(visitor) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        enum ignored_any
    }
}

/// The items of a list.
struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        self.0.next().map(|item| seed.deserialize(Shape(item))).transpose()
    }
}

/// The rows of a mapping.
struct Rows<'a> {
    rows: std::slice::Iter<'a, (Node, Node)>,
    value: Option<&'a Node>,
}

impl<'de> MapAccess<'de> for Rows<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.rows.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Shape(key)).map(Some).map_err(|wrong| wrong.at(key.at))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        match self.value.take() {
            Some(value) => seed.deserialize(Shape(value)),
            None => Err(Wrong::custom("a value before its key")),
        }
    }
}

/// A value's place and the value, one after the other.
struct Place<'a>(Shape<'a>, u8);

impl<'de> SeqAccess<'de> for Place<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Self(shape, step) = self;
        *step += 1;
        let At { file, line, column } = shape.0.at;
        match *step {
            1 => seed.deserialize(file.into_deserializer()).map(Some),
            2 => seed.deserialize(line.into_deserializer()).map(Some),
            3 => seed.deserialize(column.into_deserializer()).map(Some),
            _ => seed.deserialize(*shape).map(Some),
        }
    }
}
