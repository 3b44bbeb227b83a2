//! Requests for access: asked with a reason, decided by others, and then a grant to whoever asked.

use std::sync::PoisonError;

use super::{
    Change, Failure, Grant, Grants, Moment, PrincipalId, Receiver, Request, RequestState, State,
    Whose, new_id, state::Undo,
};
use crate::config::Rights;

/// Requests that nobody has decided, at a time.
const PENDING_MAX: usize = 10;
/// Those of one principal among them, so that nobody takes all.
const PENDING_OF_ONE: usize = 3;
/// How long one waits to be decided, in seconds.
const WAITS: i64 = 30 * 60;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// The name of one endpoint.
    pub endpoint: String,
    pub rights: Rights,
    /// For how long, in seconds.
    pub seconds: i64,
    pub reason: String,
}

/// What somebody decides.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    /// Access, for at most this many seconds and with at most these rights; how many have to
    /// approve.
    Approve { seconds: Option<i64>, rights: Rights, needed: u32 },
    /// None, and why.
    Deny(String),
}

impl Grants {
    /// Asks for access. Slow.
    pub(crate) fn ask(
        &self,
        wish: Wish,
        by: &PrincipalId,
        now: Moment,
    ) -> Result<Request, Failure> {
        let Wish { endpoint, rights, seconds, reason } = wish;
        let request = Request {
            id: new_id("r_"),
            endpoint,
            rights: rights.without(Rights::OVER_OTHERS),
            seconds,
            reason,
            by: Whose(by.clone()),
            at: now.wall,
            approved: Vec::new(),
            state: RequestState::Pending,
            grant: None,
            answer: String::new(),
        };
        let asked = request.clone();
        self.change(now, |state| {
            let pending: Vec<_> = state.pending().collect();
            let same = |one: &&Request| one.by.0 == *by && one.endpoint == request.endpoint;
            if pending.iter().copied().any(|one| same(&one)) {
                return Err(Failure::Pending);
            }
            if pending.iter().filter(|one| one.by.0 == *by).count() >= PENDING_OF_ONE {
                return Err(Failure::Several);
            }
            if pending.len() >= PENDING_MAX {
                return Err(Failure::Full);
            }
            Ok(state.put_request(request))
        })?;
        Ok(asked)
    }

    /// Decides on a request; returns it as it is then, and the grant that it led to. Whoever asked
    /// cannot, and one who has approved has said so once. Slow.
    pub(crate) fn decide(
        &self,
        id: &str,
        decision: &Decision,
        by: &PrincipalId,
        now: Moment,
    ) -> Result<(Request, Option<Grant>), Failure> {
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = self.pending(id).ok_or(Failure::Unknown)?;
        if request.by.0 == *by || request.approved.iter().any(|whose| whose.0 == *by) {
            return Err(Failure::Decided);
        }
        match decision {
            Decision::Deny(why) => {
                request.state = RequestState::Denied;
                request.answer.clone_from(why);
            }
            Decision::Approve { seconds, rights, needed } => {
                request.seconds = seconds.map_or(request.seconds, |most| request.seconds.min(most));
                request.rights = request.rights.only(*rights);
                request.approved.push(Whose(by.clone()));
                if request.approved.len() >= usize::try_from(*needed).unwrap_or(1) {
                    let grant = grant_of(&request, now);
                    request.state = RequestState::Approved;
                    request.grant = Some(grant.id.clone());
                    let (decided, granted) = (request.clone(), grant.clone());
                    self.change(now, |state| {
                        state.room()?;
                        state.approve(request, grant).ok_or(Failure::Unknown)
                    })?;
                    return Ok((decided, Some(granted)));
                }
            }
        }
        let decided = request.clone();
        self.change(now, |state| Ok(state.put_request(request)))?;
        Ok((decided, None))
    }

    /// Takes a request back. Slow.
    pub(crate) fn withdraw(
        &self,
        id: &str,
        by: &PrincipalId,
        now: Moment,
    ) -> Result<Request, Failure> {
        let own = self.pending(id).filter(|request| request.by.0 == *by);
        self.set(own.ok_or(Failure::Unknown)?, RequestState::Withdrawn, now)
    }

    /// A request was not decided in time. Slow.
    pub(super) fn expire(&self, id: &str, now: Moment) -> Result<Request, Failure> {
        self.set(self.pending(id).ok_or(Failure::Unknown)?, RequestState::Expired, now)
    }

    /// All requests of the last week.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.values().cloned().collect()
    }

    /// A request that waits to be decided.
    pub(crate) fn pending(&self, id: &str) -> Option<Request> {
        let state = self.state();
        state.pending().find(|request| request.id == id).cloned()
    }

    fn set(&self, request: Request, state: RequestState, now: Moment) -> Result<Request, Failure> {
        let request = Request { state, ..request };
        let done = request.clone();
        self.change(now, |all| Ok(all.put_request(request)))?;
        Ok(done)
    }
}

fn grant_of(request: &Request, now: Moment) -> Grant {
    Grant {
        id: new_id("g_"),
        endpoint: request.endpoint.clone(),
        rights: request.rights,
        from: now.wall,
        until: now.wall + request.seconds,
        networks: Vec::new(),
        reason: request.reason.clone(),
        by: request.approved.clone(),
        to: Receiver::Asker(request.by.clone()),
        over: None,
    }
}

impl State {
    /// Puts an approved request in the place of the one that waits, and its grant beside it; `None`:
    /// it does not wait any more.
    pub(super) fn approve(&mut self, request: Request, grant: Grant) -> Option<Undo> {
        let before = self.requests.get_mut(&request.id)?;
        if before.state != RequestState::Pending {
            return None;
        }
        let (before, id) = (std::mem::replace(before, request), grant.id.clone());
        self.grants.insert(id.clone(), grant);
        Some(Undo::Approved(Box::new(before), id))
    }

    pub(super) fn approved(&self, request: &str, grant: &str) -> Option<Change> {
        let (request, grant) = (self.requests.get(request)?, self.grants.get(grant)?);
        Some(Change::Approved { request: request.clone(), grant: grant.clone() })
    }

    fn pending(&self) -> impl Iterator<Item = &Request> {
        self.requests.values().filter(|request| request.state == RequestState::Pending)
    }

    /// Requests that nobody has decided in time.
    pub(super) fn expired(&self, wall: i64) -> Vec<String> {
        let late = self.pending().filter(|request| request.at + WAITS <= wall);
        late.map(|request| request.id.clone()).collect()
    }
}
