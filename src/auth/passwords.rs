//! Passwords: argon2id off the event loop, a few at a time, and a short memory of the right ones.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{task::spawn_blocking, time::Instant};

use super::{Source, hashing::Areas, memory, random, turns::Turns};
use crate::config::{Password, User};

/// Hashes computed at the same time, if there is memory for them.
const HASHES_AT_ONCE: usize = 2;
/// The divisor of memory: hashes running together may take a third of it.
const SHARE: u64 = 3;
/// Memory that a hash with the parameters of `wsbridge passwd` takes, in KiB.
const USUAL_MEMORY: u32 = 19 * 1024;
/// How long a right password is not hashed again, so that a page with ten requests does not wait
/// for ten hashes.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Right passwords remembered; when full, all are forgotten and hashed again.
const MEMORY: usize = 256;

/// Users by name.
type Users = BTreeMap<String, User>;

/// What became of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordCheck {
    /// It is the user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// Too many are waiting to be checked, or there is no memory: nothing is known about it.
    Unheard,
}

/// The verifier of passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    turns: Arc<Turns>,
    areas: Arc<Areas>,
    /// Memory that this process may use, in bytes.
    memory: u64,
    key: [u8; 32],
    right: Mutex<HashMap<[u8; 32], Instant>>,
    /// What an unknown name is checked against if there is no user at all.
    decoy: String,
}

impl Passwords {
    /// Remembers nothing yet.
    pub(super) fn new() -> Self {
        let [salt, tail] = [random::<16>(), random::<16>()].map(|bytes| base64_plain(&bytes));
        Self {
            turns: Arc::default(),
            areas: Arc::default(),
            memory: memory::allowed(),
            key: random(),
            right: Mutex::default(),
            decoy: format!("$argon2id$v=19$m={USUAL_MEMORY},t=2,p=1${salt}${tail}"),
        }
    }

    /// Whether a user of that name has this password. An unknown name takes as long as a wrong
    /// password: a hash is computed either way, with parameters that some user has.
    pub(super) async fn verify(
        &self,
        (name, password): (&str, &str),
        users: &Users,
        source: Source,
    ) -> PasswordCheck {
        let user = users.get(name).filter(|user| !user.password.is_disabled());
        let stored = user.map(|user| user.password.reveal()).or_else(|| self.stand_in(name, users));
        let stored = stored.unwrap_or(&self.decoy);
        let mark = self.mark(name, password, stored);
        let now = Instant::now();
        if user.is_some() && self.remembers(&mark, now) {
            return PasswordCheck::Right;
        }
        let largest = largest(users);
        let Some(turn) = self.turns.wait(source, self.at_once(largest)).await else {
            return PasswordCheck::Unheard;
        };
        let (turns, areas) = (Arc::clone(&self.turns), Arc::clone(&self.areas));
        let (password, stored) = (password.to_owned(), stored.to_owned());
        let looked = spawn_blocking(move || {
            let looked = areas.verify(&password, &stored, largest);
            // The turn ends with the hash, even if whoever asked for it has hung up.
            drop(turn);
            if turns.is_idle() {
                areas.clear();
            }
            looked
        });
        match looked.await {
            Ok(Ok(right)) if right && user.is_some() => {
                self.remember(mark, now);
                PasswordCheck::Right
            }
            Ok(Ok(_)) => PasswordCheck::Wrong,
            Ok(Err(error)) => {
                tracing::error!("no memory to check a password: {error}");
                PasswordCheck::Unheard
            }
            Err(_) => PasswordCheck::Unheard,
        }
    }

    /// How many hashes may run together if each takes `largest` KiB.
    fn at_once(&self, largest: u32) -> usize {
        let together = HASHES_AT_ONCE as u64 * u64::from(largest) * 1024;
        if together > self.memory / SHARE { 1 } else { HASHES_AT_ONCE }
    }

    /// The hash an unknown name is checked against, whatever it gives: always the same one for a
    /// name, and each user's for some names, so that neither the time nor its changes reveal which
    /// names exist.
    fn stand_in<'a>(&self, name: &str, users: &'a Users) -> Option<&'a str> {
        let known: Vec<_> = heard(users).collect();
        let mark = self.mark(name, "", "");
        let number = mark.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
        let at = usize::try_from(number.checked_rem(known.len() as u64)?).unwrap_or(0);
        known.get(at).map(|password| password.reveal())
    }

    /// Keyed, so that a stopped daemon's memory reveals nothing; and made over the stored hash, so
    /// that a changed password is not remembered.
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

/// The passwords that are checked at all.
fn heard(users: &Users) -> impl Iterator<Item = &Password> {
    users.values().map(|user| &user.password).filter(|password| !password.is_disabled())
}

/// Memory that the costliest of them takes, in KiB.
fn largest(users: &Users) -> u32 {
    heard(users).map(Password::memory).max().unwrap_or(USUAL_MEMORY)
}

fn base64_plain(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
    STANDARD_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::{super::hash_password, *};
    use crate::config::RightsTable;

    const HERE: Source = Source::Local;

    fn user(password: &str) -> User {
        user_of(&hash_password(password).unwrap())
    }

    fn user_of(hash: &str) -> User {
        User { password: Password::parse(hash).unwrap(), rights: RightsTable::default() }
    }

    fn users(of: &[(&str, User)]) -> Users {
        of.iter().map(|(name, user)| ((*name).to_owned(), user.clone())).collect()
    }

    #[tokio::test]
    async fn a_right_password_passes_and_a_wrong_one_or_a_stranger_does_not() {
        let passwords = Passwords::new();
        let all = users(&[("alice", user("s3cret"))]);
        assert_eq!(passwords.verify(("alice", "s3cret"), &all, HERE).await, PasswordCheck::Right);
        assert_eq!(passwords.verify(("alice", "wrong"), &all, HERE).await, PasswordCheck::Wrong);
        assert_eq!(passwords.verify(("mallory", "s3cret"), &all, HERE).await, PasswordCheck::Wrong);
        assert!(passwords.turns.is_idle());
    }

    #[tokio::test]
    async fn a_right_password_is_remembered_until_it_is_changed() {
        let passwords = Passwords::new();
        let all = users(&[("alice", user("s3cret"))]);
        assert_eq!(passwords.verify(("alice", "s3cret"), &all, HERE).await, PasswordCheck::Right);
        let mark = passwords.mark("alice", "s3cret", all["alice"].password.reveal());
        assert!(passwords.remembers(&mark, Instant::now()));
        assert!(!passwords.remembers(&mark, Instant::now() + REMEMBERED));
        let changed = users(&[("alice", user("other"))]);
        assert_eq!(
            passwords.verify(("alice", "s3cret"), &changed, HERE).await,
            PasswordCheck::Wrong
        );
    }

    #[tokio::test]
    async fn a_disabled_user_is_nobody_and_costs_what_others_cost() {
        let passwords = Passwords::new();
        let costly = hash_password("s3cret").unwrap().replace("m=19456", "m=1048576");
        let all = users(&[("alice", user_of(&costly)), ("bob", user("s3cret"))]);
        assert_eq!(largest(&all), USUAL_MEMORY);
        assert_eq!(passwords.stand_in("alice", &all), Some(all["bob"].password.reveal()));
        assert_eq!(passwords.verify(("alice", "s3cret"), &all, HERE).await, PasswordCheck::Wrong);
    }

    #[test]
    fn an_unknown_name_is_checked_as_some_user_always_the_same() {
        let passwords = Passwords::new();
        let all = users(&[("alice", user("a")), ("bob", user("b"))]);
        let stand_ins: Vec<_> =
            (0..64).map(|n| passwords.stand_in(&format!("nobody{n}"), &all).unwrap()).collect();
        assert_eq!(passwords.stand_in("nobody7", &all), Some(stand_ins[7]));
        for user in all.values() {
            assert!(stand_ins.contains(&user.password.reveal()));
        }
    }

    #[test]
    fn an_unknown_name_without_any_user_still_costs_a_hash() {
        let passwords = Passwords::new();
        assert_eq!(passwords.stand_in("nobody", &Users::new()), None);
        let decoy = Password::parse(&passwords.decoy).unwrap();
        assert_eq!((decoy.memory(), decoy.is_disabled()), (USUAL_MEMORY, false));
        assert_eq!(passwords.areas.verify("x", decoy.reveal(), USUAL_MEMORY), Ok(false));
        assert_eq!(passwords.areas.lengths(), [USUAL_MEMORY as usize], "it was computed");
    }

    #[test]
    fn two_hashes_at_once_take_no_more_than_a_third_of_memory() {
        let with = |memory| Passwords { memory, ..Passwords::new() };
        assert_eq!(with(128 << 20).at_once(USUAL_MEMORY), 2);
        assert_eq!(with(64 << 20).at_once(USUAL_MEMORY), 1);
        assert_eq!(with(256 << 20).at_once(64 * 1024), 1);
        assert_eq!(with(384 << 20).at_once(64 * 1024), 2);
    }
}
