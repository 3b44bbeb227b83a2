//! A text into a shape, or what is wrong with its structure.

use std::fmt::Write as _;

use serde::{Deserialize as _, de::DeserializeOwned};

use super::{
    joined::joined,
    shape::{Key, Shape},
    tree::{At, Flaw, Kind, Node},
};
use crate::config::Text;

/// Most unknown keys that are told at once.
const UNKNOWN: usize = 20;

/// Reads a text into a shape; an empty text is an empty mapping. Beside it, what is wrong: all unknown keys, which are left out of
/// what is read, or whatever let nothing be read.
///
/// Duplicate keys are errors; a budget ends alias bombs and deep nesting.
/// Of several files, the first is that mapping, and the others are put in below its `endpoints`.
pub(in crate::config) fn read<T: DeserializeOwned + Default>(files: &[Text<'_>]) -> (Option<T>, Vec<Flaw>) {
    let mut flaws = Vec::new();
    let Some(mut tree) = joined(files, &mut flaws) else { return (None, flaws) };
    loop {
        let wrong = match Option::<T>::deserialize(Shape(&tree)) {
            Ok(file) => return (Some(file.unwrap_or_default()), flaws),
            Err(wrong) => wrong,
        };
        let (key, (at, what)) = wrong.into_mistake();
        // What is missing may be what was written in other letters.
        if key == Key::Missing && !flaws.is_empty() {
            return (None, flaws);
        }
        flaws.push((at, path_of(&tree, at), what));
        match key {
            Key::Unknown(name) if flaws.len() < UNKNOWN && tree.remove(&name, at) => {}
            Key::Unknown(_) | Key::Missing | Key::Other => return (None, flaws),
        }
    }
}

/// The path of the mapping or value at a place: `endpoints.modem1.serial`.
fn path_of(tree: &Node, at: At) -> String {
    let (mut node, mut path) = (tree, String::new());
    loop {
        // The last child that begins at or before the place holds it. A key's own place belongs to the mapping.
        node = match &node.kind {
            Kind::Nothing | Kind::Text(_) => return path,
            Kind::List(items) => {
                match items.iter().enumerate().take_while(|(_, item)| item.at <= at).last() {
                    Some((index, item)) => {
                        let _ = write!(path, "[{index}]");
                        item
                    }
                    None => return path,
                }
            }
            Kind::Map(rows) => match rows.iter().take_while(|(key, _)| key.at <= at).last() {
                Some((Node { at: place, kind: Kind::Text(name) }, value)) if *place != at => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path += name;
                    value
                }
                _ => return path,
            },
        };
    }
}
