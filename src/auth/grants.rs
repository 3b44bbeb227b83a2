//! Access that somebody lends to others for a time: grants, which are exchanged for sign-ins, and
//! requests, which become grants when others approve. All of it is on the disk before anybody is
//! told.

mod journal;
mod moment;
mod record;
mod requests;
mod state;
#[cfg(test)]
mod tests;
mod using;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

pub(super) use self::using::is_grants;
use self::{
    journal::{Change, Journal, Line},
    record::{Mark, Over, new_id},
    state::{State, Undo},
};
pub(crate) use self::{
    moment::Moment,
    record::{EndOfGrant, Grant, Receiver, Request, RequestState, Whose},
    requests::{Decision, Wish},
    using::{GrantUse, Refused},
};
use super::{PrincipalId, random};
use crate::config::Rights;

/// The secret of a grant begins with this.
const GRANT_PREFIX: &str = "wsg_";

/// What somebody lends.
#[derive(Clone, Debug)]
pub(crate) struct Loan {
    pub endpoint: String,
    pub rights: Rights,
    /// In seconds since 1970.
    pub from: i64,
    pub until: i64,
    pub uses: u32,
    pub networks: Vec<(std::net::IpAddr, u8)>,
    pub reason: String,
}

/// Why a grant or request could not be kept or changed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There are as many as there may be.
    Full,
    /// There is none of that name, or it is over.
    Unknown,
    /// The clock has been set back by this many seconds.
    ClockWentBack(i64),
    /// It has been decided, or this principal has already said so.
    Decided,
    /// One has already been asked for, and nobody has decided.
    Pending,
    /// This principal has asked for several, and nobody has decided.
    Several,
    /// The file cannot be written.
    File(io::Error),
}

/// All grants and requests.
#[derive(Debug)]
pub(crate) struct Grants {
    /// Held while a change is made and written, so that lines are in the order of the changes.
    journal: Mutex<Place>,
    state: Mutex<State>,
    /// Held while a request is decided, so that nothing is granted twice.
    deciding: Mutex<()>,
    changed: watch::Sender<u64>,
}

/// Where grants are kept.
#[derive(Debug, Default)]
enum Place {
    /// Nobody has said where.
    #[default]
    Nowhere,
    /// What is there cannot be read or written, and why.
    Broken(String),
    /// There is no file, since nothing was ever lent.
    Empty(PathBuf),
    Open(Journal),
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            journal: Mutex::default(),
            state: Mutex::default(),
            deciding: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Grants {
    /// Reads the file that an earlier run left, and keeps everything there from now on. Slow: it
    /// waits for the disk.
    ///
    /// # Errors
    /// The file cannot be read or written. Then nothing is lent and nothing that was lent is
    /// good.
    pub(crate) fn open(&self, path: &Path, now: Moment) -> io::Result<()> {
        let opened = self.load(path, now);
        if let Err(error) = &opened {
            *self.journal() = Place::Broken(error.to_string());
        }
        opened
    }

    fn load(&self, path: &Path, now: Moment) -> io::Result<()> {
        if !path.try_exists()? {
            *self.journal() = Place::Empty(path.to_owned());
            return Ok(());
        }
        let lines = journal::read(path)?;
        let mut state = State::default();
        for Line { at, change } in lines {
            match change {
                Change::Grant(grant) => drop(state.grants.insert(grant.id.clone(), grant)),
                Change::Request(one) => drop(state.requests.insert(one.id.clone(), one)),
                Change::Approved { request, grant } => drop(state.approve(request, grant)),
                Change::ClockAccepted {} => state.latest.accept(at),
            }
            state.latest.see(at);
        }
        state.forget(now.wall);
        state.look(now);
        let journal = Journal::begin(path, &state.lines(now.wall))?;
        *self.journal() = Place::Open(journal);
        *self.state() = state;
        self.tell();
        Ok(())
    }

    /// Changes whenever a grant or a request does.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Lends access; returns the grant and its secret, which is kept nowhere. Slow.
    pub(crate) fn give(
        &self,
        loan: Loan,
        by: &PrincipalId,
        now: Moment,
    ) -> Result<(Grant, String), Failure> {
        let secret = format!("{GRANT_PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()));
        let Loan { endpoint, rights, from, until, uses, networks, reason } = loan;
        let to = Receiver::Bearer { mark: mark(&secret), uses, used: 0, sign_ins: Vec::new() };
        let grant = Grant {
            id: new_id("g_"),
            endpoint,
            rights: rights.without(Rights::OVER_OTHERS),
            from,
            until,
            networks,
            reason,
            by: vec![Whose(by.clone())],
            to,
            over: None,
        };
        let given = grant.clone();
        self.change(now, |state| {
            state.room()?;
            Ok(state.put(grant))
        })?;
        Ok((given, secret))
    }

    /// Ends a grant before its time: `by` nobody when its giver has lost the right. What was
    /// granted is over at once, even if that cannot be written: it is tried again. Slow.
    pub(crate) fn end(
        &self,
        id: &str,
        (why, by): (EndOfGrant, Option<&PrincipalId>),
        now: Moment,
    ) -> Result<(Grant, io::Result<()>), Failure> {
        let mut journal = self.journal();
        let ended = {
            let mut state = self.state();
            let grant = state.grants.get_mut(id).filter(|grant| grant.over.is_none());
            let grant = grant.ok_or(Failure::Unknown)?;
            grant.over = Some(Over { at: now.wall, why, by: by.cloned().map(Whose) });
            let ended = grant.clone();
            state.deadlines.remove(id);
            ended
        };
        self.tell();
        let line = Line { at: now.wall, change: Change::Grant(ended.clone()) };
        let written = journal.open()?.append(&line);
        self.state().owed |= written.is_err();
        Ok((ended, written))
    }

    /// All grants, those of the last week that are over included.
    pub(crate) fn list(&self) -> Vec<Grant> {
        self.state().grants.values().cloned().collect()
    }

    /// Notes the time, and that grants and requests are over whose time has come; returns these.
    /// Slow if there are any.
    pub(crate) fn sweep(&self, now: Moment) -> (Vec<Grant>, Vec<Request>) {
        let (due, expired) = {
            let mut state = self.state();
            state.look(now);
            (state.due(now), state.expired(now.wall))
        };
        let ended = due.into_iter().filter_map(|id| {
            let (grant, written) = self.end(&id, (EndOfGrant::Ended, None), now).ok()?;
            if let Err(error) = written {
                tracing::warn!(%id, "the end of a grant cannot be kept: {error}");
            }
            Some(grant)
        });
        let ended = ended.collect();
        let gone = expired.into_iter().filter_map(|id| self.expire(&id, now).ok()).collect();
        if matches!(&*self.journal(), Place::Open(journal) if journal.is_long() || self.state().owed)
        {
            self.compact(now);
        }
        (ended, gone)
    }

    /// Notes the time. Whether nothing is lent, asked for or still to be written.
    pub(crate) fn is_idle(&self, now: Moment) -> bool {
        let mut state = self.state();
        state.look(now);
        let lent = state.grants.values().any(|grant| grant.over.is_none());
        let asked = state.requests.values().any(|one| one.state == RequestState::Pending);
        !lent && !asked && !state.owed
    }

    /// By how many seconds the clock has been set back; until it is right again or accepted, no
    /// grant can be exchanged.
    pub(crate) fn set_back(&self, now: Moment) -> Option<i64> {
        self.state().latest.set_back(now.wall)
    }

    /// The clock is right, although it was later before. Slow.
    pub(crate) fn accept_clock(&self, now: Moment) -> Result<(), Failure> {
        let mut journal = self.journal();
        let journal = journal.open()?;
        let line = Line { at: now.wall, change: Change::ClockAccepted {} };
        journal.append(&line).map_err(Failure::File)?;
        let mut state = self.state();
        state.latest.accept(now.wall);
        state.look(now);
        drop(state);
        self.tell();
        Ok(())
    }

    /// Makes a change, and writes it: if that fails, it is undone.
    fn change(
        &self,
        now: Moment,
        make: impl FnOnce(&mut State) -> Result<Undo, Failure>,
    ) -> Result<(), Failure> {
        let mut journal = self.journal();
        let journal = journal.open()?;
        let (undo, line) = {
            let mut state = self.state();
            state.forget(now.wall);
            let undo = make(&mut state)?;
            state.look(now);
            let line = state.line(&undo, now.wall);
            (undo, line)
        };
        if let Err(error) = journal.append(&line) {
            tracing::error!(file = %journal.path().display(), "grants cannot be kept: {error}");
            self.state().undo(undo);
            return Err(Failure::File(error));
        }
        self.tell();
        Ok(())
    }

    fn compact(&self, now: Moment) {
        let mut journal = self.journal();
        let Place::Open(open) = &mut *journal else { return };
        let lines = self.state().lines(now.wall);
        match open.again(&lines) {
            Ok(()) => self.state().owed = false,
            Err(error) => tracing::warn!("the file of grants cannot be written anew: {error}"),
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn journal(&self) -> MutexGuard<'_, Place> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The file, made now if nothing was ever lent.
    fn open(&mut self) -> Result<&mut Journal, Failure> {
        if let Self::Empty(path) = self {
            *self = Self::Open(Journal::begin(path, &[]).map_err(Failure::File)?);
        }
        match self {
            Self::Open(journal) => Ok(journal),
            Self::Broken(why) => {
                let what = format!("what was lent before cannot be read ({why})");
                Err(Failure::File(io::Error::other(what)))
            }
            Self::Nowhere | Self::Empty(_) => {
                Err(Failure::File(io::Error::other("there is no file for it")))
            }
        }
    }
}

fn mark(secret: &str) -> Mark {
    Sha256::digest(secret).into()
}
