//! All that is lent and asked for, in memory.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::{
    Failure, Grant, Moment, Request, RequestState,
    journal::{Change, Line},
    moment::{Latest, deadline},
};

/// Grants that run or are to begin; no more are given.
const LIVE_MAX: usize = 1000;
/// How long what is over is still listed, in seconds.
const KEPT: i64 = 7 * 86_400;
/// What is over that is still listed, at most.
const KEPT_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) grants: BTreeMap<String, Grant>,
    pub(super) requests: BTreeMap<String, Request>,
    pub(super) latest: Latest,
    /// When a grant ends at the latest, by a clock that cannot be set.
    pub(super) deadlines: HashMap<String, Instant>,
    /// Something is over that could not be written: the file has to be written anew.
    pub(super) owed: bool,
}

/// A change to one grant or request: the record as it was, to be put back if it cannot be written.
pub(super) enum Undo {
    Grant(String, Option<Box<Grant>>),
    Request(String, Option<Box<Request>>),
    /// A request that was approved, as it was, and the grant that it led to.
    Approved(Box<Request>, String),
}

impl State {
    /// Notes the time, and from it when each grant ends at the latest.
    pub(super) fn look(&mut self, now: Moment) {
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
    pub(super) fn runs(&self, grant: &Grant, now: Moment) -> bool {
        let steady = self.deadlines.get(&grant.id).is_some_and(|end| now.steady < *end);
        grant.over.is_none() && steady && (grant.from..grant.until).contains(&now.wall)
    }

    /// Grants whose time has come.
    pub(super) fn due(&self, now: Moment) -> Vec<String> {
        let over = |grant: &&Grant| {
            let steady = self.deadlines.get(&grant.id).is_some_and(|end| now.steady >= *end);
            grant.over.is_none() && (steady || now.wall >= grant.until)
        };
        self.grants.values().filter(over).map(|grant| grant.id.clone()).collect()
    }

    pub(super) fn room(&self) -> Result<(), Failure> {
        let live = self.grants.values().filter(|grant| grant.over.is_none()).count();
        if live < LIVE_MAX { Ok(()) } else { Err(Failure::Full) }
    }

    /// Drops what has been over for long, and of the rest the oldest if there is too much: a list
    /// that people read, and a file that is read whole, have an end.
    pub(super) fn forget(&mut self, wall: i64) {
        let over_since = |grant: &Grant| grant.over.as_ref().map_or(grant.until, |over| over.at);
        // While the clock is wrong, nobody can tell what is over.
        if self.latest.set_back(wall).is_none() {
            self.grants.retain(|_, grant| over_since(grant) + KEPT > wall);
            self.requests.retain(|_, one| one.at + KEPT > wall);
        }
        let over = self.grants.values().filter(|grant| grant.over.is_some());
        for id in old(over.map(|grant| (over_since(grant), &grant.id)).collect()) {
            self.grants.remove(&id);
        }
        let decided = self.requests.values().filter(|one| one.state != RequestState::Pending);
        for id in old(decided.map(|one| (one.at, &one.id)).collect()) {
            self.requests.remove(&id);
        }
        self.deadlines.retain(|id, _| self.grants.contains_key(id));
    }

    /// Everything as lines. The first carries the latest time that the clock has shown.
    pub(super) fn lines(&self, wall: i64) -> Vec<Line> {
        let at = wall.max(wall + self.latest.set_back(wall).unwrap_or(0));
        let grants = self.grants.values().cloned().map(Change::Grant);
        let requests = self.requests.values().cloned().map(Change::Request);
        grants.chain(requests).map(|change| Line { at, change }).collect()
    }

    pub(super) fn put(&mut self, grant: Grant) -> Undo {
        let id = grant.id.clone();
        let before = self.grants.insert(id.clone(), grant);
        Undo::Grant(id, before.map(Box::new))
    }

    pub(super) fn put_request(&mut self, request: Request) -> Undo {
        let id = request.id.clone();
        let before = self.requests.insert(id.clone(), request);
        Undo::Request(id, before.map(Box::new))
    }

    pub(super) fn line(&self, change: &Undo, at: i64) -> Line {
        let change = match change {
            Undo::Grant(id, _) => self.grants.get(id).cloned().map(Change::Grant),
            Undo::Request(id, _) => self.requests.get(id).cloned().map(Change::Request),
            Undo::Approved(one, id) => self.approved(&one.id, id),
        };
        // What was put there under this lock is there.
        Line { at, change: change.unwrap_or(Change::ClockAccepted {}) }
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            // What runs by it goes on until its end.
            Undo::Grant(id, Some(before)) => drop(self.grants.insert(id, *before)),
            Undo::Grant(id, None) => {
                self.deadlines.remove(&id);
                self.grants.remove(&id);
            }
            Undo::Request(id, Some(before)) => drop(self.requests.insert(id, *before)),
            Undo::Request(id, None) => drop(self.requests.remove(&id)),
            Undo::Approved(before, id) => {
                self.undo(Undo::Grant(id, None));
                self.requests.insert(before.id.clone(), *before);
            }
        }
    }
}

/// All but the newest of those.
fn old(mut all: Vec<(i64, &String)>) -> Vec<String> {
    all.sort_by_key(|one| std::cmp::Reverse(*one));
    all.into_iter().skip(KEPT_MAX).map(|(_, id)| id.clone()).collect()
}
