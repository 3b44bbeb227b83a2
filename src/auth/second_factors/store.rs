//! The file of second factors and the key beside it: secrets are sealed with it, recovery codes are
//! hashed under it. Each change is on the disk before anybody is told.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::random;
use crate::regular_file;

/// The file's name.
const FILE: &str = "totp.json";
/// That of the key.
const KEY: &str = "totp.key";
/// The key's length: 32 bytes to seal with, 32 to hash with.
const KEY_LENGTH: usize = 64;
/// The longest file: ten thousand users.
const FILE_MAX: usize = 16 << 20;

/// All second factors, by the names of their users.
pub(super) type Factors = BTreeMap<String, Factor>;

/// A user's second factor.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Factor {
    /// When it was set up, in seconds since 1970.
    pub(super) since: i64,
    /// The nonce and the secret, sealed for this user.
    sealed: String,
    /// The step of the last code that counted: neither it nor an earlier one counts again.
    pub(super) counted: i64,
    /// The recovery codes that are left, hashed.
    pub(super) recovery: Vec<String>,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    seal: LessSafeKey,
    hash: hmac::Key,
    /// Keeps another gateway away, which would undo what this one writes.
    _lock: File,
}

impl Store {
    /// Opens what an earlier run left in a folder; `None`: nobody ever had a second factor.
    ///
    /// # Errors
    /// The file or its key cannot be read, or one of them is gone: nobody knows then who needs a
    /// code.
    pub(super) fn open(folder: &Path) -> io::Result<Option<(Self, Factors)>> {
        let (file, key) = (folder.join(FILE), folder.join(KEY));
        match (file.try_exists()?, key.try_exists()?) {
            (false, false) => return Ok(None),
            (true, false) => return Err(gone(&key, &file)),
            (false, true) => return Err(gone(&file, &key)),
            (true, true) => {}
        }
        let store = Self::with_key(folder, File::open(&key)?)?;
        let read = regular_file::read(&file, FILE_MAX)?;
        let factors: Factors = serde_json::from_slice(&read)
            .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        for (user, factor) in &factors {
            let wrong = || io::Error::other(format!("{}: not its key's", file.display()));
            store.secret(user, factor).ok_or_else(wrong)?;
        }
        Ok(Some((store, factors)))
    }

    /// Makes a key, and the file without anybody in it.
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let path = folder.join(KEY);
        let mut key =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let made = key.write_all(&random::<KEY_LENGTH>()).and_then(|()| key.sync_all());
        let made = made.and_then(|()| Self::with_key(folder, File::open(&path)?));
        let made = made.and_then(|store| store.write(&Factors::new()).map(|()| store));
        if made.is_err() {
            // A key without its file would say that the file was lost.
            let _ = fs::remove_file(&path);
        }
        made
    }

    fn with_key(folder: &Path, key: File) -> io::Result<Self> {
        let taken =
            |_| io::Error::other("another gateway with the same `state_directory` is running");
        flock(&key, FlockOperation::NonBlockingLockExclusive).map_err(taken)?;
        let mut bytes = Vec::new();
        (&key).take(1024).read_to_end(&mut bytes)?;
        let halves = bytes.split_at_checked(KEY_LENGTH / 2);
        let halves = halves.filter(|_| bytes.len() == KEY_LENGTH);
        let seal = halves.and_then(|(seal, _)| UnboundKey::new(&CHACHA20_POLY1305, seal).ok());
        let (Some(seal), Some((_, hash))) = (seal, halves) else {
            return Err(io::Error::other(format!("{}: not a key", folder.join(KEY).display())));
        };
        Ok(Self {
            folder: folder.to_owned(),
            seal: LessSafeKey::new(seal),
            hash: hmac::Key::new(hmac::HMAC_SHA256, hash),
            _lock: key,
        })
    }

    /// Writes them all into a new file and puts that in the place of the old one; it is on the disk
    /// when this returns.
    pub(super) fn write(&self, factors: &Factors) -> io::Result<()> {
        let file = self.folder.join(FILE);
        let draft = file.with_extension("new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        new.write_all(&serde_json::to_vec(factors)?)?;
        new.sync_all()?;
        fs::rename(&draft, &file)?;
        // The new name is on the disk, too.
        File::open(&self.folder)?.sync_all()
    }

    /// A user's new second factor, whose code of this step has just counted.
    pub(super) fn factor(
        &self,
        user: &str,
        secret: &[u8],
        (since, counted): (i64, i64),
    ) -> Option<Factor> {
        let nonce = random::<NONCE_LEN>();
        let mut sealed = secret.to_vec();
        let aad = Aad::from(user.as_bytes());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.seal.seal_in_place_append_tag(unique, aad, &mut sealed).ok()?;
        let sealed = STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        Some(Factor { since, sealed, counted, recovery: Vec::new() })
    }

    /// A user's secret.
    pub(super) fn secret(&self, user: &str, factor: &Factor) -> Option<Vec<u8>> {
        let mut bytes = STANDARD_NO_PAD.decode(&factor.sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let secret = self.seal.open_in_place(nonce, Aad::from(user.as_bytes()), sealed).ok()?;
        Some(secret.to_vec())
    }

    /// What is kept of a recovery code of a user.
    pub(super) fn mark(&self, user: &str, code: &str) -> String {
        // No name has a line feed, so no two pairs make the same text.
        STANDARD_NO_PAD.encode(hmac::sign(&self.hash, format!("{user}\n{code}").as_bytes()))
    }
}

fn gone(lost: &Path, left: &Path) -> io::Error {
    io::Error::other(format!(
        "{} is gone: put it back from a backup, or remove {} as well, and nobody has a second factor",
        lost.display(),
        left.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8; 20] = b"12345678901234567890";

    fn kept(folder: &Path) -> Factors {
        let store = Store::begin(folder).unwrap();
        let mut factors = Factors::new();
        factors.insert("alice".into(), store.factor("alice", SECRET, (1, 2)).unwrap());
        store.write(&factors).unwrap();
        factors
    }

    fn wrong(folder: &Path) -> String {
        Store::open(folder).unwrap_err().to_string()
    }

    #[test]
    fn a_secret_is_sealed_for_its_user_and_opened_by_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Store::open(folder.path()).unwrap().is_none());
        kept(folder.path());
        let text = fs::read(folder.path().join(FILE)).unwrap();
        assert!(!text.windows(8).any(|part| part == &SECRET[..8]));
        let (store, factors) = Store::open(folder.path()).unwrap().unwrap();
        let factor = &factors["alice"];
        assert_eq!(store.secret("alice", factor).as_deref(), Some(SECRET.as_slice()));
        assert_eq!(store.secret("bob", factor), None, "nobody else's");
        assert_ne!(store.mark("alice", "x"), store.mark("bob", "x"));
        assert!(wrong(folder.path()).contains("another gateway"));
    }

    #[test]
    fn a_file_or_key_that_is_gone_or_changed_is_an_error() {
        for lost in [FILE, KEY] {
            let folder = tempfile::tempdir().unwrap();
            kept(folder.path());
            fs::remove_file(folder.path().join(lost)).unwrap();
            assert!(wrong(folder.path()).contains(&format!("{lost} is gone")));
        }
        let folder = tempfile::tempdir().unwrap();
        kept(folder.path());
        fs::write(folder.path().join(KEY), [7; KEY_LENGTH]).unwrap();
        assert!(wrong(folder.path()).contains("not its key's"));
        fs::write(folder.path().join(KEY), "short").unwrap();
        assert!(wrong(folder.path()).contains("not a key"));
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        fs::write(folder.path().join(FILE), text.replace("alice", "bob")).unwrap();
        assert!(Store::open(folder.path()).is_err());
    }
}
