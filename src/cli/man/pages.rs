//! All manual pages: one for each command, made from its help and from what help has no room for;
//! and the page of the configuration.

use std::io;

use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::markdown::{append, inlines, verbatim};

/// What help has no room for. Text before the first heading belongs to the description.
const MORE: [(&str, &str); 2] =
    [("wsbridge", include_str!("wsbridge.md")), ("wsbridge-serve", include_str!("serve.md"))];
const CONFIGURATION: &str = include_str!("../../../docs/config.md");
const SOURCE: &str = concat!("wsbridge ", env!("CARGO_PKG_VERSION"));
/// A page gives its version and no date, but the date's position has to be filled.
const NO_DATE: &str = "\"\"";
/// What `roff` puts at the top of everything it writes; once per page is enough.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// A manual page.
#[derive(Debug)]
pub(super) struct ManPage {
    /// The name that `man` is asked for.
    pub(super) name: String,
    pub(super) section: u8,
    pub(super) text: String,
}

/// All pages, that of the command itself first.
pub(super) fn all(command: clap::Command) -> io::Result<Vec<ManPage>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    of_command(&command, &mut pages)?;
    pages.push(of_configuration());
    Ok(pages)
}

fn of_command(command: &clap::Command, pages: &mut Vec<ManPage>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let more = MORE.iter().find(|(of, _)| *of == name).map_or("", |(_, more)| *more);
    let (description, sections) = match more.find("\n## ").and_then(|at| more.split_at_checked(at))
    {
        Some((description, sections)) => (description, sections),
        None => (more, ""),
    };
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (notes, examples) = help.split_once("Examples:\n").unwrap_or((&help, ""));

    let man =
        Man::new(command.clone()).title(&name).date(NO_DATE).source(SOURCE).manual("wsbridge");
    let (mut head, mut text) = (Vec::new(), Vec::new());
    man.render_title(&mut head)?;
    man.render_name_section(&mut head)?;
    man.render_synopsis_section(&mut text)?;
    if description.is_empty() {
        man.render_description_section(&mut text)?;
    } else {
        of_markdown("DESCRIPTION", description).to_writer(&mut text)?;
    }
    prose(notes).to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut commands = command.get_subcommands().filter(|each| !each.is_hide_set()).peekable();
    if commands.peek().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    // `apropos` shows the name section as plain text.
    let head = String::from_utf8_lossy(&head).replace('`', "");
    let text = with_bold_code(&String::from_utf8_lossy(&text));
    let mut rest = Roff::new();
    append(&mut rest, sections);
    if !examples.is_empty() {
        rest.control("SH", ["EXAMPLES"]);
        verbatim(&mut rest, examples.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)));
    }
    see_also(
        &mut rest,
        if name == "wsbridge" {
            "wsbridge-serve(1), wsbridge.yaml(5)"
        } else {
            "wsbridge(1), wsbridge.yaml(5)"
        },
    );
    let page = format!("{head}{text}{}", rest.render()).replace(PREAMBLE, "");
    pages.push(ManPage { name, section: 1, text: format!("{PREAMBLE}{page}") });
    commands.try_for_each(|each| of_command(each, pages))
}

fn of_configuration() -> ManPage {
    let mut page = Roff::new();
    page.control("TH", ["wsbridge.yaml", "5", NO_DATE, SOURCE, "wsbridge"]);
    page.control("SH", ["NAME"]);
    page.text([roman("wsbridge.yaml - the configuration of wsbridge")]);
    page.control("SH", ["DESCRIPTION"]);
    append(&mut page, CONFIGURATION);
    see_also(&mut page, "wsbridge(1), wsbridge-check(1), wsbridge-add(1)");
    ManPage { name: "wsbridge.yaml".to_owned(), section: 5, text: page.render() }
}

fn of_markdown(heading: &str, markdown: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", [heading]);
    append(&mut section, markdown);
    section
}

/// What the help says besides its examples; each of its lines becomes a paragraph.
fn prose(notes: &str) -> Roff {
    let mut section = Roff::new();
    for paragraph in notes.lines().filter(|line| !line.is_empty()) {
        section.control("PP", []);
        section.text(inlines(paragraph));
    }
    section
}

/// Makes bold what the help has in backquotes, which a terminal shows as they are.
fn with_bold_code(roff: &str) -> String {
    let bold = |line: &str| {
        let pieces: Vec<_> = line.split('`').collect();
        // A control line has no text of ours, and a backquote without a partner is a character.
        if line.starts_with('.') || pieces.len().is_multiple_of(2) {
            return line.to_owned();
        }
        let marks = ["\\fB", "\\fR"].into_iter().cycle();
        let mut out = String::new();
        for (piece, mark) in pieces.iter().zip(std::iter::once("").chain(marks)) {
            out.push_str(mark);
            out.push_str(piece);
        }
        out
    };
    roff.split('\n').map(bold).collect::<Vec<_>>().join("\n")
}

fn see_also(page: &mut Roff, pages: &str) {
    page.control("SH", ["SEE ALSO"]);
    page.text([roman(pages)]);
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn page(name: &str) -> String {
        let all = all(Cli::command()).unwrap();
        all.into_iter().find(|page| page.name == name).expect(name).text
    }

    #[test]
    fn the_page_of_the_configuration_has_every_table_of_the_manual_and_no_markup() {
        let page = page("wsbridge.yaml");
        let keys =
            CONFIGURATION.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        for key in keys {
            assert!(page.contains(&format!("\n\\fB{}\\fR", key.replace('-', "\\-"))), "{key}");
        }
        for markup in ["](", "**", "\n|", "```", "\n#", "<!--"] {
            assert!(!page.contains(markup), "{markup}");
        }
    }

    #[test]
    fn every_page_shows_its_examples_and_what_to_read_next() {
        for page in all(Cli::command()).unwrap().iter().filter(|page| page.section == 1) {
            let (prose, _) = page.text.split_once("\n.SH EXAMPLES\n").unwrap_or((&page.text, ""));
            assert!(!prose.contains('`'), "{}", page.name);
            // These commands have pages of their own.
            if ["wsbridge-audit", "wsbridge-ca", "wsbridge-record", "wsbridge-token"]
                .contains(&page.name.as_str())
            {
                continue;
            }
            assert!(page.text.contains("\n.SH EXAMPLES\n.EX\n"), "{}", page.name);
            assert!(page.text.contains("\n.SH \"SEE ALSO\"\n"), "{}", page.name);
            assert_eq!(page.text.matches(PREAMBLE).count(), 1, "{}", page.name);
        }
    }
}
