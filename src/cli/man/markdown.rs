//! Turns Markdown, as far as our own pages use it, into the source of a manual page.

use std::iter::Peekable;

use clap_mangen::roff::{Inline, Roff, bold, roman};

/// Appends a page. Its title (`#`) is left out, since a manual page has one of its own.
pub(super) fn append(page: &mut Roff, markdown: &str) {
    let mut writer = MarkdownWriter { page, headed: true };
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        writer.block(line, &mut lines);
    }
}

/// Appends lines that must stay as they are.
pub(super) fn verbatim<'a>(page: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    page.control("EX", []);
    for line in lines {
        page.text([roman(line)]);
    }
    page.control("EE", []);
}

struct MarkdownWriter<'a> {
    page: &'a mut Roff,
    /// Nothing follows the last heading yet.
    headed: bool,
}

impl MarkdownWriter<'_> {
    /// Handles one block: the line it begins with, and those of `more` that belong to it.
    fn block<'a>(&mut self, line: &'a str, more: &mut Peekable<impl Iterator<Item = &'a str>>) {
        if let Some(heading) = line.strip_prefix("## ") {
            self.heading("SH", &heading.to_uppercase());
        } else if let Some(heading) =
            line.strip_prefix("### ").or_else(|| line.strip_prefix("#### "))
        {
            self.heading("SS", heading);
        } else if line.starts_with("```") {
            self.paragraph();
            verbatim(self.page, more.by_ref().take_while(|line| !line.starts_with("```")));
        } else if let Some(code) = line.strip_prefix("    ") {
            self.paragraph();
            let mut lines = vec![code];
            while let Some(line) = more.next_if(|line| line.starts_with("    ")) {
                lines.push(line.trim_start());
            }
            verbatim(self.page, lines.into_iter());
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(line) = more.next_if(|line| line.starts_with('|')) {
                rows.push(cells(line));
            }
            self.table(&rows);
        } else if !(line.is_empty() || line.starts_with("# ") || line.starts_with("<!--")) {
            self.prose(line, more);
        }
    }

    fn heading(&mut self, level: &str, text: &str) {
        self.page.control(level, [text]);
        self.headed = true;
    }

    /// Begins a paragraph; the first one after a heading has begun already.
    fn paragraph(&mut self) {
        if !self.headed {
            self.page.control("PP", []);
        }
        self.headed = false;
    }

    /// Handles a paragraph or an entry of a list.
    fn prose<'a>(&mut self, line: &'a str, more: &mut Peekable<impl Iterator<Item = &'a str>>) {
        let entry = line.strip_prefix("- ");
        if entry.is_some() {
            self.page.control("IP", ["\\(bu", "2"]);
            self.headed = false;
        } else {
            self.paragraph();
        }
        let mut text = entry.unwrap_or(line).to_owned();
        let goes_on = |line: &&str| {
            !line.is_empty()
                && !["#", "|", "```", "- ", "<!--"].iter().any(|begin| line.starts_with(begin))
        };
        while let Some(line) = more.next_if(goes_on) {
            text.push(' ');
            text.push_str(line.trim());
        }
        self.page.text(inlines(&text));
    }

    /// Turns a table into a list: the first column is the term, the last one explains it, and those
    /// in between go beside the term.
    fn table(&mut self, rows: &[Vec<&str>]) {
        let [head, _, body @ ..] = rows else { return };
        for row in body {
            let [term, beside @ .., meaning] = row.as_slice() else { continue };
            let mut tag = inlines(term);
            let names = head.iter().skip(1);
            for (number, (name, cell)) in
                names.zip(beside).filter(|(_, cell)| !cell.is_empty()).enumerate()
            {
                let is_value = !matches!(*cell, "required" | "see below");
                let name = if *name == "default" && is_value { "default " } else { "" };
                tag.push(roman(format!("{}{name}", if number == 0 { "  (" } else { "; " })));
                tag.extend(inlines(cell));
            }
            if beside.iter().any(|cell| !cell.is_empty()) {
                tag.push(roman(")"));
            }
            self.page.control("TP", []);
            self.page.text(tag);
            self.page.text(inlines(meaning));
        }
        self.headed = false;
    }
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.strip_prefix('|').unwrap_or(line);
    inner.strip_suffix('|').unwrap_or(inner).split('|').map(str::trim).collect()
}

/// Text with `code`, **strong** text, and links without their destinations: there is nothing to
/// follow in a terminal.
pub(super) fn inlines(text: &str) -> Vec<Inline> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((before, from)) =
        rest.find(['`', '*', '[']).and_then(|at| rest.split_at_checked(at))
    {
        all.push(roman(before));
        rest = if let Some((code, behind)) =
            between(from, "`", "`").or_else(|| between(from, "**", "**"))
        {
            all.push(bold(code));
            behind
        } else if let Some((label, behind)) = link(from) {
            all.extend(inlines(label));
            behind
        } else {
            let mut characters = from.chars();
            all.extend(characters.next().map(roman));
            characters.as_str()
        };
    }
    all.push(roman(rest));
    all
}

/// The text between two marks at the front, and what follows.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(open)?.split_once(close)
}

fn link(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = between(text, "[", "](")?;
    let (_, behind) = rest.split_once(')')?;
    (!label.contains('[')).then_some((label, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(markdown: &str) -> String {
        let mut page = Roff::new();
        append(&mut page, markdown);
        page.to_roff()
    }

    #[test]
    fn headings_paragraphs_code_and_links_become_macros() {
        let page = made(
            "# Title\n\nSee `a.b`\nand [this](that.md#x).\n\n## In short\n\nText.\n\n#### Below\n\n```yaml\nkey: 1\n```\n",
        );
        let wanted =
            "See \\fBa.b\\fR and this.\n.SH \"IN SHORT\"\nText.\n.SS Below\n.EX\nkey: 1\n.EE\n";
        assert_eq!(page, wanted);
    }

    #[test]
    fn a_table_becomes_a_list_of_terms() {
        let page = made(
            "| key | type | default | meaning |\n|---|---|---|---|\n| `mdns` | boolean | `true` | says so |\n",
        );
        assert_eq!(page, ".TP\n\\fBmdns\\fR  (boolean; default \\fBtrue\\fR)\nsays so\n");
    }

    #[test]
    fn a_key_that_must_be_there_is_not_said_to_have_a_default() {
        let page = made(
            "| key | type | default | meaning |\n|---|---|---|---|\n| `key` | path | required | PEM |\n",
        );
        assert_eq!(page, ".TP\n\\fBkey\\fR  (path; required)\nPEM\n");
    }

    #[test]
    fn a_bracket_or_a_star_that_marks_nothing_is_itself() {
        assert_eq!(made("a [b] * c\n"), "a [b] * c\n");
    }
}
