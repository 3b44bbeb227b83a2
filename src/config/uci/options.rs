//! All sections and options, and the keys each stands for: from the reader's keys, plus what only
//! UCI has.

pub(super) use crate::config::endpoint::KINDS as TYPES;

use crate::config::{
    described::{Described, Shape},
    door,
};

/// How an option's value becomes one in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptionKind {
    /// As it is.
    Text,
    /// 1 or 0, in any of UCI's words.
    Flag,
    /// 1 makes the mapping that other options fill.
    Switch,
    /// Each value is an item.
    List,
    /// `PATTERN=RIGHT,RIGHT`; each value is a key.
    Rights,
    /// Handled separately: the section's name, the steps of a macro, what the init script reads.
    Own,
}

/// One option.
#[derive(Clone, Debug)]
pub(super) struct UciOption {
    pub(super) option: &'static str,
    /// The keys that lead to the value, below the section's own.
    pub(super) path: Vec<&'static str>,
    pub(super) kind: OptionKind,
    /// The type of endpoints that have it; empty means all.
    pub(super) of: &'static str,
}

/// A kind of section.
#[derive(Clone, Debug)]
pub(super) struct Sort {
    pub(super) kind: &'static str,
    /// Where sections of the kind go, by name; empty if they have no name there.
    pub(super) path: &'static str,
    pub(super) rows: Vec<UciOption>,
    /// Options of which exactly one must be there.
    pub(super) one_of: &'static [&'static str],
}

/// Options of which an endpoint of a type must have exactly one.
pub(super) fn target_one_of(target: &str) -> &'static [&'static str] {
    match target {
        "serial" => &["port", "usb"],
        "sim" => &["device"],
        "tcp" => &["address", "listen"],
        _ => &["address"],
    }
}

/// Options of `config wsbridge` that are not keys themselves: those for the init script, and those
/// of its listeners.
const INIT_OPTIONS: [&str; 13] = [
    "enabled",
    "user",
    "group",
    "config",
    "jail",
    "listen",
    "tls",
    "certificate",
    "key",
    "client_ca",
    "client_crl",
    "plain",
    "proxy_protocol",
];

/// The kinds of sections, with the options for the reader's keys.
pub(super) fn sorts(file: &[Described]) -> Vec<Sort> {
    let below = |key: &str| {
        let found = file.iter().find(|described| described.name == key);
        found.map_or(&[][..], |described| described.shape.keys())
    };
    let sort = |kind, path, own: &[&'static str], keys: &[Described], one_of| {
        let mut rows: Vec<_> = own.iter().map(|option| row(option, &[], OptionKind::Own)).collect();
        add(keys, &mut Vec::new(), &mut rows);
        Sort { kind, path, rows, one_of }
    };
    let doors = below("endpoints").iter().find(|described| described.name == "doors");
    let doors = doors.map_or(&[][..], |described| described.shape.keys());
    let mut role = sort("role", "roles", &["name"], &[], &["right"]);
    role.rows.push(row("right", &[], OptionKind::Rights));
    let mut endpoint =
        sort("endpoint", "endpoints", &["name", "type", "enabled"], below("endpoints"), &["type"]);
    for row in &mut endpoint.rows {
        row.of = TYPES.into_iter().find(|of| row.path.first() == Some(of)).unwrap_or_default();
    }
    vec![
        sort("wsbridge", "", &INIT_OPTIONS, file, &[]),
        sort("listener", "", &[], below("listen"), &["address"]),
        sort("user", "users", &["name"], below("users"), &["password", "password_file"]),
        sort("token", "tokens", &["name"], below("tokens"), &["sha256", "sha256_file"]),
        sort("certificate", "certificates", &["name"], below("certificates"), &[]),
        role,
        endpoint,
        sort("door", "", &["endpoint"], doors, &door::KINDS),
        sort("app", "apps", &["name"], below("apps"), &["directory"]),
        sort("macro", "", &["name", "endpoint", "step"], &[], &["endpoint"]),
    ]
}

fn row(option: &'static str, path: &[&'static str], kind: OptionKind) -> UciOption {
    UciOption { option, path: path.to_vec(), kind, of: "" }
}

/// Adds the options for keys, and for those in mappings below them.
fn add(keys: &[Described], path: &mut Vec<&'static str>, rows: &mut Vec<UciOption>) {
    for key in keys {
        path.push(key.name);
        if !key.uci.is_empty() {
            rows.push(row(key.uci, path, kind(&key.shape)));
        }
        match &key.shape {
            Shape::Keys(below) | Shape::Either(_, below) | Shape::ListOr(_, below) => {
                add(below, path, rows);
            }
            // These have sections of their own.
            Shape::Word(_) | Shape::List(_) | Shape::Named(_) => {}
        }
        path.pop();
    }
}

fn kind(shape: &Shape) -> OptionKind {
    match shape {
        Shape::Word(word) if word.is_boolean() => OptionKind::Flag,
        Shape::Word(_) | Shape::Either(..) => OptionKind::Text,
        Shape::List(_) | Shape::ListOr(..) => OptionKind::List,
        Shape::Keys(_) => OptionKind::Switch,
        Shape::Named(_) => OptionKind::Rights,
    }
}
