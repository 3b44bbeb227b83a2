//! The YAML file as a tree: every value with its place, nothing interpreted; the only file that names the YAML crate.

use std::{borrow::Cow, collections::BTreeMap};

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

/// Line and column, from 1; 0 where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct At {
    /// Which of the files that are read together: 0 is the one that is named.
    pub(in crate::config) file: u64,
    pub(in crate::config) line: u64,
    pub(in crate::config) column: u64,
}

/// Most values in a file, those an alias stands for included.
const NODES: usize = 100_000;

/// Deepest nesting; our shapes need seven.
const DEPTH: usize = 64;

/// Where a mistake is, and what it is.
pub(super) type Mistake = (At, String);

/// Something wrong with a file's structure: where, in what, and what.
pub(in crate::config) type Flaw = (At, String, String);

/// A value and where it begins; for what an alias stands for, the alias.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Empty, `~` or `null`.
    Nothing,
    /// A scalar's text: as written when it is plain, without its quotes else.
    Text(String),
    List(Vec<Node>),
    /// Keys (texts) and values, in the file's order.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Moves everything to the place of an alias.
    fn place(&mut self, at: At) {
        self.at = at;
        match &mut self.kind {
            Kind::Nothing | Kind::Text(_) => {}
            Kind::List(items) => items.iter_mut().for_each(|item| item.place(at)),
            Kind::Map(rows) => rows.iter_mut().for_each(|(key, value)| {
                key.place(at);
                value.place(at);
            }),
        }
    }

    /// Takes out a key of this name and place, with its value; whether it was there.
    pub(super) fn remove(&mut self, name: &str, at: At) -> bool {
        match &mut self.kind {
            Kind::Nothing | Kind::Text(_) => false,
            Kind::List(items) => items.iter_mut().any(|item| item.remove(name, at)),
            Kind::Map(rows) => {
                let is_it = |(key, _): &(Self, Self)| {
                    key.at == at && matches!(&key.kind, Kind::Text(text) if text == name)
                };
                let found = rows.iter().position(is_it);
                found.map(|index| rows.remove(index)).is_some()
                    || rows.iter_mut().any(|(_, value)| value.remove(name, at))
            }
        }
    }

    /// How many values it is, and how deep.
    fn size(&self) -> (usize, usize) {
        let both = |sizes: &mut dyn Iterator<Item = (usize, usize)>| {
            sizes.fold((1, 1), |(count, depth), (more, deep)| (count + more, depth.max(deep + 1)))
        };
        match &self.kind {
            Kind::Nothing | Kind::Text(_) => (1, 1),
            Kind::List(items) => both(&mut items.iter().map(Self::size)),
            Kind::Map(rows) => both(&mut rows.iter().map(|(_, value)| value.size())),
        }
    }
}

/// A list or mapping that has begun.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value is awaited.
    key: Option<Node>,
}

#[derive(Default)]
struct Builder {
    file: u64,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

/// Reads a file of one document. Keys are single values, each once in its mapping; aliases are put in, and the
/// mappings that `<<` names.
pub(super) fn parse(text: &str, file: u64) -> Result<Node, Mistake> {
    let mut builder = Builder { file, ..Builder::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| (builder.at(error.marker()), error.info()))?;
        builder.take(event, span)?;
    }
    let nothing = Node { at: At { file, ..At::default() }, kind: Kind::Nothing };
    Ok(builder.root.unwrap_or(nothing))
}

impl Builder {
    fn at(&self, marker: &granit_parser::Marker) -> At {
        At { file: self.file, line: marker.line() as u64, column: marker.col() as u64 + 1 }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        let at = self.at(&span.start);
        let tagged = self.at(span.tag_start.as_ref().unwrap_or(&span.start));
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err((at, "one file holds one document; remove the `---` line".into()));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let kind = scalar(text, style, tag).map_err(|what| (tagged, what))?;
                self.anchored(Node { at, kind }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                untagged(tag, "seq").map_err(|what| (tagged, what))?;
                self.begin(Node { at, kind: Kind::List(Vec::new()) }, anchor)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                untagged(tag, "map").map_err(|what| (tagged, what))?;
                self.begin(Node { at, kind: Kind::Map(Vec::new()) }, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => {
                let Some(mut node) = self.anchors.get(&anchor).cloned() else {
                    return Err((at, "an alias within what it stands for".into()));
                };
                node.place(at);
                let size = node.size();
                self.add(node, size)?;
            }
            // Names of anchors and unresolved aliases are not asked for; comments mean nothing.
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Mistake> {
        if self.open.len() >= DEPTH {
            return Err((node.at, "nested too deep".into()));
        }
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Mistake> {
        let Some(Open { mut node, anchor, .. }) = self.open.pop() else { return Ok(()) };
        if let Kind::Map(rows) = &mut node.kind {
            merge(rows)?;
        }
        self.anchored(node, anchor)
    }

    fn anchored(&mut self, node: Node, anchor: usize) -> Result<(), Mistake> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        // What is within was counted as it came.
        self.add(node, (1, 1))
    }

    /// Puts a whole value where it belongs; `size` is what it adds.
    fn add(&mut self, node: Node, (count, depth): (usize, usize)) -> Result<(), Mistake> {
        self.nodes += count;
        if self.nodes > NODES || self.open.len() + depth > DEPTH {
            return Err((node.at, "too much in one file, or nested too deep".into()));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.kind, open.key.take()) {
            (Kind::List(items), _) => items.push(node),
            (Kind::Map(rows), Some(key)) => rows.push((key, node)),
            (Kind::Map(rows), None) => {
                let Kind::Text(text) = &node.kind else {
                    return Err((node.at, "a key is a single value, and not empty".into()));
                };
                if rows.iter().any(|(key, _)| matches!(&key.kind, Kind::Text(other) if other == text)) {
                    return Err((node.at, format!("the key `{text}` is here twice; keep one")));
                }
                open.key = Some(node);
            }
            (Kind::Nothing | Kind::Text(_), _) => {}
        }
        Ok(())
    }
}

/// What a scalar is, by YAML's core schema as far as it matters here: nothing, or a text.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<Cow<'_, Tag>>) -> Result<Kind, String> {
    let empty = matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
    let nothing = empty && style == ScalarStyle::Plain && tag.is_none();
    untagged(tag, "str")?;
    Ok(if nothing { Kind::Nothing } else { Kind::Text(text.into_owned()) })
}

/// A tag may say what is known anyway.
fn untagged(tag: Option<Cow<'_, Tag>>, known: &str) -> Result<(), String> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix() == known) => {
            Err("tags (`!...`) mean nothing here; remove it".into())
        }
        _ => Ok(()),
    }
}

/// Puts in the mappings that `<<` names; keys that are written out win.
fn merge(rows: &mut Vec<(Node, Node)>) -> Result<(), Mistake> {
    let is_merge = |(key, _): &(Node, Node)| matches!(&key.kind, Kind::Text(text) if text == "<<");
    let Some(place) = rows.iter().position(is_merge) else { return Ok(()) };
    let (key, value) = rows.remove(place);
    let wrong = || (key.at, "`<<` takes a mapping, or a list of them".to_owned());
    let sources = match value.kind {
        Kind::List(items) => items,
        kind @ (Kind::Map(_) | Kind::Text(_) | Kind::Nothing) => vec![Node { at: value.at, kind }],
    };
    let mut at = place;
    for source in sources {
        let Kind::Map(more) = source.kind else { return Err(wrong()) };
        for (mut name, value) in more {
            let same = |(other, _): &(Node, Node)| match (&other.kind, &name.kind) {
                (Kind::Text(other), Kind::Text(name)) => other == name,
                _ => false,
            };
            if !rows.iter().any(same) {
                name.at = key.at;
                rows.insert(at, (name, value));
                at += 1;
            }
        }
    }
    Ok(())
}
