//! Access that somebody lends to others for a time: grants, which are exchanged for sign-ins, and
//! requests, which become grants when others approve. All of it is on the disk before anybody is
//! told.

mod journal;
mod moment;
mod record;
mod requests;
#[cfg(test)]
mod tests;
mod using;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, time::Instant};

pub(super) use self::using::is_grants;
use self::{
    journal::{Change, Journal, Line},
    moment::{Latest, deadline},
    record::{Mark, Over, new_id},
};
pub(crate) use self::{
    moment::Moment,
    record::{EndOfGrant, Grant, Receiver, Request, RequestState, Whose},
    requests::{Decision, Wish},
    using::{GrantUse, Refused},
};
use super::{PrincipalId, random};
use crate::config::Rights;

/// Grants that run or are to begin; no more are given.
const LIVE_MAX: usize = 1000;
/// How long what is over is still listed, in seconds.
const KEPT: i64 = 7 * 86_400;
/// What is over that is still listed, at most.
const KEPT_MAX: usize = 1000;

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
    /// Nowhere: what is there cannot be read or written.
    #[default]
    Nowhere,
    /// There is no file, since nothing was ever lent.
    Empty(PathBuf),
    Open(Journal),
}

#[derive(Debug, Default)]
struct State {
    grants: BTreeMap<String, Grant>,
    requests: BTreeMap<String, Request>,
    latest: Latest,
    /// When a grant ends at the latest, by a clock that cannot be set.
    deadlines: HashMap<String, Instant>,
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

/// A change to one grant or request: the record as it was, to be put back if it cannot be written.
enum Undo {
    Grant(String, Option<Box<Grant>>),
    Request(String, Option<Box<Request>>),
}

impl Grants {
    /// Reads the file that an earlier run left, and keeps everything there from now on. Slow: it
    /// waits for the disk.
    ///
    /// # Errors
    /// The file cannot be read or written. Then nothing is lent and nothing that was lent is
    /// good.
    pub(crate) fn open(&self, path: &Path, now: Moment) -> io::Result<()> {
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
                Change::ClockAccepted {} => state.latest.accept(at),
            }
            state.latest.see(at);
        }
        // While the clock is wrong, nobody can tell what is over.
        if state.latest.set_back(now.wall).is_none() {
            state.forget(now.wall);
            state.look(now);
        }
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
    /// granted is over at once, even if that cannot be written. Slow.
    pub(crate) fn end(
        &self,
        id: &str,
        (why, by): (EndOfGrant, Option<&PrincipalId>),
        now: Moment,
    ) -> Result<Grant, Failure> {
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
        journal.open()?.append(&line).map_err(Failure::File)?;
        Ok(ended)
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
            self.end(&id, (EndOfGrant::Ended, None), now)
                .inspect_err(
                    |error| tracing::warn!(%id, "the end of a grant cannot be kept: {error:?}"),
                )
                .ok()
        });
        let ended = ended.collect();
        let gone = expired.into_iter().filter_map(|id| self.expire(&id, now).ok()).collect();
        if matches!(&*self.journal(), Place::Open(journal) if journal.is_long()) {
            self.compact(now);
        }
        (ended, gone)
    }

    /// Notes the time. Whether nothing is lent or asked for.
    pub(crate) fn is_idle(&self, now: Moment) -> bool {
        let mut state = self.state();
        state.look(now);
        let lent = state.grants.values().any(|grant| grant.over.is_none());
        let asked = state.requests.values().any(|one| one.state == RequestState::Pending);
        !lent && !asked
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
        if let Err(error) = open.again(&lines) {
            tracing::warn!("the file of grants cannot be written anew: {error}");
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
            Self::Nowhere | Self::Empty(_) => Err(Failure::File(io::Error::other(
                "what was lent before cannot be read; the log says why",
            ))),
        }
    }
}

impl State {
    /// Notes the time, and from it when each grant ends at the latest.
    fn look(&mut self, now: Moment) {
        if self.latest.set_back(now.wall).is_some() {
            return;
        }
        self.latest.see(now.wall);
        for grant in self.grants.values().filter(|grant| grant.over.is_none()) {
            let end = deadline(grant.until, now);
            let kept = self.deadlines.entry(grant.id.clone()).or_insert(end);
            *kept = end.min(*kept);
        }
    }

    /// Whether a grant can be used at this moment. One whose end cannot be told, since the clock
    /// is wrong and was never right in this run, cannot.
    fn runs(&self, grant: &Grant, now: Moment) -> bool {
        let steady = self.deadlines.get(&grant.id).is_some_and(|end| now.steady < *end);
        grant.over.is_none() && steady && (grant.from..grant.until).contains(&now.wall)
    }

    /// Grants whose time has come.
    fn due(&self, now: Moment) -> Vec<String> {
        let over = |grant: &&Grant| {
            let steady = self.deadlines.get(&grant.id).is_some_and(|end| now.steady >= *end);
            grant.over.is_none() && (steady || now.wall >= grant.until)
        };
        self.grants.values().filter(over).map(|grant| grant.id.clone()).collect()
    }

    fn room(&self) -> Result<(), Failure> {
        let live = self.grants.values().filter(|grant| grant.over.is_none()).count();
        if live < LIVE_MAX { Ok(()) } else { Err(Failure::Full) }
    }

    /// Drops what has been over for long.
    fn forget(&mut self, wall: i64) {
        let since = |grant: &Grant| grant.over.as_ref().map_or(grant.until, |over| over.at);
        self.grants.retain(|_, grant| since(grant) + KEPT > wall);
        self.requests.retain(|_, one| one.at + KEPT > wall);
        let mut over: Vec<_> = self.grants.values().filter(|grant| grant.over.is_some()).collect();
        over.sort_by_key(|grant| std::cmp::Reverse(since(grant)));
        let old: Vec<_> = over.iter().skip(KEPT_MAX).map(|grant| grant.id.clone()).collect();
        for id in old {
            self.grants.remove(&id);
        }
    }

    /// Everything as lines. The first carries the latest time that the clock has shown.
    fn lines(&self, wall: i64) -> Vec<Line> {
        let at = wall.max(wall + self.latest.set_back(wall).unwrap_or(0));
        let grants = self.grants.values().cloned().map(Change::Grant);
        let requests = self.requests.values().cloned().map(Change::Request);
        grants.chain(requests).map(|change| Line { at, change }).collect()
    }

    fn put(&mut self, grant: Grant) -> Undo {
        let id = grant.id.clone();
        let before = self.grants.insert(id.clone(), grant);
        Undo::Grant(id, before.map(Box::new))
    }

    fn put_request(&mut self, request: Request) -> Undo {
        let id = request.id.clone();
        let before = self.requests.insert(id.clone(), request);
        Undo::Request(id, before.map(Box::new))
    }

    fn line(&self, change: &Undo, at: i64) -> Line {
        let change = match change {
            Undo::Grant(id, _) => self.grants.get(id).cloned().map(Change::Grant),
            Undo::Request(id, _) => self.requests.get(id).cloned().map(Change::Request),
        };
        // What was put there under this lock is there.
        Line { at, change: change.unwrap_or(Change::ClockAccepted {}) }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Grant(id, before) => {
                self.deadlines.remove(&id);
                match before {
                    Some(before) => drop(self.grants.insert(id, *before)),
                    None => drop(self.grants.remove(&id)),
                }
            }
            Undo::Request(id, Some(before)) => drop(self.requests.insert(id, *before)),
            Undo::Request(id, None) => drop(self.requests.remove(&id)),
        }
    }
}

fn mark(secret: &str) -> Mark {
    Sha256::digest(secret).into()
}
