//! The link by which tools find a node: never in the place of anything that is not a dead one.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// Where slaves are.
const SLAVES: &str = "/dev/pts";

/// Tells apart the drafts of one process.
static DRAFTS: AtomicU32 = AtomicU32::new(0);

/// A link of ours; removed when dropped, unless something else has taken its place.
#[derive(Debug)]
pub(super) struct NodeLink {
    path: PathBuf,
    slave: PathBuf,
}

impl NodeLink {
    /// Makes a link at a path, where there may be one that leads nowhere any more.
    pub(super) fn new(path: &Path, slave: &Path) -> io::Result<Self> {
        place(path, slave)?;
        Ok(Self { path: path.to_owned(), slave: slave.to_owned() })
    }

    /// Leads to another slave from now on.
    pub(super) fn turn(&mut self, slave: &Path) -> io::Result<()> {
        if self.is_ours() {
            replace(&self.path, slave)?;
        } else {
            // Somebody has removed it, or put something else there.
            place(&self.path, slave)?;
        }
        slave.clone_into(&mut self.slave);
        Ok(())
    }

    fn is_ours(&self) -> bool {
        fs::read_link(&self.path).is_ok_and(|slave| slave == self.slave)
    }
}

impl Drop for NodeLink {
    fn drop(&mut self) {
        if self.is_ours() {
            // One that stays leads nowhere.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn place(path: &Path, slave: &Path) -> io::Result<()> {
    match symlink(slave, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            free(path)?;
            replace(path, slave)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(said(error.kind(), missing(path)))
        }
        Err(error) => Err(said(error.kind(), format!("no link can be made there: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Puts a link in the place of another, so that there is one at any time.
fn replace(path: &Path, slave: &Path) -> io::Result<()> {
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = path.with_file_name(format!(".{}-{number}.node", std::process::id()));
    // Left over from an earlier process with our number.
    let _ = fs::remove_file(&draft);
    symlink(slave, &draft)?;
    fs::rename(&draft, path).inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })
}

/// Fails unless there is a link to a slave that is gone, as a crash leaves it. The number of that
/// slave may be another's by now: a slave is made before its link, and this one was made after it.
fn free(path: &Path) -> io::Result<()> {
    let link = fs::symlink_metadata(path)?;
    let slave = fs::read_link(path).ok().filter(|slave| slave.starts_with(SLAVES));
    let Some(slave) = slave else {
        let what =
            "something that is no device node of ours is there: name another path, or remove it";
        return Err(said(io::ErrorKind::AlreadyExists, what));
    };
    let made = match fs::metadata(&slave) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        made => made?,
    };
    // Data do not change a tty's ctime.
    if (made.ctime(), made.ctime_nsec()) > (link.mtime(), link.mtime_nsec()) {
        return Ok(());
    }
    let what = format!("another program's device node is there: {}", slave.display());
    Err(said(io::ErrorKind::AddrInUse, what))
}

fn missing(path: &Path) -> String {
    match path.parent() {
        Some(folder) if !folder.exists() => format!("there is no folder {}", folder.display()),
        _ => "no link can be made there".into(),
    }
}

fn said(kind: io::ErrorKind, what: impl Into<String>) -> io::Error {
    io::Error::new(kind, what.into())
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::{super::Master, *};

    fn leads_to(path: &Path) -> PathBuf {
        fs::read_link(path).unwrap()
    }

    #[test]
    fn a_link_goes_with_its_node_and_takes_the_place_of_a_dead_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plc1");
        let node = Master::open().unwrap();
        let link = NodeLink::new(&path, node.slave_path()).unwrap();
        assert_eq!(leads_to(&path), node.slave_path());
        // A live one keeps its place.
        let other = Master::open().unwrap();
        let error = NodeLink::new(&path, other.slave_path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        // As after a crash: the link stays, its node is gone.
        std::mem::forget(link);
        drop(node);
        let link = NodeLink::new(&path, other.slave_path()).unwrap();
        assert_eq!(leads_to(&path), other.slave_path());
        drop(link);
        assert!(fs::symlink_metadata(&path).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_dead_nodes_number_that_somebody_else_has_by_now_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plc1");
        let before = Master::open().unwrap();
        symlink(before.slave_path(), &path).unwrap();
        let number = before.slave_path().to_owned();
        drop(before);
        // The clock of file systems has steps of some milliseconds.
        thread::sleep(Duration::from_millis(20));
        let mut others = Vec::new();
        while others.last().is_none_or(|it: &Master| it.slave_path() != number) {
            others.push(Master::open().unwrap());
            if others.len() > 64 {
                return; // Others on this machine open and close theirs, too.
            }
        }
        let node = Master::open().unwrap();
        let _link = NodeLink::new(&path, node.slave_path()).unwrap();
        assert_eq!(leads_to(&path), node.slave_path());
    }

    #[test]
    fn what_is_not_ours_stays_and_what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (path, node) = (folder.path().join("plc1"), Master::open().unwrap());
        for there in ["file", "link"] {
            let _ = fs::remove_file(&path);
            let put =
                if there == "file" { fs::write(&path, "mine") } else { symlink("/etc", &path) };
            put.unwrap();
            let error = NodeLink::new(&path, node.slave_path()).unwrap_err();
            assert!(error.to_string().contains("no device node of ours"), "{error}");
            fs::symlink_metadata(&path).unwrap();
        }
        let error = NodeLink::new(&folder.path().join("no/plc1"), node.slave_path()).unwrap_err();
        assert!(error.to_string().contains("there is no folder /"), "{error}");
    }

    #[test]
    fn a_link_turns_to_another_node_and_one_that_was_removed_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plc1");
        let [one, two, three] = [(); 3].map(|()| Master::open().unwrap());
        let mut link = NodeLink::new(&path, one.slave_path()).unwrap();
        link.turn(two.slave_path()).unwrap();
        assert_eq!(leads_to(&path), two.slave_path());
        fs::remove_file(&path).unwrap();
        link.turn(three.slave_path()).unwrap();
        assert_eq!(leads_to(&path), three.slave_path());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(link.turn(one.slave_path()).is_err());
        drop(link);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}
