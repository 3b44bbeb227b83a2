//! Several files as one tree: what stands in the others goes below `endpoints` of the first.

use super::tree::{self, At, Flaw, Kind, Node};
use crate::config::Text;

const ENDPOINTS: &str = "endpoints";

/// The tree of the first file with the endpoints of the others in their order, and what is wrong with them. Nothing where
/// the first cannot be read.
pub(super) fn joined(files: &[Text<'_>], flaws: &mut Vec<Flaw>) -> Option<Node> {
    let mut trees = Vec::new();
    for (file, text) in (0..).zip(files) {
        match tree::parse(text.text, file) {
            Ok(tree) => trees.push(tree),
            Err((at, what)) => flaws.push((at, String::new(), what)),
        }
    }
    if trees.len() < files.len() {
        return None;
    }
    let mut trees = trees.into_iter();
    let mut root = trees.next()?;
    let mut more = Vec::new();
    for tree in trees {
        match tree.kind {
            Kind::Map(rows) => more.extend(rows),
            Kind::Nothing => {}
            Kind::Text(_) | Kind::List(_) => {
                let what = "an endpoint's name with its keys below it is wanted here, as below `endpoints:`";
                flaws.push((tree.at, String::new(), what.to_owned()));
            }
        }
    }
    add(&mut root, more, files, flaws);
    Some(root)
}

fn add(root: &mut Node, more: Vec<(Node, Node)>, files: &[Text<'_>], flaws: &mut Vec<Flaw>) {
    let Some((first, _)) = more.first() else { return };
    let at = first.at;
    if matches!(root.kind, Kind::Nothing) {
        root.kind = Kind::Map(Vec::new());
    }
    let Kind::Map(rows) = &mut root.kind else { return };
    let is_endpoints = |(key, _): &(Node, Node)| named(key) == Some(ENDPOINTS);
    let (key, mut endpoints) = if let Some(place) = rows.iter().position(is_endpoints) {
        rows.remove(place)
    } else {
        let node = |kind| Node { at: At::default(), kind };
        (node(Kind::Text(ENDPOINTS.to_owned())), node(Kind::Map(Vec::new())))
    };
    if matches!(endpoints.kind, Kind::Nothing) {
        endpoints = Node { at, kind: Kind::Map(Vec::new()) };
    }
    // Something else there is told as such.
    if let Kind::Map(all) = &mut endpoints.kind {
        for (name, value) in more {
            match all.iter().find(|(other, _)| named(other) == named(&name)) {
                Some((other, _)) => {
                    let text = named(&name).unwrap_or_default();
                    let place = place(other.at, files);
                    flaws.push((
                        name.at,
                        ENDPOINTS.to_owned(),
                        format!("`{text}` is in {place}, too; keep one"),
                    ));
                }
                None => all.push((name, value)),
            }
        }
    }
    // Last, since places of later files come after all others.
    rows.push((key, endpoints));
}

fn named(key: &Node) -> Option<&str> {
    match &key.kind {
        Kind::Text(text) => Some(text),
        Kind::Nothing | Kind::List(_) | Kind::Map(_) => None,
    }
}

/// `FILE:LINE`
fn place(at: At, files: &[Text<'_>]) -> String {
    let name = usize::try_from(at.file).ok().and_then(|index| files.get(index)).map_or("", |file| file.name);
    format!("{name}:{}", at.line)
}
