//! The floors of `src/lib.rs` and the other rules of the house that a program can check.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Ground first. A module imports from lower floors and from itself, never from its neighbours.
const FLOORS: [&[&str]; 15] = [
    &["settings", "span"],
    &["sys"],
    &["wire"],
    &["config", "metrics"],
    &["boot", "pty", "regular_file", "screen"],
    &["stream"],
    &["dial"],
    &[
        "announce", "audit", "auth", "clock", "logging", "process", "record", "switch", "systemd",
        "target", "tls",
    ],
    &["event", "fleet"],
    &["line"],
    // The client is the other end of a session: neither knows the other.
    &["client", "session"],
    &["http"],
    &["home", "listen"],
    &["daemon"],
    &["cli"],
];

/// Names that say nothing about what a file owns.
const EMPTY_NAMES: [&str; 7] = ["server", "manager", "utils", "util", "common", "types", "handler"];

const LONGEST: usize = 440;

/// The files for calls that no safe crate has: of Linux, of Windows.
const UNSAFE_FILES: [&str; 3] = ["sys/ioctl.rs", "sys/gpio.rs", "sys/console.rs"];

/// The one module that knows YAML.
const YAML_MODULE: &str = "config/yaml";

#[test]
fn every_source_file_keeps_the_rules_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    let broken: Vec<_> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            check(&name, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

pub(super) fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// What is wrong with one file; `name` is its path under `src`.
fn check(name: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//! ") {
        wrong.push("the first line is no `//!` line for the map".to_owned());
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        wrong.push(format!("{lines} lines; the limit is {LONGEST}: which second noun is in it?"));
    }
    for part in name.trim_end_matches(".rs").split('/') {
        if EMPTY_NAMES.contains(&part) {
            wrong.push(format!("`{part}` names nothing; name the one thing the file owns"));
        }
    }
    let code = without_comments(text);
    // Values of headers are not keywords.
    let plain = code.replace("'unsafe-inline'", "").replace("\"unsafe-none\"", "");
    if !UNSAFE_FILES.contains(&name) && words(&plain).any(|word| word == "unsafe") {
        wrong.push(format!("`unsafe` belongs in {} alone", UNSAFE_FILES.join(" and ")));
    }
    if !name.starts_with(YAML_MODULE)
        && words(&code).any(|word| matches!(word, "serde_yaml" | "serde_saphyr"))
    {
        wrong.push(format!("YAML belongs in {YAML_MODULE} alone"));
    }
    let module = name.split(['/', '.']).next().unwrap_or_default();
    if !matches!(name, "lib.rs" | "main.rs") {
        wrong.extend(imports(name, &code).iter().filter_map(|other| climbs(module, other)));
    }
    wrong.into_iter().map(|what| format!("src/{name}: {what}")).collect()
}

/// Why `module` may not import `other`.
fn climbs(module: &str, other: &str) -> Option<String> {
    let floor = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    match (floor(module), floor(other)) {
        (None, _) => Some(format!("`{module}` is on no floor; give it one in tests/it/floors.rs")),
        (_, None) => None,
        (Some(own), Some(its)) => (own <= its && module != other).then(|| {
            format!("`{module}` (floor {own}) imports `{other}` (floor {its}); imports point down")
        }),
    }
}

/// The modules a file names after `crate::`, and after `super::` where that is the crate.
fn imports(name: &str, code: &str) -> BTreeSet<String> {
    let mut found = behind("crate::", code);
    if !name.contains('/') || name.ends_with("/mod.rs") && name.matches('/').count() == 1 {
        let outside_tests = code.split("#[cfg(test)]").next().unwrap_or_default();
        found.extend(behind("super::", outside_tests));
    }
    found
}

/// First names after a prefix, with `{a, b::c}` taken apart.
fn behind(prefix: &str, code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split(prefix).skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.extend(words(rest).next().map(str::to_owned));
            continue;
        };
        let (mut depth, mut first) = (0_usize, true);
        for piece in group.split_inclusive(['{', '}', ',']) {
            if first && depth == 0 {
                found.extend(words(piece).next().map(str::to_owned));
            }
            first = piece.ends_with(',');
            if piece.ends_with('{') {
                depth += 1;
            } else if piece.ends_with('}') {
                let Some(outer) = depth.checked_sub(1) else { break };
                depth = outer;
            }
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

pub(super) fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

mod planted {
    //! The checker finds what it looks for.

    use super::*;

    fn found(name: &str, body: &str) -> String {
        check(name, &format!("//! A file.\n{body}\n")).join("\n")
    }

    #[test]
    fn an_import_that_climbs_is_found_however_it_is_written() {
        for body in [
            "use crate::http::Bridge;",
            "use crate::{config::{Config, Target}, http::Bridge};",
            "use crate::{\n    config::Config,\n    http,\n};",
            "fn f() { crate::http::routes(); }",
            "use super::http;",
        ] {
            assert!(
                found("line/mod.rs", body).contains("`line` (floor 9) imports `http` (floor 11)"),
                "{body}"
            );
        }
    }

    #[test]
    fn a_neighbour_is_found_and_lower_floors_and_the_module_itself_are_not() {
        assert!(
            found("wire/frame.rs", "use crate::metrics::Metrics;").contains("imports point down")
        );
        assert_eq!(
            found("line/tape.rs", "use crate::{config::Config, line::Seat, target::{self, tcp}};"),
            ""
        );
        assert_eq!(
            found(
                "config/plan.rs",
                "use super::http;\n// crate::http\n#[cfg(test)]\nuse super::*;"
            ),
            ""
        );
    }

    #[test]
    fn a_module_without_a_floor_is_found() {
        assert!(found("attic/mod.rs", "use crate::wire;").contains("`attic` is on no floor"));
    }

    #[test]
    fn each_other_rule_finds_its_breach() {
        assert!(check("wire/a.rs", "fn f() {}\n").join("").contains("first line"));
        assert!(found("wire/a.rs", &"\n".repeat(440)).contains("limit is 440"));
        assert!(found("http/utils.rs", "").contains("`utils` names nothing"));
        assert!(found("http/handler/mod.rs", "").contains("`handler` names nothing"));
        assert!(found("http/a.rs", "unsafe { x() }").contains("`unsafe` belongs"));
        assert!(found("http/a.rs", "use serde_yaml::Value;").contains("YAML belongs"));
        assert_eq!(found("sys/ioctl.rs", "unsafe { x() }"), "");
        assert_eq!(found("http/a.rs", "const POLICY: &str = \"style-src 'unsafe-inline'\";"), "");
        assert_eq!(found("http/a.rs", "// unsafe is not used, nor serde_yaml"), "");
    }
}
