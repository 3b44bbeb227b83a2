//! Texts for people, wrapped at the width of their terminal. In a pipe each sentence stays on one
//! line, so that `grep` and editors find it.

use std::os::fd::AsFd;

use rustix::termios::{isatty, tcgetwinsize};

/// Longer lines are hard to read, however wide a terminal is.
const WIDEST: usize = 100;
/// On a narrower terminal not even a path has room.
const NARROWEST: usize = 40;
/// For a terminal that does not say.
const USUAL: usize = 80;

/// How wide texts should be; `None` if nobody looks.
pub(super) fn width(out: impl AsFd) -> Option<usize> {
    if !isatty(&out) {
        return None;
    }
    let columns = tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
    Some(if columns == 0 { USUAL } else { columns.clamp(NARROWEST, WIDEST) })
}

/// Wraps each line of a text between words; continuation lines begin with `indent`, and `taken`
/// columns of the first line are already in use. Lines that begin with a space are shown as they
/// are: parts of files, commands.
pub(super) fn wrap(text: &str, width: Option<usize>, indent: &str, taken: usize) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut taken = taken;
    let lines = text.split('\n').map(|line| {
        let line =
            if line.starts_with(' ') { line.to_owned() } else { one(line, width, indent, taken) };
        taken = 0;
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn one(line: &str, width: usize, indent: &str, taken: usize) -> String {
    let mut out = String::new();
    let mut column = taken;
    for word in line.split(' ') {
        let length = word.chars().count();
        if !out.is_empty() {
            if column + 1 + length > width {
                out.extend(["\n", indent]);
                column = indent.chars().count();
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out += word;
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_what_is_longer_stands_whole() {
        let text = "one two three\n    5 | four five six seven\n/a/path/that/is/long x";
        assert_eq!(
            wrap(text, Some(9), "  ", 0),
            "one two\n  three\n    5 | four five six seven\n/a/path/that/is/long\n  x"
        );
        assert_eq!(wrap("one two", Some(9), "  ", 5), "one\n  two");
        assert_eq!(wrap(text, None, "  ", 0), text);
    }
}
