//! Files inside a folder, whatever links there are.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType as Node, Mode, OFlags, ResolveFlags, openat, openat2, statat},
    io::Errno,
};

use super::{fit, read_at_most};

/// How a file inside a folder is opened: without waiting for a pipe's writer, and without any
/// terminal becoming ours.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens a file inside a folder. A link is followed if it stays inside; one that leads out is an
/// error, even if somebody changes it meanwhile.
///
/// # Errors
/// As for [`super::open`]; or the file is not inside.
fn open_inside(folder: &Path, path: &Path) -> io::Result<File> {
    open_beneath(folder, &resolved(folder, path)?)
}

/// The same for a folder that is shown to others: nothing hidden counts as inside, whichever link
/// leads there.
///
/// # Errors
/// As for [`open_inside`]; or the file, or a folder on the way to it, is hidden.
pub(crate) fn open_shown(folder: &Path, path: &Path) -> io::Result<File> {
    let found = resolved(folder, path)?;
    if is_hidden(path) || is_hidden(&found) {
        return Err(io::ErrorKind::NotFound.into());
    }
    open_beneath(folder, &found)
}

fn is_hidden(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."))
}

/// Reads a whole file inside a folder, of at most that many bytes.
///
/// # Errors
/// As for [`open_inside`] and [`super::read`].
pub(crate) fn read_inside(folder: &Path, path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_at_most(open_inside(folder, path)?, most)
}

/// Where in `folder` a path leads once its links are resolved.
fn resolved(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let found = folder.join(path).canonicalize()?;
    let inside = found.strip_prefix(folder.canonicalize()?).map(Path::to_owned);
    inside.map_err(|_| Errno::XDEV.into())
}

/// Opens the file in `folder` with this path, on which there is no link: one that has appeared
/// meanwhile is an error.
fn open_beneath(folder: &Path, path: &Path) -> io::Result<File> {
    let root =
        openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // Checked before it is opened, as in `open`.
    let kind = Node::from_raw_mode(statat(&root, path, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
    if matches!(kind, Node::CharacterDevice | Node::BlockDevice) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is a device, not a regular file"));
    }
    let file: File = match openat2(
        &root,
        path,
        READ,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    ) {
        // Before Linux 5.6, or under a system call filter that does not know it.
        Err(Errno::NOSYS | Errno::PERM) => {
            openat(&root, path, READ | OFlags::NOFOLLOW, Mode::empty())?.into()
        }
        other => other?.into(),
    };
    fit(file.metadata()?.file_type())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use rustix::fs::mknodat;

    use super::*;

    #[test]
    fn what_is_hidden_is_not_shown_by_whatever_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at(".git/objects")).unwrap();
        std::fs::write(at(".git/config"), "secret").unwrap();
        std::fs::write(at("page"), "page").unwrap();
        std::fs::create_dir(at("sub")).unwrap();
        for (to, name) in [
            (".git/config", "config"),
            (".git", "folder"),
            ("../.git/config", "sub/up"),
            ("page", "fine"),
        ] {
            std::os::unix::fs::symlink(to, at(name)).unwrap();
        }
        let shown = |name: &str| read_at_most(open_shown(folder.path(), Path::new(name))?, 100);
        for name in ["config", "folder/config", "sub/up", ".git/config", "sub/../.git/config"] {
            assert_eq!(shown(name).unwrap_err().kind(), io::ErrorKind::NotFound, "{name}");
        }
        assert_eq!(
            (shown("page").unwrap(), shown("fine").unwrap()),
            (b"page".to_vec(), b"page".to_vec())
        );
        // We neither wait for a pipe nor open a device.
        mknodat(CWD, at("pipe"), Node::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(shown("pipe").unwrap_err().to_string(), "is a named pipe, not a regular file");
        assert_eq!(
            open_shown(Path::new("/dev"), Path::new("null")).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_link_inside_a_folder_is_followed_and_one_that_leaves_it_is_not() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("here"), "here").unwrap();
        std::fs::write(outside.path().join("there"), "there").unwrap();
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        };
        link(Path::new("../here"), "sub/inside");
        link(&outside.path().join("there"), "absolute");
        link(
            &Path::new("../..").join(outside.path().file_name().unwrap()).join("there"),
            "sub/relative",
        );
        link(outside.path(), "folder");
        link(&folder.path().join("here"), "back");
        let read = |name: &str| read_inside(folder.path(), Path::new(name), 100);
        for name in ["sub/inside", "back", "sub/../here"] {
            assert_eq!(read(name).unwrap(), b"here", "{name}");
        }
        for name in ["absolute", "sub/relative", "folder/there", "../there", "sub/../../there"] {
            assert!(read(name).is_err(), "{name}");
        }
        assert_eq!(
            crate::regular_file::read(&folder.path().join("absolute"), 10).unwrap(),
            b"there"
        );
    }
}
