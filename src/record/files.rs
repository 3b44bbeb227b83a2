//! The files of one endpoint's recording: named by their beginning, `.part` until they are closed,
//! mended after a crash, the oldest let go of.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{config::RecordFormat, wire::pcapng};

/// The end of the name of a file that is being written.
const PART: &str = ".part";
/// How long a file may be open.
const DAY: Duration = Duration::from_secs(86_400);
/// Bytes read in one go of a file that has to be mended.
const READ: usize = 256 << 10;

/// What limits them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Bytes of one.
    pub(super) file: u64,
    /// How long one is kept.
    pub(super) age: Duration,
    /// Bytes of all.
    pub(super) total: u64,
}

/// The files of an endpoint.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    format: RecordFormat,
    budget: Budget,
    open: Option<OpenFile>,
    /// Whether files that were left open have been mended.
    mended: bool,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    path: PathBuf,
    /// Bytes that were written whole.
    length: u64,
    began: SystemTime,
}

impl Files {
    pub(super) fn new(folder: PathBuf, format: RecordFormat, budget: Budget) -> Self {
        Self { folder, format, budget, open: None, mended: false }
    }

    /// Makes the folder, and mends what a crash left. Once.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        if !self.mended {
            DirBuilder::new().recursive(true).mode(0o750).create(&self.folder)?;
            mend(&self.folder)?;
            self.mended = true;
            self.let_go();
        }
        Ok(())
    }

    /// Whether a file is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Begins one with these bytes; returns its name.
    ///
    /// # Errors
    /// The disk is full or fails; then there is no file.
    pub(super) fn begin(&mut self, bytes: &[u8]) -> io::Result<String> {
        self.prepare()?;
        let (mut file, path) = self.create()?;
        if let Err(error) = file.write_all(bytes) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let length = bytes.len() as u64;
        self.open = Some(OpenFile { file, path, length, began: SystemTime::now() });
        Ok(name)
    }

    /// A file of the time's name; with a number if there is one already.
    fn create(&self) -> io::Result<(File, PathBuf)> {
        let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
        let extension = self.format.extension();
        for number in 1..1000 {
            let number = if number == 1 { String::new() } else { format!("_{number:03}") };
            let whole = self.folder.join(format!("{stamp}{number}.{extension}"));
            let path = part(&whole);
            if whole.exists() {
                continue;
            }
            match OpenOptions::new().append(true).create_new(true).mode(0o640).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other.map(|file| (file, path)),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Appends to the open file. What cannot be written whole leaves nothing behind, and the file
    /// is closed.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub(super) fn append(&mut self, bytes: &[u8], sync: bool) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let mut done = open.file.write_all(bytes);
        if sync && done.is_ok() {
            done = open.file.sync_data();
        }
        if let Err(error) = done {
            // What is not cut off here is when the gateway starts.
            let _ = open.file.set_len(open.length);
            self.close();
            return Err(error);
        }
        open.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether it is time for another one.
    pub(super) fn is_full(&self) -> bool {
        let age = DAY.min(self.budget.age);
        self.open.as_ref().is_some_and(|open| {
            open.length >= self.budget.file || open.began.elapsed().is_ok_and(|it| it >= age)
        })
    }

    /// Closes the open file, and lets go of what is too old or too much.
    pub(super) fn close(&mut self) {
        if let Some(OpenFile { file, path, .. }) = self.open.take() {
            let _ = file.sync_data();
            drop(file);
            if let Err(error) = fs::rename(&path, path.with_extension("")) {
                tracing::warn!(file = %path.display(), "a recording keeps its name: {error}");
            }
        }
        self.let_go();
    }

    fn let_go(&self) {
        let Ok(mut all) = list(&self.folder) else { return };
        // Names are times.
        all.sort_by(|one, other| other.name.cmp(&one.name));
        let mut total = 0;
        for (place, recording) in all.iter().filter(|it| !it.open).enumerate() {
            total += recording.size;
            let old = recording.changed.elapsed().is_ok_and(|age| age > self.budget.age);
            // The newest may be a little more than all may be.
            if (old || total > self.budget.total && place > 0)
                && let Err(error) = fs::remove_file(self.folder.join(&recording.name))
            {
                tracing::warn!(file = recording.name, "an old recording stays: {error}");
            }
        }
    }
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    name.into()
}

/// A recording's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recording {
    /// Its name, without `.part`.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) size: u64,
    /// When it was last written.
    pub(crate) changed: SystemTime,
    /// It is still being written.
    pub(crate) open: bool,
}

impl Recording {
    /// The name that it has in its folder.
    pub(crate) fn file(&self) -> String {
        format!("{}{}", self.name, if self.open { PART } else { "" })
    }
}

/// The files of a folder, the oldest first; none if there is no such folder.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<Recording>> {
    let mut all = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let whole = name.strip_suffix(PART);
        let (name, open) = (whole.unwrap_or(&name).to_owned(), whole.is_some());
        // It may have gone meanwhile.
        let (true, Ok(about)) = (is_recording(&name), entry.metadata()) else { continue };
        if about.is_file() {
            let changed = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            all.push(Recording { name, size: about.len(), changed, open });
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// Whether a name is one that recordings have: so no name leads out of a folder.
pub(crate) fn is_recording(name: &str) -> bool {
    let extensions = [".pcapng", ".cast", ".raw"];
    let stem = extensions.iter().find_map(|extension| name.strip_suffix(extension));
    stem.is_some_and(|stem| {
        stem.ends_with(|c: char| c == 'Z' || c.is_ascii_digit())
            && stem.starts_with(|c: char| c.is_ascii_digit())
            && stem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    })
}

/// Cuts files that a crash left open at their last whole block or line, and closes them.
fn mend(folder: &Path) -> io::Result<()> {
    for recording in list(folder)?.iter().filter(|it| it.open) {
        let path = folder.join(recording.file());
        let length = whole(&path)?;
        if length == 0 {
            fs::remove_file(&path)?;
            continue;
        }
        if length < recording.size {
            OpenOptions::new().write(true).open(&path)?.set_len(length)?;
        }
        fs::rename(&path, folder.join(&recording.name))?;
    }
    Ok(())
}

/// How many bytes of a file are whole.
fn whole(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let lines = path.to_string_lossy().ends_with(".cast.part");
    if path.to_string_lossy().ends_with(".raw.part") {
        return Ok(file.metadata()?.len());
    }
    let (mut held, mut length) = (Vec::new(), 0);
    loop {
        let read = (&mut file).take(READ as u64).read_to_end(&mut held)?;
        let mut at = 0;
        loop {
            let rest = held.split_at(at).1;
            let next = if lines {
                rest.iter().position(|byte| *byte == b'\n').map(|end| end + 1)
            } else {
                pcapng::read(rest).ok().flatten().map(|(_, length)| length)
            };
            let Some(next) = next else { break };
            at += next;
        }
        length += at as u64;
        held.drain(..at);
        if read == 0 {
            return Ok(length);
        }
    }
}

#[cfg(test)]
mod tests;
