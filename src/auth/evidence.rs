//! The credentials a request presents other than a cookie: whose are looked at while a source is
//! under a penalty, and what counts as wrong.

use std::sync::Arc;

use tokio::{task::spawn_blocking, time::Instant};

use super::{
    Auth, AuthRequest, ClientAddress, Moment, Opens, Peer, PresentedCredential, Principal,
    PrincipalId, PrincipalKind, Source, Ticket, credentials, is_own_form, is_random_text,
    issuers::Vouched,
    passwords::PasswordCheck,
    penalty::Charge,
    second_factors::{Failure, Need, Proved},
    unix_now,
};
use crate::{
    config::{Access, Config, Secret},
    wire::{close::Refusal, jws::looks_signed, second_factor::SecondFactor},
};

/// When to try again, in seconds, if a password was not checked because too many were waiting.
const CROWDED: u32 = 5;

/// What somebody typed to sign in.
#[derive(Clone, Debug)]
pub(crate) struct SignInForm {
    pub user: String,
    pub password: Secret,
    /// The code of an app, or a recovery code.
    pub code: Option<Secret>,
}

/// Somebody with all that is needed, and how many recovery codes are left if one was used. `None`:
/// a code is needed besides.
type ByPassword = Option<(Principal, Option<usize>)>;

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
                    .or_else(|| self.by_grant_token(config, peer, text.reveal(), client))
                    .or_else(|| credentials::by_token(access, text, unix_now()));
                if found.is_none() && punished.is_err() {
                    return Err(Refusal::Unauthorized);
                }
                found
            }
            (PresentedCredential::Bearer(text), _) if looks_signed(text.reveal()) => {
                let found = self.by_signed(config, text.reveal(), (client, punished.is_ok())).await;
                match found {
                    // An issuer that cannot be asked, or a token that was good once: no guess.
                    Err(false) => return Err(Refusal::Unauthorized),
                    Err(true) if punished.is_err() => return Err(Refusal::Unauthorized),
                    Err(true) => None,
                    Ok(found) => Some(found),
                }
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
                let typed = (name.as_str(), password.reveal(), None);
                let found = self.by_password(access, typed, (client, source)).await?;
                // Nobody is there to be asked for a code.
                let alone = found.ok_or(Refusal::SecondFactor(SecondFactor::NotHere))?;
                return Ok(alone.0);
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
        let principal = self.find_with(config, &ticket.id, ticket.login)?;
        let Ticket { login, certificate, .. } = ticket;
        self.goes_on(config, login, certificate.as_deref()).then_some(Principal {
            login,
            certificate,
            ..principal
        })
    }

    /// Whom an issuer's token is for; otherwise whether somebody may have made it up. It is logged
    /// only while `told`.
    async fn by_signed(
        &self,
        config: &Config,
        text: &str,
        (client, told): (ClientAddress, bool),
    ) -> Result<Principal, bool> {
        let access = &config.access;
        let (name, checked) =
            self.issuers.check(access, text, unix_now()).await.map_err(|error| {
                if told {
                    tracing::warn!(peer = %client, "token of an issuer refused: {error}");
                }
                error.is_suspect()
            })?;
        let issuer = access.issuers.get(name).ok_or(false)?;
        let id = PrincipalId::new(PrincipalKind::Identity, format!("{name}/{}", checked.name));
        let word = (Vouched::by_token(name, issuer, &checked), checked.auth_time);
        let login = self.logins.show(text, &id, word, Instant::now());
        self.find_with(config, &id, Some(login)).ok_or(false)
    }

    /// Who signs in with what was typed.
    pub(super) async fn by_form(
        &self,
        config: &Config,
        form: &SignInForm,
        client: ClientAddress,
    ) -> Result<ByPassword, Refusal> {
        let source = self.source(client);
        let code = form.code.as_ref().map(Secret::reveal);
        let typed = (form.user.as_str(), form.password.reveal(), code);
        let found = self.by_password(&config.access, typed, (client, source)).await?;
        if found.is_some() {
            self.penalties().signed_in(source, Instant::now());
        }
        Ok(found.map(|(principal, left)| (self.with_lent(config, principal), left)))
    }

    /// The one place where a password is looked at, and so the one where it may not suffice.
    async fn by_password(
        &self,
        access: &Access,
        (name, password, code): (&str, &str, Option<&str>),
        (client, source): (ClientAddress, Source),
    ) -> Result<ByPassword, Refusal> {
        let user = access.users.get(name);
        // People type passwords into the name field.
        let told = user.map_or("unknown user", |_| name);
        let charge = Charge::take(&self.penalties, source, (told, client))?;
        match (self.passwords.verify((name, password), &access.users, source).await, user) {
            (PasswordCheck::Right, Some(user)) => {
                let proved = self.second_factor(name, code).await;
                // Only what is typed may be wrong; hanging up gains nothing here, either.
                if !matches!(&proved, Err(Refusal::SecondFactor(why)) if why.is_typed()) {
                    charge.refund();
                }
                let Some(left) = proved? else { return Ok(None) };
                let id = PrincipalId::new(PrincipalKind::User, name);
                let auth_time = Some(unix_now());
                let principal = Principal::new(id, user.rights.clone());
                Ok(Some((Principal { auth_time, ..principal }, left)))
            }
            (PasswordCheck::Unheard, _) => {
                charge.refund();
                Err(Refusal::TooMany(CROWDED))
            }
            (PasswordCheck::Right | PasswordCheck::Wrong, _) => Err(Refusal::Unauthorized),
        }
    }

    /// What a user with the right password shows besides: how many recovery codes are left if it
    /// was one; `None`: nothing, and a code is needed.
    async fn second_factor(
        &self,
        name: &str,
        code: Option<&str>,
    ) -> Result<Option<Option<usize>>, Refusal> {
        match self.second_factors.need(name) {
            Need::Nothing => return Ok(Some(None)),
            Need::Unknown => return Err(Refusal::SecondFactor(SecondFactor::Unreadable)),
            Need::Code => {}
        }
        let Some(code) = code else { return Ok(None) };
        let all = Arc::clone(&self.second_factors);
        let (name, code) = (name.to_owned(), code.to_owned());
        let proved = spawn_blocking(move || all.prove(&name, &code, Moment::now())).await;
        match proved.map_err(|error| Refusal::NotKept(error.to_string()))? {
            Ok(Proved::Code) => Ok(Some(None)),
            Ok(Proved::Recovery(left)) => Ok(Some(Some(left))),
            Err(Failure::Code(why)) => Err(Refusal::SecondFactor(why)),
            Err(Failure::File(error)) => Err(Refusal::NotKept(error.to_string())),
            // It has been taken away in this moment.
            Err(Failure::Absent | Failure::Secret) => Err(Refusal::Unauthorized),
        }
    }
}
