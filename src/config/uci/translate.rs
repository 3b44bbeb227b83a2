//! Turns sections into the tree of keys that the YAML file would have; each node knows the place it
//! comes from.

mod doors;
mod macros;

use std::collections::BTreeMap;

use super::{
    options::{OptionKind, Sort, TYPES, UciOption, target_one_of},
    syntax::{OptionLines, Section, UciValue},
};
use crate::config::{
    node::{At, Node},
    units::{elsewhere, nearest, suggest},
};

/// Where something comes from; without a section it concerns the file as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Location<'a> {
    pub(super) line: usize,
    pub(super) section: Option<&'a Section>,
    /// Option and value.
    pub(super) entry: Option<(&'a str, &'a str)>,
}

/// What a file says, and what is wrong with how it says it.
#[derive(Debug)]
pub(super) struct Translated<'a> {
    pub(super) root: Node,
    /// What is written where.
    pub(super) places: BTreeMap<At, Location<'a>>,
    pub(super) problems: Vec<(At, String)>,
    sorts: &'a [Sort],
}

/// Translates all sections.
pub(super) fn translate<'a>(
    sections: &'a [Section],
    sorts: &'a [Sort],
    state_directory: &str,
) -> Translated<'a> {
    let nowhere = At::default();
    let root = Node::map(nowhere);
    let mut all = Translated { root, places: BTreeMap::new(), problems: Vec::new(), sorts };
    all.main(sections);
    all.root.put(&["state_directory"], Node::text(nowhere, state_directory));
    // A router need not be found by the network, and umdns would answer beside us. A value from the
    // file has been put there before.
    all.root.put(&["mdns"], Node::text(nowhere, "false"));
    for section in sections.iter().filter(|section| section.kind != "wsbridge") {
        if let Some(sort) = sorts.iter().find(|sort| sort.kind == section.kind) {
            all.take(section, sort);
        } else {
            let kinds: Vec<_> = sorts.iter().map(|sort| sort.kind).collect();
            let known = meant(&section.kind, &kinds);
            all.wrong(section, None, format!("no such kind of section{known}"));
        }
    }
    // A door and a macro may come before their endpoint.
    all.doors(sections);
    for section in sections.iter().filter(|section| section.kind == "macro") {
        all.signal_macro(section);
    }
    all
}

impl<'a> Translated<'a> {
    /// Where a section or one of its values is, kept for whoever finds a mistake in it.
    fn mark(&mut self, section: &'a Section, entry: Option<(&'a OptionLines, &'a UciValue)>) -> At {
        let at = entry.map_or(section.at, |(_, value)| value.at);
        let entry = entry.map(|(entry, value)| (entry.option.as_str(), value.text.as_str()));
        self.places.insert(at, Location { line: at.line, section: Some(section), entry });
        at
    }

    fn wrong(&mut self, section: &'a Section, option: Option<&str>, what: String) {
        let entry =
            option.and_then(|option| section.entries.iter().find(|entry| entry.option == option));
        let mark = self.mark(section, entry.and_then(|entry| Some((entry, entry.values.last()?))));
        self.problems.push((mark, what));
    }

    /// `config wsbridge`: the daemon itself, and its listeners.
    fn main(&mut self, sections: &'a [Section]) {
        // A section with `option config` is an instance with a file of its own.
        let mut own =
            sections.iter().filter(|it| it.kind == "wsbridge" && it.value("config").is_none());
        let main = own.next();
        for second in own {
            let what = "a second `config wsbridge`; keep one, or give it a file of its own by `config: NAME`";
            self.wrong(second, None, what.to_owned());
        }
        let mut listeners = Vec::new();
        if let (Some(main), Some(sort)) = (main, self.sorts.first()) {
            let addresses = main.entries.iter().find(|entry| entry.option == "listen");
            for (entry, address) in
                addresses.iter().flat_map(|entry| entry.values.iter().map(|it| (*entry, it)))
            {
                let mark = self.mark(main, Some((entry, address)));
                listeners.push(self.listener(main, mark, &address.text));
            }
            if let (Some(idle), None) =
                (main.entries.iter().find(|it| self.is_listeners(it)), addresses)
            {
                let what = "has no effect without an address; add `list listen '[::]:8443'`";
                self.wrong(main, Some(&idle.option), what.to_owned());
            }
            self.root = self.rows(main, sort, "");
        }
        for section in sections.iter().filter(|section| section.kind == "listener") {
            if let Some((entry, address)) = find(section, "address") {
                let mark = self.mark(section, Some((entry, address)));
                listeners.push(self.listener(section, mark, &address.text));
            }
        }
        if !listeners.is_empty() {
            self.root.put(&["listen"], Node::list(At::default(), listeners));
        }
    }

    fn is_listeners(&self, entry: &OptionLines) -> bool {
        self.listener_rows().iter().any(|row| row.option == entry.option)
    }

    fn listener_rows(&self) -> &'a [UciOption] {
        self.sorts.iter().find(|sort| sort.kind == "listener").map_or(&[], |sort| &sort.rows)
    }

    /// A section's listener. The options of certificate files count only with `tls: files`, which
    /// is also meant when `tls` is left out.
    fn listener(&mut self, section: &'a Section, mark: At, address: &str) -> Node {
        let mut node = Node::map(mark);
        node.put(&["address"], Node::text(mark, address));
        let word = section.value("tls").map(|value| value.text.as_str());
        let files = word.is_none_or(|word| word == "files");
        for row in self.listener_rows().iter().filter(|row| row.option != "address") {
            let Some((entry, value)) = find(section, row.option) else { continue };
            let mark = self.mark(section, Some((entry, value)));
            if row.option == "tls" && value.text == "files" {
                self.needs_files(section, mark);
            } else if row.path.first() == Some(&"tls") && row.option != "tls" && !files {
                self.problems
                    .push((mark, "belongs to `tls: files`; set that, or leave this out".into()));
            } else if row.kind == OptionKind::Flag {
                match flag(&value.text) {
                    Some(on) => drop(node.put(&row.path, Node::text(mark, on.to_string()))),
                    None => self.problems.push((mark, no_flag(&value.text))),
                }
            } else {
                node.put(&row.path, Node::text(mark, &value.text));
            }
        }
        node
    }

    /// `tls: files` was given here: the files are options of their own.
    fn needs_files(&mut self, section: &'a Section, mark: At) {
        for option in ["certificate", "key"].iter().filter(|it| section.value(it).is_none()) {
            self.problems.push((mark, format!("needs option `{option}`, the path of a PEM file")));
        }
    }

    /// Translates a section that has a name, or of which only the options matter here.
    fn take(&mut self, section: &'a Section, sort: &'a Sort) {
        let mut target = "";
        if sort.kind == "endpoint" {
            let written = section.value("type").map(|value| value.text.as_str());
            let known = TYPES.iter().find(|known| Some(**known) == written);
            match (known, written) {
                (Some(known), _) => target = known,
                (None, Some(text)) => {
                    let near = meant(text, &TYPES);
                    self.wrong(section, Some("type"), format!("`{text}` is not known here{near}"));
                    return;
                }
                (None, None) => {}
            }
            self.one_of(section, sort, target_one_of(target), !target.is_empty());
        }
        // Doors are put together with the others of their endpoint.
        if sort.kind == "door" {
            return;
        }
        self.one_of(section, sort, sort.one_of, true);
        let mut node = self.rows(section, sort, target);
        if sort.path.is_empty() {
            return;
        }
        let off = find(section, "enabled").and_then(|(_, value)| flag(&value.text)) == Some(false);
        let Some(name) = self.name(section) else { return };
        let mark = self.mark(section, None);
        node.at = mark;
        if !off && !self.root.put(&[sort.path, name], node) {
            self.problems.push((mark, format!("another {} has the name `{name}`", sort.kind)));
        }
    }

    fn one_of(&mut self, section: &'a Section, sort: &Sort, options: &[&str], needed: bool) {
        let there: Vec<_> =
            options.iter().filter(|option| section.value(option).is_some()).collect();
        let all = options
            .iter()
            .map(|option| format!("option `{option}`"))
            .collect::<Vec<_>>()
            .join(" or ");
        match there.as_slice() {
            [] if needed && !options.is_empty() && !misspelt(section, sort, options) => {
                self.wrong(section, None, format!("has no {all}"));
            }
            [_, second, ..] => self.wrong(section, Some(second), format!("write either {all}")),
            _ => {}
        }
    }

    fn name(&mut self, section: &'a Section) -> Option<&'a str> {
        let name =
            section.value("name").map(|value| value.text.as_str()).or(section.name.as_deref());
        if name.is_none() {
            let what = format!(
                "has no name; write `config {} 'NAME'`, or `option name 'NAME'` below",
                section.kind
            );
            self.wrong(section, None, what);
        }
        name
    }

    /// Translates the options of a section, by the rows of its kind.
    fn rows(&mut self, section: &'a Section, sort: &Sort, target: &str) -> Node {
        let mut node = Node::map(section.at);
        for entry in &section.entries {
            let fits =
                |row: &&UciOption| target.is_empty() || row.of.is_empty() || row.of == target;
            let named: Vec<_> = sort.rows.iter().filter(|row| row.option == entry.option).collect();
            if let Some(row) = named.iter().copied().find(|row| fits(row)) {
                self.entry(section, (entry, row, sort), &mut node);
            } else if named.is_empty() {
                let known: Vec<_> = sort.rows.iter().filter(fits).map(|row| row.option).collect();
                let what = format!("no such option{}", other_names(&entry.option, &known));
                self.wrong(section, Some(&entry.option), what);
            } else {
                let of: Vec<_> = named.iter().map(|row| row.of).collect();
                let known: Vec<_> = sort.rows.iter().filter(fits).map(|row| row.option).collect();
                let near = elsewhere(&entry.option, &known)
                    .map(|word| format!("; did you mean `{word}`?"));
                let near = near.unwrap_or_default();
                let what =
                    format!("belongs to type {}; this is type {target}{near}", of.join(" or "));
                self.wrong(section, Some(&entry.option), what);
            }
        }
        for row in sort.rows.iter().filter(|row| row.kind == OptionKind::Switch) {
            let on = section.value(row.option).and_then(|value| flag(&value.text)) == Some(true);
            if !on && node.get(&row.path).is_some() {
                let of = section
                    .entries
                    .iter()
                    .find(|it| it.option.starts_with(&format!("{}_", row.option)));
                let what = format!("has no effect without `{}: 1`", row.option);
                self.wrong(section, of.map(|entry| entry.option.as_str()), what);
            }
        }
        node
    }

    /// An option is an alternative to another, or belongs with that alternative.
    fn in_the_way(&mut self, section: &'a Section, sort: &Sort, row: &UciOption) {
        let leads = |a: &UciOption, b: &UciOption| {
            (1..b.path.len()).contains(&a.path.len()) && b.path.starts_with(&a.path)
        };
        let other = sort.rows.iter().find(|other| {
            section.value(other.option).is_some() && (leads(row, other) || leads(other, row))
        });
        // Only one of these is reported as being too many.
        let told = |other: &&UciOption| {
            [sort.one_of, target_one_of(row.of)]
                .iter()
                .any(|options| options.contains(&row.option) && options.contains(&other.option))
        };
        if let Some(other) = other.filter(|other| !told(other)) {
            let what = format!("cannot go with option `{}`; keep one of them", other.option);
            self.wrong(section, Some(row.option), what);
        }
    }

    fn entry(
        &mut self,
        section: &'a Section,
        (entry, row, sort): (&'a OptionLines, &UciOption, &Sort),
        node: &mut Node,
    ) {
        let Some(value) = entry.values.last() else { return };
        // Options of listeners are checked together with their address.
        if sort.kind == "listener" {
            return;
        }
        let lists = matches!(row.kind, OptionKind::List | OptionKind::Rights)
            || ["listen", "step"].contains(&row.option);
        if entry.list && !lists {
            let what = format!("takes a single value; write `option {} '...'`", row.option);
            return self.wrong(section, Some(row.option), what);
        }
        match row.kind {
            OptionKind::Own => {
                if row.option == "enabled" && flag(&value.text).is_none() {
                    self.wrong(section, Some(row.option), no_flag(&value.text));
                }
            }
            OptionKind::Text => {
                let mark = self.mark(section, Some((entry, value)));
                if row.option == "tls" && value.text == "files" {
                    self.needs_files(section, mark);
                } else if !node.put(&row.path, Node::text(mark, &value.text)) {
                    self.in_the_way(section, sort, row);
                }
            }
            OptionKind::Flag | OptionKind::Switch => match flag(&value.text) {
                Some(on) => {
                    let mark = self.mark(section, Some((entry, value)));
                    if row.kind == OptionKind::Flag {
                        node.put(&row.path, Node::text(mark, on.to_string()));
                    } else if on {
                        node.put(&row.path, Node::map(mark));
                    }
                }
                None => self.wrong(section, Some(row.option), no_flag(&value.text)),
            },
            OptionKind::List => {
                let items = entry.values.iter();
                let items: Vec<_> = items
                    .map(|value| Node::text(self.mark(section, Some((entry, value))), &value.text))
                    .collect();
                let first = items.first().map_or_else(At::default, |item| item.at);
                node.put(&row.path, Node::list(first, items));
            }
            OptionKind::Rights => self.rights(section, entry, &row.path, node),
        }
    }

    /// `plc*=read,write`; several for one pattern add up.
    fn rights(
        &mut self,
        section: &'a Section,
        entry: &'a OptionLines,
        path: &[&str],
        node: &mut Node,
    ) {
        let mut table: Vec<Granted<'_>> = Vec::new();
        for value in &entry.values {
            let mark = self.mark(section, Some((entry, value)));
            let Some((pattern, words)) = value.text.split_once('=') else {
                let what = "write an endpoint's name or pattern and what may be done there, like `*=read,write`";
                self.problems.push((mark, what.to_owned()));
                continue;
            };
            let words = words.split(',').map(|word| Node::text(mark, word.trim()));
            match table.iter_mut().find(|row| row.1 == pattern.trim()) {
                Some(row) => row.2.extend(words),
                None => table.push((mark, pattern.trim(), words.collect())),
            }
        }
        for (mark, pattern, words) in table {
            node.put(&[path, &[pattern]].concat(), Node::list(mark, words));
        }
    }
}

/// Whether a section has a misspelt form of one of these options, which is reported separately.
fn misspelt(section: &Section, sort: &Sort, options: &[&str]) -> bool {
    let known: Vec<_> = sort.rows.iter().map(|row| row.option).collect();
    let unknown = section.entries.iter().map(|entry| entry.option.as_str());
    let mut meant = unknown.filter(|option| !known.contains(option)).filter_map(|option| {
        elsewhere(option, &known).or_else(|| nearest(option, &known).map(|(_, word)| word))
    });
    meant.any(|word| options.contains(&word))
}

/// A pattern, and the rights on it.
type Granted<'a> = (At, &'a str, Vec<Node>);

/// UCI's words for yes and no.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "on" | "true" | "yes" | "enabled" => Some(true),
        "0" | "off" | "false" | "no" | "disabled" => Some(false),
        _ => None,
    }
}

fn no_flag(text: &str) -> String {
    format!("`{text}` is neither 1 nor 0")
}

fn find<'a>(section: &'a Section, option: &str) -> Option<(&'a OptionLines, &'a UciValue)> {
    let entry = section.entries.iter().find(|entry| entry.option == option)?;
    Some((entry, entry.values.last()?))
}

/// Suggests what was meant; lists everything only if nothing is close.
fn meant(text: &str, known: &[&str]) -> String {
    nearest(text, known)
        .map_or_else(|| suggest(text, known), |(_, word)| format!("; did you mean `{word}`?"))
}

/// Suggests the option that was meant, also by its name in ser2net and similar programs.
fn other_names(text: &str, known: &[&str]) -> String {
    elsewhere(text, known)
        .map_or_else(|| meant(text, known), |word| format!("; did you mean `{word}`?"))
}
