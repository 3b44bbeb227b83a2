//! Mistakes in UCI's words: file, line, option and section, and what to type there.

use super::{
    options::{Sort, UciOption},
    syntax::Section,
    translate::Location,
};

/// `FILE:LINE: option 'baud' of endpoint 'modem1': WHAT`; what the resolver says about keys is said
/// about options.
pub(super) fn told(name: &str, place: &Location<'_>, what: &str, sorts: &[Sort]) -> String {
    let what = words(what, place, sorts);
    let section = place.section.map(label);
    let head = match (section, place.entry) {
        (Some(section), Some((option, _))) => format!("option '{option}' of {section}: "),
        (Some(section), None) => format!("{section}: "),
        (None, _) => String::new(),
    };
    if place.line == 0 {
        format!("{name}: {head}{what}")
    } else {
        format!("{name}:{}: {head}{what}", place.line)
    }
}

fn label(section: &Section) -> String {
    let name = section.value("name").map(|value| &value.text).or(section.name.as_ref());
    name.map_or_else(
        || format!("unnamed {}", section.kind),
        |name| format!("{} '{name}'", section.kind),
    )
}

/// Phrases of the resolver in which more than a word has to be replaced.
const PHRASES: [(&str, &str); 12] = [
    (", or { certificate: FILE, key: FILE }", ", `files`"),
    ("the key", "the option"),
    ("neither true nor false", "neither 1 nor 0"),
    ("there is no `roles:`", "there is no `config role`"),
    ("give it `roles:` or `rights:`", "add `list role` or `list right`"),
    ("the line to paste", "what to paste"),
    ("paste the line it prints", "paste what it prints"),
    ("`trusted_proxies:` names none", "there is no `list trusted_proxy`"),
    (", or `packing: none`", ""),
    ("write [ NAME ]", "add `list endpoint 'NAME'`"),
    ("give it a `secret:`", "set `proxy_secret_header` and `proxy_secret`"),
    ("none; nothing is published", "there is no `config endpoint`, so nothing is published"),
];

/// The resolver's sentence, with its YAML turned into UCI.
fn words(what: &str, place: &Location<'_>, sorts: &[Sort]) -> String {
    let mut text = what.to_owned();
    for (from, to) in PHRASES {
        text = text.replace(from, to);
    }
    let sort =
        place.section.and_then(|section| sorts.iter().find(|sort| sort.kind == section.kind));
    let rows = sort.map_or(&[][..], |sort| &sort.rows);
    let value = place.entry.map(|(_, value)| value);
    let said = |text: &str, rows: &[UciOption]| -> String {
        let pieces = text.split('`').enumerate().map(|(index, piece)| match index % 2 {
            1 if Some(piece) == value => format!("'{piece}'"),
            1 => code(piece, rows),
            _ => piece.to_owned(),
        });
        pieces.collect()
    };
    // What is offered as a replacement are values and names, although some are keys, too.
    let known = ["; did you mean `", "; known: `"].iter().filter_map(|head| text.find(head)).min();
    let (head, tail) = text.split_at(known.unwrap_or(text.len()));
    said(head, rows) + &said(tail, &[])
}

/// The replacement for what is between backquotes.
fn code(piece: &str, rows: &[UciOption]) -> String {
    let command = ["wsbridge passwd", "wsbridge token new", "wsbridge ports"];
    if let Some(command) = command.iter().find(|command| piece.starts_with(**command)) {
        return format!("'{}'", piece.replacen(command, &format!("{command} --uci"), 1));
    }
    if piece.starts_with("config ") || piece.starts_with("option ") || piece.starts_with("list ") {
        return format!("\"{piece}\"");
    }
    let piece = piece.strip_suffix(':').unwrap_or(piece);
    match piece.split_once(": ") {
        Some((key, value)) if !key.contains(' ') => {
            let value = match value.trim_matches('"') {
                "true" => "1",
                "false" => "0",
                value => value,
            };
            format!("\"option {} '{value}'\"", option(key, rows))
        }
        _ => format!("'{}'", option(piece, rows)),
    }
}

/// The option that stands for a key here.
fn option<'a>(key: &'a str, rows: &[UciOption]) -> &'a str {
    let same = rows.iter().any(|row| row.option == key);
    let row = rows.iter().find(|row| row.path.last() == Some(&key));
    row.filter(|_| !same).map_or(key, |row| row.option)
}
