//! The file of grants and requests: each change is a line that holds the whole of what changed, on
//! the disk before anybody is told of it. So neither a crash nor a power cut gives a use back.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::record::{Grant, Request};
use crate::regular_file;

/// The longest file that is read: it is written anew at each start, and has at most some thousand
/// records and their changes since.
const FILE_MAX: usize = 64 << 20;
/// Bytes after which the file is written anew while the gateway runs.
const COMPACT_AT: u64 = 4 << 20;

/// One line of it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Line {
    /// When, in seconds since 1970.
    pub(super) at: i64,
    #[serde(flatten)]
    pub(super) change: Change,
}

/// What a line holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    Grant(Grant),
    Request(Request),
    /// Both at once: a crash between the two would leave a request that leads to a second grant.
    Approved {
        request: Request,
        grant: Grant,
    },
    /// The clock counts although it was later before.
    ClockAccepted {},
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// How long it was when it was last written anew.
    began_with: u64,
    /// What may be behind the last whole line: a write failed half-way.
    torn: bool,
}

/// Reads what an earlier run left. The last line may have been cut off by a power cut: nobody was
/// told of it. Anything else that cannot be read is an error, since uses would be given back.
pub(super) fn read(path: &Path) -> io::Result<Vec<Line>> {
    let bytes = match regular_file::read(path, FILE_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut lines = Vec::new();
    for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        let read = serde_json::from_slice(line);
        lines.push(read.map_err(|error| {
            io::Error::other(format!("line {} cannot be read: {error}", at + 1))
        })?);
    }
    Ok(lines)
}

impl Journal {
    /// Writes the file anew with these lines, and keeps it open.
    pub(super) fn begin(path: &Path, lines: &[Line]) -> io::Result<Self> {
        // Another gateway with the same state directory would undo what this one writes.
        let earlier = File::open(path).ok();
        earlier.as_ref().map_or(Ok(()), lock)?;
        Self::write(path, lines)
    }

    /// Writes the file anew.
    pub(super) fn again(&mut self, lines: &[Line]) -> io::Result<()> {
        *self = Self::write(&self.path, lines)?;
        Ok(())
    }

    fn write(path: &Path, lines: &[Line]) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let draft = path.with_extension("new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&draft)?;
        lock(&file)?;
        if let Ok(before) = fs::metadata(path) {
            // Root by hand: the service reads it again afterwards. Others cannot give files away.
            let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
        }
        let mut text = Vec::new();
        for line in lines {
            write_line(&mut text, line)?;
        }
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        // The new name is on the disk, too.
        File::open(folder)?.sync_all()?;
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(Self { path: path.to_owned(), file, length, began_with: length, torn: false })
    }

    /// Appends a line; it is on the disk when this returns.
    pub(super) fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut text = Vec::new();
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        write_line(&mut text, line)?;
        self.torn = true;
        self.file.write_all(&text)?;
        self.file.sync_data()?;
        self.torn = false;
        self.length += u64::try_from(text.len()).unwrap_or(0);
        Ok(())
    }

    /// Whether it has grown so long that it should be written anew: not each time, where what has
    /// to be in it is as long.
    pub(super) fn is_long(&self) -> bool {
        self.length > COMPACT_AT.max(2 * self.began_with)
    }

    /// Writes to another file from now on; returns the one before.
    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(file: &File) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        Errno::WOULDBLOCK => {
            io::Error::other("another gateway with the same `state_directory` is running")
        }
        error => error.into(),
    })
}

fn write_line(text: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}
