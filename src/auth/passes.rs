//! Passes: what the page of an app is let in by, in place of a cookie that every port of the host would see.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    Auth, ClientAddress, ClientCertificate, LoginId, OWN_PREFIX, Principal, PrincipalId, Ticket, find, hex,
    random, unix_now,
};
use crate::{
    config::{App, Config},
    wire::close::Refusal,
};

/// How long a pass is good, unless the sign-in behind it ends before.
pub const LIFE: Duration = Duration::from_secs(12 * 3600);
/// Passes of one principal; when there are more, the oldest ends.
const OF_ONE: usize = 64;

/// What a pass stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pass {
    id: PrincipalId,
    login: Option<LoginId>,
    certificate: Option<Arc<ClientCertificate>>,
    /// The one app that it lets in.
    app: String,
    until: Instant,
}

/// The passes given. Only who has a ticket gets one, and then at most [`OF_ONE`].
#[derive(Debug, Default)]
pub(super) struct Passes {
    /// By SHA-256 of the text, so that a look-up's time tells nothing of it.
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
        while given.values().filter(|other| other.id == pass.id).count() >= OF_ONE {
            let of_one = given.iter().filter(|(_, other)| other.id == pass.id);
            let Some(oldest) = of_one.min_by_key(|(_, other)| other.until).map(|(mark, _)| *mark) else {
                break;
            };
            given.remove(&oldest);
        }
        given.insert(Sha256::digest(&text).into(), pass);
        text
    }

    fn find(&self, text: &str, app: &str, now: Instant) -> Option<Pass> {
        let mark: [u8; 32] = Sha256::digest(text).into();
        self.lock().get(&mark).filter(|pass| pass.app == app && pass.until > now).cloned()
    }
}

/// What a launch ticket names in place of an endpoint, which none is called.
fn place(app: &str) -> String {
    format!("/apps/{app}")
}

impl Auth {
    /// A one-time ticket with which a browser opens an app; `None` when too many are outstanding.
    pub fn launch(&self, principal: &Principal, app: &App) -> Option<String> {
        self.ticket(principal, &place(&app.name), None)
    }

    /// Exchanges a launch ticket for a pass, which is good for [`LIFE`]. Refused: its source is punished, or it is not a
    /// ticket of this app, used up, too late, or of somebody who has signed out.
    pub fn pass(
        &self,
        config: &Config,
        app: &App,
        ticket: &str,
        client: ClientAddress,
    ) -> Result<String, Refusal> {
        self.check_penalty(self.source(client))?;
        let now = Instant::now();
        let redeemed = self.tickets.redeem(ticket, &place(&app.name), None, now);
        let goes_on = |ticket: &Ticket| self.goes_on(config, ticket.login, ticket.certificate.as_deref());
        let Some(Ticket { id, login, certificate, .. }) = redeemed.filter(goes_on) else {
            return Err(Refusal::Unauthorized);
        };
        let pass = Pass { id, login, certificate, app: app.name.clone(), until: now + LIFE };
        Ok(self.passes.give(pass, now))
    }

    /// Whom a pass lets in at its app's origin.
    pub(super) fn by_pass(&self, config: &Config, app: Option<&str>, text: &str) -> Option<Principal> {
        let pass = self.passes.find(text, app?, Instant::now())?;
        let principal = find(&config.access, &pass.id, unix_now())?;
        let Pass { login, certificate, .. } = pass;
        self.goes_on(config, login, certificate.as_deref()).then_some(Principal {
            login,
            certificate,
            ..principal
        })
    }
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
            app: "tool".into(),
            until,
        }
    }

    #[test]
    fn a_pass_is_for_its_app_and_its_time() {
        let (passes, now) = (Passes::default(), Instant::now());
        let text = passes.give(pass("alice", now + LIFE), now);
        assert_eq!(passes.find(&text, "tool", now).map(|pass| pass.id.name).as_deref(), Some("alice"));
        assert_eq!(passes.find(&text, "other", now), None);
        assert_eq!(passes.find(&text, "tool", now + LIFE), None);
        assert_eq!(passes.find("", "tool", now), None);
        assert!(!format!("{passes:?}").contains(&text));
    }

    #[test]
    fn one_principal_has_a_bounded_number() {
        let (passes, now) = (Passes::default(), Instant::now());
        let first = passes.give(pass("alice", now + LIFE), now);
        passes.give(pass("bob", now + LIFE), now);
        for n in 1..=OF_ONE as u64 {
            passes.give(pass("alice", now + LIFE + Duration::from_secs(n)), now);
        }
        assert_eq!(passes.lock().len(), OF_ONE + 1);
        assert_eq!(passes.find(&first, "tool", now), None);
    }
}
