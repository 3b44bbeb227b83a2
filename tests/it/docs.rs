//! What the documentation says about itself is true: its links lead somewhere, and its list of
//! dependencies is the one in use.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages at the top and in `docs/`.
fn pages() -> Vec<PathBuf> {
    let entries = ["", "docs"].map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// The targets of `[text](target)`.
fn links(page: &str) -> Vec<String> {
    let ends = page.split("](").skip(1);
    ends.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// A page's headings as a link names them.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |heading: &str| -> String {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        words.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_relative_link_of_the_documentation_leads_somewhere() {
    let mut dead = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for link in links(&text(&page)).into_iter().filter(|link| !link.contains("://")) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target =
                if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there = target.exists()
                && (anchor.is_empty() || anchors(&text(&target)).contains(&anchor.to_owned()));
            if !there {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(seen > 10, "only {seen} links found: the pages are read wrongly");
}

/// A page's YAML blocks that are not indented.
fn yaml(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(margin) = line.strip_suffix("```yaml") else {
            continue;
        };
        let block = lines.by_ref().take_while(|line| line.trim() != "```");
        blocks.push(
            block
                .map(|line| line.strip_prefix(margin).unwrap_or(line))
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    blocks
}

#[test]
fn what_readme_and_guide_say_to_paste_loads_and_what_the_package_installs() {
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg";
    let mut blocks: Vec<_> = ["README.md", "docs/guide.md"]
        .iter()
        .flat_map(|page| yaml(&text(&root().join(page))))
        .collect();
    blocks.push(text(&root().join("packaging/deb/wsbridge.yaml")));
    let mut seen = 0;
    for block in blocks.into_iter().filter(|block| !block.starts_with("# prometheus")) {
        let filled = block
            .replace("$argon2id$...", HASH)
            .replace("\"...\"", &format!("\"{}\"", "0f".repeat(32)));
        // A part of a file is valid once somebody can sign in.
        let somebody = format!(
            "users: {{ admin: {{ password: \"{HASH}\", rights: {{ \"*\": [ read ] }} }} }}\n"
        );
        let whole = if filled.contains("users:") { filled } else { somebody + &filled };
        let loaded = wsbridge::testing::parse(&whole, "block", &|_| Ok(HASH.to_owned()));
        assert!(loaded.is_ok(), "{block}\n{}", loaded.unwrap_err());
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

/// The names at the beginning of a section's lines, up to the next `[`.
fn dependencies() -> BTreeSet<String> {
    let manifest = text(&root().join("Cargo.toml"));
    // Those of every system, and each system's own.
    let sections = manifest.split("\n[").filter_map(|section| {
        let (name, lines) = section.split_once("]\n")?;
        (name == "dependencies" || name.ends_with(".dependencies")).then_some(lines)
    });
    sections
        .flat_map(str::lines)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn every_dependency_has_its_reason_and_no_reason_outlives_its_dependency() {
    let page = text(&root().join("docs/ARCHITECTURE.md"));
    let table = page.split_once("\n## Dependencies\n").unwrap().1;
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    // The first two rows are the table's head; a package that has another name is in brackets.
    let listed = rows.skip(1).flat_map(|(names, _)| names.split(", "));
    let named: BTreeSet<String> = listed
        .map(|name| name.split(" (").next().unwrap().to_owned())
        .filter(|name| name != "---")
        .collect();
    assert_eq!(named, dependencies());
}

/// The tests that a page names: `file::test` of `tests/it`, `module::of::src::test`, and files of
/// other suites.
fn named_tests(page: &str) -> Vec<&str> {
    let quoted = page.split('`').skip(1).step_by(2);
    let of_rust = |text: &str| {
        let mut parts = text.split("::");
        let word = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        text.contains("::") && parts.all(word)
    };
    quoted
        .filter(|text| text.starts_with("tests/") && !text.contains(' ') || of_rust(text))
        .collect()
}

/// Whether a test with this name exists.
fn exists(named: &str) -> bool {
    let Some((module, name)) = named.rsplit_once("::") else { return root().join(named).exists() };
    let path = module.replace("::", "/");
    let src = root().join("src");
    let files = [
        root().join("tests/it").join(format!("{path}.rs")),
        src.join(format!("{path}.rs")),
        src.join(&path).join("mod.rs"),
        src.join(&path).join("tests.rs"),
    ];
    let defined = format!("fn {name}() {{");
    files.iter().filter(|file| file.is_file()).any(|file| {
        let text = text(file);
        let at = text.find(&defined).unwrap_or(text.len());
        // Its attribute is right before it.
        let before: Vec<_> = text[..at].lines().rev().take(4).collect();
        at < text.len() && before.iter().any(|line| line.contains("test"))
    })
}

#[test]
fn every_promise_about_security_names_tests_that_there_are() {
    let page = text(&root().join("docs/security.md"));
    let named = named_tests(&page);
    assert!(named.len() > 60, "{}: the page is read wrongly", named.len());
    let gone: Vec<_> = named.into_iter().filter(|test| !exists(test)).collect();
    assert!(gone.is_empty(), "{gone:#?}");
    // And each row of the table names one.
    let table =
        page.split_once("\n## Which test holds it\n").unwrap().1.split("\n## ").next().unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    let bare: Vec<_> =
        rows.iter().filter(|row| !row.starts_with("| **") && named_tests(row).is_empty()).collect();
    assert!(rows.len() > 40 && bare.is_empty(), "{bare:#?}");
    assert!(!exists("walls::no_such_test") && !exists("tests/no/such/file"));
}
