//! What the shapes of the file are made of: scalars, words and mappings with their places.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{shape::PLACED, tree::At};

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
        let Placed { value: text, at } = Placed::deserialize(deserializer)?;
        Ok(Self { text, at, kind: PhantomData })
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
        struct Parts<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Placed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(PLACED)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let (file, line) = (parts.next_element()?, parts.next_element()?);
                match (file, line, parts.next_element()?, parts.next_element()?) {
                    (Some(file), Some(line), Some(column), Some(value)) => {
                        Ok(Placed { value, at: At { file, line, column } })
                    }
                    _ => Err(A::Error::custom(PLACED)),
                }
            }
        }
        deserializer.deserialize_tuple_struct(PLACED, 4, Parts(PhantomData))
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

/// A list of words, or a mapping that says more.
#[derive(Clone, Debug)]
pub(in crate::config) enum ListOr<T, M> {
    List(Vec<Leaf<T>>),
    Map(M),
}

impl<'de, T, M: Deserialize<'de>> Deserialize<'de> for ListOr<T, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T, M>(PhantomData<(T, M)>);
        impl<'de, T, M: Deserialize<'de>> Visitor<'de> for Either<T, M> {
            type Value = ListOr<T, M>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of addresses, like [ a, b ], or a mapping")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(ListOr::List(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                M::deserialize(MapAccessDeserializer::new(map)).map(ListOr::Map)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
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
