//! The record read from its end, for whoever looks at it: a page of lines at a time.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    str::FromStr,
};

use serde_json::Value;

use super::files;

/// Bytes that one page looks at, however few of the lines are wanted.
const LOOK_MAX: u64 = 4 << 20;
/// Bytes read at once.
const PIECE: u64 = 64 << 10;

/// A place in the record: which of its files, and the byte there that ends what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    file: u64,
    end: u64,
}

/// Some of the record, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Page {
    /// The lines, as they are written.
    pub(crate) lines: Vec<Value>,
    /// Where older ones are; `None` at the oldest that is kept.
    pub(crate) older: Option<Place>,
    /// When the oldest line was written that was looked at.
    pub(crate) reached: Option<String>,
}

/// The wanted lines before a place, or before the end, at most so many; looks at 4 MiB at most.
///
/// # Errors
/// The files cannot be read.
pub(crate) fn look(
    folder: &Path,
    before: Option<Place>,
    most: usize,
    wanted: impl Fn(&Value) -> bool,
) -> io::Result<Page> {
    let (mut page, mut looked) = (Page::default(), 0);
    for (number, path) in files::list(folder)?.into_iter().rev() {
        if before.is_some_and(|before| number > before.file) {
            continue;
        }
        let end = before.filter(|before| before.file == number).map(|before| before.end);
        let mut file = match Backwards::open(&path, end) {
            Ok(file) => file,
            // The oldest was let go of meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        while let Some(line) = file.line()? {
            looked += line.len() as u64;
            let Ok(line) = serde_json::from_slice::<Value>(&line) else { continue };
            page.reached = line.get("t").and_then(Value::as_str).map(str::to_owned);
            if wanted(&line) {
                page.lines.push(line);
            }
            if page.lines.len() >= most || looked >= LOOK_MAX {
                page.older = Some(Place { file: number, end: file.end() });
                return Ok(page);
            }
        }
    }
    Ok(page)
}

/// A file's lines from the last to the first. The very first is the heading, and is left out.
struct Backwards {
    file: File,
    /// Where what was read begins.
    at: u64,
    read: Vec<u8>,
}

impl Backwards {
    /// Before that byte, or before the end.
    fn open(path: &Path, end: Option<u64>) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut lines =
            Self { file, at: end.map_or(length, |end| end.min(length)), read: Vec::new() };
        // What is behind the last line feed is no line yet.
        lines.cut()?;
        Ok(lines)
    }

    /// Where the lines end that have not been returned.
    fn end(&self) -> u64 {
        self.at + self.read.len() as u64
    }

    /// Goes back to behind a line feed, or to the file's beginning; returns what it passed.
    fn cut(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(feed) = self.read.iter().rposition(|byte| *byte == b'\n') {
                return Ok(self.read.split_off(feed + 1));
            }
            if self.at == 0 {
                return Ok(std::mem::take(&mut self.read));
            }
            let more = PIECE.min(self.at);
            self.at -= more;
            self.file.seek(SeekFrom::Start(self.at))?;
            let mut piece = Vec::new();
            (&self.file).take(more).read_to_end(&mut piece)?;
            piece.append(&mut self.read);
            self.read = piece;
        }
    }

    /// The line before.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        // Its line feed.
        if self.read.pop().is_none() {
            return Ok(None);
        }
        let line = self.cut()?;
        Ok((self.end() > 0).then_some(line))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.file, self.end)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (file, end) = text.split_once('-').ok_or(())?;
        Ok(Self { file: file.parse().map_err(drop)?, end: end.parse().map_err(drop)? })
    }
}
