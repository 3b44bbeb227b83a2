//! A configuration that is not YAML, written down as YAML, each line with what it comes from.

use std::fmt::Write as _;

/// What a line comes from: an index of the writer's own.
pub(in crate::config) type Mark = usize;

/// One node of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Node {
    Text(String),
    List(Vec<(Mark, Self)>),
    Map(Vec<(Mark, String, Self)>),
}

impl Node {
    /// An empty mapping.
    pub(in crate::config) fn map() -> Self {
        Self::Map(Vec::new())
    }

    /// Puts a node at a path of keys below this mapping; keys on the way that are not there are made. False, and
    /// nothing done, where the path leads through something else or to what is there already.
    pub(in crate::config) fn put(&mut self, path: &[&str], mark: Mark, node: Self) -> bool {
        let (Self::Map(rows), [key, rest @ ..]) = (self, path) else { return false };
        let found = rows.iter_mut().find(|row| row.1 == *key);
        if rest.is_empty() {
            let free = found.is_none();
            if free {
                rows.push((mark, (*key).to_owned(), node));
            }
            return free;
        }
        if let Some((_, _, below)) = found {
            return below.put(rest, mark, node);
        }
        let mut below = Self::map();
        let put = below.put(rest, mark, node);
        rows.push((mark, (*key).to_owned(), below));
        put
    }

    /// The node at a path of keys.
    pub(in crate::config) fn get(&self, path: &[&str]) -> Option<&Self> {
        let [key, rest @ ..] = path else { return Some(self) };
        let Self::Map(rows) = self else { return None };
        rows.iter().find(|row| row.1 == *key)?.2.get(rest)
    }
}

/// Writes a mapping as YAML; what each line comes from.
pub(in crate::config) fn write(root: &Node) -> (String, Vec<Mark>) {
    let mut out = Written::default();
    out.below(root, 0);
    (out.text, out.marks)
}

#[derive(Default)]
struct Written {
    text: String,
    marks: Vec<Mark>,
}

impl Written {
    /// The lines of a node under the key or dash that has been written.
    fn below(&mut self, node: &Node, depth: usize) {
        match node {
            Node::Text(_) => {}
            Node::List(items) => {
                for (mark, item) in items {
                    self.line(depth, "-", *mark, item);
                }
            }
            Node::Map(rows) => {
                for (mark, key, node) in rows {
                    self.line(depth, &format!("{}:", word(key)), *mark, node);
                }
            }
        }
    }

    fn line(&mut self, depth: usize, head: &str, mark: Mark, node: &Node) {
        let value = match node {
            Node::Text(text) => format!(" {}", quoted(text)),
            Node::List(items) if items.is_empty() => " []".to_owned(),
            Node::Map(rows) if rows.is_empty() => " {}".to_owned(),
            Node::List(_) | Node::Map(_) => String::new(),
        };
        let _ = writeln!(self.text, "{:depth$}{head}{value}", "");
        self.marks.push(mark);
        self.below(node, depth + 2);
    }
}

/// A key, without quotes where it needs none.
fn word(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-".contains(&byte));
    let reserved = matches!(text, "" | "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain && !reserved && !text.starts_with('-') { text.to_owned() } else { quoted(text) }
}

/// A text in double quotes; whatever YAML may not show is escaped.
fn quoted(text: &str) -> String {
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

    use super::*;
    use crate::config::{
        Text,
        raw::{Leaf, Named, read},
    };

    #[test]
    fn lines_keep_what_they_come_from_and_keys_are_put_once() {
        let mut root = Node::map();
        assert!(root.put(&["a", "b"], 1, Node::Text("x: y".into())));
        assert!(root.put(&["a", "c"], 2, Node::map()));
        assert!(root.put(&["l"], 3, Node::List(vec![(4, Node::Text("1".into())), (5, root.clone())])));
        assert!(!root.put(&["a", "b"], 6, Node::map()) && !root.put(&["a", "b", "c"], 6, Node::map()));
        let (text, marks) = write(&root);
        let expected =
            "a:\n  b: \"x: y\"\n  c: {}\nl:\n  - \"1\"\n  -\n    a:\n      b: \"x: y\"\n      c: {}\n";
        assert_eq!((text.as_str(), marks), (expected, vec![1, 1, 2, 3, 4, 5, 1, 1, 2]));
        assert_eq!(root.get(&["a", "b"]), Some(&Node::Text("x: y".into())));
        assert_eq!(root.get(&["a", "x"]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_key_and_value(key in "\\PC{0,20}|[a-z~-]{1,5}", value in any::<String>()) {
            let mut root = Node::map();
            root.put(&[&key], 0, Node::Text(value.clone()));
            let (text, _) = write(&root);
            let (rows, why) = read::<Named<Leaf<String>>>(&[Text { name: "x", text: &text }]);
            let rows = rows.unwrap_or_else(|| panic!("{why:?}\n{text}")).0;
            prop_assert_eq!((rows[0].0.text.clone(), rows[0].1.text.clone()), (key, value));
        }
    }
}
