//! Sign-ins kept between two runs of the daemon, in a file that survives a restart or an upgrade
//! but not a reboot.
//!
//! Like memory it holds only hashes, and it is bound to this boot of the machine by the boot's
//! number: a copy is worth nothing later or elsewhere.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    PrincipalId, PrincipalKind,
    issuers::Vouched,
    logins::Logins,
    sign_in::{Proof, SignInRecord},
};
use crate::{boot, config::Config, regular_file};

/// The longest file: every user's sign-ins, at some hundred bytes each.
const FILE_MAX: usize = 4 << 20;
/// How far the file may lag behind in when a sign-in was last used.
const BEHIND: Duration = Duration::from_secs(30);

/// Where sign-ins are kept, once that is known.
#[derive(Debug, Default)]
pub(super) struct Kept {
    place: Mutex<Option<SignInFile>>,
}

#[derive(Debug)]
struct SignInFile {
    file: PathBuf,
    written: Option<Instant>,
    /// It could not be written, and that has been logged.
    failed: bool,
}

/// The file.
#[derive(Debug, Deserialize, Serialize)]
struct File {
    /// The kernel's number of this boot.
    boot: String,
    logins: Vec<KeptSignIn>,
}

/// A sign-in; times are in milliseconds since this boot.
#[derive(Debug, Deserialize, Serialize)]
struct KeptSignIn {
    /// SHA-256 of the cookie.
    mark: [u8; 32],
    browser: u64,
    user: String,
    /// SHA-256 of the password's hash; of no use to a user whom an issuer vouches for.
    password: [u8; 32],
    /// What an issuer says of the user, who is then none of the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vouched: Option<Vouched>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    began: u64,
    used: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<String>,
}

impl Kept {
    /// Takes over what an earlier run left in this folder, and keeps sign-ins there from now on.
    pub(super) fn open(&self, folder: &Path, config: &Config, logins: &Logins) {
        let file = folder.join("sign-ins");
        if config.login.keep {
            match read(&file) {
                Ok(rows) => {
                    for (mark, record) in rows {
                        logins.restore(mark, record);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(file = %file.display(), "earlier sign-ins are lost: {error}");
                }
            }
            logins.sweep(&config.access, config.login, Instant::now());
        }
        *self.lock() = Some(SignInFile { file, written: None, failed: false });
        self.write(config, logins);
    }

    /// Writes the current sign-ins, before a sign-in or a sign-out is answered. With `keep: false`
    /// there is no file.
    pub(super) fn write(&self, config: &Config, logins: &Logins) {
        let mut place = self.lock();
        let Some(place) = place.as_mut() else { return };
        let done = if config.login.keep {
            write(&place.file, logins.rows())
        } else {
            absent(fs::remove_file(&place.file))
        };
        place.written = Some(Instant::now());
        if let (Err(error), false) = (&done, place.failed) {
            let file = place.file.display();
            tracing::warn!(%file, "sign-ins cannot be kept over a restart: {error}");
            // A sign-in in the old file may be over: better no file than one sign-in too many.
            let _ = fs::remove_file(&place.file);
        }
        place.failed = done.is_err();
    }

    /// The same, if the file lags far behind.
    pub(super) fn follow(&self, config: &Config, logins: &Logins) {
        let now = Instant::now();
        let written = self.lock().as_ref().and_then(|place| place.written);
        if written.is_some_and(|written| now.saturating_duration_since(written) >= BEHIND) {
            self.write(config, logins);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<SignInFile>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    removed
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Reads the sign-ins of this boot. A file that others may read or write is refused, since whoever
/// can write it could sign in as anybody.
fn read(file: &Path) -> io::Result<Vec<([u8; 32], SignInRecord)>> {
    let about = fs::symlink_metadata(file)?;
    let ours = about.uid() == rustix::process::geteuid().as_raw();
    if !ours || about.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("other users may reach it"));
    }
    let read = regular_file::read(file, FILE_MAX)?;
    let File { boot: then, logins } = serde_json::from_slice(&read)?;
    // Where the number cannot be seen the folder alone has to do: it is in memory and goes with the
    // boot.
    if then != boot::number() {
        return Ok(Vec::new());
    }
    let (now, uptime) = (Instant::now(), boot::uptime());
    // An `Instant` means nothing to another process: the file has times since boot.
    let moment = |then: u64| {
        let ago = uptime.checked_sub(Duration::from_millis(then))?;
        now.checked_sub(ago)
    };
    let record = |row: KeptSignIn| {
        let KeptSignIn { mark, browser, user, password, vouched, auth_time, began, used, program } =
            row;
        let (kind, proof) = match vouched {
            Some(vouched) => (PrincipalKind::Identity, Proof::Vouched(vouched, None)),
            None => (PrincipalKind::User, Proof::Password(password)),
        };
        Some((
            mark,
            SignInRecord {
                id: 0,
                browser,
                who: PrincipalId::new(kind, user),
                proof,
                auth_time,
                began: moment(began)?,
                used: moment(used)?,
                program,
            },
        ))
    };
    Ok(logins.into_iter().filter_map(record).collect())
}

/// Writes them all into a new file and puts that in the place of the old one, so that a crash
/// leaves one or the other.
fn write(file: &Path, rows: Vec<([u8; 32], SignInRecord)>) -> io::Result<()> {
    let (now, uptime) = (Instant::now(), boot::uptime());
    let then = |moment: Instant| {
        let then = uptime.saturating_sub(now.saturating_duration_since(moment));
        u64::try_from(then.as_millis()).unwrap_or(u64::MAX)
    };
    let row = |(mark, record): ([u8; 32], SignInRecord)| {
        let (password, vouched) = match record.proof {
            Proof::Password(password) => (password, None),
            Proof::Vouched(vouched, _) => ([0; 32], Some(vouched)),
        };
        KeptSignIn {
            mark,
            browser: record.browser,
            user: record.who.name,
            password,
            vouched,
            auth_time: record.auth_time,
            began: then(record.began),
            used: then(record.used),
            program: record.program,
        }
    };
    let text = serde_json::to_vec(&File {
        boot: boot::number(),
        logins: rows.into_iter().map(row).collect(),
    })?;
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let draft = file.with_extension("new");
    absent(fs::remove_file(&draft))?;
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    new.set_permissions(Permissions::from_mode(0o600))?;
    new.write_all(&text)?;
    fs::rename(&draft, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Login, Password, RightsTable, User, parse};

    fn config(password: char) -> Config {
        let (mut config, _) = parse("auth: none", "w", &|_| Err(String::new())).unwrap();
        let hash = format!(
            "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHQxMjM0${password}ZPpV5wLiZAT6CwD9rFlDg"
        );
        let user =
            User { password: Password::parse(&hash).unwrap(), rights: RightsTable::default() };
        config.access.users.insert("alice".into(), user);
        config
    }

    fn again(folder: &Path, config: &Config, cookie: &str) -> bool {
        let (kept, logins) = (Kept::default(), Logins::default());
        kept.open(folder, config, &logins);
        logins.find(cookie, &config.access, config.login, Instant::now()).is_some()
    }

    #[test]
    fn a_sign_in_is_found_again_by_its_cookie_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (config, kept, logins) = (config('a'), Kept::default(), Logins::default());
        kept.open(folder.path(), &config, &logins);
        let (cookie, id) = logins.begin(&config.access, "alice", Instant::now()).unwrap();
        kept.write(&config, &logins);
        let file = folder.path().join("sign-ins");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&file).unwrap().contains(&cookie));
        assert!(again(folder.path(), &config, &cookie));
        assert!(!again(folder.path(), &self::config('b'), &cookie), "another password");
        kept.write(&config, &logins);
        logins.end(id);
        kept.write(&config, &logins);
        assert!(!again(folder.path(), &config, &cookie), "signed out");
    }

    #[test]
    fn what_another_boot_left_or_somebody_else_wrote_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (config, kept, logins) = (config('a'), Kept::default(), Logins::default());
        kept.open(folder.path(), &config, &logins);
        let (cookie, _) = logins.begin(&config.access, "alice", Instant::now()).unwrap();
        kept.write(&config, &logins);
        let file = folder.path().join("sign-ins");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace(&boot::number(), "another")).unwrap();
        assert!(!again(folder.path(), &config, &cookie));
        fs::write(&file, &text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(!again(folder.path(), &config, &cookie), "readable for others");
        fs::write(&file, "{").unwrap();
        assert!(!again(folder.path(), &config, &cookie));
    }

    #[test]
    fn with_keep_false_there_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let (mut config, kept, logins) = (config('a'), Kept::default(), Logins::default());
        kept.open(folder.path(), &config, &logins);
        logins.begin(&config.access, "alice", Instant::now()).unwrap();
        kept.write(&config, &logins);
        assert!(folder.path().join("sign-ins").exists());
        config.login = Login { keep: false, ..config.login };
        kept.write(&config, &logins);
        assert!(!folder.path().join("sign-ins").exists());
    }
}
