//! Command lines in scripts and units: which program each of them runs, and which reader handles
//! it.

use super::{
    draft::Drafts,
    ser2net,
    shell::{CommandLine, commands as split, options, program, split as words_of},
    ttyd, websockify,
};

/// Reads all commands in a text.
pub(super) fn commands(text: &str, drafts: &mut Drafts<'_>) {
    for command in split(text).into_iter().flat_map(within) {
        let Some((at, name)) = known(&command.words) else { continue };
        let words = command.words.get(at + 1..).unwrap_or_default();
        match name {
            "ttyd" => ttyd::command(&command, words, drafts),
            "ser2net" => ser2net_command(&command, words, drafts),
            _ => websockify::command(&command, words, drafts),
        }
    }
}

/// A command, or the commands within its quotes: `ssh host 'ser2net -C ..'`, `sh -c "ttyd .."`.
fn within(command: CommandLine) -> Vec<CommandLine> {
    if known(&command.words).is_some() {
        return vec![command];
    }
    let quoted = command.words.iter().filter(|word| word.contains(char::is_whitespace));
    let inner = quoted.flat_map(|word| words_of(word));
    inner.map(|words| CommandLine { line: command.line, words }).collect()
}

/// Whether a line runs one of the programs.
pub(super) fn has_one(line: &str) -> bool {
    !line.starts_with('#')
        && PROGRAMS.iter().any(|name| line.contains(name))
        && split(line).into_iter().flat_map(within).any(|command| known(&command.words).is_some())
}

const PROGRAMS: [&str; 3] = ["ttyd", "websockify", "ser2net"];

/// Where the program is among the words of a command, and which one it is; another may come before
/// it (`sudo`, `exec`, `python3 -m`, `nohup`), and it needs words of its own.
fn known(words: &[String]) -> Option<(usize, &'static str)> {
    let last = words.len().checked_sub(1)?;
    words.iter().take(last).enumerate().find_map(|(at, word)| {
        let name = program(word);
        let name = name.strip_suffix(".py").unwrap_or(name);
        Some((at, *PROGRAMS.iter().find(|known| **known == name)?))
    })
}

/// `ser2net -C LINE`; a file has to be imported by itself.
fn ser2net_command(command: &CommandLine, words: &[String], drafts: &mut Drafts<'_>) {
    let read = options(words, "c C p P Y l t r a s", false);
    for (name, value) in &read.options {
        match *name {
            "C" => ser2net::one_line(value, command.line, drafts),
            "c" => drafts.no_endpoint(command.line, format!("import {value}, too")),
            "Y" => {
                drafts
                    .no_endpoint(command.line, "`-Y`: write the text into a file and import that");
            }
            _ => {}
        }
    }
}
