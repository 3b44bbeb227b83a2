//! What others lend to whoever asks: rights on top of its own, or a sign-in that is nothing but a
//! grant.

use std::net::IpAddr;

use tokio::time::Instant;

use super::{
    AllowedOrigin, Auth, ClientAddress, Grant, GrantRefused, LoginId, Moment, OWN_PAGE_ALONE, Peer,
    Principal, PrincipalId, PrincipalKind, Receiver, Visit,
    grants::{EndOfGrant, GrantUse},
    signing::{COOKIES_MAX, SIGN_IN, name, values},
};
use crate::{
    config::{Config, Rights, RightsTable, Secret},
    wire::close::Refusal,
};

/// A grant that has just been exchanged for a sign-in.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub principal: Principal,
    pub grant: Grant,
    /// The cookie's value or, for a program, the token.
    pub secret: Secret,
}

/// The right that those who lend have to have.
fn needed(grant: &Grant) -> Rights {
    match grant.to {
        Receiver::Bearer { .. } => Rights::GRANT,
        Receiver::Asker(_) => Rights::APPROVE,
    }
}

impl Auth {
    /// Exchanges a grant's secret for a sign-in: of a browser, from our own page alone, or of a
    /// program on this computer. It counts as a guess if it is wrong. Slow: the use is on the disk
    /// when this returns.
    pub(crate) fn exchange_grant(
        &self,
        config: &Config,
        visit: &Visit,
        (secret, program): (&str, Option<String>),
    ) -> Result<Exchanged, GrantAnswer> {
        let by_page = visit.page == AllowedOrigin::Own;
        let of_program = visit.page == AllowedOrigin::None && program.is_some();
        if !(by_page || of_program) {
            return Err(GrantAnswer::No(Refusal::Origin(OWN_PAGE_ALONE.to_owned())));
        }
        let client = visit.view.client;
        let source = self.source(client);
        self.check_penalty(source).map_err(GrantAnswer::No)?;
        let user = GrantUse { program, ip: ip(client), client: client.to_string() };
        let (by_program, ip) = (user.program.is_some(), user.ip);
        let now = Moment::now();
        let lends = |grant: &Grant| !self.table(config, grant).0.is_empty();
        match self.grants.exchange(secret, &user, now, lends) {
            Ok((grant, text)) => {
                self.penalties().signed_in(source, Instant::now());
                let login = self.grants.signed_in(&text, by_program, ip, now).map(|(_, it)| it);
                let principal = self.granted(config, (&grant.id, login));
                let principal = principal.ok_or(GrantAnswer::No(Refusal::Unauthorized))?;
                Ok(Exchanged { principal, grant, secret: Secret::new(text) })
            }
            Err(GrantRefused::Wrong) => {
                self.penalties().failed(source, Instant::now());
                Err(GrantAnswer::No(Refusal::Unauthorized))
            }
            Err(why) => Err(GrantAnswer::Why(why)),
        }
    }

    /// A grant as a principal; `None`: it does not run.
    pub(super) fn granted(
        &self,
        config: &Config,
        (id, login): (&str, Option<LoginId>),
    ) -> Option<Principal> {
        let grant = self.grants.running(id, Moment::now())?;
        let rights = self.table(config, &grant);
        // Its exchange is when whoever uses it has signed in.
        let auth_time = login.and_then(|login| self.grants.exchanged(login));
        let id = PrincipalId::new(PrincipalKind::Grant, id);
        Some(Principal { login, auth_time, ..Principal::new(id, rights) })
    }

    /// A principal with what it has asked for and was lent.
    pub(super) fn with_lent(&self, config: &Config, principal: Principal) -> Principal {
        let lent = self.grants.lent_to(&principal.id, Moment::now());
        let mut rights = principal.rights.clone();
        rights.0.extend(lent.iter().flat_map(|grant| self.table(config, grant).0));
        Principal { rights, ..principal }
    }

    /// What a grant gives now: no more than each of those who lend it may do themselves.
    fn table(&self, config: &Config, grant: &Grant) -> RightsTable {
        let givers: Option<Vec<_>> =
            grant.by.iter().map(|whose| Some(self.own(config, &whose.0, None)?.rights)).collect();
        givers.map_or_else(RightsTable::default, |all| grant.table(config, &all, needed(grant)))
    }

    /// Ends the grants whose givers may no longer lend them; returns these. Slow if there are any.
    pub(crate) fn review_grants(&self, config: &Config, now: Moment) -> Vec<Grant> {
        let live = self.grants.list().into_iter().filter(|grant| grant.over.is_none());
        let lost = live.filter(|grant| {
            let gone = grant.by.iter().any(|whose| self.own(config, &whose.0, None).is_none());
            let reaches = config.endpoints.keys().any(|name| grant.covers(name));
            gone || (reaches && self.table(config, grant).0.is_empty())
        });
        let end = |grant: Grant| {
            let ended = self.grants.end(&grant.id, (EndOfGrant::GiverLost, None), now);
            ended.ok().map(|(ended, _)| ended)
        };
        lost.filter_map(end).collect()
    }

    /// Whose grant our cookie is.
    pub(super) fn by_grant_cookie(
        &self,
        config: &Config,
        cookies: Option<&str>,
        visit: &Visit,
    ) -> Option<Principal> {
        let name = name(&visit.view, SIGN_IN);
        let (ip, now) = (ip(visit.view.client), Moment::now());
        let mut shown = values(cookies.unwrap_or_default(), &name).take(COOKIES_MAX);
        let (id, login) = shown.find_map(|text| self.grants.signed_in(text, false, ip, now))?;
        self.granted(config, (&id, Some(login)))
    }

    /// Whose grant a program's token is.
    pub(super) fn by_grant_token(
        &self,
        config: &Config,
        peer: &Peer,
        text: &str,
        client: ClientAddress,
    ) -> Option<Principal> {
        // At an app's origin its pages' scripts could show it.
        if peer.app.is_some() {
            return None;
        }
        let (id, login) = self.grants.signed_in(text, true, ip(client), Moment::now())?;
        self.granted(config, (&id, Some(login)))
    }
}

/// Why there is no sign-in for a grant.
#[derive(Debug)]
pub(crate) enum GrantAnswer {
    /// As for any credential.
    No(Refusal),
    /// The secret was right, or it is our fault.
    Why(GrantRefused),
}

fn ip(client: ClientAddress) -> Option<IpAddr> {
    client.ip()
}
