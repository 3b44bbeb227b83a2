//! Writes a configuration that is not YAML as YAML.

use std::fmt::Write as _;

use super::{Node, NodeKind};

/// Prints a mapping as YAML.
pub(in crate::config) fn print(root: &Node) -> String {
    let mut out = String::new();
    below(root, 0, &mut out);
    out
}

/// Prints the lines of a node under the key or dash that has just been printed.
fn below(node: &Node, depth: usize, out: &mut String) {
    match &node.kind {
        NodeKind::Nothing | NodeKind::Text(_) => {}
        NodeKind::List(items) => {
            for item in items {
                line("-", item, depth, out);
            }
        }
        NodeKind::Map(rows) => {
            for (key, node) in rows {
                line(&format!("{}:", word(&key.text)), node, depth, out);
            }
        }
    }
}

fn line(head: &str, node: &Node, depth: usize, out: &mut String) {
    let value = match &node.kind {
        NodeKind::Text(text) => format!(" {}", quoted(text)),
        NodeKind::List(items) if items.is_empty() => " []".to_owned(),
        NodeKind::Map(rows) if rows.is_empty() => " {}".to_owned(),
        NodeKind::Nothing | NodeKind::List(_) | NodeKind::Map(_) => String::new(),
    };
    let _ = writeln!(out, "{:depth$}{head}{value}", "");
    below(node, depth + 2, out);
}

/// A key, without quotes if it needs none.
pub(in crate::config) fn word(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-".contains(&byte));
    let reserved =
        matches!(text, "" | "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain && !reserved && !text.starts_with('-') { text.to_owned() } else { quoted(text) }
}

/// A text in double quotes; whatever YAML must not show is escaped.
pub(in crate::config) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{At, parse},
        *,
    };

    #[test]
    fn lists_and_mappings_are_indented_below_their_keys() {
        let at = At::default();
        let mut root = Node::map(at);
        root.put(&["a", "b"], Node::text(at, "x: y"));
        root.put(&["a", "c"], Node::map(at));
        let item = root.clone();
        root.put(&["l"], Node::list(at, vec![Node::text(at, "1"), item]));
        let expected = "a:\n  b: \"x: y\"\n  c: {}\nl:\n  - \"1\"\n  -\n    a:\n      b: \"x: y\"\n      c: {}\n";
        assert_eq!(print(&root), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_key_and_value(key in "\\PC{0,20}|[a-z~-]{1,5}", value in any::<String>()) {
            let mut root = Node::map(At::default());
            root.put(&[&key], Node::text(At::default(), value.clone()));
            let text = print(&root);
            let again = parse(&text, 0).unwrap_or_else(|why| panic!("{why:?}\n{text}"));
            let (read, node) = &again.rows()[0];
            let NodeKind::Text(found) = &node.kind else { panic!("{node:?}") };
            prop_assert_eq!((&read.text, found), (&key, &value));
        }
    }
}
