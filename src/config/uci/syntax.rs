//! UCI's grammar, as libuci reads it: sections, options, lists, quotes and comments; each value has
//! its line.

use std::{collections::BTreeMap, iter::Peekable, str::Chars};

use crate::config::{node::At, units::suggest};

/// One value and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct UciValue {
    pub(in crate::config) text: String,
    pub(in crate::config) at: At,
}

/// An option or a list of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct OptionLines {
    pub(in crate::config) option: String,
    /// Whether `list` introduced it; a list has at least one value, an option exactly one.
    pub(in crate::config) list: bool,
    pub(in crate::config) values: Vec<UciValue>,
}

/// A section: `config KIND 'NAME'` and what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Section {
    pub(in crate::config) kind: String,
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) at: At,
    pub(in crate::config) entries: Vec<OptionLines>,
}

impl Section {
    /// The last value of an option.
    pub(in crate::config) fn value(&self, option: &str) -> Option<&UciValue> {
        self.entries.iter().find(|entry| entry.option == option)?.values.last()
    }
}

/// What is wrong in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) what: String,
}

/// A file as far as it was understood, and what was not.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) sections: Vec<Section>,
    pub(super) mistakes: Vec<Mistake>,
    /// Legal, but surely not intended.
    pub(super) odd: Vec<Mistake>,
}

/// Reads a file.
pub(super) fn read(text: &str) -> Read {
    let start = At { file: 0, line: 1, column: 1 };
    let mut words = Words { rest: text.chars().peekable(), at: start };
    let mut file = Builder::default();
    loop {
        match words.statement() {
            Ok(None) => return file.done(),
            Ok(Some(statement)) => {
                if let Err(mistake) = file.take(statement) {
                    file.read.mistakes.push(mistake);
                }
            }
            // Whatever comes after an open quote is not what its writer thinks it is.
            Err(mistake) => {
                file.read.mistakes.push(mistake);
                return file.done();
            }
        }
    }
}

/// Words of a statement, and where it begins.
type Statement = (At, Vec<UciValue>);

struct Words<'a> {
    rest: Peekable<Chars<'a>>,
    at: At,
}

impl Words<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next();
        self.at.column += 1;
        if c == Some('\n') {
            self.at = At { line: self.at.line + 1, column: 1, ..self.at };
        }
        c
    }

    /// The words up to the end of the line or a `;`; none at the end of the file.
    fn statement(&mut self) -> Result<Option<Statement>, Mistake> {
        let mut words = Vec::new();
        let mut first = self.at;
        while let Some(c) = self.rest.peek().copied() {
            match c {
                '\n' | ';' => {
                    self.next();
                    if !words.is_empty() {
                        return Ok(Some((first, words)));
                    }
                }
                '#' => while self.rest.next_if(|c| *c != '\n').is_some() {},
                c if is_space(c) => drop(self.next()),
                _ => {
                    if words.is_empty() {
                        first = self.at;
                    }
                    words.push(self.word()?);
                }
            }
        }
        Ok((!words.is_empty()).then_some((first, words)))
    }

    /// One word: pieces in either kind of quotes or none, side by side.
    fn word(&mut self) -> Result<UciValue, Mistake> {
        let at = self.at;
        let mut text = String::new();
        while let Some(c) = self.rest.peek().copied() {
            match c {
                '\'' | '"' => self.quoted(c, &mut text)?,
                '\\' => {
                    self.next();
                    text.extend(self.escaped());
                }
                '#' | ';' => break,
                c if is_space(c) => break,
                c => {
                    self.next();
                    text.push(c);
                }
            }
        }
        Ok(UciValue { text, at })
    }

    /// What is between quotes; within single ones a backslash is an ordinary character.
    fn quoted(&mut self, quote: char, text: &mut String) -> Result<(), Mistake> {
        let line = self.at.line;
        self.next();
        while let Some(c) = self.next() {
            match c {
                c if c == quote => return Ok(()),
                '\\' if quote == '"' => text.extend(self.escaped()),
                c => text.push(c),
            }
        }
        Err(Mistake {
            line,
            what: format!("the quote {quote} that opens here is never closed; close it"),
        })
    }

    /// What a backslash stands for: the character after it, or nothing before the end of a line,
    /// which it continues.
    fn escaped(&mut self) -> Option<char> {
        let c = self.next();
        if c == Some('\r') && self.rest.peek() == Some(&'\n') {
            self.next();
            return None;
        }
        c.filter(|c| *c != '\n')
    }
}

#[derive(Default)]
struct Builder {
    read: Read,
    /// Where named sections are, and below the options of the last section.
    names: BTreeMap<String, usize>,
    current: Option<usize>,
    options: BTreeMap<(usize, String), usize>,
}

impl Builder {
    fn take(&mut self, (at, words): Statement) -> Result<(), Mistake> {
        let wrong = |what: String| Err(Mistake { line: at.line, what });
        let mut words = words.into_iter();
        let command = words.next().map(|word| word.text).unwrap_or_default();
        let (first, second, third) = (words.next(), words.next(), words.next());
        let most = match command.as_str() {
            "package" | "p" => 1,
            _ => 2,
        };
        match command.as_str() {
            "package" | "p" | "config" | "c" | "option" | "o" | "list" | "l" => {}
            _ => {
                let known = suggest(&command, &["config", "option", "list"]);
                return wrong(format!("`{command}` is not a command{known}"));
            }
        }
        let Some(first) = first else {
            return wrong(format!("`{command}` needs a name after it"));
        };
        // The word itself is not shown: it may be half a password.
        if (if most == 1 { &second } else { &third }).is_some() {
            return wrong("one word too many; put text with spaces in single quotes".into());
        }
        match command.as_str() {
            "package" | "p" => Ok(()),
            "config" | "c" => self.section(at, &first.text, second),
            list => self.entry(at.line, matches!(list, "list" | "l"), first.text, second),
        }
    }

    fn section(&mut self, at: At, kind: &str, name: Option<UciValue>) -> Result<(), Mistake> {
        let wrong = |what: String| Err(Mistake { line: at.line, what });
        // Options after an invalid section do not belong to the section before it.
        self.current = None;
        if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_graphic()) {
            return wrong(format!("`{kind}` is not a type of section"));
        }
        let name = name.map(|name| name.text).filter(|name| !name.is_empty());
        if let Some(name) = &name {
            if !is_name(name) {
                return wrong(format!(
                    "`{name}` cannot name a section; UCI takes only letters, digits and _. Leave the name out here and \
                     write `option name '{name}'` below"
                ));
            }
            if let Some(index) = self.names.get(name) {
                let before = self.read.sections.get(*index);
                if before.is_some_and(|before| before.kind != kind) {
                    return wrong(format!(
                        "another section has the name `{name}`; names are unique in a file"
                    ));
                }
                self.current = Some(*index);
                return Ok(());
            }
            self.names.insert(name.clone(), self.read.sections.len());
        }
        self.current = Some(self.read.sections.len());
        self.read.sections.push(Section { kind: kind.to_owned(), name, at, entries: Vec::new() });
        Ok(())
    }

    fn done(mut self) -> Read {
        for section in &mut self.read.sections {
            section.entries.retain(|entry| !entry.values.is_empty());
        }
        self.read
    }

    fn entry(
        &mut self,
        line: usize,
        list: bool,
        option: String,
        value: Option<UciValue>,
    ) -> Result<(), Mistake> {
        let wrong = |what: String| Err(Mistake { line, what });
        if !is_name(&option) {
            return wrong(format!(
                "`{option}` is not a name of an option; UCI takes only letters, digits and _"
            ));
        }
        let Some(value) = value else {
            return wrong(format!("option '{option}' has no value; write one, or remove the line"));
        };
        let Some(index) = self.current else {
            if self.read.sections.is_empty() && self.read.mistakes.is_empty() {
                return wrong(format!("option '{option}' stands before the first `config` line"));
            }
            return Ok(());
        };
        let Some(section) = self.read.sections.get_mut(index) else { return Ok(()) };
        let at = self.options.get(&(index, option.clone())).copied();
        // To libuci, an empty value means that the option is absent, even if it had a value before;
        // in a list it is not a member.
        if value.text.is_empty() {
            if let Some(entry) = at.and_then(|at| section.entries.get_mut(at)).filter(|_| !list) {
                entry.values.clear();
            }
            return Ok(());
        }
        let Some(entry) = at.and_then(|at| section.entries.get_mut(at)) else {
            self.options.insert((index, option.clone()), section.entries.len());
            section.entries.push(OptionLines { option, list, values: vec![value] });
            return Ok(());
        };
        if list {
            entry.list = true;
            entry.values.push(value);
            return Ok(());
        }
        if !entry.values.is_empty() {
            let what = format!("option '{option}' is here twice; this one counts");
            self.read.odd.push(Mistake { line, what });
        }
        entry.list = false;
        entry.values = vec![value];
        Ok(())
    }
}

/// C's `isspace`.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// What UCI accepts as the name of a section or an option.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests;
