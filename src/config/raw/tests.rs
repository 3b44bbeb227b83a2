//! Tests of the reader: what it makes of a file, beside serde-saphyr as the judge, and that mistakes have their places.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde::Deserialize as _;

use super::{
    read::read,
    shape::{INSIDE, Shape},
    tree::{Kind, Node, parse},
    yaml::{Leaf, Named, Placed},
};
use crate::config::{MAX_FILE, SecretSource, Text, parse_files};

/// One file by itself.
fn alone(text: &str) -> [Text<'_>; 1] {
    [Text { name: "x", text }]
}

/// A tree without its places.
fn plain(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Nothing => serde_json::Value::Null,
        Kind::Text(text) => text.as_str().into(),
        Kind::List(items) => items.iter().map(plain).collect(),
        Kind::Map(rows) => rows.iter().map(|(key, value)| (text(key), plain(value))).collect(),
    }
}

fn text(node: &Node) -> String {
    let Kind::Text(text) = &node.kind else { panic!("{node:?}") };
    text.clone()
}

fn tree(text: &str) -> serde_json::Value {
    plain(&parse(text, 0).unwrap_or_else(|error| panic!("{text}\n{error:?}")))
}

/// The same as serde-saphyr reads it where every value is asked for as a text.
#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(untagged)]
enum Judged {
    Map(std::collections::BTreeMap<String, Self>),
    List(Vec<Self>),
    Text(String),
    Number(serde_json::Number),
    Truth(bool),
    Nothing(()),
}

/// Whether both are the same: the judge has numbers and truth values where we have their text.
fn same(ours: &serde_json::Value, judged: &Judged) -> bool {
    match (ours, judged) {
        (serde_json::Value::Object(ours), Judged::Map(map)) => {
            ours.len() == map.len()
                && ours.iter().all(|(key, value)| map.get(key).is_some_and(|other| same(value, other)))
        }
        (serde_json::Value::Array(ours), Judged::List(list)) => {
            ours.len() == list.len() && ours.iter().zip(list).all(|(one, other)| same(one, other))
        }
        (serde_json::Value::String(text), Judged::Text(other)) => text == other,
        (serde_json::Value::String(text), Judged::Truth(truth)) => text.to_lowercase() == truth.to_string(),
        (serde_json::Value::String(_), Judged::Number(_))
        | (serde_json::Value::Null, Judged::Nothing(())) => true,
        _ => false,
    }
}

#[test]
fn a_key_of_the_part_below_is_told_with_its_part() {
    let error =
        |text: &str| crate::config::parse(text, "w", &|_| Err(String::new())).unwrap_err().to_string();
    for (text, hint) in [
        (
            "endpoints: { a: { sim: echo, linger: 9s } }",
            "unknown key `linger`; `linger` stands under `limits`: write limits: { linger: ... }",
        ),
        ("endpoints: { a: { sim: echo, lingr: 9s } }", "unknown key `lingr`; `linger` stands under `limits`"),
        (
            "endpoints: { a: { serial: { port: /dev/x }, baud: 9600 } }",
            "`baud` stands under `serial`: write serial: { baud: ... }",
        ),
        ("conections: 9", "`connections` stands under `limits`"),
        // What is nearer here is meant here.
        ("endpoints: { a: { sim: echo, limit: {} } }", "did you mean `limits`?"),
    ] {
        assert!(error(text).contains(hint), "{}", error(text));
    }
    // The table is true of the shapes.
    for (level, part, keys) in INSIDE {
        for key in keys {
            let text = match level {
                "share" => format!("endpoints: {{ a: {{ {part}: {{ {key}: [ [] ] }} }} }}"),
                _ => format!("{part}: {{ {key}: [ [] ] }}"),
            };
            assert!(!error(&text).contains("unknown key"), "{}", error(&text));
        }
    }
}

#[test]
fn every_notation_of_a_value_gives_its_text() {
    let text = "plain: 0403:6001\nsingle: 'it''s'\ndouble: \"a\\tb\"\nhex: 0x10\nempty:\ntilde: ~\nword: null\nquoted: 'null'\n\
                literal: |\n  a\n  b\nfolded: >-\n  a\n  b\nlist: [1, {a: b}, [], yes]\nblock:\n- x\n- y: z\n";
    assert_eq!(
        tree(text),
        serde_json::json!({
            "plain": "0403:6001", "single": "it's", "double": "a\tb", "hex": "0x10", "empty": null, "tilde": null,
            "word": null, "quoted": "null", "literal": "a\nb\n", "folded": "a b", "list": ["1", {"a": "b"}, [], "yes"],
            "block": ["x", {"y": "z"}],
        })
    );
}

#[test]
fn aliases_and_merges_are_put_in_and_written_keys_win() {
    let text = "base: &base { a: 1, b: 2 }\nmore: &more { b: 3, c: 4 }\nsame: *base\none: { <<: *base, b: 5 }\n\
                both: { d: 6, <<: [ *base, *more ] }\n";
    let tree = tree(text);
    assert_eq!(tree["same"], serde_json::json!({ "a": "1", "b": "2" }));
    assert_eq!(tree["one"], serde_json::json!({ "a": "1", "b": "5" }));
    assert_eq!(tree["both"], serde_json::json!({ "a": "1", "b": "2", "c": "4", "d": "6" }));
}

#[test]
fn what_cannot_be_meant_is_refused_at_its_place() {
    for (text, place, part) in [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "the key `a` is here twice"),
        ("a: { x: 1, x: 2 }\n", (1, 12), "the key `x` is here twice"),
        ("[a, b]: c\n", (1, 1), "a key is a single value"),
        ("~: c\n", (1, 1), "a key is a single value"),
        ("a: !secret b\n", (1, 4), "tags"),
        ("a: !!int b\n", (1, 4), "tags"),
        ("a: *nobody\n", (1, 4), ""),
        ("a: &a [ *a ]\n", (1, 9), "within what it stands for"),
        ("a: b\n---\nc: d\n", (2, 1), "one document"),
        ("<<: text\n", (1, 1), "takes a mapping"),
        ("a: [ b\nc: d\n", (2, 1), ""),
        ("a: 'b\n", (2, 1), ""),
    ] {
        let (at, what) = parse(text, 0).map(|node| plain(&node)).unwrap_err();
        assert!(what.contains(part) && !what.is_empty(), "{text}: {what}");
        if !part.is_empty() {
            assert_eq!((at.line, at.column), place, "{text}: {what}");
        }
    }
    assert!(
        tree("a: !!str ~\nb: !!map {}\nc: !!seq []\n") == serde_json::json!({ "a": "~", "b": {}, "c": [] })
    );
}

#[test]
fn neither_depth_nor_aliases_take_more_than_is_granted() {
    let deep = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&deep(60), 0).is_ok());
    assert!(parse(&deep(64), 0).unwrap_err().1.contains("nested too deep"));
    // Each line is one level deeper by its alias, however flat it is written.
    let mut ladder = "a0: &a0 x\n".to_owned();
    for step in 1..70 {
        let _ = writeln!(ladder, "a{step}: &a{step} [ *a{} ]", step - 1);
    }
    assert!(parse(&ladder, 0).unwrap_err().1.contains("nested too deep"));
    assert!(parse(&format!("a: [{}]", "x,".repeat(100_001)), 0).unwrap_err().1.contains("too much"));
}

#[test]
fn a_value_knows_where_it_is_and_an_alias_is_where_it_stands() {
    let text = "first: &f\n  key: one\nsecond: *f\n";
    let rows: Named<Placed<Named<Leaf<String>>>> = read(&alone(text)).0.unwrap();
    let places: Vec<_> =
        rows.0.iter().map(|(key, value)| (key.at.line, value.at.line, value.at.column)).collect();
    assert_eq!(places, [(1, 2, 3), (3, 3, 9)]);
    let (key, value) = &rows.0[0].1.value.0[0];
    assert_eq!(
        (key.text.as_str(), value.text.as_str(), value.at.line, value.at.column),
        ("key", "one", 2, 8)
    );
}

#[test]
fn the_wrong_kind_of_value_says_what_to_write() {
    let wrong = |text: &str| {
        let (file, mut flaws) = read::<Named<Leaf<String>>>(&alone(text));
        assert!(file.is_none() && flaws.len() == 1, "{flaws:?}");
        let (_, path, what) = flaws.remove(0);
        format!("{path}: {what}")
    };
    assert_eq!(wrong("a: [ b ]"), "a: write a single value here, not a list or a mapping");
    assert_eq!(wrong("a:"), "a: nothing is written here; write a value, or leave the key out");
    assert!(wrong("[ a ]").contains("a mapping is wanted here, not a sequence"));
    let (_, listed) = read::<Named<Vec<Leaf<String>>>>(&alone("a: b"));
    assert_eq!(listed[0].2, "write a list here, like [ a, b ]");
}

/// A value as people write it, on one line.
fn written() -> impl Strategy<Value = String> {
    // The judge takes YAML 1.1's other words for true and false where no type is asked for; a file's shapes always ask.
    let old = ["y", "n", "yes", "no", "on", "off"];
    let scalar = prop_oneof![
        "[a-z][a-z0-9:/._-]{0,8}[a-z0-9]"
            .prop_filter("a word of YAML 1.1", move |word| !old.contains(&word.as_str())),
        "[0-9]{1,6}",
        Just("~".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "'[ -&(-~]{0,8}'",
        "\"[ !#-\\[\\]-~]{0,8}\"",
    ];
    scalar.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[ {} ]", items.join(", "))),
            prop::collection::vec(("[a-e]{1,2}", inner), 0..4).prop_map(|rows| {
                let rows: Vec<_> = rows.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{ {} }}", rows.join(", "))
            }),
        ]
    })
}

fn agree(text: &str) {
    let judged = serde_yaml::from_str::<Judged>(text);
    match (parse(text, 0), judged) {
        (Ok(node), Ok(judged)) => assert!(same(&plain(&node), &judged), "{text}\n{node:?}\n{judged:?}"),
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("{text}\n{ours:?}\n{theirs:?}"),
    }
}

proptest! {
    #[test]
    fn a_file_is_read_as_serde_saphyr_reads_it(
        rows in prop::collection::vec(("[a-h]{1,2}", written(), any::<bool>()), 1..8), comment in "[ -~]{0,10}",
    ) {
        let mut text = format!("# {comment}\n");
        for (key, value, below) in rows {
            let (before, behind) = if below { ("\n ", "") } else { ("", " # x") };
            let _ = writeln!(text, "{key}:{before} {value}{behind}");
        }
        agree(&text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-c\\[\\]{}:&*#|>'\"~!%@` \n\t-]{0,60}") {
        if let Ok(node) = parse(&text, 0) {
            let _ = Named::<Leaf<String>>::deserialize(Shape(&node));
        }
    }
}

#[test]
fn endpoints_of_other_files_join_those_of_the_first_and_mistakes_keep_their_file() {
    let file = |name, text| Text { name, text };
    let main = "endpoints: { a: { sim: echo } }\nauth: none\n";
    let secrets = |_: &SecretSource| Err("none".to_owned());
    let (config, _) = parse_files(
        &[
            file("w", main),
            file("b", "b: { sim: echo }\n"),
            file("empty", "# later\n"),
            file("c", "c: { sim: modem }"),
        ],
        &secrets,
    )
    .unwrap();
    assert_eq!(config.endpoints.keys().map(String::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    for main in ["auth: none\n", "auth: none\nendpoints:\n"] {
        let all = [file("w", main), file("b", "b: { sim: echo }\n")];
        assert_eq!(parse_files(&all, &secrets).unwrap().0.endpoints.len(), 1, "{main}");
    }
    for (second, expected) in [
        ("a: { sim: echo }\n", "b:1:1: endpoints: `a` is in w:1, too; keep one"),
        ("\nb: { sim: echo, baud: 9 }", "b:2:17: endpoints.b: unknown key `baud`"),
        ("b: { sim: eko }", "b:1:11: endpoints.b.sim: "),
        ("b: { serial: { port: /dev/x, baud: fast } }", "b:1:36: endpoints.b.serial.baud: "),
        ("- b", "b:1:1: an endpoint's name"),
        ("b: [", "b:1:"),
        ("endpoints: { b: { sim: echo } }", "b:1:14: endpoints.endpoints: unknown key `b`"),
    ] {
        let error = parse_files(&[file("w", main), file("b", second)], &secrets).unwrap_err().to_string();
        assert!(error.contains(expected), "{second}\n{error}");
    }
    // Those of all files at once.
    let all = [file("w", "auth: nobody\nendpoints: {}\n"), file("b", "b: { sim: eko }")];
    let error = parse_files(&all, &secrets).unwrap_err().to_string();
    assert!(error.contains("w:1:7: auth") && error.contains("b:1:11: "), "{error}");
    let big = format!("#{}", "x".repeat(MAX_FILE / 2));
    let error = parse_files(&[file("w", &big), file("b", &big)], &secrets).unwrap_err();
    assert!(error.to_string().contains("b: the file is over 1 MiB"), "{error}");
}
