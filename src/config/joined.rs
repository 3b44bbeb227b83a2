//! Several files as one tree: the content of the others goes below `endpoints` of the first.

use super::{
    node::{At, Node, NodeKey, NodeKind},
    report::Report,
    text::Text,
    yaml,
};

const ENDPOINTS: &str = "endpoints";

/// The tree of the first file, with the endpoints of the others in their order. `None` if one of
/// them cannot be read.
pub(super) fn joined(files: &[Text<'_>], report: &mut Report) -> Option<Node> {
    let mut trees = Vec::new();
    for (file, text) in files.iter().enumerate() {
        match yaml::parse(text.text, file) {
            Ok(tree) => trees.push(tree),
            Err(mistakes) => mistakes.iter().for_each(|(at, what)| report.wrong(*at, "", what)),
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
            NodeKind::Map(rows) => more.extend(rows),
            NodeKind::Nothing => {}
            NodeKind::Text(_) | NodeKind::List(_) => {
                let what =
                    "write an endpoint's name here and its keys below it, as under `endpoints:`";
                report.wrong(tree.at, "", what);
            }
        }
    }
    add(&mut root, more, files, report);
    Some(root)
}

fn add(root: &mut Node, more: Vec<(NodeKey, Node)>, files: &[Text<'_>], report: &mut Report) {
    let Some((first, _)) = more.first() else { return };
    let at = first.at;
    if matches!(root.kind, NodeKind::Nothing) {
        root.kind = NodeKind::Map(Vec::new());
    }
    let NodeKind::Map(rows) = &mut root.kind else { return };
    let index = rows.iter().position(|(key, _)| key.text == ENDPOINTS).unwrap_or_else(|| {
        rows.push((NodeKey { at, text: ENDPOINTS.to_owned() }, Node::map(at)));
        rows.len() - 1
    });
    let Some((_, endpoints)) = rows.get_mut(index) else { return };
    if matches!(endpoints.kind, NodeKind::Nothing) {
        *endpoints = Node::map(at);
    }
    // Anything else there is refused by whoever reads it.
    let NodeKind::Map(all) = &mut endpoints.kind else { return };
    for (key, value) in more {
        match all.iter().find(|(other, _)| other.text == key.text) {
            Some((other, _)) => {
                let what =
                    format!("`{}` is in {} as well; keep one", key.text, place(other.at, files));
                report.wrong(key.at, ENDPOINTS, &what);
            }
            None => all.push((key, value)),
        }
    }
}

/// `FILE:LINE`
fn place(at: At, files: &[Text<'_>]) -> String {
    format!("{}:{}", files.get(at.file).map_or("", |file| file.name), at.line)
}
