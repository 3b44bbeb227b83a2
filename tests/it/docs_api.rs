//! What docs/api.md and docs/metrics.md list is exactly what the gateway has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::harness::{Daemon, page};

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// `METHOD /path` of every `.route("/path", get(..).options(..))` of a file.
fn routes(source: &str) -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for call in source.split(".route(\"").skip(1) {
        let (path, rest) = call.split_once('"').unwrap();
        // Methods are called with a handler: `get(page(..))`, `post(entrance(..))`.
        let rest = rest.split(".route(").next().unwrap().split(".fallback(").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete", "options"] {
            if [format!(" {method}("), format!(".{method}(")].iter().any(|call| rest.contains(call))
            {
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    routes
}

#[test]
fn every_route_of_the_router_is_in_the_manual_of_the_api_and_no_other() {
    let of_people = text("src/http/fleet.rs");
    // What gateways reach at their hub is none of it.
    let of_people = of_people.split_once("fn of_people").unwrap().1.split("\n}\n").next().unwrap();
    let router = &routes(&text("src/http/mod.rs")) | &routes(&text("src/http/app.rs"));
    let router = &router | &routes(of_people);
    // The page's files are routed by a table; these two have addresses from which others load them.
    let assets = text("web/build.mjs");
    for path in ["/client.mjs", "/webserial.js"] {
        assert!(
            assets.contains(&format!("asset(\"{path}\"")),
            "{path} is not among the page's files"
        );
    }
    let manual = text("docs/api.md");
    let headings = manual.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let listed: BTreeSet<String> = headings.map(str::to_owned).collect();
    assert!(router.len() > 12, "the router is read wrongly: {router:?}");
    assert_eq!(listed, router);
}

#[test]
fn every_word_of_a_handshakes_query_is_in_the_manual_of_the_api() {
    let source = text("src/http/upgrade.rs");
    let (_, fields) = source.split_once("\nstruct Said {\n").unwrap();
    let fields = fields
        .split("\n}")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().split_once(": Option<"));
    let manual = text("docs/api.md");
    let sections = ["GET /ws/{endpoint}", "GET /websockify"];
    let told = sections.map(|route| {
        manual.split_once(&format!("\n### `{route}`\n")).unwrap().1.split("\n### ").next().unwrap()
    });
    let words: Vec<_> = fields.map(|(name, _)| name).collect();
    assert!(words.len() > 4, "the query is read wrongly: {words:?}");
    for word in words {
        let shown = [format!("| `{word}"), format!("`?{word}=`")];
        assert!(told.iter().any(|text| shown.iter().any(|shown| text.contains(shown))), "{word}");
    }
}

/// The rows of the table below a heading whose first column contains code: the codes, and the
/// second column.
fn rows(manual: &str, heading: &str) -> BTreeMap<String, String> {
    let (_, below) = manual.split_once(&format!("\n## {heading}\n")).expect(heading);
    let section = below.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let mut rows = BTreeMap::new();
    for (names, rest) in cells {
        let second = rest.split(" | ").next().unwrap();
        for name in names.split(", ") {
            rows.insert(name.trim_matches('`').to_owned(), second.trim().to_owned());
        }
    }
    rows
}

#[test]
fn every_metric_the_daemon_prints_is_in_the_manual_with_its_type_and_no_other() {
    let daemon = Daemon::open("  modem: { sim: modem }\n");
    let shown = page(daemon.address(), "/metrics");
    // In OpenMetrics a family of counters is named without the suffix of its samples.
    let families = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let printed: BTreeMap<String, String> = families
        .map(|(name, kind)| {
            let ending = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            (format!("{name}{ending}"), kind.to_owned())
        })
        .collect();
    let manual = text("docs/metrics.md");
    let mut listed = BTreeMap::new();
    for heading in ["The gateway", "Endpoints", "The process"] {
        listed.extend(rows(&manual, heading));
    }
    assert_eq!(listed, printed);
}

/// The words that `fn label` of a type in `src/wire/close.rs` returns.
fn labels(of: &str) -> BTreeSet<String> {
    let source = text("src/wire/close.rs");
    let (_, block) = source.split_once(&format!("\nimpl {of} {{\n")).unwrap();
    let (_, body) = block.split_once("fn label(&self)").unwrap();
    let body = body.split("\n    }\n").next().unwrap();
    body.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn every_reason_in_the_metrics_is_in_the_manual_and_no_other() {
    let manual = text("docs/metrics.md");
    for (of, heading) in [("Refusal", "Reasons of refusals"), ("Ended", "Reasons of endings")] {
        let listed: BTreeSet<String> = rows(&manual, heading).into_keys().collect();
        assert_eq!(listed, labels(of), "{heading}");
    }
}
