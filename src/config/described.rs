//! The reader's description of its keys: names, meanings, units, bounds and defaults.

use serde_json::Value;

use super::units::Scalar;

/// A key.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) name: &'static str,
    /// What it means, in the manual's Markdown.
    pub(super) meaning: &'static str,
    pub(super) presence: Presence,
    /// UCI's option for it; empty if there is none.
    pub(super) uci: &'static str,
    pub(super) shape: Shape,
}

/// Whether a key must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Needed,
    /// What applies without it, in the manual's Markdown.
    Optional(String),
}

/// What a value looks like.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Word(WordShape),
    List(Box<Self>),
    /// Known keys.
    Keys(Vec<Described>),
    /// Free keys.
    Named(Box<Self>),
    Either(WordShape, Vec<Described>),
    /// A list of words, or known keys.
    ListOr(WordShape, Vec<Described>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::Keys(Vec::new())
    }
}

/// What a scalar looks like.
#[derive(Clone, Debug)]
pub(super) struct WordShape {
    /// For example `duration`, with its bounds, in the manual's Markdown.
    #[cfg_attr(not(test), expect(dead_code, reason = "the manual's tables are held by a test"))]
    pub(super) kind: String,
    pub(super) schema: Value,
    /// The bounds as a file would write them.
    pub(super) bounds: Option<(String, String)>,
}

impl WordShape {
    /// Whether it is true or false.
    pub(super) fn is_boolean(&self) -> bool {
        self.is("boolean")
    }

    /// Whether it has this JSON type.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.schema.get("type").is_some_and(|it| it == kind)
    }

    pub(super) fn of<T: Scalar>() -> Self {
        Self { kind: T::kind(), schema: T::schema(), bounds: None }
    }

    pub(super) fn within<T: Scalar>(least: &str, most: &str) -> Self {
        Self {
            kind: format!("{}, {least} to {most}", T::kind()),
            schema: T::schema(),
            bounds: Some((least.to_owned(), most.to_owned())),
        }
    }
}

impl Shape {
    /// Whether it is, or may be, a single mapping of known keys.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self, Self::Keys(_) | Self::Either(..) | Self::ListOr(..))
    }

    /// The known keys of a mapping, whether it is in a list, under names, or in place of a word.
    pub(super) fn keys(&self) -> &[Described] {
        match self {
            Self::Keys(keys) | Self::Either(_, keys) | Self::ListOr(_, keys) => keys,
            Self::List(inner) | Self::Named(inner) => inner.keys(),
            Self::Word(_) => &[],
        }
    }
}
