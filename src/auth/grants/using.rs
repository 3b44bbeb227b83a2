//! A grant in use: its secret is exchanged for a sign-in, whose cookie or token is looked up at
//! each request until the grant is over.

use std::net::IpAddr;

use tokio::time::{Duration, Instant};

use super::{
    super::{LoginId, OWN_PREFIX, hex, random},
    Failure, GRANT_PREFIX, Grant, Grants, Moment, PrincipalId, Receiver, mark,
    record::{GrantSignIn, Mark},
};
use crate::config::{Config, Rights, RightsTable};

/// Who exchanges a grant.
#[derive(Clone, Debug)]
pub(crate) struct GrantUse {
    /// The computer whose program asks; `None`: a browser.
    pub program: Option<String>,
    /// Its address; `None`: a unix socket.
    pub ip: Option<IpAddr>,
    /// The same, for people.
    pub client: String,
}

/// Why a grant was not exchanged.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No grant has this secret, or it is over: all of that looks the same.
    Wrong,
    /// It has been used as often as it may.
    UsedUp,
    /// It begins later: in this many seconds.
    Early(i64),
    /// Not from this network.
    Elsewhere,
    /// What stands in the way is ours.
    Failed(Failure),
}

/// Set in the numbers of grants' sign-ins, and in no others: those are counted up from 0.
const OF_GRANTS: LoginId = 1 << 63;

/// Whether a text has the form of a grant's secret.
fn is_secret(text: &str) -> bool {
    let rest = text.strip_prefix(GRANT_PREFIX);
    rest.is_some_and(|rest| {
        rest.len() == 43 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    })
}

impl Grants {
    /// Exchanges a grant's secret for a sign-in: its cookie's or token's text. `lends`: whether
    /// those who gave it still may. The use is on the disk when this returns. Slow.
    pub(crate) fn exchange(
        &self,
        secret: &str,
        whom: &GrantUse,
        now: Moment,
        lends: impl Fn(&Grant) -> bool,
    ) -> Result<(Grant, String), Refused> {
        if !is_secret(secret) {
            return Err(Refused::Wrong);
        }
        let wanted = mark(secret);
        let prefix = if whom.program.is_some() { OWN_PREFIX } else { "" };
        let text = format!("{prefix}{}", hex(&random::<32>()));
        let mut refused = None;
        let mut used = None;
        let sign_in = GrantSignIn {
            mark: mark(&text),
            program: whom.program.clone(),
            client: whom.client.clone(),
            at: now.wall,
        };
        let made = self.change(now, |state| {
            let has = |grant: &&Grant| matches!(&grant.to, Receiver::Bearer { mark, .. } if *mark == wanted);
            let found = state.grants.values().find(has).cloned();
            let mut no = |why: Refused| {
                refused = Some(why);
                Failure::Unknown
            };
            let Some(mut grant) = found.filter(|grant| grant.over.is_none()) else {
                return Err(no(Refused::Wrong));
            };
            if let Some(back) = state.latest.set_back(now.wall) {
                return Err(Failure::ClockWentBack(back));
            }
            state.look(now);
            if now.wall < grant.from {
                return Err(no(Refused::Early(grant.from - now.wall)));
            }
            if !state.runs(&grant, now) || !lends(&grant) {
                return Err(no(Refused::Wrong));
            }
            if !grant.fits(whom.ip) {
                return Err(no(Refused::Elsewhere));
            }
            let Receiver::Bearer { uses, used: count, sign_ins, .. } = &mut grant.to else {
                return Err(no(Refused::Wrong));
            };
            if *count >= *uses {
                return Err(no(Refused::UsedUp));
            }
            *count += 1;
            sign_ins.push(sign_in);
            used = Some(grant.clone());
            Ok(state.put(grant))
        });
        match (made, used, refused) {
            (Ok(()), Some(grant), _) => Ok((grant, text)),
            (_, _, Some(refused)) => Err(refused),
            (Err(failure), ..) => Err(Refused::Failed(failure)),
            (Ok(()), None, None) => Err(Refused::Wrong),
        }
    }

    /// The grant of a cookie or, for a program, of a token.
    pub(in crate::auth) fn signed_in(
        &self,
        text: &str,
        program: bool,
        ip: Option<IpAddr>,
        now: Moment,
    ) -> Option<(String, LoginId)> {
        let wanted = mark(text);
        let state = self.state();
        let has = |grant: &&Grant| {
            let mut own = grant.sign_ins().iter();
            own.any(|one| one.mark == wanted && one.program.is_some() == program)
        };
        let found = state.grants.values().find(has)?;
        (state.runs(found, now) && found.fits(ip)).then(|| (found.id.clone(), number(&wanted)))
    }

    /// Forgets a sign-in: its browser has signed out. Slow.
    pub(in crate::auth) fn sign_out(&self, login: LoginId, now: Moment) -> Result<(), Failure> {
        self.change(now, |state| {
            let mut grant = state.of_sign_in(login).cloned().ok_or(Failure::Unknown)?;
            if let Receiver::Bearer { sign_ins, .. } = &mut grant.to {
                sign_ins.retain(|one| number(&one.mark) != login);
            }
            Ok(state.put(grant))
        })
    }

    /// Time that a sign-in has left: as long as its grant runs.
    pub(in crate::auth) fn sign_in_left(&self, login: LoginId, now: Moment) -> Option<Duration> {
        let state = self.state();
        let grant = state.of_sign_in(login).filter(|grant| state.runs(grant, now))?;
        let end = state.deadlines.get(&grant.id)?;
        Some(end.saturating_duration_since(now.steady))
    }

    /// A grant that can be used at this moment.
    pub(in crate::auth) fn running(&self, id: &str, now: Moment) -> Option<Grant> {
        let state = self.state();
        state.grants.get(id).filter(|grant| state.runs(grant, now)).cloned()
    }

    /// When a sign-in was made, in seconds since 1970.
    pub(in crate::auth) fn exchanged(&self, login: LoginId) -> Option<i64> {
        let state = self.state();
        let grant = state.of_sign_in(login)?;
        grant.sign_ins().iter().find(|one| number(&one.mark) == login).map(|one| one.at)
    }

    /// The running grants that somebody has asked for.
    pub(in crate::auth) fn lent_to(&self, id: &PrincipalId, now: Moment) -> Vec<Grant> {
        let state = self.state();
        let own = |grant: &&Grant| matches!(&grant.to, Receiver::Asker(whose) if whose.0 == *id);
        state.grants.values().filter(own).filter(|grant| state.runs(grant, now)).cloned().collect()
    }

    /// Time until the end of what somebody was lent on an endpoint: of a grant's own principal, or
    /// of what somebody asked for. `None`: nothing is lent.
    pub(crate) fn left(&self, id: &PrincipalId, endpoint: &str, now: Moment) -> Option<Duration> {
        let state = self.state();
        let theirs = state.grants.values().filter(|grant| grant.is_of(id, endpoint));
        let running = theirs.filter(|grant| state.runs(grant, now));
        let ends: Option<Instant> =
            running.filter_map(|grant| state.deadlines.get(&grant.id)).min().copied();
        ends.map(|end| end.saturating_duration_since(now.steady))
    }

    /// Whether something that was lent to somebody on an endpoint is over.
    pub(crate) fn is_over(&self, id: &PrincipalId, endpoint: &str, now: Moment) -> bool {
        let state = self.state();
        let mut theirs = state.grants.values().filter(|grant| grant.is_of(id, endpoint));
        theirs.any(|grant| !state.runs(grant, now) && now.wall >= grant.from)
    }
}

/// Whether a sign-in of this number is a grant's.
pub(in crate::auth) fn is_grants(login: LoginId) -> bool {
    login & OF_GRANTS != 0
}

/// The number of a grant's sign-in: its own, in whichever run of the gateway.
fn number(mark: &Mark) -> LoginId {
    let first = mark.first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(first) | OF_GRANTS
}

impl super::State {
    fn of_sign_in(&self, login: LoginId) -> Option<&Grant> {
        let has = |grant: &&Grant| grant.sign_ins().iter().any(|one| number(&one.mark) == login);
        self.grants.values().find(has)
    }
}

impl Grant {
    /// Whether it is what this principal has on an endpoint.
    fn is_of(&self, id: &PrincipalId, endpoint: &str) -> bool {
        use super::super::PrincipalKind;
        let own = match &self.to {
            Receiver::Bearer { .. } => id.kind == PrincipalKind::Grant && id.name == self.id,
            Receiver::Asker(whose) => whose.0 == *id,
        };
        own && self.covers(endpoint)
    }

    /// The endpoints that a name or pattern stands for.
    pub(crate) fn named(pattern: &str, config: &Config) -> Vec<String> {
        let one = RightsTable(vec![(pattern.to_owned(), Rights::READ)]);
        config.endpoints.keys().filter(|name| one.on(name) == Rights::READ).cloned().collect()
    }

    /// Whether it is for this endpoint.
    pub(crate) fn covers(&self, endpoint: &str) -> bool {
        let one = RightsTable(vec![(self.endpoint.clone(), Rights::READ)]);
        one.on(endpoint) == Rights::READ
    }

    /// What it gives on each endpoint, where each giver may do at most this.
    pub(in crate::auth) fn table(
        &self,
        config: &Config,
        givers: &[RightsTable],
        needed: Rights,
    ) -> RightsTable {
        let names = config.endpoints.keys().filter(|name| self.covers(name));
        let given = names.map(|name| {
            let rights = givers.iter().fold(self.rights, |left, giver| {
                let own = giver.on(name);
                if own.allows(needed) { left.only(own) } else { Rights::NONE }
            });
            (name.clone(), rights)
        });
        RightsTable(given.filter(|(_, rights)| *rights != Rights::NONE).collect())
    }
}
