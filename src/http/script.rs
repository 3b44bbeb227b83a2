//! Where to put a script in somebody's page so that it runs before all others: first in the head,
//! as HTML parsers see it.
//!
//! Source: HTML Living Standard, sections 13.2.5 (tokenization) and 13.2.6.4 ("initial" to "before
//! head"). A doctype, comments of every kind, white space, `<html>` and stray end tags may come
//! before the head and are skipped. The place is right after `<head>`, or before the first thing
//! that makes a parser begin a head by itself.

const UTF8_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Names longer than those that matter are not kept in full.
const NAME_MAX: usize = 5;

/// Finds the place in a page that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct Finder {
    state: ParserState,
    /// Bytes seen.
    at: u64,
    /// After the last thing that may come before the head.
    place: u64,
    tag: Tag,
}

/// A tag that is being read.
#[derive(Debug, Default)]
struct Tag {
    /// In lower case.
    name: Vec<u8>,
    closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParserState {
    /// This many bytes of a byte order mark have come.
    Mark(usize),
    Between,
    /// After `<`, `</`, `<!` and `<!-`.
    Open,
    Close,
    Markup,
    MarkupDash,
    /// In something that ends with the next `>`: a doctype, or what parsers take for a comment
    /// (`<?`, `<!x`, `</1`).
    Bogus,
    Comment(Comment),
    /// In a tag's name, between attributes, in an attribute's name, after it, after its `=`, in its
    /// value.
    Name,
    Attributes,
    Attribute,
    AfterAttribute,
    Equals,
    Value(Option<u8>),
}

/// How close a comment is to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comment {
    /// Right after `<!--`, where `>` or `->` ends it.
    Empty,
    EmptyDash,
    Text,
    Dash,
    Dashes,
    /// After `--!`.
    Bang,
}

impl Default for ParserState {
    fn default() -> Self {
        Self::Mark(0)
    }
}

impl Finder {
    /// Looks at the next piece; returns the place once nothing that follows can change it.
    pub(super) fn look(&mut self, piece: &[u8]) -> Option<u64> {
        for byte in piece {
            match self.step(*byte) {
                Some(state) => self.state = state,
                None => return Some(self.place),
            }
            self.at += 1;
        }
        None
    }

    /// The place in a page that ends here.
    pub(super) fn end(&self) -> u64 {
        self.place
    }

    /// `None`: the place is found.
    fn step(&mut self, byte: u8) -> Option<ParserState> {
        let next = match (self.state, byte) {
            (ParserState::Mark(length), _) if UTF8_MARK.get(length) == Some(&byte) => {
                return Some(if length + 1 < UTF8_MARK.len() {
                    ParserState::Mark(length + 1)
                } else {
                    self.pass()
                });
            }
            (ParserState::Mark(1..), _) => return None,
            (ParserState::Mark(_) | ParserState::Between, b'<') => ParserState::Open,
            (ParserState::Mark(_) | ParserState::Between, byte) if is_blank(byte) => {
                ParserState::Between
            }
            (ParserState::Open, b'!') => ParserState::Markup,
            (ParserState::Open, b'/') => ParserState::Close,
            (ParserState::Open, b'?') => ParserState::Bogus,
            (ParserState::Open | ParserState::Close, byte) if byte.is_ascii_alphabetic() => {
                let closing = self.state == ParserState::Close;
                self.tag = Tag { name: vec![byte.to_ascii_lowercase()], closing };
                ParserState::Name
            }
            (ParserState::Mark(_) | ParserState::Between | ParserState::Open, _) => return None,
            (ParserState::Markup, b'-') => ParserState::MarkupDash,
            (ParserState::MarkupDash, b'-') => ParserState::Comment(Comment::Empty),
            (
                ParserState::Close
                | ParserState::Markup
                | ParserState::MarkupDash
                | ParserState::Bogus,
                b'>',
            ) => self.pass(),
            (
                ParserState::Close
                | ParserState::Markup
                | ParserState::MarkupDash
                | ParserState::Bogus,
                _,
            ) => ParserState::Bogus,
            (ParserState::Comment(comment), byte) => {
                comment.next(byte).map_or_else(|| self.pass(), ParserState::Comment)
            }
            (ParserState::Value(Some(quote)), byte) if byte == quote => ParserState::Attributes,
            (ParserState::Value(Some(_)), _) => self.state,
            (ParserState::Equals, b'"' | b'\'') => ParserState::Value(Some(byte)),
            (_, b'>') => return self.tag_ends(),
            (state, byte) => self.in_tag(state, byte),
        };
        Some(next)
    }

    /// Something that may come before the head ends here.
    fn pass(&mut self) -> ParserState {
        self.place = self.at + 1;
        ParserState::Between
    }

    /// The next state inside a tag, as in HTML's tokenizer (section 13.2.5); only the tag's name
    /// and its end matter here.
    fn in_tag(&mut self, state: ParserState, byte: u8) -> ParserState {
        match (state, byte) {
            (ParserState::Equals, byte) if is_blank(byte) => ParserState::Equals,
            (ParserState::Equals | ParserState::Value(_), byte) if !is_blank(byte) => {
                ParserState::Value(None)
            }
            (ParserState::Attribute | ParserState::AfterAttribute, b'=') => ParserState::Equals,
            (ParserState::Attribute | ParserState::AfterAttribute, byte) if is_blank(byte) => {
                ParserState::AfterAttribute
            }
            (_, byte) if is_blank(byte) || byte == b'/' => ParserState::Attributes,
            (ParserState::Name, byte) => {
                if self.tag.name.len() < NAME_MAX {
                    self.tag.name.push(byte.to_ascii_lowercase());
                }
                ParserState::Name
            }
            _ => ParserState::Attribute,
        }
    }

    /// `None`: a parser has begun the head, with this tag or because of it.
    fn tag_ends(&mut self) -> Option<ParserState> {
        match (self.tag.closing, self.tag.name.as_slice()) {
            (false, b"html") => Some(self.pass()),
            (false, b"head") => {
                self.pass();
                None
            }
            (false, _) | (true, b"head" | b"body" | b"html" | b"br") => None,
            // Ignored.
            (true, _) => Some(self.pass()),
        }
    }
}

impl Comment {
    /// `None`: the comment ends with this byte.
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Empty | Self::EmptyDash | Self::Dashes | Self::Bang, b'>') => None,
            (Self::Empty, b'-') => Some(Self::EmptyDash),
            (Self::EmptyDash | Self::Dash | Self::Dashes, b'-') => Some(Self::Dashes),
            (Self::Text | Self::Bang, b'-') => Some(Self::Dash),
            (Self::Dashes, b'!') => Some(Self::Bang),
            _ => Some(Self::Text),
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page with a `*` at the place, however the page is split.
    fn marked(page: &str) -> String {
        let place = |size: usize| {
            let mut finder = Finder::default();
            let found = page.as_bytes().chunks(size).find_map(|piece| finder.look(piece));
            usize::try_from(found.unwrap_or(finder.end())).unwrap()
        };
        assert_eq!(place(1), place(page.len().max(1)), "{page}");
        let (before, behind) = page.split_at(place(1));
        format!("{before}*{behind}")
    }

    #[test]
    fn the_script_is_the_first_thing_in_the_head_however_the_page_is_written() {
        for page in [
            "<!DOCTYPE html><html lang=en><head>*<title>x</title>",
            "<HTML>\n <HEAD data-a='>'>*\n<script>",
            "<!-- <head> --><!doctype html>*\n<meta charset=utf-8>",
            "<html>*<body>",
            "*<header>",
            "*text",
            "*",
            "*<head",
            "*<!-- never closed",
            "\u{feff}<head>*",
            "\u{feff}*<script>",
            "*\u{fffd}<head>",
            "<head/>*",
            "<html><html><head a=\"'>\" b>*x",
        ] {
            assert_eq!(marked(&page.replace('*', "")), page);
        }
    }

    #[test]
    fn comments_and_doctypes_end_where_parsers_end_them() {
        for page in [
            "<!--><head>*-->",
            "<!---><head>*-->",
            "<!----><head>*",
            "<!-- a --!><head>*-->",
            "<!--!><head>--><head>*",
            "<!---!><head>--><head>*",
            "<!-- a -- ><head>--><head>*",
            "<!-- a ---><head>*",
            "<!-- a --!-><head>--><head>*",
            "<!-- <!--><head>*",
            "<?xml version='>*'?><head>",
            "<!><head>*",
            "<!-><head>*",
            "<!x -- ><head>*",
            "<!DOCTYPE html PUBLIC '>*'><head>",
            "</><head>*",
            "</1 a='>*'><head>",
            "</p class='>'><head>*",
            "*</br><head>",
            "*< head>",
            "<html a'b='>'><head>*",
            "<html a'b=>*'><head>",
            "<html a=b'><head>*'",
            "<html a = '>'><head>*",
            "<html =a='>'><head>*",
            "<html/><head>*",
            "*<headx>",
            "*<htm><head>",
        ] {
            assert_eq!(marked(&page.replace('*', "")), page);
        }
    }
}
