//! What to type where a text is not YAML: the usual slips, each named in its own place.

use super::{At, Mistake};

/// The parser's words about a place, or better ones if that line or the one before it contains a
/// known slip.
pub(super) fn advice(source: &str, at: At, message: &str) -> Mistake {
    for number in [at.line, at.line.saturating_sub(1)] {
        let line = number.checked_sub(1).and_then(|index| source.lines().nth(index));
        if let Some((column, what)) = line.and_then(slip) {
            return (At { line: number, column, ..at }, what);
        }
    }
    (at, plainly(message))
}

/// The parser's messages in words for the writer of a file, found by a part of each.
const PLAINLY: [(&str, &str); 8] = [
    (
        "mapping values are not allowed",
        "a key cannot begin here; is a space missing after a colon, or a quote, in the line before?",
    ),
    ("illegal placement of ':'", "a bracket before this line is not closed; add its ] or }"),
    ("unclosed bracket", "this bracket is never closed; add its ] or }"),
    ("unclosed quote", "this quote is never closed; add one at the end of the text"),
    ("expected ':'", "a key is followed by a colon and a space; write `key: value`"),
    (
        "block mapping, did not find expected key",
        "this line does not line up with the keys before it; indent it as they are",
    ),
    ("flow mapping, did not find expected", "a comma or a closing } is missing before this"),
    ("flow sequence, did not find expected", "a comma or a closing ] is missing before this"),
];

fn plainly(message: &str) -> String {
    let known = PLAINLY.iter().find(|(part, _)| message.contains(part));
    known.map_or(message, |(_, words)| words).to_owned()
}

/// A second document: the parser stops after the line that begins it.
pub(super) fn second_document(source: &str, at: At) -> Mistake {
    let lines = source.lines().take(at.line).collect::<Vec<_>>();
    let begins = lines.iter().rposition(|line| line.starts_with("---"));
    let line = begins.map_or(at.line, |index| index + 1);
    (At { line, column: 1, ..at }, "one file holds one document; remove the `---` line".into())
}

/// A tag: the parser stops after it.
pub(super) fn tag(source: &str, at: At) -> Mistake {
    let line =
        at.line.checked_sub(1).and_then(|index| source.lines().nth(index)).unwrap_or_default();
    let before: Vec<_> = line.chars().take(at.column).collect();
    let word = before.iter().rposition(|c| *c == '!').map(|last| {
        let start = before.iter().take(last).rposition(|c| *c != '!').map_or(0, |other| other + 1);
        start + 1
    });
    (
        At { column: word.unwrap_or(at.column), ..at },
        "tags (`!...`) mean nothing here; remove it".into(),
    )
}

/// A name after `*` that no `&` has defined: usually a pattern without its quotes.
pub(super) fn alias(source: &str, at: At) -> Mistake {
    let line =
        at.line.checked_sub(1).and_then(|index| source.lines().nth(index)).unwrap_or_default();
    let rest: String = line.chars().skip(at.column.saturating_sub(1)).collect();
    let what = match needs_quotes(&rest) {
        Some(word) => {
            format!(
                "no `&` gave anything that name; a text that begins with `*` needs quotes: write \"{word}\""
            )
        }
        None => "no `&` before it gave anything that name".to_owned(),
    };
    (at, what)
}

/// A slip in a line: its column, and what to type.
fn slip(line: &str) -> Option<(usize, String)> {
    let content = line.trim_start();
    let indent = line.chars().count() - content.chars().count();
    if let Some(tab) = line.chars().take(indent).position(|c| c == '\t') {
        return Some((tab + 1, "a tab cannot indent; use spaces".into()));
    }
    let content = content.trim_start_matches("- ");
    let before = line.chars().count() - content.chars().count();
    if let Some((key, value)) = content.split_once(": ")
        && let Some(text) = needs_quotes(value.trim())
    {
        let spaces = value.chars().count() - value.trim_start().chars().count();
        let column = before + key.chars().count() + 2 + spaces + 1;
        return Some((
            column,
            format!("a text that begins like this needs quotes; write \"{text}\""),
        ));
    }
    if let Some(text) = needs_quotes(content) {
        return Some((
            before + 1,
            format!("a text that begins like this needs quotes; write \"{text}\""),
        ));
    }
    if let Some(found) = address_in_brackets(line) {
        return Some(found);
    }
    unspaced(content).map(|(key, value)| {
        (
            before + key.chars().count() + 1,
            format!("a colon needs a space after it; write `{key}: {value}`"),
        )
    })
}

/// The part of a value or key that YAML mistakes for a list or an alias: `[::]:8443`, `*`.
fn needs_quotes(text: &str) -> Option<&str> {
    let end = text.find([' ', ',', '}', '#']).unwrap_or(text.len());
    let word = text.get(..end)?;
    if word.starts_with('[') && word.contains("]:") {
        return Some(word);
    }
    word.starts_with('*').then(|| word.strip_suffix(':').unwrap_or(word))
}

/// `[::1]:8443` anywhere in a line.
fn address_in_brackets(line: &str) -> Option<(usize, String)> {
    let words = line.split([' ', ',', '{', '}']);
    let word = words.into_iter().find(|word| {
        let port =
            word.strip_prefix('[').and_then(|rest| rest.split_once("]:")).map(|(_, port)| port);
        port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
    })?;
    let before = line.split_once(word)?.0.chars().count();
    Some((before + 1, format!("a text that begins like this needs quotes; write \"{word}\"")))
}

/// `baud:115200`, as opposed to `0403:6001` and `https://`.
pub(in crate::config) fn unspaced(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.trim_end().split_once(':')?;
    let is_key = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
    let is_value = !value.is_empty()
        && !value.starts_with([' ', ':'])
        && !value.starts_with("//")
        && !["unix", "systemd"].contains(&key)
        && !value.contains(": ");
    (is_key && is_value).then_some((key, value))
}
