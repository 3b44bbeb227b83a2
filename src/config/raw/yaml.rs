//! Scalars and mappings of the YAML file with their places; the only file that names the YAML crate.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_yaml::{Error as YamlError, Spanned};

use crate::config::units::{Word, suggest};

/// Line and column, from 1; 0 where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct At {
    pub(in crate::config) line: u64,
    pub(in crate::config) column: u64,
}

/// One scalar: its text as written and its place. `resolve` makes a `T` of it, so that all mistakes of a file are
/// told at once, each with its path.
#[derive(Clone, Debug)]
pub(in crate::config) struct Leaf<T> {
    pub(in crate::config) text: String,
    pub(in crate::config) at: At,
    kind: PhantomData<T>,
}

impl<'de, T> Deserialize<'de> for Leaf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self {
            text: value,
            at: At { line: referenced.line(), column: referenced.column() },
            kind: PhantomData,
        })
    }
}

impl<T: Word> JsonSchema for Leaf<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::try_from(T::schema()).unwrap_or_default()
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(in crate::config) struct Placed<T> {
    pub(in crate::config) value: T,
    pub(in crate::config) at: At,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { value, at: At { line: referenced.line(), column: referenced.column() } })
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A word or a mapping. Always inside `Placed`: a word has no place of its own here.
#[derive(Clone, Debug)]
pub(in crate::config) enum OneOf<T, M> {
    Word(String, PhantomData<T>),
    Map(M),
}

impl<'de, T, M: Deserialize<'de>> Deserialize<'de> for OneOf<T, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T, M>(PhantomData<(T, M)>);
        impl<'de, T, M: Deserialize<'de>> Visitor<'de> for Either<T, M> {
            type Value = OneOf<T, M>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a mapping (quote a text that looks like a number)")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOf::Word(text.to_owned(), PhantomData))
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
                Err(E::custom("nothing is written here; write a value, or leave the key out"))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                M::deserialize(MapAccessDeserializer::new(map)).map(OneOf::Map)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<T: Word, M: JsonSchema> JsonSchema for OneOf<T, M> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "either".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<M>();
        schemars::json_schema!({ "anyOf": [T::schema(), map] })
    }
}

/// A mapping with free keys, in the file's order, each key with its place.
#[derive(Clone, Debug)]
pub(in crate::config) struct Named<V>(pub(in crate::config) Vec<(Leaf<String>, V)>);

impl<V> Default for Named<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Named<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Rows<V> {
            type Value = Named<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = map.next_entry()? {
                    rows.push(row);
                }
                Ok(Named(rows))
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
                Ok(Named::default())
            }
        }
        // Not `deserialize_map`: that refuses a key without a value.
        deserializer.deserialize_any(Rows(PhantomData))
    }
}

impl<V: JsonSchema> JsonSchema for Named<V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "named".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, V>::json_schema(generator)
    }
}

/// Reads a text into a shape; an empty text is an empty mapping.
///
/// Duplicate and unknown keys are errors; the YAML crate's own budget ends alias bombs and deep nesting.
pub(in crate::config) fn read<T: DeserializeOwned + Default>(text: &str) -> Result<T, (At, String)> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! { max_nodes: 100_000, max_recorded_anchor_events: 100_000 },
        strict_booleans: true,
    };
    serde_yaml::from_str_with_options::<Option<T>>(text, options)
        .map(Option::unwrap_or_default)
        .map_err(|error| explain(text, &error))
}

/// What the YAML crate found wrong, in our words: place, path, what to type.
#[expect(clippy::wildcard_enum_match_arm, reason = "the crate words its other seventy errors well")]
fn explain(text: &str, error: &YamlError) -> (At, String) {
    let error = error.without_snippet();
    let at =
        error.location().map_or_else(At::default, |place| At { line: place.line(), column: place.column() });
    let what = match error {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key `{field}`{}", suggest(field, expected))
        }
        YamlError::SerdeMissingField { field, .. } => format!("the key `{field}` is missing here"),
        YamlError::MultipleDocuments { .. } => "one file holds one document; remove the `---` line".into(),
        YamlError::NullIntoString { .. } => {
            "nothing is written here; write a value, or leave the key out".into()
        }
        YamlError::Unexpected { expected, .. } => match *expected {
            "sequence start" => "write a list here, like [ a, b ]".into(),
            "mapping start" => "write a mapping here: `key: value` lines, or { key: value }".into(),
            "string scalar" => "write a single value here, not a list or a mapping".into(),
            expected => format!("expected {expected}"),
        },
        YamlError::DuplicateMappingKey { .. } => {
            let key = error.to_string();
            let key =
                key.split_once(": ").map_or("", |(_, key)| key).split(", set ").next().unwrap_or_default();
            format!("the key `{key}` is here twice; keep one")
        }
        other => {
            let full = other.to_string();
            let cut = full.rsplit_once(" at line ").map_or(full.as_str(), |(message, _)| message);
            cut.to_owned()
        }
    };
    match path_of(text, at) {
        Some(path) if !path.is_empty() => (at, format!("{path}: {what}")),
        _ => (at, what),
    }
}

/// Any node of a file with its place, to say the path of a place.
#[derive(Debug)]
enum Node {
    Scalar,
    Sequence(Vec<Placed<Self>>),
    Mapping(Vec<(Leaf<String>, Placed<Self>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_str<E>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::Sequence(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = map.next_entry()? {
                    rows.push(row);
                }
                Ok(Node::Mapping(rows))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The path of the mapping or value at a place: `endpoints.modem1.serial`.
fn path_of(text: &str, at: At) -> Option<String> {
    let mut node = serde_yaml::from_str::<Node>(text).ok()?;
    let mut path = String::new();
    loop {
        // The last child that begins at or before the place holds it. A key's own place belongs to the mapping.
        let (step, child) = match node {
            Node::Scalar => return Some(path),
            Node::Sequence(items) => {
                let within = items.into_iter().enumerate().take_while(|(_, item)| item.at <= at).last();
                match within {
                    Some((index, item)) => (format!("[{index}]"), item),
                    None => return Some(path),
                }
            }
            Node::Mapping(rows) => match rows.into_iter().take_while(|(key, _)| key.at <= at).last() {
                Some((key, value)) if key.at != at => {
                    let dot = if path.is_empty() { "" } else { "." };
                    (format!("{dot}{}", key.text), value)
                }
                _ => return Some(path),
            },
        };
        path += &step;
        node = child.value;
    }
}
