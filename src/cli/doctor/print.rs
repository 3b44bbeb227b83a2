//! What was found, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::finding::{Finding, Level, Report};

#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    wrong: usize,
    hints: usize,
    unseen: usize,
    findings: &'a [Finding],
}

/// JSON for programs; the shape is in docs/doctor.md.
pub(super) fn json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
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

/// Lines for people: the worst last, where the eye is when the prompt is back.
pub(super) fn text(report: &Report, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    for level in [Level::Ok, Level::Unseen, Level::Hint, Level::Wrong] {
        for finding in report.findings.iter().filter(|finding| finding.level == level) {
            one(finding, colour, out)?;
        }
    }
    let (wrong, hints) = (report.count(Level::Wrong), report.count(Level::Hint));
    let unseen = report.count(Level::Unseen);
    let mut words = Vec::new();
    if wrong > 0 {
        words.push(format!("{wrong} wrong"));
    }
    if hints > 0 {
        words.push(format!("{hints} to think about"));
    }
    if wrong == 0 {
        words.insert(0, "nothing wrong".into());
    }
    if unseen > 0 {
        words.push(format!("{unseen} not seen as this user: sudo wsbridge doctor"));
    }
    writeln!(out, "\n{}", words.join(", "))
}

fn one(finding: &Finding, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let (word, paint) = match finding.level {
        Level::Wrong => ("wrong ", "\x1b[1;31m"),
        Level::Hint => ("hint  ", "\x1b[1;33m"),
        Level::Unseen => ("unseen", "\x1b[36m"),
        Level::Ok => ("ok    ", "\x1b[32m"),
    };
    let (before, after) = if colour { (paint, "\x1b[0m") } else { ("", "") };
    // What an adapter or a file says is not ours: no control byte reaches the terminal.
    let clean = |text: &str| text.replace(|c: char| c.is_control() && c != '\n', "?");
    let name = if matches!(finding.level, Level::Wrong | Level::Hint) {
        format!("  [{}]", finding.id)
    } else {
        String::new()
    };
    let what = clean(&finding.what).replace('\n', "\n        ");
    writeln!(out, "{before}{word}{after}  {}: {what}{name}", clean(&finding.place))?;
    if matches!(finding.level, Level::Wrong | Level::Hint) {
        for line in &finding.fix {
            writeln!(out, "        {}", clean(line))?;
        }
    }
    Ok(())
}
