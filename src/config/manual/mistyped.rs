//! A hundred mistyped files, each with the exact text that `wsbridge check` prints: `mistyped.txt`;
//! and the same mistakes in UCI, reported in UCI's words: `mistyped_uci.txt`.

use std::fs;

use crate::config::{Config, ConfigError, SecretSource, Warning, parse, parse_uci};

const YAML: &str = include_str!("mistyped.txt");
const UCI: &str = include_str!("mistyped_uci.txt");
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg";

/// Words of the YAML form and its syntax, which nobody finds in `/etc/config/wsbridge`.
const YAMLS_WORDS: [&str; 14] = [
    "YAML", "mapping", " key ", " key:", "a colon", "indent", "[ ", "{ ", "{}", ": `", "`", "[]",
    "[0]", "rights:",
];

fn secrets(source: &SecretSource) -> Result<String, String> {
    match source {
        SecretSource::File(path) => Err(format!("{}: not here", path.display())),
        SecretSource::Credential(name) => Err(format!("credential {name}: not here")),
    }
}

fn told(read: Result<(Config, Vec<Warning>), ConfigError>) -> String {
    match read {
        Err(error) => format!("{error}\n"),
        Ok((_, warnings)) => {
            warnings.iter().fold(String::new(), |all, it| all + "warning: " + &it.0 + "\n")
        }
    }
}

/// The title and text of every case, with what is said about it. If that differs from the table,
/// this fails, or rewrites the table.
fn hold(file: &str, table: &str, told: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let (head, cases) = table.split_once("\n=== ").unwrap();
    let mut made = format!("{}\n", head.trim_end());
    let (mut wrong, mut all) = (Vec::new(), Vec::new());
    for case in cases.split("\n=== ") {
        let (title, rest) = case.split_once('\n').unwrap();
        let (text, expected) = rest.rsplit_once("~~~\n").unwrap();
        let now = told(text);
        if now.trim_end() != expected.trim_end() {
            wrong.push(format!("{title}:\n{now}"));
        }
        made.extend(["\n=== ", title, "\n", text, "~~~\n", &now]);
        all.push((title.to_owned(), now));
    }
    if std::env::var_os("WSBRIDGE_WRITE").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/manual/");
        fs::write(format!("{folder}{file}"), &made).unwrap();
    }
    assert!(wrong.is_empty(), "other words than the table's:\n{}", wrong.join("\n"));
    all
}

#[test]
fn a_hundred_mistyped_files_are_told_in_these_words() {
    let all = hold("mistyped.txt", YAML, |text| told(parse(text, "w.yaml", &secrets)));
    assert!(all.len() >= 100, "{}", all.len());
    for (title, now) in all {
        // Every mistake has its place, and none is reported only in a parser's words.
        assert!(now.starts_with("w.yaml:") || now.starts_with("warning: "), "{title}: {now}");
    }
}

#[test]
fn the_same_mistakes_in_uci_are_told_in_ucis_words() {
    let all = hold("mistyped_uci.txt", UCI, |text| {
        told(parse_uci(&text.replace("HASH", HASH), "w", &secrets))
    });
    assert!(all.len() >= 60, "{}", all.len());
    for (title, now) in all {
        assert!(now.starts_with("w:") || now.starts_with("warning: "), "{title}: {now}");
        // What the file itself says is shown as it is.
        let said: Vec<_> = now.lines().filter(|line| !line.starts_with("  ")).collect();
        let said = said.join("\n") + " ";
        let found = YAMLS_WORDS.iter().find(|word| said.contains(**word));
        assert!(found.is_none(), "{title}: {found:?} in {said}");
        // `endpoints.e.serial` is a path of keys; here a section and its option should be named
        // instead.
        let dotted = ["endpoints.", "users.", "tokens.", "roles.", "listen.", "limits."];
        assert!(!dotted.iter().any(|path| said.contains(path)), "{title}: {said}");
    }
}
