//! No circle of imports between the files of one floor: somebody who reads a file first meets
//! nothing that leads back to it.
//!
//! A module and the files below it may name each other, as a folder and its contents do; siblings
//! may not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::floors::{walk, without_comments};

/// The files of a crate by module path (`line::input`), each with its code.
struct Crate(BTreeMap<String, String>);

#[test]
fn no_two_files_import_each_other_even_by_a_detour() {
    let circles = Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).circles();
    let told: Vec<_> = circles.iter().map(|circle| circle.join(" <-> ")).collect();
    assert!(told.is_empty(), "files that import each other:\n{}\n", told.join("\n"));
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        walk(root, &mut files);
        let code = files.iter().filter_map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let module = name.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
            let tests = module.split("::").any(|part| part == "tests");
            let root = matches!(name, "lib.rs" | "main.rs");
            (!tests && !root).then(|| (module, outside_tests(&fs::read_to_string(path).unwrap())))
        });
        Self(code.collect())
    }

    /// Groups of files, each of which leads to every other file of its group.
    fn circles(&self) -> Vec<Vec<String>> {
        let arrows: BTreeMap<&str, BTreeSet<String>> =
            self.0.keys().map(|module| (module.as_str(), self.arrows(module))).collect();
        let reach: BTreeMap<&str, BTreeSet<String>> =
            self.0.keys().map(|module| (module.as_str(), reachable(module, &arrows))).collect();
        let mut circles = BTreeSet::new();
        for (module, all) in &reach {
            let back = |other: &&String| {
                reach.get(other.as_str()).is_some_and(|back| back.contains(*module))
            };
            let mut circle: Vec<String> = all.iter().filter(back).cloned().collect();
            circle.sort();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// The files that a file imports, apart from its own folders and contents.
    fn arrows(&self, module: &str) -> BTreeSet<String> {
        let related = |other: &str| {
            let within = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}::"));
            other == module || within(other, module) || within(module, other)
        };
        let found =
            paths(&self.0[module]).into_iter().filter_map(|path| self.file_of(module, &path));
        found.filter(|other| !related(other)).collect()
    }

    /// The file that defines what a path names; a name that a folder re-exports is looked up where
    /// it comes from.
    fn file_of(&self, module: &str, path: &[String]) -> Option<String> {
        let mut at: Vec<&str> = match path.first()?.as_str() {
            "crate" => Vec::new(),
            _ => module.split("::").collect(),
        };
        let mut rest = path.iter().map(String::as_str).peekable();
        rest.next_if_eq(&"crate");
        rest.next_if_eq(&"self");
        while rest.next_if_eq(&"super").is_some() {
            at.pop();
        }
        for name in rest {
            let deeper = [at.join("::"), name.to_owned()].join("::");
            let deeper = deeper.trim_start_matches("::");
            if self.0.contains_key(deeper) {
                at.push(name);
                continue;
            }
            let here = at.join("::");
            let handed_on = paths(self.0.get(&here)?).into_iter().find(|path| {
                let child = path.first().is_some_and(|first| first == "self") && path.len() > 2;
                child && path.last().is_some_and(|last| last == name)
            });
            return handed_on.map_or(Some(here.clone()), |path| self.file_of(&here, &path));
        }
        let here = at.join("::");
        self.0.contains_key(&here).then_some(here)
    }
}

fn reachable(from: &str, arrows: &BTreeMap<&str, BTreeSet<String>>) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::from([from.to_owned()]), vec![from.to_owned()]);
    while let Some(module) = open.pop() {
        for next in arrows.get(module.as_str()).into_iter().flatten() {
            if found.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    found
}

/// Code without comments and without what is compiled only for tests; `use child::Name` reads as
/// `self::child::Name`.
fn outside_tests(text: &str) -> String {
    let code = without_comments(text);
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let foreign = |line: &str| {
        let path = line.trim_start_matches("pub").trim_start_matches("(crate)").trim_start();
        let Some(path) = path.strip_prefix("use ") else { return false };
        !["crate::", "self::", "super::", "std::", "{"]
            .iter()
            .any(|prefix| path.starts_with(prefix))
    };
    let own = |line: &str| {
        if foreign(line) { line.replacen("use ", "use self::", 1) } else { line.to_owned() }
    };
    code.lines().map(own).collect::<Vec<_>>().join("\n")
}

/// Every path that begins with `crate`, `self` or `super`, with groups taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let starts =
        ["crate::", "self::", "super::"].iter().flat_map(|start| code.match_indices(start));
    for (at, _) in starts {
        let before = code[..at].chars().next_back();
        // `super::super::` was already begun at its first `super`.
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '(') {
            continue;
        }
        expand(&code[at..], &mut Vec::new(), &mut found);
    }
    found
}

/// Reads one path or group at the beginning of `code`; returns what follows it.
fn expand<'a>(code: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = expand(rest, &mut prefix.clone(), found).trim_start();
            match (rest.strip_prefix(','), rest.strip_prefix('}')) {
                (Some(more), _) if !more.trim_start().starts_with('}') => rest = more,
                (Some(end), _) => return end.trim_start().strip_prefix('}').unwrap_or(end),
                (None, Some(end)) => return end,
                (None, None) => return rest,
            }
        }
    }
    let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
    let (word, rest) = code.split_at(end);
    if word.is_empty() {
        return rest;
    }
    if word != "self" || prefix.is_empty() {
        prefix.push(word.to_owned());
    }
    if let Some(deeper) = rest.strip_prefix("::") {
        return expand(deeper, prefix, found);
    }
    found.push(prefix.clone());
    // `Name as Other`
    let rest = rest.trim_start();
    rest.strip_prefix("as ").map_or(rest, |renamed| {
        renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
    })
}

mod planted {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let file = |(name, code): &(&str, &str)| ((*name).to_owned(), outside_tests(code));
        Crate(files.iter().map(file).collect()).circles()
    }

    #[test]
    fn a_circle_of_siblings_is_found_however_it_is_written() {
        for (a, b) in [
            ("use super::b::B;", "use crate::x::a::A;"),
            ("use crate::x::{a, b::{self, B}};", "use super::{\n    a::A,\n};"),
            ("fn f() { super::b::g() }", "use super::A;"),
            ("use super::B;", "use crate::{x::A};"),
        ] {
            let folder = "mod a;\nmod b;\npub use self::a::A;\npub(crate) use b::{B, C};\n";
            let found = circles(&[("x", folder), ("x::a", a), ("x::b", b)]);
            assert_eq!(found, [["x::a", "x::b"]], "{a} / {b}");
        }
    }

    #[test]
    fn a_folder_and_its_contents_are_no_circle_nor_is_what_tests_import() {
        let folder = "mod a;\nmod b;\nuse self::a::A;\npub struct X;";
        let a = "use super::{X, b::B};";
        let b = "use super::X;\n#[cfg(test)]\nmod tests {\n    use super::super::a::A;\n}";
        assert!(circles(&[("x", folder), ("x::a", a), ("x::b", b)]).is_empty());
    }

    #[test]
    fn a_circle_by_a_detour_is_found() {
        let found =
            circles(&[("a", "use crate::b;"), ("b", "use crate::c::f;"), ("c", "use crate::a;")]);
        assert_eq!(found, [["a", "b", "c"]]);
    }
}
