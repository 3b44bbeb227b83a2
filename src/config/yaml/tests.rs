//! Tests of the reader: what it makes of a file, and that mistakes are located and say what to
//! type.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::{super::node::NodeKind, *};
use crate::config::{MAX_FILE, SecretSource, Text, parse_files, resolve::tests::mistakes};

/// A tree without its places.
fn plain(node: &Node) -> serde_json::Value {
    match &node.kind {
        NodeKind::Nothing => serde_json::Value::Null,
        NodeKind::Text(text) => text.as_str().into(),
        NodeKind::List(items) => items.iter().map(plain).collect(),
        NodeKind::Map(rows) => {
            rows.iter().map(|(key, value)| (key.text.clone(), plain(value))).collect()
        }
    }
}

fn tree(text: &str) -> serde_json::Value {
    plain(&parse(text, 0).unwrap_or_else(|error| panic!("{text}\n{error:?}")))
}

#[test]
fn every_notation_of_a_value_gives_its_text() {
    let text = "plain: 0403:6001\nsingle: 'it''s'\ndouble: \"a\\tb\"\nhex: 0x10\nempty:\ntilde: ~\nword: null\nfloat: 1234e567\nold: yes\nlong: 00123\nquoted: 'null'\n\
                literal: |\n  a\n  b\nfolded: >-\n  a\n  b\nlist: [1, {a: b}, [], yes]\nblock:\n- x\n- y: z\n";
    assert_eq!(
        tree(text),
        serde_json::json!({
            "plain": "0403:6001", "single": "it's", "double": "a\tb", "hex": "0x10", "empty": null, "tilde": null,
            "word": null, "float": "1234e567", "old": "yes", "long": "00123", "quoted": "null", "literal": "a\nb\n", "folded": "a b", "list": ["1", {"a": "b"}, [], "yes"],
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
        ("<<: text\n", (1, 5), "takes a mapping"),
        ("a: [ b\nc: d\n", (2, 1), ""),
        ("a: 'b\n", (2, 1), ""),
    ] {
        let (at, what) = parse(text, 0).map(|node| plain(&node)).unwrap_err().remove(0);
        assert!(what.contains(part) && !what.is_empty(), "{text}: {what}");
        if !part.is_empty() {
            assert_eq!((at.line, at.column), place, "{text}: {what}");
        }
    }
    assert!(
        tree("a: !!str ~\nb: !!map {}\nc: !!seq []\n")
            == serde_json::json!({ "a": "~", "b": {}, "c": [] })
    );
}

#[test]
fn neither_depth_nor_aliases_take_more_than_is_granted() {
    let deep = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&deep(28), 0).is_ok());
    assert!(parse(&deep(32), 0).unwrap_err()[0].1.contains("nested too deep"));
    // Its alias makes each line one level deeper, however flat it is written.
    let mut ladder = "a0: &a0 x\n".to_owned();
    for step in 1..40 {
        let _ = writeln!(ladder, "a{step}: &a{step} [ *a{} ]", step - 1);
    }
    let wrong = parse(&ladder, 0).unwrap_err();
    assert!(wrong[0].1.contains("nested too deep"), "{wrong:?}");
    assert!(
        parse(&format!("a: [{}]", "x,".repeat(100_001)), 0).unwrap_err()[0].1.contains("too much")
    );
}

#[test]
fn a_value_knows_where_it_is_and_an_alias_is_where_it_stands() {
    let text = "first: &f\n  key: one\nsecond: *f\n";
    let tree = parse(text, 0).unwrap();
    let places: Vec<_> = tree
        .rows()
        .iter()
        .map(|(key, value)| (key.at.line, value.at.line, value.at.column))
        .collect();
    assert_eq!(places, [(1, 2, 3), (3, 3, 9)]);
    let below = |index: usize| {
        let (key, value) = &tree.rows()[index].1.rows()[0];
        (key.at.line, key.at.column, value.at.line, value.at.column)
    };
    assert_eq!((below(0), below(1)), ((2, 3, 2, 8), (3, 9, 3, 9)));
    let merged = parse("a: &a { b: 1 }\nc:\n  <<: *a\n", 0).unwrap();
    assert_eq!(merged.rows()[1].1.rows()[0].0.at.line, 3);
}

#[test]
fn every_key_that_is_there_twice_is_told_at_once() {
    let wrong = parse("a: 1\nb: { c: 1, c: 2 }\na: 2\n", 0).unwrap_err();
    let lines: Vec<_> = wrong.iter().map(|(at, _)| at.line).collect();
    assert_eq!(lines, [2, 3], "{wrong:?}");
}

#[test]
fn the_usual_slips_are_told_with_what_to_type() {
    for (text, expected) in [
        (
            "auth: none\nendpoints:\n\te: { sim: echo }\n",
            "w.yaml:3:1: a tab cannot indent; use spaces",
        ),
        (
            "auth: none\nlisten:\n  - address: [::]:8443\n",
            "w.yaml:3:14: a text that begins like this needs quotes; write \"[::]:8443\"",
        ),
        ("roles:\n  r:\n    *: [ read ]\n", "write \"*\""),
        (
            "roles: { r: { *: [ read ] } }\n",
            "w.yaml:1:15: no `&` gave anything that name; a text that begins with `*` needs quotes: write \"*\"",
        ),
        (
            "auth: none\nendpoints:\n  e:\n    serial:\n      port: /dev/ttyS1\n      baud:115200\n      flow: none\n",
            "w.yaml:6:11: a colon needs a space after it; write `baud: 115200`",
        ),
        (
            "auth: none\nendpoints:\n  e:\n    serial:\n      baud:115200\n",
            "w.yaml:5:7: endpoints.e.serial: a colon needs a space after it; write `baud: 115200`",
        ),
    ] {
        let error = mistakes(text);
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

/// A value as people write it, on one line, and what it means.
fn written() -> impl Strategy<Value = (String, serde_json::Value)> {
    let text = |text: String| (text.clone(), serde_json::Value::from(text));
    let scalar = prop_oneof![
        "[a-z][a-z0-9:/._-]{0,8}[a-z0-9]".prop_filter("null", |word| word != "null").prop_map(text),
        "[0-9]{1,6}(:[0-9]{2,4})?|0x[0-9a-f]{1,4}|[0-9]e[0-9]{1,3}|true|false|yes|no|[.]inf"
            .prop_map(text),
        Just(("~".to_owned(), serde_json::Value::Null)),
        Just(("null".to_owned(), serde_json::Value::Null)),
        "[ -&(-~]{0,8}".prop_map(|text| (format!("'{text}'"), text.into())),
        "[ !#-\\[\\]-~]{0,8}".prop_map(|text| (format!("\"{text}\""), text.into())),
    ];
    scalar.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                let (texts, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                (format!("[ {} ]", texts.join(", ")), values.into())
            }),
            prop::collection::btree_map("[a-e]{1,2}", inner, 0..4).prop_map(|rows| {
                let texts: Vec<_> =
                    rows.iter().map(|(key, (text, _))| format!("{key}: {text}")).collect();
                let values = rows.into_iter().map(|(key, (_, value))| (key, value)).collect();
                (format!("{{ {} }}", texts.join(", ")), serde_json::Value::Object(values))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_file_is_read_as_it_was_meant(
        rows in prop::collection::btree_map("[a-h]{1,2}", (written(), any::<bool>()), 1..8), comment in "[ -~]{0,10}",
    ) {
        let mut text = format!("# {comment}\n");
        let mut meant = serde_json::Map::new();
        for (key, ((value, meaning), below)) in rows {
            let (before, behind) = if below { ("\n ", "") } else { ("", " # x") };
            let _ = writeln!(text, "{key}:{before} {value}{behind}");
            meant.insert(key, meaning);
        }
        prop_assert_eq!(tree(&text), serde_json::Value::Object(meant), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-c\\[\\]{}:&*#|>'\"~!%@` \n\t-]{0,60}") {
        let _ = parse(&text, 0);
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
        ("a: { sim: echo }\n", "b:1:1: endpoints: `a` is in w:1 as well; keep one"),
        ("\nb: { sim: echo, baud: 9 }", "b:2:17: endpoints.b: unknown key `baud`"),
        ("b: { sim: eko }", "b:1:11: endpoints.b.sim: "),
        ("b: { serial: { port: /dev/x, baud: fast } }", "b:1:36: endpoints.b.serial.baud: "),
        ("- b", "b:1:1: write an endpoint's name"),
        ("b: [", "b:1:"),
        ("endpoints: { b: { sim: echo } }", "b:1:14: endpoints.endpoints: unknown key `b`"),
    ] {
        let error =
            parse_files(&[file("w", main), file("b", second)], &secrets).unwrap_err().to_string();
        assert!(error.contains(expected), "{second}\n{error}");
    }
    // The mistakes of all files at once.
    let all = [file("w", "auth: nobody\nendpoints: {}\n"), file("b", "b: { sim: eko }")];
    let error = parse_files(&all, &secrets).unwrap_err().to_string();
    assert!(error.contains("w:1:7: auth") && error.contains("b:1:11: "), "{error}");
    let big = format!("#{}", "x".repeat(MAX_FILE / 2));
    let error = parse_files(&[file("w", &big), file("b", &big)], &secrets).unwrap_err();
    assert!(error.to_string().contains("b: the file is over 1 MiB"), "{error}");
}
