//! A unix socket's place in the file system: never a live one's, and closed to strangers before
//! anybody can reach it.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use socket2::{Domain, SockAddr, Socket, Type};

/// The socket's group may connect; whoever may is trusted like a proxy.
pub(super) const GROUP_MODE: u32 = 0o660;
/// Our own user alone may connect, and root.
pub(super) const OWN_MODE: u32 = 0o600;

/// Tells apart the drafts of one process.
static DRAFTS: AtomicU32 = AtomicU32::new(0);

/// The file of a unix socket we made; removed with the listener, unless another file has taken its
/// place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A listening socket at `path`. It is made under another name, gets its mode, listens, and only
/// then takes the path: from a socket without a listener (left by a crash), and from nothing else.
pub(super) fn listen(path: &Path, mode: u32, backlog: i32) -> io::Result<(Socket, SocketFile)> {
    free(path)?;
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = path.with_file_name(format!(".{}-{number}", std::process::id()));
    // Left over from an earlier process with our number.
    let _ = fs::remove_file(&draft);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&draft)?)?;
    let mut file = SocketFile { inode: inode(&draft)?, path: draft };
    fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))?;
    socket.listen(backlog)?;
    put(&file.path, path)?;
    path.clone_into(&mut file.path);
    Ok((socket, file))
}

/// Moves a draft to its path, where there may be a dead socket. One that has come to life meanwhile
/// gets its path back.
fn put(draft: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => {}
        // A file system that does not know this kind of renaming.
        Err(Errno::INVAL | Errno::NOSYS) => return fs::rename(draft, path),
        other => return Ok(other?),
    }
    renameat_with(CWD, draft, CWD, path, RenameFlags::EXCHANGE)?;
    let live = free(draft);
    if live.is_err() {
        renameat_with(CWD, draft, CWD, path, RenameFlags::EXCHANGE)?;
    } else {
        fs::remove_file(draft)?;
    }
    live
}

/// Fails unless nothing is at a path, or a socket that nobody listens on.
fn free(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the file exists and is not a socket",
            ));
        }
        Ok(_) => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Otherwise we would wait for a listener whose queue is full.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Ok(()) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net, thread};

    use super::*;

    #[test]
    fn a_live_socket_keeps_its_place_also_with_a_full_queue() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (socket, file) = listen(&path, GROUP_MODE, 0).unwrap();
        let mut waiting = Vec::new();
        let client = || {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            client.connect(&SockAddr::unix(&path).unwrap()).map(|()| client)
        };
        while let Ok(client) = client() {
            waiting.push(client);
        }
        assert_eq!(listen(&path, GROUP_MODE, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(inode(&path).unwrap(), file.inode);
        // A socket came to life between the look and the renaming.
        let draft = folder.path().join("draft");
        let other = net::UnixListener::bind(&draft).unwrap();
        assert_eq!(put(&draft, &path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(inode(&path).unwrap(), file.inode);
        drop((socket, other));
        put(&draft, &path).unwrap();
        drop(file);
        assert!(path.exists(), "it is another's now");
    }

    #[test]
    fn it_has_its_mode_whenever_it_can_be_reached_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        for mode in [GROUP_MODE, OWN_MODE].repeat(25) {
            drop(net::UnixListener::bind(&path).unwrap());
            thread::scope(|scope| {
                let watcher = scope.spawn(|| reached(folder.path()));
                let made = listen(&path, mode, 8).unwrap();
                assert_eq!(watcher.join().unwrap(), mode);
                drop(made);
            });
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    /// The mode of the first socket in a folder that accepts a connection.
    fn reached(folder: &Path) -> u32 {
        loop {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let Ok(before) = inode(&entry.path()) else { continue };
                // The names of a draft and of a dead socket change places: what was connected to
                // stands there before and after.
                if let (Ok(_), Ok(found)) =
                    (net::UnixStream::connect(entry.path()), entry.metadata())
                    && (found.dev(), found.ino()) == before
                {
                    return found.mode() & 0o777;
                }
            }
        }
    }
}
