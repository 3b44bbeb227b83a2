//! Tests that hold the manual and `LuCI` to the reader's keys: changing only one side turns them
//! red.
//!
//! `WSBRIDGE_WRITE=1 cargo test manual` rewrites the tables.

mod mistyped;

use std::{fmt::Write as _, fs};

use super::{
    described::{Described, Presence, Shape},
    endpoint::KINDS,
    lines::described_lines,
    resolve::described,
    uci::tests_of_options as options,
};

const CONFIG: &str = "docs/config.md";
const OPENWRT: &str = "docs/openwrt.md";
const ENDPOINTS: &str =
    "packaging/openwrt/luci-app-wsbridge/htdocs/luci-static/resources/view/wsbridge/endpoints.js";
const ACCESS: &str =
    "packaging/openwrt/luci-app-wsbridge/htdocs/luci-static/resources/view/wsbridge/access.js";

fn text(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The keys at a path like `endpoints.serial`, whatever is in between: lists, names.
fn at<'a>(keys: &'a [Described], path: &str) -> &'a [Described] {
    path.split('.').filter(|name| !name.is_empty()).fold(keys, |keys, name| {
        keys.iter()
            .find(|key| key.name == name)
            .unwrap_or_else(|| panic!("{path}: {name}"))
            .shape
            .keys()
    })
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Word(word) => word.kind.clone(),
        Shape::List(item) => match &**item {
            Shape::Word(word) => format!("list: {}", word.kind),
            Shape::List(_)
            | Shape::Keys(_)
            | Shape::Named(_)
            | Shape::Either(..)
            | Shape::ListOr(..) => "list of mappings".into(),
        },
        Shape::Keys(_) => "mapping".into(),
        Shape::Named(value) => match &**value {
            Shape::List(item) if matches!(**item, Shape::Word(_)) => {
                "pattern: list of rights".into()
            }
            Shape::List(_)
            | Shape::Word(_)
            | Shape::Keys(_)
            | Shape::Named(_)
            | Shape::Either(..)
            | Shape::ListOr(..) => "by name".into(),
        },
        Shape::Either(word, _) => format!("{} or mapping", word.kind),
        Shape::ListOr(word, _) => format!("list: {}; or mapping", word.kind),
    }
}

fn without(key: &Described) -> &str {
    match &key.presence {
        Presence::Needed => "required",
        Presence::Optional(text) => text,
    }
}

/// A table of rows whose last cell may be empty.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |");
    let head: Vec<_> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut out = line(&head) + &format!("|{}\n", "---|".repeat(head.len()));
    for row in rows {
        let _ = write!(out, "{}", line(row));
    }
    out
}

fn keys_table(path: &str) -> String {
    described_table(&described(), path)
}

fn described_table(described: &[Described], path: &str) -> String {
    let cells = |key: &Described| {
        vec![
            format!("`{}`", key.name),
            kind(&key.shape),
            without(key).to_owned(),
            key.meaning.to_owned(),
        ]
    };
    let path = if path == "top" { "" } else { path };
    table(
        &["key", "type", "default", "meaning"],
        &at(described, path).iter().map(cells).collect::<Vec<_>>(),
    )
}

fn options_table(section: &str) -> String {
    let rows = options(section);
    let typed = rows.iter().any(|option| !option.of.is_empty());
    let cells = |option: &super::uci::Listed| {
        let list =
            if matches!(option.key.shape, Shape::List(_) | Shape::Named(_)) { "list " } else { "" };
        let value = match &option.key.shape {
            Shape::Word(word) if word.is_boolean() => "`1` or `0`".to_owned(),
            Shape::Keys(_) => "`1`: it is there".into(),
            Shape::List(item) => kind(item),
            Shape::Named(_) => "`PATTERN=RIGHT,RIGHT`".into(),
            Shape::Either(word, _) => word.kind.clone(),
            shape @ (Shape::Word(_) | Shape::ListOr(..)) => kind(shape),
        };
        let flag = |text: &str| text.replace("`true`", "`1`").replace("`false`", "`0`");
        let mut row = vec![format!("{list}`{}`", option.name)];
        if typed {
            row.push(option.of.join(", "));
        }
        row.extend([format!("`{}`", option.path), value, flag(without(&option.key))]);
        row
    };
    let head = if typed {
        &["option", "of type", "key", "value", "default"][..]
    } else {
        &["option", "key", "value", "default"]
    };
    table(head, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// Every table on a page that follows a mark: the mark's argument, the table as it is, and its
/// place.
fn hold(path: &str, mark: &str, made: impl Fn(&str) -> String) {
    let page = text(path);
    let mut out = String::new();
    let mut seen = 0;
    let mut lines = page.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        out += line;
        let argument = line
            .strip_prefix(&format!("<!-- {mark}: "))
            .and_then(|rest| rest.trim_end().strip_suffix(" -->"));
        let Some(argument) = argument else { continue };
        while lines.next_if(|line| line.starts_with('|')).is_some() {}
        out += &made(argument);
        seen += 1;
    }
    assert!(seen > 2, "{path}: {seen} tables");
    if std::env::var_os("WSBRIDGE_WRITE").is_some() {
        fs::write(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")), &out).unwrap();
    }
    let differs = page.lines().zip(out.lines()).find(|(old, new)| old != new);
    assert!(
        page == out,
        "{path} differs from the code; WSBRIDGE_WRITE=1 cargo test manual\n{differs:#?}"
    );
}

#[test]
fn the_tables_of_the_reference_are_what_the_reader_says() {
    hold(CONFIG, "keys", keys_table);
}

#[test]
fn the_tables_of_connects_file_are_what_the_reader_says() {
    hold("docs/connect.md", "lines", |path| described_table(&described_lines(), path));
}

#[test]
fn the_tables_of_the_page_for_routers_are_what_the_reader_says() {
    hold(OPENWRT, "options", options_table);
}

#[test]
fn every_mapping_of_the_reader_has_a_table_in_the_reference() {
    fn paths(keys: &[Described], path: &str, out: &mut Vec<String>) {
        for key in keys.iter().filter(|key| !key.shape.keys().is_empty()) {
            let below =
                if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            paths(key.shape.keys(), &below, out);
            out.push(below);
        }
    }
    let mut all = vec![String::new()];
    paths(&described(), "", &mut all);
    let page = text(CONFIG);
    // Said only once where several have the same.
    let same = [
        "apps.listen",
        "trusted_proxies.secret.sha256",
        "tokens.sha256",
        "issuers.oidc.client_secret",
        "endpoints.rfc2217.signals",
        "endpoints.rfc2217.macros",
        "endpoints.serial.signals.on_last_close",
        "endpoints.serial.signals.while_connected",
    ];
    for path in all.iter().filter(|path| !same.iter().any(|same| path.starts_with(same))) {
        let mark = format!("<!-- keys: {} -->", if path.is_empty() { "top" } else { path });
        assert!(page.contains(&mark), "{CONFIG} lacks {mark}");
    }
}

/// A field of `LuCI`'s dialog: its option and the rest of its line.
fn fields() -> Vec<(String, String)> {
    let view = text(ENDPOINTS);
    let lines = view
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[ '"))
        .filter(|line| line.contains("form."));
    lines
        .map(|line| {
            let mut words = line.split('\'');
            (words.nth(2).unwrap().to_owned(), line.to_owned())
        })
        .collect()
}

/// Options that the dialogs leave to the file: they are rare, or do not suit a form.
const NOT_SHOWN: [&str; 16] = [
    "reauth",
    "connected_dtr",
    "connected_rts",
    "wait_for",
    "on_carrier_lost",
    "echo",
    "close_dtr",
    "close_rts",
    "low_latency",
    "connect_timeout",
    "keepalive",
    "user_timeout",
    "base64",
    "linger_max",
    "password_file",
    "subprotocol",
];

#[test]
fn lucis_fields_are_the_options_with_their_types_values_bounds_and_defaults() {
    let options = options("endpoint");
    let fields = fields();
    assert!(fields.len() > 25);
    for option in &options {
        let Some((_, line)) = fields.iter().find(|(name, _)| *name == option.name) else {
            assert!(NOT_SHOWN.contains(&option.name), "LuCI has no field for `{}`", option.name);
            continue;
        };
        assert!(!NOT_SHOWN.contains(&option.name), "{}", option.name);
        let of = if line.contains("of: LINES") {
            vec!["rfc2217", "serial"]
        } else if line.contains("of: NETWORK") {
            vec!["rfc2217", "tcp", "udp"]
        } else if let Some((_, rest)) = line.split_once("of: [ '") {
            let listed = rest.split(']').next().unwrap_or_default();
            let mut listed: Vec<_> =
                listed.split(['\'', ',', ' ']).filter(|name| !name.is_empty()).collect();
            listed.sort_unstable();
            listed
        } else {
            Vec::new()
        };
        let mut types = option.of.clone();
        types.sort_unstable();
        assert_eq!(types, of, "{line}");
        let Shape::Word(word) = &option.key.shape else { continue };
        if word.is_boolean() {
            assert!(line.contains("form.Flag") || line.contains("values: LEVELS"), "{line}");
        }
        for value in word.schema["enum"].as_array().into_iter().flatten() {
            assert!(line.contains(&format!("'{}'", value.as_str().unwrap())), "{value}: {line}");
        }
        if let (Some((least, most)), Some((_, range))) =
            (&word.bounds, line.split_once("datatype: 'range("))
        {
            assert!(range.starts_with(&format!("{least},{most})")), "{least} to {most}: {line}");
        }
        if let (Some((_, shown)), Presence::Optional(without)) =
            (line.split_once("placeholder: "), &option.key.presence)
        {
            let shown =
                shown.trim_start_matches("_(").trim_start_matches('\'').split('\'').next().unwrap();
            assert_eq!(shown, without.trim_matches('`'), "{line}");
        }
    }
    for (name, line) in &fields {
        let own = ["enabled", "name", "type"].contains(&name.as_str());
        assert!(own || options.iter().any(|option| option.name == name), "no such option: {line}");
    }
}

/// Where each kind of target has a word that the compiler does not ask for.
#[test]
fn every_kind_of_target_has_its_word_where_no_compiler_asks_for_it() {
    let init = "packaging/openwrt/files/wsbridge.init";
    let (console, waits) = ("web/console/format.js", "web/console/pane/condition.js");
    for kind in KINDS {
        for (file, word) in [
            (init, format!("\"{kind}\"")),
            (ENDPOINTS, format!("{kind}: _('")),
            (console, format!("{kind}: \"")),
            (waits, format!("  {kind}: \"")),
            (OPENWRT, format!("`{kind}`")),
            ("README.md", format!("| `{kind}` |")),
        ] {
            assert!(text(file).contains(&word), "{file} lacks {word}");
        }
        for (file, line) in
            [("docs/protocol.md", "- `hello`: `kind` is "), ("docs/ARCHITECTURE.md", "| target | ")]
        {
            let page = text(file);
            let line = page.lines().find(|it| it.starts_with(line)).unwrap();
            assert!(line.contains(kind), "{file} lacks `{kind}` in: {line}");
        }
    }
}

#[test]
fn lucis_page_of_people_has_every_option_of_theirs() {
    let view = text(ACCESS);
    for option in
        ["user", "token", "certificate", "role"].iter().flat_map(|section| options(section))
    {
        let shown = view.contains(&format!("'{}'", option.name));
        assert_eq!(
            shown,
            !NOT_SHOWN.contains(&option.name) && option.name != "sha256_file",
            "{}",
            option.name
        );
    }
}
