//! A hundred mistyped files, each with the exact text that `wsbridge check` prints: `mistyped.txt`.

use std::fs;

use crate::config::{SecretSource, parse};

const TABLE: &str = include_str!("mistyped.txt");

fn told(text: &str) -> String {
    let secrets = |source: &SecretSource| Err(format!("{source:?} is not here"));
    match parse(text, "w.yaml", &secrets) {
        Err(error) => format!("{error}\n"),
        Ok((_, warnings)) => {
            warnings.iter().fold(String::new(), |all, it| all + "warning: " + &it.0 + "\n")
        }
    }
}

#[test]
fn a_hundred_mistyped_files_are_told_in_these_words() {
    let (head, cases) = TABLE.split_once("\n=== ").unwrap();
    let mut made = format!("{head}\n");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for case in cases.split("\n=== ") {
        let (title, rest) = case.split_once('\n').unwrap();
        let (text, expected) = rest.rsplit_once("~~~\n").unwrap();
        let now = told(text);
        // Every mistake has its place, and none is told in the words of a parser alone.
        assert!(now.starts_with("w.yaml:") || now.starts_with("warning: "), "{title}: {now}");
        if now.trim_end() != expected.trim_end() {
            wrong.push(format!("{title}:\n{now}"));
        }
        made.extend(["\n=== ", title, "\n", text, "~~~\n", &now]);
        seen += 1;
    }
    if std::env::var_os("WSBRIDGE_WRITE").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/manual/mistyped.txt"), &made)
            .unwrap();
    }
    assert!(seen >= 100, "{seen}");
    assert!(wrong.is_empty(), "other words than the table's:\n{}", wrong.join("\n"));
}
