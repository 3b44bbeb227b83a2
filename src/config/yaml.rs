//! Turns YAML text into the tree; the only file that names the YAML crate.

mod advice;
mod print;
#[cfg(test)]
mod tests;

use std::{cell::Cell, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_yaml::{
    DuplicateKeyPolicy, Error, Location, NonFiniteFloatPolicy, Options, Spanned, budget,
    from_str_with_options, options,
};

pub(super) use self::{
    advice::unspaced,
    print::{print, quoted, word},
};
use super::node::{At, Node, NodeKey, NodeKind};

/// Where a mistake is, and what it is.
pub(super) type Mistake = (At, String);

/// The most values in a file, including those an alias stands for.
const NODES: usize = 100_000;

/// The deepest nesting, including what aliases stand for; a configuration needs eight levels.
const DEPTH: usize = 32;

const TOO_MUCH: &str = "too much in one file, or nested too deep";

thread_local! {
    /// How deep the value being read is. The crate counts what is written, not what aliases insert.
    static NESTED: Cell<usize> = const { Cell::new(0) };
}

/// Reads a file with one document. Aliases, and the mappings named by `<<`, are inserted.
///
/// # Errors
/// Every key that is there twice, or the one mistake after which nothing can be read.
pub(super) fn parse(text: &str, file: usize) -> Result<Node, Vec<Mistake>> {
    read(text, file, Repeated::Wrong)
}

/// Reads one in which keys may be there several times, as other programs' are; all of them are kept.
///
/// # Errors
/// The mistake behind which nothing can be read.
pub(super) fn parse_repeated(text: &str) -> Result<Node, Vec<Mistake>> {
    read(text, 0, Repeated::Kept)
}

/// What a key is that is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    Wrong,
    Kept,
}

fn read(text: &str, file: usize, repeated: Repeated) -> Result<Node, Vec<Mistake>> {
    let mut wrong = Vec::new();
    match from_str_with_options::<Option<Value>>(text, options_for_us()) {
        Ok(value) => {
            let empty = Node { at: At { file, ..At::default() }, kind: NodeKind::Nothing };
            let root = value.map_or(empty, |value| {
                value.into_node(&Source { text, file, repeated }, &mut wrong)
            });
            if wrong.is_empty() { Ok(root) } else { Err(wrong) }
        }
        Err(error) => Err(vec![told(&error, text, file)]),
    }
}

fn options_for_us() -> Options {
    options! {
        budget: budget! { max_depth: DEPTH, max_nodes: NODES, max_events: 4 * NODES, flow_nesting_limit: DEPTH },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// A value as the crate hands it over: its text is not always known yet.
#[derive(Debug)]
struct Value {
    kind: Raw,
    /// Where it is used, and where it is written.
    used: Location,
    written: Location,
}

#[derive(Debug)]
enum Raw {
    Nothing,
    Text(String),
    /// A plain scalar that the crate took to be a number or a truth value; the file has its text.
    Plain,
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let depth = NESTED.get();
        if depth > DEPTH {
            return Err(D::Error::custom(TOO_MUCH));
        }
        NESTED.set(depth + 1);
        let read = Spanned::deserialize(deserializer);
        NESTED.set(depth);
        let Spanned { value: kind, referenced: used, defined: written } = read?;
        Ok(Self { kind, used, written })
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Raw::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut rows: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(row) = rows.next_entry()? {
            all.push(row);
        }
        Ok(Raw::Map(all))
    }
}

/// What values are read from.
struct Source<'a> {
    text: &'a str,
    file: usize,
    repeated: Repeated,
}

impl Value {
    fn into_node(self, source: &Source<'_>, wrong: &mut Vec<Mistake>) -> Node {
        let kind = match self.kind {
            Raw::Nothing => NodeKind::Nothing,
            Raw::Text(text) => NodeKind::Text(text),
            Raw::Plain => NodeKind::Text(as_written(self.written, source.text)),
            Raw::List(items) => NodeKind::List(
                items.into_iter().map(|item| item.into_node(source, wrong)).collect(),
            ),
            Raw::Map(rows) => {
                let mut all: Vec<(NodeKey, Node)> = Vec::new();
                for (key, value) in rows {
                    let (key, value) =
                        (key.into_node(source, wrong), value.into_node(source, wrong));
                    let NodeKind::Text(text) = key.kind else {
                        wrong.push((key.at, "a key is a single value, and not empty".into()));
                        continue;
                    };
                    let repeated = source.repeated == Repeated::Wrong
                        && all.iter().any(|(other, _)| other.text == text);
                    if repeated {
                        wrong.push((key.at, format!("the key `{text}` is here twice; keep one")));
                    }
                    all.push((NodeKey { at: key.at, text }, value));
                }
                NodeKind::Map(all)
            }
        };
        Node { at: at(self.used, source.file), kind }
    }
}

fn at(location: Location, file: usize) -> At {
    let number = |number| usize::try_from(number).unwrap_or_default();
    At { file, line: number(location.line()), column: number(location.column()) }
}

/// The text of a plain scalar: what a reader of the file sees, not what a number turns it into.
fn as_written(location: Location, source: &str) -> String {
    let span = location.span();
    let range = span.byte_offset().zip(span.byte_len());
    let range = range.and_then(|(from, length)| {
        let (from, length) = (usize::try_from(from).ok()?, usize::try_from(length).ok()?);
        source.get(from..from.checked_add(length)?)
    });
    range.unwrap_or_default().trim_end().to_owned()
}

/// Where the crate could not continue, and what that means for the writer of the file.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest cannot come of a tree of any values")]
fn told(error: &Error, source: &str, file: usize) -> Mistake {
    let mut error = error.without_snippet();
    let at = at(error.location().unwrap_or(Location::UNKNOWN), file);
    while let Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    let what = match error {
        Error::MultipleDocuments { .. } => return advice::second_document(source, at),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` takes a mapping, or a list of them",
        Error::UnsupportedTag { .. }
        | Error::InvalidScalar { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::InvalidBinaryBase64 { .. } => return advice::tag(source, at),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias within what it stands for",
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => TOO_MUCH,
        Error::UnknownAnchor { .. } => return advice::alias(source, at),
        Error::Message { msg, .. } if msg.contains(TOO_MUCH) => TOO_MUCH,
        Error::ExternalMessage { msg, .. } => return advice::advice(source, at, msg),
        _ => return advice::advice(source, at, "this is not YAML"),
    };
    (at, what.to_owned())
}
