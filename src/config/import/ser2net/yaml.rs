//! `ser2net.yaml`: not quite YAML, since every connection has the same key, with its anchor as the
//! name.

use std::collections::BTreeMap;

use super::{
    super::{
        draft::{Draft, Drafts, of_device},
        line::LineWords,
    },
    options::{Options, is_false},
    target,
};
use crate::config::{
    node::{Node, NodeKey, NodeKind},
    yaml::parse_repeated,
};

/// Reads it.
///
/// # Errors
/// It is not YAML; the text says where.
pub(in super::super) fn yaml(text: &str, drafts: &mut Drafts<'_>) -> Result<(), String> {
    let mut reading = Reading {
        lines: text.lines().collect(),
        texts: BTreeMap::new(),
        options: Options::default(),
        line: Vec::new(),
        drafts,
    };
    for (first, part) in documents(text) {
        let root = parse_repeated(&part).map_err(|mistakes| {
            let told = mistakes.iter().map(|(at, what)| {
                let line = if at.line == 0 { first } else { at.line + first - 1 };
                format!("line {line}: {what}")
            });
            told.collect::<Vec<_>>().join("\n")
        })?;
        reading.document(&root, first - 1);
    }
    Ok(())
}

/// The documents of a file, each with the number of its first line, and without directives.
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut all = vec![(1, String::new())];
    for (line, number) in text.lines().zip(1..) {
        if line.trim_end() == "---" {
            all.push((number, String::new()));
        }
        if let Some((_, part)) = all.last_mut() {
            let kept =
                !line.starts_with('%') && line.trim_end() != "---" && line.trim_end() != "...";
            part.push_str(if kept { line } else { "" });
            part.push('\n');
        }
    }
    all.retain(|(_, part)| !part.trim().is_empty());
    all
}

struct Reading<'r, 'a> {
    lines: Vec<&'r str>,
    /// What `define:` has named.
    texts: BTreeMap<String, String>,
    /// What `default:` has set.
    options: Options,
    line: Vec<String>,
    drafts: &'r mut Drafts<'a>,
}

impl Reading<'_, '_> {
    fn document(&mut self, root: &Node, before: usize) {
        for (key, node) in root.rows() {
            let line = key.at.line + before;
            match key.text.as_str() {
                "define" => self.define(node, line),
                "default" => self.default(node, line),
                "connection" => {
                    let name = self.anchor(line);
                    self.connection(name, node, (line, before));
                }
                "connections" | "defines" | "defaults" => self.several(&key.text, node, before),
                "led" => {}
                "rotator" => self.drafts.lost(line, "`rotator`: an endpoint is one device"),
                "admin" => {
                    self.drafts.lost(line, "`admin`: see `wsbridge doctor` and the page at /");
                }
                "include" => self.drafts.lost(line, "`include`: import that file, too"),
                other => self.drafts.lost(line, format!("`{other}` is not known here")),
            }
        }
    }

    /// Version 2 of the file: lists, or mappings by name.
    fn several(&mut self, key: &str, node: &Node, before: usize) {
        let listed = |node: &Node| (None, node.at.line + before, node.clone());
        let named = |(key, node): &(NodeKey, Node)| {
            (Some(key.text.clone()), key.at.line + before, node.clone())
        };
        let all: Vec<_> = match &node.kind {
            NodeKind::List(items) => items.iter().map(listed).collect(),
            NodeKind::Map(_) | NodeKind::Nothing | NodeKind::Text(_) => {
                node.rows().iter().map(named).collect()
            }
        };
        for (name, line, node) in all {
            let name = name.or_else(|| text(node.get(&["name"])).map(str::to_owned));
            match key {
                "connections" => self.connection(name, &node, (line, before)),
                "defaults" => self.default(&node, line),
                _ => {
                    let value = text(Some(&node)).or_else(|| text(node.get(&["value"])));
                    if let (Some(name), Some(value)) = (name, value) {
                        self.texts.insert(name, value.to_owned());
                    }
                }
            }
        }
    }

    /// The name after `&` in a line.
    fn anchor(&self, line: usize) -> Option<String> {
        let text = self.lines.get(line.checked_sub(1)?)?;
        let name = text.split_once(": &").or_else(|| text.split_once(":&"))?.1;
        let name = name.split([' ', '\t', ',', '{', '#']).next().unwrap_or_default();
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn define(&mut self, node: &Node, line: usize) {
        if let (Some(name), Some(value)) = (self.anchor(line), text(Some(node))) {
            self.texts.insert(name, value.to_owned());
        }
    }

    fn default(&mut self, node: &Node, line: usize) {
        let Some(name) = text(node.get(&["name"])) else { return };
        let value = text(node.get(&["value"])).unwrap_or_default();
        match text(node.get(&["class"])) {
            None | Some("ser2net" | "serialdev") => {}
            // Certificates and the like: reported where a connection has TLS.
            Some(_) => return,
        }
        if LineWords::default().take(&format!("{name}={value}")) {
            self.line.push(format!("{name}={value}"));
        } else {
            self.options.set_for_all(name, value, line, self.drafts);
        }
    }

    /// A text with each `*(NAME)` replaced by what it stands for.
    fn filled(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("*(") {
            out.push_str(before);
            let (name, after) = behind.split_once(')').unwrap_or((behind, ""));
            // The replacement may contain such places itself; ser2net, too, replaces only once.
            out.push_str(self.texts.get(name).map_or("", String::as_str));
            rest = after;
            if out.len() > 4096 {
                break;
            }
        }
        out.push_str(rest);
        out
    }

    fn connection(&mut self, name: Option<String>, node: &Node, (line, before): (usize, usize)) {
        let value = |key: &str| text(node.get(&[key])).map(|text| self.filled(text));
        let (accepter, connector) = (value("accepter"), value("connector"));
        let at = |key: &str| {
            node.rows()
                .iter()
                .find(|(it, _)| it.text == key)
                .map_or(line, |(it, _)| it.at.line + before)
        };
        if value("enable").is_some_and(|it| is_false(&it)) {
            self.drafts.off(line);
            return;
        }
        let Some(connector) = connector else {
            self.drafts.no_endpoint(line, "it has no `connector:`");
            return;
        };
        let mut draft = Draft::new("", line);
        let mut words = LineWords::default();
        for word in &self.line {
            words.take(word);
        }
        if let Err(why) = target(&connector, &mut words, &mut draft, at("connector")) {
            self.drafts.no_endpoint(at("connector"), why);
            return;
        }
        let device = draft.value("serial.port").map(of_device);
        draft.name = name.or(device).or_else(|| value("name")).unwrap_or_default();
        if draft.value("serial.port").is_some() {
            words.say(&mut draft, at("connector"));
        }
        let mut options = self.options.clone();
        for (key, value) in node.get(&["options"]).map(Node::rows).unwrap_or_default() {
            options.set(
                &key.text,
                &self.filled(text(Some(value)).unwrap_or("-")),
                key.at.line + before,
            );
        }
        if let Some(timeout) = value("timeout").filter(|it| it != "0") {
            draft.say("limits.idle", "idle", format!("{timeout}s"));
        }
        for (key, _) in node.rows() {
            if !["accepter", "connector", "enable", "timeout", "options", "name"]
                .contains(&key.text.as_str())
            {
                draft.lost(key.at.line + before, format!("`{}` is not known here", key.text));
            }
        }
        super::opened(&mut draft, accepter.as_deref(), &options, at("accepter"));
        self.drafts.push(draft);
    }
}

fn text(node: Option<&Node>) -> Option<&str> {
    match &node?.kind {
        NodeKind::Text(text) => Some(text),
        NodeKind::Nothing | NodeKind::List(_) | NodeKind::Map(_) => None,
    }
}
