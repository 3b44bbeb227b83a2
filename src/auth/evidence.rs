//! What a request shows of itself beside a cookie, weighed: who is heard while a source is
//! punished, and what counts as wrong.

use tokio::time::Instant;

use super::{
    Auth, AuthRequest, ClientAddress, Opens, Peer, PresentedCredential, Principal, PrincipalId,
    PrincipalKind, Source, Ticket, credentials, find, is_own_form, is_random_text,
    passwords::PasswordCheck, penalty::Charge, unix_now,
};
use crate::{
    config::{Access, Config},
    wire::close::Refusal,
};

/// When somebody may try again whose password was not looked at because too many were waiting, in
/// seconds.
const CROWDED: u32 = 5;

impl Auth {
    /// The principal of what a request shows beside a cookie. While its source is punished, only
    /// what cannot be guessed is heard.
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
                // An authority has vouched for it: it is no guess.
                return credentials::by_certificate(access, certificate)
                    .ok_or(Refusal::Unauthorized);
            }
            (PresentedCredential::Bearer(text), _) if is_own_form(text.reveal()) => {
                let found = self
                    .by_pass(config, peer.app.as_deref(), ask, text.reveal())
                    .or_else(|| credentials::by_token(access, text, unix_now()));
                if found.is_none() && punished.is_err() {
                    return Err(Refusal::Unauthorized);
                }
                found
            }
            // Somebody made it by hand, so that it is no better than a password.
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
                    // Used up, or too late: a page that was slow is no attack.
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

    /// Refuses a source while it is punished.
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
        let principal = find(&config.access, &ticket.id, unix_now())?;
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
        // People type passwords where the name goes.
        let told = user.map_or("unknown user", |_| name);
        let charge = Charge::take(&self.penalties, source, (told, client))?;
        match (self.passwords.verify((name, password), &access.users, source).await, user) {
            (PasswordCheck::Right, Some(user)) => {
                charge.refund();
                let rights = user.rights.clone();
                Ok(Principal {
                    id: PrincipalId::new(PrincipalKind::User, name),
                    rights,
                    login: None,
                    certificate: None,
                    only: None,
                })
            }
            (PasswordCheck::Unheard, _) => {
                charge.refund();
                Err(Refusal::TooMany(CROWDED))
            }
            (PasswordCheck::Right | PasswordCheck::Wrong, _) => Err(Refusal::Unauthorized),
        }
    }
}
