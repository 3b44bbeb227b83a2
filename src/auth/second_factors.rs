//! Second factors of the configuration's users: codes of an app, each of which counts once, and
//! recovery codes.

mod store;
mod totp;

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub(crate) use self::totp::new_secret;
use self::{
    store::{Factors, Store},
    totp::CodeCheck,
};
use super::{Moment, random};
use crate::wire::second_factor::SecondFactor;

/// Recovery codes that are made at once.
const RECOVERY_CODES: usize = 10;
/// Random bytes of one: 80 bits, which nobody guesses.
const RECOVERY_BYTES: usize = 10;
/// Wrong codes of one user within [`COUNTED_OVER`] after which none is looked at. Only whoever has
/// the password comes this far, so nobody else can lock a user out.
const WRONG_CODES: usize = 20;
/// The time over which they are counted.
const COUNTED_OVER: Duration = Duration::from_secs(3600);

/// What somebody with a right password has to show besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    Code,
    /// It cannot be read who needs what.
    Unknown,
}

/// What somebody has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proved {
    /// The code of an app.
    Code,
    /// A recovery code; so many are left.
    Recovery(usize),
}

/// Why a second factor was not changed, or not proved.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The code, or what is known of it.
    Code(SecondFactor),
    /// The user has no second factor.
    Absent,
    /// What is to become the secret is none.
    Secret,
    /// The file cannot be written.
    File(io::Error),
}

/// A second factor, as administrators see it.
#[derive(Clone, Debug)]
pub(crate) struct FactorInfo {
    pub user: String,
    /// When it was set up, in seconds since 1970.
    pub since: u64,
    /// Recovery codes that are left.
    pub recovery: usize,
}

/// All second factors.
#[derive(Debug, Default)]
pub(crate) struct SecondFactors {
    /// Held while a change is made and written, so that no code counts twice.
    place: Mutex<Place>,
    state: Mutex<State>,
}

/// Where they are kept.
#[derive(Debug, Default)]
enum Place {
    /// Nowhere: there are none.
    #[default]
    Nowhere,
    /// There is no file, since nobody ever had one.
    Empty(PathBuf),
    Open(Box<Store>),
    /// What is there cannot be read.
    Unreadable(String),
}

#[derive(Debug, Default)]
struct State {
    factors: Factors,
    unreadable: bool,
    /// Before this, in seconds since 1970, a clock is certainly wrong.
    earliest: i64,
    /// When codes of a user were wrong.
    wrong: HashMap<String, VecDeque<Instant>>,
}

impl SecondFactors {
    /// Reads what an earlier run left in a folder, and keeps everything there from now on. A clock
    /// that says less than `earliest` is wrong. Slow: it waits for the disk.
    ///
    /// # Errors
    /// What is there cannot be read. Then no password opens anything.
    pub(crate) fn open(&self, folder: &Path, earliest: i64) -> io::Result<()> {
        let opened = Store::open(folder);
        let mut state = self.state();
        state.earliest = earliest;
        let (place, outcome) = match opened {
            Ok(None) => (Place::Empty(folder.to_owned()), Ok(())),
            Ok(Some((store, factors))) => {
                state.factors = factors;
                (Place::Open(Box::new(store)), Ok(()))
            }
            Err(error) => {
                state.unreadable = true;
                (Place::Unreadable(error.to_string()), Err(error))
            }
        };
        drop(state);
        *self.place() = place;
        outcome
    }

    /// What a user has to show besides the password.
    pub(super) fn need(&self, user: &str) -> Need {
        let state = self.state();
        match (state.unreadable, state.factors.contains_key(user)) {
            (true, _) => Need::Unknown,
            (false, true) => Need::Code,
            (false, false) => Need::Nothing,
        }
    }

    /// Checks what a user typed: the code of an app or a recovery code, which has counted when this
    /// returns. Slow: it waits for the disk.
    pub(super) fn prove(&self, user: &str, typed: &str, now: Moment) -> Result<Proved, Failure> {
        let place = self.place();
        let Place::Open(store) = &*place else { return Err(Failure::Absent) };
        let (proved, factors) = {
            let mut state = self.state();
            (state.prove(store, user, typed, now)?, state.factors.clone())
        };
        // Even if it cannot be written, it has counted for this run.
        store.write(&factors).map_err(Failure::File)?;
        Ok(proved)
    }

    /// Gives a user a second factor, or another one, after a code has shown that an app has its
    /// secret; returns the recovery codes, which are kept nowhere. Slow.
    pub(crate) fn enrol(
        &self,
        user: &str,
        (secret, typed): (&str, &str),
        now: Moment,
    ) -> Result<Vec<String>, Failure> {
        let secret = totp::read_secret(secret).ok_or(Failure::Secret)?;
        let wrong = Failure::Code(SecondFactor::Wrong);
        let typed = totp::read(typed).ok_or(wrong)?;
        let counted = match totp::check(&secret, typed, now.wall, i64::MIN) {
            CodeCheck::Right(step) => step,
            CodeCheck::Wrong(Some(drift)) => {
                return Err(Failure::Code(SecondFactor::Drift(drift)));
            }
            CodeCheck::Used | CodeCheck::Wrong(None) => {
                return Err(Failure::Code(SecondFactor::Wrong));
            }
        };
        let mut place = self.place();
        if let Place::Empty(folder) = &*place {
            *place = Place::Open(Box::new(Store::begin(folder).map_err(Failure::File)?));
        }
        self.change(&place, |store, factors| {
            let (codes, marks) = recovery_codes(store, user);
            let mut factor = store
                .factor(user, &secret, (now.wall, counted))
                .ok_or_else(|| Failure::File(io::Error::other("it cannot be sealed")))?;
            factor.recovery = marks;
            factors.insert(user.to_owned(), factor);
            Ok(codes)
        })
    }

    /// Gives a user new recovery codes instead of those that are left. Slow.
    pub(crate) fn renew_recovery(&self, user: &str) -> Result<Vec<String>, Failure> {
        self.change(&self.place(), |store, factors| {
            let factor = factors.get_mut(user).ok_or(Failure::Absent)?;
            let (codes, marks) = recovery_codes(store, user);
            factor.recovery = marks;
            Ok(codes)
        })
    }

    /// Takes a user's second factor away. Slow.
    pub(crate) fn remove(&self, user: &str) -> Result<(), Failure> {
        self.change(&self.place(), |_, factors| {
            factors.remove(user).map(|_| ()).ok_or(Failure::Absent)
        })
    }

    /// Who has one.
    ///
    /// # Errors
    /// Why that cannot be read.
    pub(crate) fn list(&self) -> Result<Vec<FactorInfo>, String> {
        if let Place::Unreadable(why) = &*self.place() {
            return Err(why.clone());
        }
        let state = self.state();
        let told = |(user, factor): (&String, &store::Factor)| FactorInfo {
            user: user.clone(),
            since: u64::try_from(factor.since).unwrap_or(0),
            recovery: factor.recovery.len(),
        };
        Ok(state.factors.iter().map(told).collect())
    }

    /// Writes what becomes of all of them before it is in force.
    fn change<T>(
        &self,
        place: &Place,
        work: impl FnOnce(&Store, &mut Factors) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let store = match place {
            Place::Open(store) => store,
            Place::Nowhere | Place::Empty(_) => return Err(Failure::Absent),
            Place::Unreadable(why) => return Err(Failure::File(io::Error::other(why.clone()))),
        };
        let mut factors = self.state().factors.clone();
        let done = work(store, &mut factors)?;
        store.write(&factors).map_err(Failure::File)?;
        let mut state = self.state();
        state.factors = factors;
        state.wrong.clear();
        Ok(done)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn prove(
        &mut self,
        store: &Store,
        user: &str,
        typed: &str,
        now: Moment,
    ) -> Result<Proved, Failure> {
        let latest = self.factors.values().map(|factor| factor.counted).max();
        let factor = self.factors.get_mut(user).ok_or(Failure::Absent)?;
        let Some(code) = totp::read(typed) else {
            let mark = store.mark(user, &plain(typed));
            let at = factor.recovery.iter().position(|it| *it == mark);
            factor.recovery.remove(at.ok_or(Failure::Code(SecondFactor::Wrong))?);
            return Ok(Proved::Recovery(factor.recovery.len()));
        };
        let wrong = self.wrong.entry(user.to_owned()).or_default();
        let recent = |at: &Instant| now.steady.saturating_duration_since(*at) < COUNTED_OVER;
        wrong.retain(recent);
        if let Some(first) = wrong.front().filter(|_| wrong.len() >= WRONG_CODES) {
            let left = COUNTED_OVER.saturating_sub(now.steady.saturating_duration_since(*first));
            let minutes = u32::try_from(left.as_secs() / 60 + 1).unwrap_or(u32::MAX);
            return Err(Failure::Code(SecondFactor::TooMany(minutes)));
        }
        let secret = store.secret(user, factor);
        let secret = secret.ok_or(Failure::Code(SecondFactor::Unreadable))?;
        match totp::check(&secret, code, now.wall, factor.counted) {
            CodeCheck::Right(step) => {
                factor.counted = step;
                wrong.clear();
                Ok(Proved::Code)
            }
            CodeCheck::Used => Err(Failure::Code(SecondFactor::Used)),
            CodeCheck::Wrong(drift) => {
                wrong.push_back(now.steady);
                // An app's clock may have been a step ahead when its code counted.
                let behind = latest.is_some_and(|latest| totp::step_at(now.wall) + 2 < latest);
                Err(Failure::Code(match drift {
                    _ if behind || now.wall < self.earliest => SecondFactor::Clock,
                    Some(drift) => SecondFactor::Drift(drift),
                    None => SecondFactor::Wrong,
                }))
            }
        }
    }
}

/// New recovery codes of a user, and what is kept of them.
fn recovery_codes(store: &Store, user: &str) -> (Vec<String>, Vec<String>) {
    let new = |_| {
        let text = totp::base32(&random::<RECOVERY_BYTES>()).to_ascii_lowercase();
        let mark = store.mark(user, &text);
        let groups: Vec<_> = text.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        (groups.join("-"), mark)
    };
    (0..RECOVERY_CODES).map(new).unzip()
}

/// A recovery code without what people put between its letters.
fn plain(typed: &str) -> String {
    let letters = typed.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).take(64).collect()
}

#[cfg(test)]
mod tests;
