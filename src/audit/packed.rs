//! The record as one file to take away: a tar archive (POSIX ustar) of its files and checkpoints,
//! for `wsbridge audit verify`. The key that signs is not in it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use super::files::{self, CHECKPOINTS};

/// The unit of an archive, in bytes.
const BLOCK: usize = 512;
/// The folder in it.
const FOLDER: &str = "wsbridge-audit";

/// Writes it.
///
/// # Errors
/// A file cannot be read, or the archive not written.
pub(crate) fn pack(folder: &Path, out: &mut impl Write) -> io::Result<()> {
    // First: checkpoints that come meanwhile are of lines that may not be in it.
    let signed = match fs::read(folder.join(CHECKPOINTS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    add(out, CHECKPOINTS, (signed.len() as u64, signed.as_slice()))?;
    for (_, path) in files::list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        add(out, &name, (length, file))?;
    }
    out.write_all(&[0; 2 * BLOCK])
}

/// One file: its header, its bytes as they are now, and zeros up to a whole block.
fn add(out: &mut impl Write, name: &str, (length, bytes): (u64, impl Read)) -> io::Result<()> {
    out.write_all(&header(name, length))?;
    let copied = io::copy(&mut bytes.take(length), out)?;
    if copied != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let over = usize::try_from(length % BLOCK as u64).unwrap_or(0);
    let rest = [0; BLOCK];
    out.write_all(rest.get(..(BLOCK - over) % BLOCK).unwrap_or_default())
}

fn header(name: &str, length: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    // Name, mode, owner, group, length, time, check sum (spaces while it is computed), type, magic.
    for (at, text) in [
        (0, format!("{FOLDER}/{name}").as_str()),
        (100, "0000600\0"),
        (108, "0000000\0"),
        (116, "0000000\0"),
        (124, &format!("{length:011o}\0")),
        (136, "00000000000\0"),
        (148, "        "),
        (156, "0"),
        (257, "ustar\0"),
        (263, "00"),
    ] {
        put(&mut header, at, text);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut header, 148, &format!("{sum:06o}\0 "));
    header
}

fn put(header: &mut [u8], at: usize, text: &str) {
    if let Some(place) = header.get_mut(at..at + text.len()) {
        place.copy_from_slice(text.as_bytes());
    }
}
