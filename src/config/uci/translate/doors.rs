//! `config door`: other ways in to endpoints.

use std::collections::BTreeMap;

use super::{Translated, find, flag};
use crate::config::{
    node::{At, Node},
    uci::syntax::Section,
};

impl<'a> Translated<'a> {
    /// All `config door`, each to the endpoint that it names.
    pub(super) fn doors(&mut self, sections: &'a [Section]) {
        let Some(sort) = self.sorts.iter().find(|sort| sort.kind == "door") else { return };
        let mut all: BTreeMap<&str, Vec<Node>> = BTreeMap::new();
        for section in sections.iter().filter(|section| section.kind == sort.kind) {
            self.one_of(section, sort, sort.one_of, true);
            let mut node = self.rows(section, sort, "");
            node.at = self.mark(section, None);
            let Some((_, of)) = find(section, "endpoint") else {
                self.wrong(section, None, "has no option `endpoint`".into());
                continue;
            };
            if self.root.get(&["endpoints", &of.text]).is_some() {
                all.entry(&of.text).or_default().push(node);
            } else if !is_off(sections, &of.text) {
                let what = format!("there is no endpoint `{}`", of.text);
                self.wrong(section, Some("endpoint"), what);
            }
        }
        for (endpoint, doors) in all {
            let at = doors.first().map_or_else(At::default, |door| door.at);
            self.root.put(&["endpoints", endpoint, "doors"], Node::list(at, doors));
        }
    }
}

/// Whether an endpoint is there and not enabled: then its doors are not, either.
fn is_off(sections: &[Section], name: &str) -> bool {
    let named = |section: &&Section| {
        let own = section.value("name").map(|value| value.text.as_str());
        section.kind == "endpoint" && own.or(section.name.as_deref()) == Some(name)
    };
    let enabled = |section: &Section| find(section, "enabled").map(|(_, value)| flag(&value.text));
    sections.iter().find(named).is_some_and(|section| enabled(section) == Some(Some(false)))
}
