//! Whether a record is whole: each line in its place, each file behind the one before, the tree as
//! it was signed.

use std::{fs, io, path::Path};

use super::{
    files::{self, CHECKPOINTS},
    keys::Keys,
    line::{Heading, LINE_MAX, Placement, Position},
    note::{self, SignedCheckpoint, VerifierKey},
    tree::{self, Frontier, Hash},
};

/// What is wrong with a record, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// It does not continue the one before.
    #[error("{file}, line {line}: changed, or what came before it was")]
    Changed { file: String, line: usize },
    /// Its number is not the next.
    #[error(
        "{file}, line {line}: number {is} where {wanted} belongs: lines are missing or out of order"
    )]
    Number { file: String, line: usize, is: u64, wanted: u64 },
    /// It announces a key that the one before has not signed for.
    #[error("{file}, line {line}: a new key that the one before it has not signed")]
    Key { file: String, line: usize },
    /// The key that was given is none of the record's.
    #[error("signed with {is}, and not with the key that was given")]
    OtherKey { is: String },
    /// It is no line of a record.
    #[error("{file}, line {line}: not a line of a record")]
    Foreign { file: String, line: usize },
    /// The file does not begin where the one before it ends.
    #[error("{file}: does not continue the file before it: a file is missing, or was changed")]
    Apart { file: String },
    /// A checkpoint was signed over other lines.
    #[error(
        "the checkpoint of {size} lines does not match them: a line before it was changed, and all after that made to fit"
    )]
    Root { size: u64 },
    /// A checkpoint has more lines than there are.
    #[error("cut: a checkpoint has {size} lines, the record has {is}")]
    Cut { size: u64, is: u64 },
    /// A checkpoint that the key has not signed.
    #[error("the checkpoint of {size} lines is not signed by the key {key}")]
    Signature { size: u64, key: String },
    /// A checkpoint of another record.
    #[error("a checkpoint is of another record, {origin}")]
    Origin { origin: String },
    /// The record's checkpoints are not readable.
    #[error("checkpoints: {0}")]
    Note(note::NoteError),
}

/// A record that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The record's name.
    pub(crate) origin: String,
    /// The key that its files name.
    pub(crate) key: String,
    /// Numbers of the first line that is kept and of the one after the last.
    pub(crate) lines: (u64, u64),
    /// How many lines the newest checkpoint has; behind it nothing shows that the end was not cut.
    pub(crate) signed: u64,
    /// Bytes of a last line that is not whole.
    pub(crate) torn: u64,
    /// How many events could not be recorded, as the record itself says.
    pub(crate) lost: u64,
    /// Its newest checkpoint, as it is signed.
    pub(crate) checkpoint: Option<String>,
}

/// A line and why it belongs to a signed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) line: String,
    pub(crate) path: Vec<Hash>,
    pub(crate) checkpoint: SignedCheckpoint,
}

/// A record as it was read.
struct Read {
    origin: String,
    keys: Keys,
    /// The tree before the first line that is kept.
    before: Frontier,
    leaves: Vec<Hash>,
    lines: Vec<String>,
    torn: u64,
    lost: u64,
}

/// Verifies a record in a folder, or one of its files. `elsewhere` are checkpoints that were kept
/// elsewhere; `key` is the key as somebody else knows it, in place of the one that the record names.
///
/// # Errors
/// The files cannot be read. Inside, what is wrong with them.
pub(crate) fn verify(
    place: &Path,
    elsewhere: &[SignedCheckpoint],
    key: Option<&VerifierKey>,
) -> io::Result<Result<Verified, Broken>> {
    // First: while a gateway writes, newer ones are of more lines than are read.
    let own = match checkpoints(place)? {
        Ok(own) => own,
        Err(error) => return Ok(Err(Broken::Note(error))),
    };
    let read = match read(place, false)? {
        Ok(read) => read,
        Err(broken) => return Ok(Err(broken)),
    };
    // A file of the middle ends before later checkpoints.
    let end = read.before.size() + read.leaves.len() as u64;
    let reaches = |note: &&SignedCheckpoint| place.is_dir() || note.checkpoint.size <= end;
    let signed = match matches(&read, own.iter().filter(reaches).chain(elsewhere), key) {
        Ok(signed) => signed,
        Err(broken) => return Ok(Err(broken)),
    };
    let lines = (read.before.size(), end);
    let Read { origin, keys: Keys { key, .. }, torn, lost, .. } = read;
    let checkpoint = own.last().map(SignedCheckpoint::text);
    Ok(Ok(Verified { origin, key, lines, signed, torn, lost, checkpoint }))
}

/// The proof that line `number` is in the record, up to its newest checkpoint. `None`: it is not
/// kept, or not signed yet.
///
/// # Errors
/// As for [`verify`].
pub(crate) fn prove(place: &Path, number: u64) -> io::Result<Result<Option<Proof>, Broken>> {
    let own = match checkpoints(place)? {
        Ok(own) => own,
        Err(error) => return Ok(Err(Broken::Note(error))),
    };
    let read = match read(place, true)? {
        Ok(read) => read,
        Err(broken) => return Ok(Err(broken)),
    };
    if let Err(broken) = matches(&read, own.iter(), None) {
        return Ok(Err(broken));
    }
    let proof = own.into_iter().next_back().and_then(|newest| {
        let kept = newest.checkpoint.size.checked_sub(read.before.size())?;
        let leaves = read.leaves.get(..usize::try_from(kept).ok()?)?;
        let path = tree::prove(&read.before, leaves, number)?;
        let at = usize::try_from(number.checked_sub(read.before.size())?).ok()?;
        let line = read.lines.get(at)?.clone();
        Some(Proof { line, path, checkpoint: newest })
    });
    Ok(Ok(proof))
}

impl Proof {
    /// Whether the line is in the record that the key has signed.
    pub(crate) fn holds(&self, number: u64, key: &VerifierKey) -> bool {
        let note::Checkpoint { size, root, .. } = &self.checkpoint.checkpoint;
        let leaf = tree::leaf(self.line.as_bytes());
        key.has_signed(&self.checkpoint) && tree::is_proved(leaf, (number, *size), &self.path, root)
    }
}

fn checkpoints(place: &Path) -> io::Result<Result<Vec<SignedCheckpoint>, note::NoteError>> {
    let folder = if place.is_dir() { Some(place) } else { place.parent() };
    match fs::read_to_string(folder.unwrap_or(place).join(CHECKPOINTS)) {
        Ok(text) => Ok(note::all(&text).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(Vec::new())),
        Err(error) => Err(error),
    }
}

/// Reads the files and follows the chain through them.
fn read(place: &Path, with_lines: bool) -> io::Result<Result<Read, Broken>> {
    let files = if place.is_dir() {
        files::list(place)?.into_iter().map(|(_, path)| path).collect()
    } else {
        vec![place.to_owned()]
    };
    let mut all: Option<(Read, Position)> = None;
    let last = files.len().saturating_sub(1);
    for (n, path) in files.iter().enumerate() {
        let bytes = fs::read(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Err(broken) = follow(&mut all, (&name, &bytes), n == last, with_lines) {
            return Ok(Err(broken));
        }
    }
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "no record is kept here");
    all.map(|(read, _)| Ok(read)).ok_or_else(nothing)
}

/// Follows one file from where the one before ended.
fn follow(
    all: &mut Option<(Read, Position)>,
    (name, bytes): (&str, &[u8]),
    is_last: bool,
    with_lines: bool,
) -> Result<(), Broken> {
    let foreign = |line| Broken::Foreign { file: name.to_owned(), line };
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    let first = lines.next().map(|(_, line)| line.trim_ascii_end());
    let (heading, start) = first.and_then(Heading::read).ok_or_else(|| foreign(1))?;
    let Heading { origin, key, former, .. } = heading;
    let keys = Keys { former, key };
    if !keys.hold(&origin) {
        return Err(Broken::Key { file: name.to_owned(), line: 1 });
    }
    let (read, at) = all.get_or_insert_with(|| {
        let before = start.tree.clone();
        let (origin, keys) = (origin.clone(), keys.clone());
        let (leaves, lines) = (Vec::new(), Vec::new());
        (Read { origin, keys, before, leaves, lines, torn: 0, lost: 0 }, start.clone())
    });
    if *at != start || read.origin != origin || read.keys != keys {
        return Err(Broken::Apart { file: name.to_owned() });
    }
    for (n, line) in lines {
        let Some(whole) = line.strip_suffix(b"\n") else {
            if is_last {
                read.torn = line.len() as u64;
                break;
            }
            return Err(foreign(n + 1));
        };
        if whole.len() > LINE_MAX {
            return Err(foreign(n + 1));
        }
        let placed = Placement::read(whole).ok_or_else(|| foreign(n + 1))?;
        if placed.n != at.tree.size() {
            let (file, is, wanted) = (name.to_owned(), placed.n, at.tree.size());
            return Err(Broken::Number { file, line: n + 1, is, wanted });
        }
        if !placed.follows(&at.prev) {
            return Err(Broken::Changed { file: name.to_owned(), line: n + 1 });
        }
        if let Some(announced) = placed.announces() {
            let passed = read.keys.pass(&read.origin, placed.n, announced);
            passed.ok_or_else(|| Broken::Key { file: name.to_owned(), line: n + 1 })?;
        }
        read.lost += placed.lost();
        at.pass(whole);
        read.leaves.push(tree::leaf(whole));
        if with_lines {
            read.lines.push(String::from_utf8_lossy(whole).into_owned());
        }
    }
    Ok(())
}

/// Whether the checkpoints are of these lines; the size of the newest.
fn matches<'a>(
    read: &Read,
    notes: impl Iterator<Item = &'a SignedCheckpoint>,
    key: Option<&VerifierKey>,
) -> Result<u64, Broken> {
    // A key that is none of the record's has to have signed everything, which it has not.
    let other = key.filter(|key| !read.keys.has(key));
    let mut notes: Vec<_> = notes.collect();
    notes.sort_by_key(|note| note.checkpoint.size);
    if other.is_some() && notes.is_empty() {
        return Err(Broken::OtherKey { is: read.keys.key.clone() });
    }
    let mut tree = read.before.clone();
    let mut leaves = read.leaves.iter();
    let mut signed = 0;
    for note in notes {
        let note::Checkpoint { origin, size, root } = &note.checkpoint;
        if *origin != read.origin {
            return Err(Broken::Origin { origin: origin.clone() });
        }
        let key = match other {
            Some(key) => key.clone(),
            None => read.keys.of_size(*size).parse().map_err(Broken::Note)?,
        };
        if !key.has_signed(note) {
            return Err(Broken::Signature { size: *size, key: key.to_string() });
        }
        signed = *size;
        // What it was signed over is not kept any more.
        if *size < read.before.size() {
            continue;
        }
        while tree.size() < *size {
            let is = tree.size();
            tree.push(*leaves.next().ok_or(Broken::Cut { size: *size, is })?);
        }
        if tree.root() != *root {
            return Err(Broken::Root { size: *size });
        }
    }
    Ok(signed)
}
