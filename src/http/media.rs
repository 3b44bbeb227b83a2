//! What a file of somebody's web tool is, and where a script goes that must run before all others.

use std::path::Path;

/// The media types of what web tools are made of.
const TYPES: [(&str, &str); 24] = [
    ("avif", "image/avif"),
    ("bin", "application/octet-stream"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/plain; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "text/xml; charset=utf-8"),
];

/// The media type of a file, by its ending.
pub(super) fn of(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let found = TYPES.iter().find(|(known, _)| *known == ending);
    found.map_or("application/octet-stream", |(_, kind)| kind)
}

/// A page with a tag put first into its head; where it has no head, before its first element that is not the root, for
/// that is where browsers begin one.
pub(super) fn with_script(page: &[u8], tag: &str) -> Vec<u8> {
    let at = place(page);
    let (before, behind) = page.split_at_checked(at).unwrap_or((page, &[]));
    [before, tag.as_bytes(), behind].concat()
}

/// Behind `<head>`, else behind `<html>`, else behind doctype, comments and byte order mark.
fn place(page: &[u8]) -> usize {
    let mut at = if page.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut end = at;
    loop {
        let rest = page.get(at..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let rest = rest.get(blank..).unwrap_or_default();
        at += blank;
        let length = if rest.starts_with(b"<!--") {
            find(rest, b"-->").map(|n| n + 3)
        } else if is_tag(rest, b"<!doctype") || is_tag(rest, b"<html") || is_tag(rest, b"<head") {
            tag_length(rest)
        } else {
            None
        };
        let Some(length) = length else { return end };
        at += length;
        end = at;
        if is_tag(rest, b"<head") {
            return end;
        }
    }
}

/// Whether a text begins with a tag of that name.
fn is_tag(text: &[u8], name: &[u8]) -> bool {
    let Some((start, rest)) = text.split_at_checked(name.len()) else { return false };
    let ends = rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'));
    ends && start.eq_ignore_ascii_case(name)
}

/// Bytes of the tag that a text begins with: its `>` is the first one outside quotes.
fn tag_length(text: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_first_thing_in_the_head_however_the_page_is_written() {
        for (page, wanted) in [
            (
                "<!DOCTYPE html><html lang=en><head><title>x</title>",
                "<!DOCTYPE html><html lang=en><head>*<title>x</title>",
            ),
            ("<HTML>\n <HEAD data-a='>'>\n<script>", "<HTML>\n <HEAD data-a='>'>*\n<script>"),
            (
                "<!-- <head> --><!doctype html>\n<meta charset=utf-8>",
                "<!-- <head> --><!doctype html>*\n<meta charset=utf-8>",
            ),
            ("<html><body>", "<html>*<body>"),
            ("<header>", "*<header>"),
            ("text", "*text"),
            ("", "*"),
            ("<head", "*<head"),
            ("<!-- never closed", "*<!-- never closed"),
            ("\u{feff}<head>", "\u{feff}<head>*"),
        ] {
            assert_eq!(String::from_utf8(with_script(page.as_bytes(), "*")).unwrap(), wanted, "{page}");
        }
    }

    #[test]
    fn files_are_known_by_their_ending() {
        assert_eq!(of(Path::new("a/b.HTML")), "text/html; charset=utf-8");
        assert_eq!(of(Path::new("a.wasm")), "application/wasm");
        assert_eq!(of(Path::new("firmware")), "application/octet-stream");
    }
}
