//! Words of a command line, as a shell or a unit would split it.

/// A command, and the line where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
}

/// The most words of one command that are looked at.
const WORDS_MOST: usize = 256;

/// The commands of a text: one per line, or longer ones where a line ends with `\`.
pub(super) fn commands(text: &str) -> Vec<CommandLine> {
    let mut all = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((first, line)) = lines.next() {
        let mut whole = first.to_owned();
        while let Some(open) = whole.strip_suffix('\\') {
            let open = open.len();
            whole.truncate(open);
            let Some((next, _)) = lines.next() else { break };
            whole.push(' ');
            whole.push_str(next.trim());
        }
        let whole = whole.trim();
        if !whole.starts_with(['#', ';']) {
            all.extend(split(whole).into_iter().map(|words| CommandLine { line, words }));
        }
    }
    all
}

/// The commands of one line, each a list of words.
pub(super) fn split(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let (mut word, mut open): (Option<String>, Option<char>) = (None, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (Some(quote), c) if c == quote => open = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, '"' | '\'') => {
                open = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ';' | '|' | '&' | '>' | '<') => {
                end_word(&mut all, &mut word);
                // A redirection is not a word of the command.
                all.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => end_word(&mut all, &mut word),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    end_word(&mut all, &mut word);
    all.retain(|words| !words.is_empty());
    all
}

fn end_word(all: &mut [Vec<String>], word: &mut Option<String>) {
    if let (Some(word), Some(words)) = (word.take(), all.last_mut())
        && words.len() < WORDS_MOST
    {
        words.push(word);
    }
}

/// The name of the program that a word runs: without its folder, and without the characters that a
/// unit writes before it.
pub(super) fn program(word: &str) -> &str {
    let word = word.strip_prefix("ExecStart=").unwrap_or(word);
    let word = word.trim_start_matches(['-', '@', ':', '+', '!']);
    word.rsplit('/').next().unwrap_or_default()
}

/// A program's options as getopt reads them, and what is not an option.
#[derive(Debug, Default)]
pub(super) struct Options<'a> {
    /// The name without dashes, and the value; empty if there is none.
    pub(super) options: Vec<(&'a str, &'a str)>,
    pub(super) rest: Vec<&'a str>,
}

/// Takes words apart. `valued` has the letters and names of options that take a value, separated by
/// spaces. If `first_ends` is set, reading ends at the first word that is not an option, as for
/// programs that run another program.
pub(super) fn options<'a>(words: &'a [String], valued: &str, first_ends: bool) -> Options<'a> {
    let takes = |name: &str| valued.split_whitespace().any(|known| known == name);
    let mut read = Options::default();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if word == "--" || (first_ends && !word.starts_with('-')) {
            read.rest.extend((word != "--").then_some(word));
            read.rest.extend(words);
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, it)| (name, Some(it)));
            let value = value.or_else(|| takes(name).then(|| words.next()).flatten());
            read.options.push((name, value.unwrap_or_default()));
            continue;
        }
        let Some(mut letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            read.rest.push(word);
            continue;
        };
        while let Some(letter) = letters.chars().next() {
            let (name, after) = letters.split_at(letter.len_utf8());
            if takes(name) {
                let value = if after.is_empty() { words.next().unwrap_or_default() } else { after };
                read.options.push((name, value));
                break;
            }
            read.options.push((name, ""));
            letters = after;
        }
    }
    read
}
