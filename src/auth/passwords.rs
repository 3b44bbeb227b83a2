//! Passwords: argon2id off the event loop, a few at a time, and a short memory of what was right.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::{sync::Semaphore, task::spawn_blocking, time::Instant};

use super::random;
use crate::config::User;

/// Hashes computed at once. Each takes the memory its parameters name (19 MiB by default); others wait, and the
/// handshake's deadline and the limit of strangers bound how many.
const AT_ONCE: usize = 2;
/// How long a right password need not be hashed again, so that a page with ten requests is not ten hashes slow.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Right passwords remembered; when full, all are forgotten and hashed again.
const MEMORY: usize = 256;

/// A password could not be hashed: no randomness, or no memory.
#[derive(Debug, Error)]
#[error("cannot hash the password: {0}")]
pub struct HashError(String);

/// The PHC string (argon2id, current parameters of the library, random salt) for a configuration file.
pub fn hash_password(password: &str) -> Result<String, HashError> {
    let hash: argon2::PasswordHash =
        Argon2::default().hash_password(password.as_bytes()).map_err(|error| HashError(error.to_string()))?;
    Ok(hash.to_string())
}

/// The verifier of passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    gate: Semaphore,
    key: [u8; 32],
    right: Mutex<HashMap<[u8; 32], Instant>>,
    /// What an unknown name is checked against when there is no user at all.
    decoy: String,
}

impl Passwords {
    /// Nothing remembered yet.
    pub(super) fn new() -> Self {
        let [salt, tail] = [random::<16>(), random::<16>()].map(|bytes| base64_plain(&bytes));
        Self {
            gate: Semaphore::new(AT_ONCE),
            key: random(),
            right: Mutex::default(),
            decoy: format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${tail}"),
        }
    }

    /// Whether `password` is `user`'s. An unknown user takes as long as a wrong password: some hash is computed either
    /// way, with the parameters `any` user has.
    pub(super) async fn verify(
        &self,
        name: &str,
        password: &str,
        user: Option<&User>,
        any: Option<&User>,
    ) -> bool {
        let stored = user.or(any).map_or(self.decoy.as_str(), |user| user.password.reveal());
        let mark = self.mark(name, password, stored);
        let now = Instant::now();
        if user.is_some() && self.remembers(&mark, now) {
            return true;
        }
        let Ok(_permit) = self.gate.acquire().await else { return false };
        let (password, stored) = (password.to_owned(), stored.to_owned());
        let right = spawn_blocking(move || {
            Argon2::default().verify_password(password.as_bytes(), stored.as_str()).is_ok()
        })
        .await
        .unwrap_or(false);
        let right = right && user.is_some();
        if right {
            self.remember(mark, now);
        }
        right
    }

    /// Keyed, so that the memory of a stopped daemon tells nothing, and over the stored hash, so that a changed
    /// password is not remembered.
    fn mark(&self, name: &str, password: &str, stored: &str) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(self.key);
        for part in [name, password, stored] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.update(self.key);
        hash.finalize().into()
    }

    fn remembers(&self, mark: &[u8; 32], now: Instant) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(mark).is_some_and(|until| *until > now)
    }

    fn remember(&self, mark: [u8; 32], now: Instant) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.retain(|_, until| *until > now);
        if right.len() >= MEMORY {
            right.clear();
        }
        right.insert(mark, now + REMEMBERED);
    }
}

fn base64_plain(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
    STANDARD_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RightsTable, Secret};

    fn user(password: &str) -> User {
        User { password: Secret::new(hash_password(password).unwrap()), rights: RightsTable::default() }
    }

    #[tokio::test]
    async fn a_right_password_passes_and_a_wrong_one_or_a_stranger_does_not() {
        let (passwords, alice) = (Passwords::new(), user("s3cret"));
        assert!(passwords.verify("alice", "s3cret", Some(&alice), Some(&alice)).await);
        assert!(!passwords.verify("alice", "wrong", Some(&alice), Some(&alice)).await);
        assert!(!passwords.verify("mallory", "s3cret", None, Some(&alice)).await);
    }

    #[tokio::test]
    async fn a_right_password_is_remembered_until_it_is_changed() {
        let (passwords, alice) = (Passwords::new(), user("s3cret"));
        assert!(passwords.verify("alice", "s3cret", Some(&alice), None).await);
        let mark = passwords.mark("alice", "s3cret", alice.password.reveal());
        assert!(passwords.remembers(&mark, Instant::now()));
        assert!(!passwords.remembers(&mark, Instant::now() + REMEMBERED));
        assert!(!passwords.verify("alice", "s3cret", Some(&user("other")), None).await);
    }

    #[test]
    fn an_unknown_name_without_any_user_still_costs_a_hash() {
        let decoy = Passwords::new().decoy;
        assert_eq!(
            Argon2::default().verify_password(b"x", decoy.as_str()),
            Err(argon2::password_hash::Error::PasswordInvalid),
            "the decoy is a well-formed hash that was computed and did not match"
        );
    }
}
