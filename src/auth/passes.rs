//! Passes: what lets in a page that is not the gateway's own, an app's page or one of another
//! origin.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    Auth, AuthRequest, ClientAddress, ClientCertificate, LoginId, OWN_PREFIX, OneSession, Opens,
    PassLimit, Principal, PrincipalId, Purpose, TICKET_LIFE, Ticket, hex, random,
};
use crate::{
    config::{App, Config},
    wire::close::Refusal,
};

/// How long a pass is valid, unless the sign-in behind it ends earlier.
pub(crate) const PASS_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Passes of one principal; if there are more, the oldest ends.
const PASSES_OF_ONE: usize = 64;

/// The one place where a pass is valid, and how it is carried there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PassScope {
    /// At this app's origin, shown by our script in its pages.
    App(String),
    /// At this app's origin, as its cookie.
    Cookie(String),
    /// At the gateway, for pages of this origin.
    Page(String),
}

/// What a pass stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    id: PrincipalId,
    login: Option<LoginId>,
    certificate: Option<Arc<ClientCertificate>>,
    place: PassScope,
    /// What it is limited to; `None`: nothing beyond its app.
    only: Option<PassLimit>,
    until: Instant,
}

/// The passes given. Only the holder of a ticket gets one, and at most [`PASSES_OF_ONE`].
#[derive(Debug, Default)]
pub(super) struct Passes {
    /// By SHA-256 of the text, so that the time of a look-up reveals nothing about it.
    given: Mutex<HashMap<[u8; 32], Pass>>,
}

impl Passes {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Pass>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass's text, 256 bits in the form of our tokens.
    fn give(&self, pass: Pass, now: Instant) -> String {
        let text = format!("{OWN_PREFIX}{}", hex(&random::<32>()));
        let mut given = self.lock();
        given.retain(|_, pass| pass.until > now);
        while given.values().filter(|other| other.id == pass.id).count() >= PASSES_OF_ONE {
            let of_one = given.iter().filter(|(_, other)| other.id == pass.id);
            let Some(oldest) = of_one.min_by_key(|(_, other)| other.until).map(|(mark, _)| *mark)
            else {
                break;
            };
            given.remove(&oldest);
        }
        given.insert(Sha256::digest(&text).into(), pass);
        text
    }

    /// What a text stands for at a place.
    pub(super) fn find(&self, text: &str, place: &PassScope, now: Instant) -> Option<Pass> {
        let mark: [u8; 32] = Sha256::digest(text).into();
        self.lock().get(&mark).filter(|pass| pass.place == *place && pass.until > now).cloned()
    }
}

impl Auth {
    /// Exchanges a launch ticket for a pass at the origin of its app, valid for [`PASS_LIFE`].
    pub(crate) fn pass(
        &self,
        config: &Config,
        app: &App,
        ticket: &str,
        client: ClientAddress,
    ) -> Result<String, Refusal> {
        let ticket = self.launched(config, ticket, |opens| is_of(opens, app), (None, client))?;
        Ok(self.give(&ticket, PassScope::App(app.name.clone()), None))
    }

    /// Exchanges a launch ticket for the value of its app's cookie, and another launch ticket for
    /// the app's page.
    pub(crate) fn enter(
        &self,
        config: &Config,
        app: &App,
        ticket: &str,
        client: ClientAddress,
    ) -> Result<(String, String), Refusal> {
        let ticket = self.launched(config, ticket, |opens| is_of(opens, app), (None, client))?;
        let cookie = self.give(&ticket, PassScope::Cookie(app.name.clone()), None);
        let next = self.tickets.give(ticket, Instant::now());
        next.map(|next| (cookie, next)).ok_or(Refusal::TooMany(seconds(TICKET_LIFE)))
    }

    /// Exchanges a launch ticket for a pass for a page of another origin, and the endpoints it
    /// names.
    pub(crate) fn page_pass(
        &self,
        config: &Config,
        origin: &str,
        ticket: &str,
        client: ClientAddress,
    ) -> Result<(String, Arc<[String]>), Refusal> {
        let is_page = |opens: &Opens| matches!(opens, Opens::Page(_));
        let ticket = self.launched(config, ticket, is_page, (Some(origin), client))?;
        let Opens::Page(only) = &ticket.opens else { return Err(Refusal::Unauthorized) };
        let endpoints = Arc::clone(only);
        let only = PassLimit { endpoints: Arc::clone(&endpoints), once: None };
        let pass = self.give(&ticket, PassScope::Page(origin.to_owned()), Some(only));
        Ok((pass, endpoints))
    }

    /// Exchanges a frame's ticket for a pass for our own page in it, which was served for that
    /// `frame`. It is valid for one session.
    pub(crate) fn frame_pass(
        &self,
        config: &Config,
        own: &str,
        (ticket, frame): (&str, &Opens),
        client: ClientAddress,
    ) -> Result<(String, Arc<[String]>), Refusal> {
        let ticket = self.launched(config, ticket, |opens| opens == frame, (None, client))?;
        let Opens::Frame { endpoint, .. } = &ticket.opens else {
            return Err(Refusal::Unauthorized);
        };
        let endpoints: Arc<[String]> = [endpoint.clone()].into();
        let only = PassLimit {
            endpoints: Arc::clone(&endpoints),
            once: Some(Arc::new(OneSession::default())),
        };
        let pass = self.give(&ticket, PassScope::Page(own.to_owned()), Some(only));
        Ok((pass, endpoints))
    }

    /// What a launch ticket stands for. Refused: its source is under a penalty, or the ticket is
    /// not of the wanted kind, used up, too late, or given to somebody who has signed out.
    fn launched(
        &self,
        config: &Config,
        ticket: &str,
        wanted: impl FnOnce(&Opens) -> bool,
        (origin, client): (Option<&str>, ClientAddress),
    ) -> Result<Ticket, Refusal> {
        self.check_penalty(self.source(client))?;
        let redeemed = self.tickets.redeem(ticket, wanted, origin, Instant::now());
        let goes_on =
            |ticket: &Ticket| self.goes_on(config, ticket.login, ticket.certificate.as_deref());
        redeemed.filter(goes_on).ok_or(Refusal::Unauthorized)
    }

    fn give(&self, ticket: &Ticket, place: PassScope, only: Option<PassLimit>) -> String {
        let Ticket { id, login, certificate, .. } = ticket.clone();
        let now = Instant::now();
        self.passes.give(Pass { id, login, certificate, place, only, until: now + PASS_LIFE }, now)
    }

    /// The principal that a pass lets in: at its app's origin, or, for sessions alone, from its
    /// page.
    pub(super) fn by_pass(
        &self,
        config: &Config,
        app: Option<&str>,
        ask: &AuthRequest<'_>,
        text: &str,
    ) -> Option<Principal> {
        let place = match (app, ask.signs.origin) {
            (Some(app), _) => PassScope::App(app.to_owned()),
            (None, Some(origin)) if ask.purpose == Purpose::Upgrade => {
                PassScope::Page(origin.to_owned())
            }
            (None, _) => return None,
        };
        let pass = self.passes.find(text, &place, Instant::now())?;
        self.holder(config, pass)
    }

    /// The holder of a pass, while what it was given for goes on.
    pub(super) fn holder(&self, config: &Config, pass: Pass) -> Option<Principal> {
        let principal = self.find_with(config, &pass.id, pass.login)?;
        let Pass { login, certificate, only, .. } = pass;
        self.goes_on(config, login, certificate.as_deref()).then_some(Principal {
            login,
            certificate,
            only,
            ..principal
        })
    }
}

fn is_of(opens: &Opens, app: &App) -> bool {
    matches!(opens, Opens::App(name) if *name == app.name)
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::PrincipalKind;
    use super::*;

    fn pass(name: &str, until: Instant) -> Pass {
        Pass {
            id: PrincipalId::new(PrincipalKind::User, name),
            login: None,
            certificate: None,
            place: PassScope::App("tool".into()),
            only: None,
            until,
        }
    }

    #[test]
    fn a_pass_is_for_its_place_and_its_time() {
        let (passes, now) = (Passes::default(), Instant::now());
        let text = passes.give(pass("alice", now + PASS_LIFE), now);
        let tool = PassScope::App("tool".into());
        assert_eq!(
            passes.find(&text, &tool, now).map(|pass| pass.id.name).as_deref(),
            Some("alice")
        );
        for other in [
            PassScope::App("other".into()),
            PassScope::Cookie("tool".into()),
            PassScope::Page("tool".into()),
        ] {
            assert_eq!(passes.find(&text, &other, now), None, "{other:?}");
        }
        assert_eq!(passes.find(&text, &tool, now + PASS_LIFE), None);
        assert_eq!(passes.find("", &tool, now), None);
        assert!(!format!("{passes:?}").contains(&text));
    }

    #[test]
    fn one_principal_has_a_bounded_number() {
        let (passes, now) = (Passes::default(), Instant::now());
        let first = passes.give(pass("alice", now + PASS_LIFE), now);
        passes.give(pass("bob", now + PASS_LIFE), now);
        for n in 1..=PASSES_OF_ONE as u64 {
            passes.give(pass("alice", now + PASS_LIFE + Duration::from_secs(n)), now);
        }
        assert_eq!(passes.lock().len(), PASSES_OF_ONE + 1);
        assert_eq!(passes.find(&first, &PassScope::App("tool".into()), now), None);
    }
}
