//! The record's files: appended to line by line, begun anew at a size, the oldest let go of.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    keys::{self, Keys},
    line::{Heading, Placement, Position},
    note::{Checkpoint, SignerKey},
};

/// The end of a file's name; before it is the number of its first line.
const EXTENSION: &str = "jsonl";
/// Signed checkpoints, the newest last.
pub(super) const CHECKPOINTS: &str = "checkpoints";
/// The key that signs them, PKCS #8.
const KEY_FILE: &str = "key";
/// The one that comes next, while it is announced.
const NEXT_KEY: &str = "key.next";

/// What a line that announces a key has in it, so that not every line is read.
const ANNOUNCES: &[u8] = b"\"ev\":\"key\"";

/// What limits the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Bytes of one file.
    pub(crate) file: u64,
    /// Bytes of all files.
    pub(crate) total: u64,
}

/// The record, open for writing.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    budget: Budget,
    pub(super) signer: SignerKey,
    origin: String,
    keys: Keys,
    file: File,
    /// Bytes of the file that are whole lines.
    length: u64,
    pub(super) at: Position,
    /// How many lines the newest checkpoint has.
    pub(super) checked: u64,
}

/// What was found when the record was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Bytes of a line that had not been written whole.
    pub(super) cut: u64,
    /// Lines that a checkpoint has and the files have not.
    pub(super) missing: u64,
}

impl Files {
    /// Opens the record in a folder, which is made if it is not there; `host` begins its name.
    ///
    /// # Errors
    /// The folder or a file in it cannot be read or written.
    pub(super) fn open(folder: &Path, host: &str, budget: Budget) -> io::Result<(Self, Recovered)> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let (origin, mut signer) = key(folder, host)?;
        let checked = newest_checkpoint(folder).map_or(0, |note| note.size);
        let mut recovered = Recovered::default();
        let mut at = Position::default();
        let mut current = None;
        for (_, path) in list(folder)?.into_iter().rev() {
            // A file whose heading was not written whole has no line.
            let Some((position, length, keys)) = read_through(&path)? else {
                recovered.cut += fs::metadata(&path)?.len();
                fs::remove_file(&path)?;
                continue;
            };
            let file = OpenOptions::new().append(true).open(&path)?;
            recovered.cut += file.metadata()?.len() - length;
            file.set_len(length)?;
            (at, current) = (position, Some((file, length, keys)));
            break;
        }
        let (file, length, keys) = if let Some((file, length, keys)) = current {
            settle(folder, &keys.key, &mut signer)?;
            (file, length, keys)
        } else {
            let keys = Keys { former: Vec::new(), key: signer.verifier().to_string() };
            let (file, length) = begin(folder, &at.heading(&origin, &keys), &at)?;
            (file, length, keys)
        };
        recovered.missing = checked.saturating_sub(at.tree.size());
        let folder = folder.to_owned();
        Ok((Self { folder, budget, signer, origin, keys, file, length, at, checked }, recovered))
    }

    /// Appends a line. One that cannot be written whole leaves nothing behind.
    ///
    /// # Errors
    /// The disk is full, or fails.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        if self.length >= self.budget.file {
            self.file.sync_data()?;
            let heading = self.at.heading(&self.origin, &self.keys);
            (self.file, self.length) = begin(&self.folder, &heading, &self.at)?;
            self.let_go()?;
        }
        let bytes = format!("{line}\n");
        if let Err(error) = self.file.write_all(bytes.as_bytes()) {
            // What is not cut off here is at the next start.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.at.pass(line.as_bytes());
        Ok(())
    }

    /// A new key from here on: `line` makes the line that announces it, of what that has to say. The
    /// new key is on the disk before that line, so that none is announced that nobody has.
    ///
    /// # Errors
    /// The disk is full, or fails: the old key goes on.
    pub(super) fn rotate(
        &mut self,
        line: impl FnOnce(&Position, Map<String, Value>) -> String,
    ) -> io::Result<String> {
        let made = SignerKey::generate().ok_or_else(|| io::Error::other("no randomness"))?;
        let text = super::key_file(&self.origin, &made);
        let (_, new) = super::read_key_file(&text).ok_or(io::ErrorKind::InvalidData)?;
        let next = self.folder.join(NEXT_KEY);
        keep_key(&next, &text)?;
        let (n, key) = (self.at.tree.size(), new.verifier().to_string());
        let signed = keys::announce(&self.signer, &self.origin, n, &key);
        let detail = [("key", &key), ("former", &self.keys.key), ("signed", &signed)];
        let detail = detail.map(|(name, text)| (name.to_owned(), Value::from(text.as_str())));
        let line = line(&self.at, detail.into_iter().collect());
        if let Err(error) = self.append(&line) {
            let _ = fs::remove_file(next);
            return Err(error);
        }
        self.keys.pass(&self.origin, n, (&key, &signed)).ok_or(io::ErrorKind::InvalidData)?;
        self.signer = new;
        // From here on the new key counts, whatever fails: the next start finds it by its line.
        self.file.sync_data()?;
        fs::rename(next, self.folder.join(KEY_FILE))?;
        File::open(&self.folder)?.sync_all()?;
        Ok(key)
    }

    /// Signs what there is, if there is more than last time; the lines are on the disk first.
    ///
    /// # Errors
    /// The disk is full, or fails.
    pub(super) fn checkpoint(&mut self) -> io::Result<Option<String>> {
        if self.at.tree.size() <= self.checked {
            return Ok(None);
        }
        self.file.sync_data()?;
        let (size, root) = (self.at.tree.size(), self.at.tree.root());
        let note = self.signer.sign(&Checkpoint { origin: self.origin.clone(), size, root });
        let mut file = writable(&self.folder.join(CHECKPOINTS))?;
        let length = file.metadata()?.len();
        if let Err(error) = file.write_all(format!("{note}\n").as_bytes()) {
            let _ = file.set_len(length);
            return Err(error);
        }
        file.sync_data()?;
        self.checked = size;
        Ok(Some(note))
    }

    /// Removes the oldest files until the others fit.
    fn let_go(&self) -> io::Result<()> {
        let mut files = list(&self.folder)?;
        let newest = files.pop();
        let mut total = newest.map_or(Ok(0), |(_, path)| fs::metadata(path).map(|it| it.len()))?;
        for (_, path) in files.into_iter().rev() {
            total += fs::metadata(&path)?.len();
            // Room for the newest to grow.
            if total + self.budget.file > self.budget.total {
                tracing::info!(file = %path.display(), "the oldest of the record is let go of");
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The record's files, the oldest first, with the number of each one's first line.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|it| it == EXTENSION)
            && let Some(first) = stem.and_then(|stem| stem.parse().ok())
        {
            files.push((first, path));
        }
    }
    files.sort();
    Ok(files)
}

/// The newest whole checkpoint of a folder, as it is signed.
pub(super) fn newest_note(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join(CHECKPOINTS)).ok()?;
    super::note::all(&text).filter_map(Result::ok).last().map(|note| note.text())
}

/// The newest whole checkpoint of a folder.
fn newest_checkpoint(folder: &Path) -> Option<Checkpoint> {
    let text = fs::read_to_string(folder.join(CHECKPOINTS)).ok()?;
    super::note::all(&text).filter_map(Result::ok).last().map(|note| note.checkpoint)
}

/// Where a file's lines lead, and how many of its bytes are whole lines; `None` without a heading.
fn read_through(path: &Path) -> io::Result<Option<(Position, u64, Keys)>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let whole = |line: &&[u8]| line.ends_with(b"\n");
    let Some(first) = lines.next().filter(whole) else { return Ok(None) };
    let Some((heading, mut at)) = Heading::read(first.trim_ascii_end()) else {
        let why = format!("{}: its first line is no heading", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    };
    let Heading { origin, key, former, .. } = heading;
    let mut keys = Keys { former, key };
    let mut length = first.len() as u64;
    for line in lines.take_while(whole) {
        let line_text = line.trim_ascii_end();
        if line_text.windows(ANNOUNCES.len()).any(|it| it == ANNOUNCES)
            && let Some(placed) = Placement::read(line_text)
            && let Some(announced) = placed.announces()
        {
            // One that does not hold is for `verify` to find.
            let _ = keys.pass(&origin, placed.n, announced);
        }
        at.pass(line_text);
        length += line.len() as u64;
    }
    Ok(Some((at, length, keys)))
}

/// A new file, with its heading and nothing else.
fn begin(folder: &Path, heading: &str, at: &Position) -> io::Result<(File, u64)> {
    let path = folder.join(format!("{:012}.{EXTENSION}", at.tree.size()));
    let mut file = writable(&path)?;
    file.set_len(0)?;
    file.seek(SeekFrom::End(0))?;
    let bytes = format!("{heading}\n");
    file.write_all(bytes.as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok((file, bytes.len() as u64))
}

/// A file that only we can read, appended to.
fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The record's name and key, made at first.
fn key(folder: &Path, host: &str) -> io::Result<(String, SignerKey)> {
    let path = folder.join(KEY_FILE);
    let broken = || {
        let why = format!("{}: not a key of Ed25519 in PKCS #8", path.display());
        io::Error::new(io::ErrorKind::InvalidData, why)
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = SignerKey::generate().ok_or_else(|| io::Error::other("no randomness"))?;
            // The name has to be another's nowhere: hosts are called the same.
            let mut unique = [0; 4];
            getrandom::fill(&mut unique).map_err(io::Error::other)?;
            let origin = format!("{host}/{:08x}", u32::from_be_bytes(unique));
            let text = super::key_file(&origin, &made);
            let new = path.with_extension("new");
            keep_key(&new, &text)?;
            fs::rename(&new, &path)?;
            text
        }
        Err(error) => return Err(error),
    };
    super::read_key_file(&text).ok_or_else(broken)
}

/// Writes a key file that only we can read.
fn keep_key(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Takes the next key, if the record's last word is that it counts; what was not announced is
/// forgotten.
fn settle(folder: &Path, key: &str, signer: &mut SignerKey) -> io::Result<()> {
    let next = folder.join(NEXT_KEY);
    let Ok(text) = fs::read_to_string(&next) else { return Ok(()) };
    match super::read_key_file(&text) {
        Some((_, new)) if new.verifier().to_string() == key => {
            *signer = new;
            fs::rename(next, folder.join(KEY_FILE))
        }
        _ => fs::remove_file(next),
    }
}
