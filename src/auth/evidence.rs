//! The credentials a request presents other than a cookie: whose are looked at while a source is
//! under a penalty, and what counts as wrong.

use tokio::time::Instant;

use super::{
    Auth, AuthRequest, ClientAddress, Opens, Peer, PresentedCredential, Principal, PrincipalId,
    PrincipalKind, Source, Ticket, credentials, is_own_form, is_random_text,
    passwords::PasswordCheck, penalty::Charge, unix_now,
};
use crate::{
    config::{Access, Config},
    wire::close::Refusal,
};

/// When to try again, in seconds, if a password was not checked because too many were waiting.
const CROWDED: u32 = 5;

impl Auth {
    /// The principal that a request proves with anything but a cookie. While its source is under a
    /// penalty, only what cannot be guessed is looked at.
    pub(super) async fn by_evidence(
        &self,
        config: &Config,
        peer: &Peer,
        ask: &AuthRequest<'_>,
        (client, source): (ClientAddress, Source),
    ) -> Result<Principal, Refusal> {
        let access = &config.access;
        let punished = self.check_penalty(source);
        let found = match (&ask.shown, &peer.certificate) {
            (PresentedCredential::Nothing, _) if access.open => return Ok(credentials::open()),
            (PresentedCredential::Nothing, Some(certificate)) => {
                // An authority has vouched for it, so it is no guess.
                return credentials::by_certificate(access, certificate)
                    .ok_or(Refusal::Unauthorized);
            }
            (PresentedCredential::Bearer(text), _) if is_own_form(text.reveal()) => {
                let found = self
                    .by_pass(config, peer.app.as_deref(), ask, text.reveal())
                    .or_else(|| self.by_program(config, peer, text.reveal()))
                    .or_else(|| credentials::by_token(access, text, unix_now()));
                if found.is_none() && punished.is_err() {
                    return Err(Refusal::Unauthorized);
                }
                found
            }
            // Somebody made it up by hand, so it is no better than a password.
            (PresentedCredential::Bearer(text), _) => {
                punished.inspect_err(|_| self.penalties().failed(source, Instant::now()))?;
                credentials::by_token(access, text, unix_now())
            }
            (PresentedCredential::Nothing, None) => {
                return punished.and(Err(Refusal::Unauthorized));
            }
            (PresentedCredential::Unreadable, _) => punished.map(|()| None)?,
            (PresentedCredential::Ticket(text), _) => {
                punished?;
                let found = self.by_ticket(config, text.reveal(), ask);
                if found.is_none() && is_random_text(text.reveal()) {
                    // Used up, or too late: a slow page is not an attack.
                    return Err(Refusal::Unauthorized);
                }
                found
            }
            (PresentedCredential::Basic(name, password), _) => {
                return self.by_password(access, (name, password.reveal()), (client, source)).await;
            }
        };
        found.ok_or_else(|| {
            self.penalties().failed(source, Instant::now());
            Refusal::Unauthorized
        })
    }

    /// Refuses a source while it is under a penalty.
    pub(super) fn check_penalty(&self, source: Source) -> Result<(), Refusal> {
        match self.penalties().left(source, Instant::now()) {
            None => Ok(()),
            Some(left) => {
                Err(Refusal::TooMany(u32::try_from(left.as_secs() + 1).unwrap_or(u32::MAX)))
            }
        }
    }

    fn by_ticket(&self, config: &Config, text: &str, ask: &AuthRequest<'_>) -> Option<Principal> {
        let wanted = |opens: &Opens| matches!(opens, Opens::Endpoint(name) if name == ask.endpoint);
        let ticket = self.tickets.redeem(text, wanted, ask.signs.origin, Instant::now())?;
        let principal = self.find(config, &ticket.id)?;
        let Ticket { login, certificate, .. } = ticket;
        self.goes_on(config, login, certificate.as_deref()).then_some(Principal {
            login,
            certificate,
            ..principal
        })
    }

    async fn by_password(
        &self,
        access: &Access,
        (name, password): (&str, &str),
        (client, source): (ClientAddress, Source),
    ) -> Result<Principal, Refusal> {
        let user = access.users.get(name);
        // People type passwords into the name field.
        let told = user.map_or("unknown user", |_| name);
        let charge = Charge::take(&self.penalties, source, (told, client))?;
        match (self.passwords.verify((name, password), &access.users, source).await, user) {
            (PasswordCheck::Right, Some(user)) => {
                charge.refund();
                let id = PrincipalId::new(PrincipalKind::User, name);
                let auth_time = Some(unix_now());
                Ok(Principal { auth_time, ..Principal::new(id, user.rights.clone()) })
            }
            (PasswordCheck::Unheard, _) => {
                charge.refund();
                Err(Refusal::TooMany(CROWDED))
            }
            (PasswordCheck::Right | PasswordCheck::Wrong, _) => Err(Refusal::Unauthorized),
        }
    }
}
