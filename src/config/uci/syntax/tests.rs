//! Tests of UCI's grammar.

use proptest::prelude::*;

use super::*;

/// Kind, name, options with their values.
type Seen = (String, Option<String>, Vec<(String, Vec<String>)>);

fn sections(text: &str) -> Vec<Seen> {
    let read = read(text);
    assert!(read.mistakes.is_empty(), "{text}\n{:?}", read.mistakes);
    let entry = |entry: OptionLines| {
        (entry.option, entry.values.into_iter().map(|value| value.text).collect())
    };
    let section = |it: Section| (it.kind, it.name, it.entries.into_iter().map(entry).collect());
    read.sections.into_iter().map(section).collect()
}

/// The one value of `option a`.
fn value(written: &str) -> String {
    sections(&format!("config t\n\toption a {written}\n"))[0].2[0].1[0].clone()
}

#[test]
fn every_way_of_quoting_is_read_as_libuci_reads_it() {
    for (written, read) in [
        ("plain", "plain"),
        ("'a b'", "a b"),
        ("\"a b\"", "a b"),
        ("'a\\b'", "a\\b"),
        ("\"a\\b\\\"c\"", "ab\"c"),
        ("a\\ b", "a b"),
        ("'it'\\''s'", "it's"),
        ("a'b'\"c\"d", "abcd"),
        ("'a#b;c'", "a#b;c"),
        ("a#b", "a"),
        ("'two\nlines'", "two\nlines"),
        ("\"one \\\nline\"", "one line"),
        ("on\\\r\ne", "one"),
        ("'x' # comment", "x"),
        ("'$argon2id$v=19'", "$argon2id$v=19"),
    ] {
        assert_eq!(value(written), read, "{written}");
    }
}

#[test]
fn sections_options_and_lists_are_put_together() {
    let text = "package wsbridge\n\n# comment\nconfig wsbridge 'main'\n\toption enabled '1'\r\n\tlist listen a\n\tlist \
                listen b\nconfig e\no x 1; o y 2\nconfig wsbridge main\n\toption late 3\n\toption none ''\n";
    let pair = |option: &str, values: &[&str]| {
        (option.to_owned(), values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
    };
    let main = vec![pair("enabled", &["1"]), pair("listen", &["a", "b"]), pair("late", &["3"])];
    let expected = vec![
        ("wsbridge".into(), Some("main".into()), main),
        ("e".into(), None, vec![pair("x", &["1"]), pair("y", &["2"])]),
    ];
    assert_eq!(sections(text), expected);
}

#[test]
fn an_option_that_is_here_twice_counts_once_and_a_list_takes_an_option_in() {
    let read = read("config t\noption a 1\noption a 2\noption b 1\nlist b 2\n");
    assert_eq!(
        read.odd,
        [Mistake { line: 3, what: "option 'a' is here twice; this one counts".into() }]
    );
    assert_eq!(read.sections[0].value("a").unwrap().text, "2");
    assert_eq!(read.sections[0].entries[1].values.len(), 2);
}

#[test]
fn each_mistake_has_its_line_and_what_to_do() {
    for (text, line, part) in [
        ("config t\n\toptoin a 1\n", 2, "did you mean `option`?"),
        ("option a 1\n", 1, "before the first `config`"),
        ("config t\noption a\n", 2, "has no value"),
        ("config t\noption a b c\n", 2, "single quotes"),
        ("config\n", 1, "needs a name"),
        ("config t 'a-b'\n", 1, "option name 'a-b'"),
        ("config t a\nconfig u a\n", 2, "another section"),
        ("config t\noption a-b 1\n", 2, "not a name of an option"),
        ("config t\n\noption a 'b\n\n", 3, "never closed"),
        ("config t\noption a \"b\n", 2, "never closed"),
    ] {
        let read = read(text);
        assert_eq!(read.mistakes.len(), 1, "{text}");
        assert!(read.mistakes[0].line == line && read.mistakes[0].what.contains(part), "{read:?}");
    }
}

#[test]
fn values_know_their_lines() {
    let read = read("config t\n\n\tlist a 'x\ny'\n\tlist a z\n");
    let lines: Vec<_> =
        read.sections[0].entries[0].values.iter().map(|value| value.at.line).collect();
    assert_eq!(lines, [3, 5]);
}

proptest! {
    #[test]
    fn any_value_in_single_quotes_is_read_back(text in "\\PC{1,40}|[ '\"\\\\#;\n]{1,12}") {
        let written = crate::config::uci::quoted(&text);
        prop_assert_eq!(value(&written), text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,100}", lines in "((config|option|list|o) ['\"\\\\#; a-z]{0,12}\n){0,8}") {
        let _ = (read(&text), read(&lines));
    }
}
