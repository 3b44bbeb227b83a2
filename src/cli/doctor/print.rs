//! Prints what was found, for people and for programs.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::Serialize;

use super::finding::{DoctorReport, Finding, Level};
use crate::cli::wrap::wrap;

/// If there are more findings of one kind than this, people get a summary.
const MANY: usize = 8;
/// This many of them are still shown in full.
const FEW: usize = 3;

#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    wrong: usize,
    hints: usize,
    unseen: usize,
    findings: &'a [Finding],
}

/// JSON for programs; its shape is described in docs/doctor.md.
pub(super) fn json(report: &DoctorReport, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        version: env!("CARGO_PKG_VERSION"),
        wrong: report.count(Level::Wrong),
        hints: report.count(Level::Hint),
        unseen: report.count(Level::Unseen),
        findings: &report.findings,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    pub(super) colour: bool,
    /// Where lines are wrapped; `None` if nobody looks.
    pub(super) width: Option<usize>,
}

/// The indentation below a finding's word.
const INDENT: &str = "        ";

/// Lines for people: the worst come last, where the eye is when the prompt returns.
pub(super) fn text(report: &DoctorReport, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for level in [Level::Ok, Level::Unseen, Level::Hint, Level::Wrong] {
        for kind in kinds(report, level) {
            let shown = if kind.len() > MANY { FEW } else { kind.len() };
            for finding in kind.iter().take(shown) {
                one(finding, style, out)?;
            }
            if let Some(rest) = kind.get(shown..).filter(|rest| !rest.is_empty()) {
                more(rest, report, style, out)?;
            }
        }
    }
    let (wrong, hints) = (report.count(Level::Wrong), report.count(Level::Hint));
    let unseen = report.count(Level::Unseen);
    let mut words = Vec::new();
    if wrong > 0 {
        words.push(format!("{wrong} wrong{}", by_kind(report, Level::Wrong)));
    }
    if hints > 0 {
        words.push(format!("{hints} to think about"));
    }
    if wrong == 0 {
        words.insert(0, "nothing wrong".into());
    }
    if unseen > 0 {
        words.push(format!("{unseen} not seen as this user: {}", report.system.doctor()));
    }
    writeln!(out, "\n{}", wrap(&words.join(", "), style.width, "  ", 0))
}

/// The findings of a level grouped by kind, in the order in which the kinds first came up.
fn kinds(report: &DoctorReport, level: Level) -> Vec<Vec<&Finding>> {
    let mut kinds: Vec<Vec<&Finding>> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.level == level) {
        match kinds.iter_mut().find(|kind| kind.first().is_some_and(|first| first.id == finding.id))
        {
            Some(kind) => kind.push(finding),
            None => kinds.push(vec![finding]),
        }
    }
    kinds
}

/// How many there are of each kind, if there are too many to count by eye.
fn by_kind(report: &DoctorReport, level: Level) -> String {
    let kinds = kinds(report, level);
    if report.count(level) <= MANY {
        return String::new();
    }
    let counts =
        kinds.iter().filter_map(|kind| Some(format!("{} {}", kind.len(), kind.first()?.id)));
    format!(" ({})", counts.collect::<Vec<_>>().join(", "))
}

/// The remaining findings of a kind in one paragraph: how many, why, and where.
fn more(
    rest: &[&Finding],
    report: &DoctorReport,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(first) = rest.first() else { return Ok(()) };
    let (word, before, after) = word(first.level, style.colour);
    let mut text = format!("and {} more", rest.len());
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in rest.iter().filter(|finding| !finding.reason.is_empty()) {
        *reasons.entry(finding.reason).or_default() += 1;
    }
    if !reasons.is_empty() {
        let told = reasons.iter().map(|(why, count)| format!("{why} {count}"));
        text.extend([" (", &told.collect::<Vec<_>>().join(", "), ")"]);
    }
    let places: Vec<String> = rest.iter().take(MANY).map(|finding| clean(&finding.place)).collect();
    let dots = if rest.len() > MANY { ", ..." } else { "" };
    let all = report.system.pick("sudo wsbridge doctor --json", "wsbridge doctor --uci --json");
    text.extend([": ", &places.join(", "), dots, "  [", first.id, "]"]);
    writeln!(out, "{before}{word}{after}  {}", below(&text, style, INDENT.len()))?;
    writeln!(out, "{INDENT}{all}    # has them all")
}

/// What an adapter or a file says is not ours to trust: no control byte reaches the terminal.
fn clean(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "?")
}

/// A level's word, and the codes that switch its colour on and off.
fn word(level: Level, colour: bool) -> (&'static str, &'static str, &'static str) {
    let (word, paint) = match level {
        Level::Wrong => ("wrong ", "\x1b[1;31m"),
        Level::Hint => ("hint  ", "\x1b[1;33m"),
        Level::Unseen => ("unseen", "\x1b[36m"),
        Level::Ok => ("ok    ", "\x1b[32m"),
    };
    if colour { (word, paint, "\x1b[0m") } else { (word, "", "") }
}

/// A text beside and below a finding's word; `taken` columns of the first line are in use.
fn below(text: &str, style: Style, taken: usize) -> String {
    let mut taken = taken;
    let lines = text
        .split('\n')
        .map(|line| wrap(line, style.width, INDENT, std::mem::replace(&mut taken, INDENT.len())));
    lines.collect::<Vec<_>>().join(&format!("\n{INDENT}"))
}

fn one(finding: &Finding, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (word, before, after) = word(finding.level, style.colour);
    let name = if matches!(finding.level, Level::Wrong | Level::Hint) {
        format!("  [{}]", finding.id)
    } else {
        String::new()
    };
    let text = format!("{}: {}{name}", clean(&finding.place), clean(&finding.what));
    writeln!(out, "{before}{word}{after}  {}", below(&text, style, INDENT.len()))?;
    if matches!(finding.level, Level::Wrong | Level::Hint) {
        for line in &finding.fix {
            writeln!(out, "{INDENT}{}", clean(line))?;
        }
    }
    Ok(())
}
