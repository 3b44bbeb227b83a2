//! The lock on a device: once within this process, and as a UUCP lock file for programs that know
//! no other.
//!
//! The kernel's own locks (TIOCEXCL, flock) are taken with the open and end with the process; the
//! lock file is a courtesy to picocom, minicom and the like. So it is not an error if the folder is
//! missing or cannot be written.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

use super::{
    super::OpenError,
    holders::{Process, has_open, is_zombie, stat_field},
};
use crate::{boot, regular_file::read_inside};

/// Devices that this process has, so that two endpoints never share one. It also tells our own lock
/// file from a stale one left by a predecessor with our process number, as in a container where
/// that is always 1.
static OURS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// For this long, a lock file without a readable number counts as still being written.
const WRITING: Duration = Duration::from_secs(10);

/// The largest lock file that is read, in bytes: a number, and what some programs add.
const LOCK_FILE_MAX: usize = 256;

/// `USER_HZ`: the ticks of /proc/PID/stat on every architecture built for.
const TICKS: u64 = 100;

/// A locked device; dropping this releases it.
#[derive(Debug)]
pub(super) struct Lock {
    device: PathBuf,
    file: Option<PathBuf>,
}

/// Locks a device, or says who has it. `folder` is where lock files are kept.
pub(super) fn take(device: &Path, folder: &Path) -> Result<Lock, OpenError> {
    if !ours().insert(device.to_owned()) {
        return Err(in_use(device, &Process::of(std::process::id())));
    }
    let mut lock = Lock { device: device.to_owned(), file: None };
    let file = folder.join(name(device));
    match write(&file, device) {
        Ok(()) => lock.file = Some(file),
        Err(LockRefused::By(process)) => return Err(in_use(device, &process)),
        Err(LockRefused::Unknown) => {
            return Err(OpenError::InUse(format!(
                "{} is being taken by another program ({})",
                device.display(),
                file.display()
            )));
        }
        Err(LockRefused::Io(error)) => {
            tracing::debug!(file = %file.display(), %error, "no UUCP lock file");
        }
    }
    Ok(lock)
}

/// Who holds the lock file of a device; nobody, if it is stale.
pub(crate) fn locked_by(device: &Path, folder: &Path) -> Option<Process> {
    match holder(&folder.join(name(device)), device) {
        Err(LockRefused::By(process)) => Some(process),
        Err(LockRefused::Unknown | LockRefused::Io(_)) | Ok(()) => None,
    }
}

/// The error for a device in use.
pub(super) fn in_use(device: &Path, process: &Process) -> OpenError {
    OpenError::InUse(format!("{} is in use by {process}", device.display()))
}

/// The lock's file name: `LCK..ttyUSB0`, `LCK..pts_3` (as picocom does).
fn name(device: &Path) -> String {
    let device = device.strip_prefix("/dev").unwrap_or(device).to_string_lossy().replace('/', "_");
    format!("LCK..{device}")
}

/// Why a lock file could not be made.
enum LockRefused {
    By(Process),
    Unknown,
    Io(io::Error),
}

impl From<io::Error> for LockRefused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes the lock file, complete from the first moment, with link(2); a stale one is moved out of
/// the way.
fn write(file: &Path, device: &Path) -> Result<(), LockRefused> {
    let own = std::process::id();
    let draft = file.with_file_name(format!("LTMP.{own}.{}", name(device)));
    let _ = fs::remove_file(&draft);
    let mut options = fs::OpenOptions::new();
    // FHS 5.9 and HDB UUCP: ten characters of ASCII decimal, then a line feed; everybody may read
    // it.
    io::Write::write_all(
        &mut options.write(true).create_new(true).mode(0o644).open(&draft)?,
        format!("{own:>10}\n").as_bytes(),
    )?;
    let linked = link(&draft, file, device);
    let _ = fs::remove_file(&draft);
    linked
}

fn link(draft: &Path, file: &Path, device: &Path) -> Result<(), LockRefused> {
    // A second try follows the removal of a stale lock; a third, a program that was quicker and has
    // already left.
    for _ in 0..3 {
        match fs::hard_link(draft, file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return Ok(other?),
        }
        holder(file, device)?;
        tracing::info!(file = %file.display(), "removing a stale lock file");
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Err(LockRefused::Unknown)
}

/// Fails with the holder of a lock file; succeeds if the file is stale.
fn holder(file: &Path, device: &Path) -> Result<(), LockRefused> {
    let contents = match contents(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Nothing that a program writes there: a FIFO, a link out of the folder, a file far too
        // large.
        other => other.unwrap_or_default(),
    };
    // A clock that was set back counts as old: the lock dates from an earlier life of the machine.
    let age = fs::symlink_metadata(file)?.modified()?.elapsed().unwrap_or(Duration::MAX);
    let Some(pid) = number(&contents) else {
        return if age < WRITING { Err(LockRefused::Unknown) } else { Ok(()) };
    };
    let alive = Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH));
    let pid = pid.unsigned_abs();
    // It has our own number but is not in OURS: a predecessor's.
    if !alive || pid == std::process::id() || is_zombie(pid) || reused(pid, age, device) {
        return Ok(());
    }
    Err(LockRefused::By(Process::of(pid)))
}

/// What a lock file says. Anybody may write into the folder, so anything may be in it.
fn contents(file: &Path) -> io::Result<Vec<u8>> {
    let (folder, name) = (file.parent(), file.file_name());
    let (folder, name) = folder.zip(name).ok_or(io::ErrorKind::InvalidInput)?;
    read_inside(folder, Path::new(name), LOCK_FILE_MAX)
}

/// Whether the number was given to another process since: it started after the lock was written,
/// and it does not have the device open. Both are needed, since setting the clock can fake the
/// first, and a script may lock for its children.
fn reused(pid: u32, age: Duration, device: &Path) -> bool {
    let Some(started) = stat_field(pid, 22).and_then(|ticks| u64::try_from(ticks).ok()) else {
        return false;
    };
    let running = boot::uptime().as_secs().saturating_sub(started / TICKS);
    running + 2 < age.as_secs() && has_open(pid, device) == Some(false)
}

/// The process number in a lock file: ASCII (HDB), or four bytes in the machine's order (older
/// UUCP).
fn number(contents: &[u8]) -> Option<i32> {
    let pid = match <[u8; 4]>::try_from(contents) {
        // Numbers end at 2^22, so one byte is zero; the others may look like digits.
        Ok(bytes) if bytes.contains(&0) => Some(i32::from_ne_bytes(bytes)),
        _ => str::from_utf8(contents)
            .ok()
            .and_then(|text| text.split_whitespace().next()?.parse().ok()),
    };
    pid.filter(|pid| *pid > 0)
}

fn ours() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(file) = self.file.take()
            && contents(&file)
                .is_ok_and(|contents| number(&contents) == i32::try_from(std::process::id()).ok())
        {
            let _ = fs::remove_file(&file);
        }
        ours().remove(&self.device);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Command, Stdio},
        time::SystemTime,
    };

    use super::*;

    fn lock_file(folder: &Path, tty: &str, contents: &[u8], age: Duration) -> PathBuf {
        let file = folder.join(format!("LCK..{tty}"));
        fs::write(&file, contents).unwrap();
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(SystemTime::now() - age)
            .unwrap();
        file
    }

    fn device(name: &str) -> PathBuf {
        Path::new("/dev").join(name)
    }

    #[test]
    fn a_lock_file_is_written_as_ten_digits_and_goes_with_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let lock = take(&device("pts/written"), folder.path()).unwrap();
        let contents = fs::read_to_string(folder.path().join("LCK..pts_written")).unwrap();
        assert_eq!(contents, format!("{:>10}\n", std::process::id()));
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_device_of_ours_is_in_use_by_us() {
        let folder = tempfile::tempdir().unwrap();
        let _lock = take(&device("ours"), folder.path()).unwrap();
        let error = take(&device("ours"), folder.path()).unwrap_err();
        assert_eq!(error, in_use(&device("ours"), &Process::of(std::process::id())));
    }

    #[test]
    fn a_lock_of_a_living_process_holds_and_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
        let file = lock_file(
            folder.path(),
            "ttyLiving",
            format!("{:>10}\n", sleeper.id()).as_bytes(),
            Duration::ZERO,
        );
        let error = take(&device("ttyLiving"), folder.path()).unwrap_err();
        assert!(error.to_string().ends_with(&format!("(pid {})", sleeper.id())), "{error}");
        // The number was reused: this sleeper started long after yesterday's lock, and has no such
        // device open.
        lock_file(
            folder.path(),
            "ttyLiving",
            format!("{:>10}\n", sleeper.id()).as_bytes(),
            Duration::from_secs(24 * 60 * 60),
        );
        drop(take(&device("ttyLiving"), folder.path()).unwrap());
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_lock_of_a_dead_process_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        for contents in [
            format!("{:>10}\n", gone.id()).into_bytes(),
            gone.id().cast_signed().to_ne_bytes().to_vec(),
            // A predecessor with our number that was killed before it could tidy up.
            format!("{:>10}\n", std::process::id()).into_bytes(),
        ] {
            lock_file(folder.path(), "ttyDead", &contents, Duration::ZERO);
            drop(take(&device("ttyDead"), folder.path()).unwrap());
        }
        // One whose parent has not asked how it ended still has its number.
        let mut zombie = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        io::Read::read_to_end(&mut zombie.stdout.take().unwrap(), &mut Vec::new()).unwrap();
        while !is_zombie(zombie.id()) {
            std::thread::yield_now();
        }
        let contents = format!("{:>10}\n", zombie.id()).into_bytes();
        lock_file(folder.path(), "ttyDead", &contents, Duration::ZERO);
        drop(take(&device("ttyDead"), folder.path()).unwrap());
        zombie.wait().unwrap();
    }

    #[test]
    fn a_number_is_read_from_text_and_from_four_bytes_that_look_like_text() {
        assert_eq!(number(b"      8240\n"), Some(8240));
        assert_eq!(number(b"8240"), Some(8240));
        assert_eq!(number(b"      8240 minicom root\n"), Some(8240));
        for pid in [7, 0x2030, 0x0a35, 0x31_2035, 1 << 22] {
            assert_eq!(number(&i32::to_ne_bytes(pid)), Some(pid));
        }
        assert_eq!([number(b""), number(b"LCK"), number(&[0; 4])], [None; 3]);
    }

    #[test]
    fn an_empty_lock_is_respected_while_new_and_stale_when_old() {
        let folder = tempfile::tempdir().unwrap();
        lock_file(folder.path(), "ttyEmpty", b"", Duration::ZERO);
        assert!(matches!(take(&device("ttyEmpty"), folder.path()), Err(OpenError::InUse(_))));
        lock_file(folder.path(), "ttyEmpty", b"", Duration::from_secs(60));
        drop(take(&device("ttyEmpty"), folder.path()).unwrap());
    }

    #[test]
    fn what_is_no_lock_file_is_neither_waited_for_nor_followed_nor_read() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
        let lock = |name: &str| folder.path().join(format!("LCK..{name}"));
        rustix::fs::mkfifoat(rustix::fs::CWD, lock("ttyFifo"), rustix::fs::Mode::RWXU).unwrap();
        let out = lock_file(
            outside.path(),
            "out",
            format!("{}\n", sleeper.id()).as_bytes(),
            Duration::ZERO,
        );
        std::os::unix::fs::symlink(out, lock("ttyLink")).unwrap();
        fs::File::create(lock("ttySparse")).unwrap().set_len(1 << 40).unwrap();
        for name in ["ttyFifo", "ttyLink", "ttySparse"] {
            assert_eq!(locked_by(&device(name), folder.path()), None, "{name}");
            let error = take(&device(name), folder.path()).unwrap_err();
            assert!(
                error.to_string().contains("is being taken"),
                "new, so that it may become a lock: {error}"
            );
        }
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }

    #[test]
    fn without_a_folder_for_lock_files_the_device_is_ours_all_the_same() {
        let lock = take(&device("nowhere"), Path::new("/no/such/folder")).unwrap();
        assert!(take(&device("nowhere"), Path::new("/no/such/folder")).is_err());
        drop(lock);
        drop(take(&device("nowhere"), Path::new("/no/such/folder")).unwrap());
    }
}
