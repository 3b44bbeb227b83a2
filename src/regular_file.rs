//! Regular files only: opening a device can move its lines, and opening a pipe can block for ever.

#[cfg(unix)]
mod inside;
#[cfg(unix)]
mod nodes;
#[cfg(not(unix))]
#[path = "regular_file/no_nodes.rs"]
mod nodes;
#[cfg(unix)]
mod replace;

use std::{
    fs::{File, FileType, metadata},
    io::{self, Read as _},
    path::Path,
};

#[cfg(unix)]
pub(crate) use self::{
    inside::{open_shown, read_inside},
    replace::{given, replace},
};

/// Opens a file for reading.
///
/// # Errors
/// The file cannot be opened, or it is a directory, a device, a pipe or a socket.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Checked before it is opened, since opening a device has effects; and again afterwards, since
    // the name may lead elsewhere by then.
    fit(metadata(path)?.file_type())?;
    let file = nodes::open(path)?;
    fit(file.metadata()?.file_type())?;
    Ok(file)
}

/// Reads a whole file of at most that many bytes.
///
/// # Errors
/// As for [`open`]; the file is larger, or reading it fails.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_at_most(open(path)?, most)
}

/// Reads what is left of an open file, at most that many bytes.
///
/// # Errors
/// There is more, or reading fails.
pub(crate) fn read_at_most(file: File, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

fn fit(kind: FileType) -> io::Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let name = nodes::name(kind);
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("is {name}, not a regular file")))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType as Node, Mode, mknodat};

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_named_and_neither_opened_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mknodat(CWD, at("pipe"), Node::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        let text = |path: &Path| read(path, 10).unwrap_err().to_string();
        assert_eq!(text(&at("pipe")), "is a named pipe, not a regular file");
        assert_eq!(text(&at("socket")), "is a socket, not a regular file");
        assert_eq!(text(Path::new("/dev/zero")), "is a device, not a regular file");
        assert_eq!(read(folder.path(), 10).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(read(&at("gone"), 10).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"0123456789");
        assert_eq!(read(&path, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
