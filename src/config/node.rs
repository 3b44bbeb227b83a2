//! A configuration as a tree: every value with the place where it was written, nothing interpreted.

/// Where something is written: line and column from 1, and 0 where that is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    /// Which of the files that are read together; 0 is the one given on the command line.
    pub(super) file: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it begins. What an alias stands for counts as written where the alias is.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: NodeKind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    /// Empty, `~` or `null`.
    Nothing,
    /// A scalar's text: as written if it is plain, otherwise without its quotes.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(NodeKey, Node)>),
}

/// The key of a mapping and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeKey {
    pub(super) at: At,
    pub(super) text: String,
}

impl Node {
    /// An empty mapping.
    pub(super) fn map(at: At) -> Self {
        Self { at, kind: NodeKind::Map(Vec::new()) }
    }

    /// A scalar.
    pub(super) fn text(at: At, text: impl Into<String>) -> Self {
        Self { at, kind: NodeKind::Text(text.into()) }
    }

    /// A list.
    pub(super) fn list(at: At, items: Vec<Self>) -> Self {
        Self { at, kind: NodeKind::List(items) }
    }

    /// The rows of a mapping; empty for anything else.
    pub(super) fn rows(&self) -> &[(NodeKey, Self)] {
        match &self.kind {
            NodeKind::Map(rows) => rows,
            NodeKind::Nothing | NodeKind::Text(_) | NodeKind::List(_) => &[],
        }
    }

    /// The node at a path of keys.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Self> {
        let [key, rest @ ..] = path else { return Some(self) };
        self.rows().iter().find(|(name, _)| name.text == *key)?.1.get(rest)
    }

    /// Puts a node at a path of keys below this mapping, making missing keys on the way. Returns
    /// false, having done nothing, if the path leads through something that is not a mapping, or to
    /// something already there.
    pub(super) fn put(&mut self, path: &[&str], node: Self) -> bool {
        let (NodeKind::Map(rows), [key, rest @ ..]) = (&mut self.kind, path) else { return false };
        let found = rows.iter_mut().find(|(name, _)| name.text == *key);
        let name = NodeKey { at: node.at, text: (*key).to_owned() };
        if rest.is_empty() {
            let free = found.is_none();
            if free {
                rows.push((name, node));
            }
            return free;
        }
        if let Some((_, below)) = found {
            return below.put(rest, node);
        }
        let mut below = Self::map(node.at);
        let put = below.put(rest, node);
        rows.push((name, below));
        put
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_put_once_and_found_again() {
        let at = |line| At { line, ..At::default() };
        let mut root = Node::map(at(0));
        assert!(root.put(&["a", "b"], Node::text(at(1), "x: y")));
        assert!(root.put(&["a", "c"], Node::map(at(2))));
        assert!(
            !root.put(&["a", "b"], Node::map(at(3)))
                && !root.put(&["a", "b", "c"], Node::map(at(3)))
        );
        assert_eq!(root.get(&["a"]).unwrap().at.line, 1);
        assert_eq!(root.get(&["a", "c"]).unwrap().at.line, 2);
        assert!(root.get(&["a", "x"]).is_none());
    }
}
