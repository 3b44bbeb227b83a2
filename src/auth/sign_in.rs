//! A sign-in: whose it is, what it rests on, and until when.

use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{LoginId, PrincipalId, issuers::Vouched, unix_now};
use crate::config::{Access, Login, RightsTable};

#[derive(Clone, Debug)]
pub(super) struct SignInRecord {
    pub(super) id: LoginId,
    /// The first sign-in of its browser.
    pub(super) browser: LoginId,
    pub(super) who: PrincipalId,
    pub(super) proof: Proof,
    /// When its holder last proved who it is, in seconds since 1970.
    pub(super) auth_time: Option<i64>,
    pub(super) began: Instant,
    pub(super) used: Instant,
    /// The computer whose program signed in; `None`: a browser.
    pub(super) program: Option<String>,
}

/// What a sign-in rests on.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// SHA-256 of the password's hash: another password is another user.
    Password([u8; 32]),
    /// An issuer's word, and when that ends.
    Vouched(Vouched, Option<Instant>),
}

/// A sign-in, as its user is shown it.
#[derive(Clone, Debug)]
pub(crate) struct SignInInfo {
    /// Its number.
    pub id: LoginId,
    /// The computer whose program signed in; `None`: a browser.
    pub program: Option<String>,
    /// Since when.
    pub since: SystemTime,
    /// Time it has left unless it is used again.
    pub left: Duration,
}

/// A sign-in that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundSignIn {
    pub(super) id: LoginId,
    pub(super) who: PrincipalId,
}

impl SignInRecord {
    /// Time it has left; `None`: it is over, or its user is no longer the same.
    pub(super) fn left(&self, access: &Access, terms: Login, now: Instant) -> Option<Duration> {
        let same = match &self.proof {
            Proof::Password(password) => {
                let user = access.users.get(&self.who.name)?;
                *password == digest(user.password.reveal())
            }
            Proof::Vouched(vouched, None) => vouched.counts(access, unix_now()),
            // The earlier of the two clocks' ends: nobody gains by setting one back.
            Proof::Vouched(vouched, Some(end)) => {
                let wall = vouched.until?.checked_sub(unix_now())?;
                let left = end.checked_duration_since(now)?;
                let wall = Duration::from_secs(u64::try_from(wall).ok()?);
                let counts = vouched.counts(access, unix_now());
                return Some(left.min(wall)).filter(|left| counts && !left.is_zero());
            }
        };
        let idle = terms.idle.checked_sub(now.saturating_duration_since(self.used))?;
        let life = terms.lifetime.checked_sub(now.saturating_duration_since(self.began))?;
        Some(idle.min(life)).filter(|left| same && !left.is_zero())
    }

    /// Whether it stands for a program's token, which is shown each time.
    pub(super) fn is_token(&self) -> bool {
        matches!(self.proof, Proof::Vouched(_, Some(_)))
    }

    /// What its holder may do; `None`: the configuration says it.
    pub(super) fn rights(&self, access: &Access) -> Option<RightsTable> {
        match &self.proof {
            Proof::Password(_) => None,
            Proof::Vouched(vouched, _) => vouched.rights(access),
        }
    }
}

/// SHA-256 of a text.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
