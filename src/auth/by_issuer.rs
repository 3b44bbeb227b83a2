//! Signing a browser in at an issuer: the way there and back.

use tokio::time::Instant;

use super::{
    AllowedOrigin, Arrival, Auth, OWN_PAGE_ALONE, Principal, PrincipalId, PrincipalKind, SignedIn,
    View, Visit,
    issuers::{Arrived, FLOW_LIFE, FlowError, Vouched},
    sign_in::Proof,
    signing::{COOKIES_MAX, name, values},
};
use crate::{
    config::{Config, Secret},
    wire::close::Refusal,
};

/// The stem of the name of the cookie that a browser has on its way.
const STEM: &str = "oidc";

/// The `Set-Cookie` that a browser has on its way, or with `None` the one that forgets it. Lax:
/// browsers send no other kind when they come back from another site.
pub(crate) fn flow_cookie(view: &View, value: Option<&str>) -> String {
    let secure = if view.tls { "; Secure" } else { "" };
    let life = if value.is_some() { FLOW_LIFE.as_secs() } else { 0 };
    let (name, value) = (name(view, STEM), value.unwrap_or_default());
    format!("{name}={value}; Path=/{secure}; HttpOnly; SameSite=Lax; Max-Age={life}")
}

/// Why somebody who came back was not signed in: the status, and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotSignedIn {
    /// The HTTP status.
    pub status: u16,
    /// What happened.
    pub why: String,
}

impl Auth {
    /// The address of an issuer's sign-in, and the value of the cookie for the way; `fresh`: it
    /// asks anew. `cookies` are those of the browser, whose sign-ins this one goes on.
    pub(crate) async fn depart(
        &self,
        config: &Config,
        visit: &Visit,
        (issuer, fresh): (&str, bool),
        cookies: Option<&str>,
    ) -> Result<(String, String), Refusal> {
        if visit.page != AllowedOrigin::Own {
            return Err(Refusal::Origin(OWN_PAGE_ALONE.to_owned()));
        }
        let View { host, tls, prefix, client, .. } = &visit.view;
        let source = self.source(*client);
        self.check_penalty(source)?;
        let found = config.access.issuers.get_key_value(issuer);
        let (name, issuer) = found.filter(|(_, it)| it.oidc.is_some()).ok_or(Refusal::NotFound)?;
        let scheme = if *tls { "https" } else { "http" };
        let redirect = format!("{scheme}://{host}{prefix}/api/oidc/callback");
        let earlier = self.cookies(config, cookies, visit).into_iter().map(|it| it.id).collect();
        let anew = (fresh, earlier);
        match self.issuers.depart((name, issuer), redirect, anew, source).await {
            Ok(departure) => Ok((departure.url, departure.cookie)),
            Err(FlowError::Crowded) => Err(Refusal::TooMany(60)),
            Err(why) => {
                tracing::warn!(issuer = name, "nobody can sign in there: {why}");
                Err(Refusal::Unreachable(format!(
                    "{name} cannot be reached; the gateway's log says why"
                )))
            }
        }
    }

    /// Signs in whoever has come back from an issuer.
    pub(crate) async fn arrive(
        &self,
        config: &Config,
        view: &View,
        (cookies, brought): (Option<&str>, &Arrival),
    ) -> Result<SignedIn, NotSignedIn> {
        let source = self.source(view.client);
        if self.check_penalty(source).is_err() {
            return Err(NotSignedIn {
                status: 429,
                why: "Too many wrong sign-ins from here.".into(),
            });
        }
        let name = name(view, STEM);
        let mut shown = values(cookies.unwrap_or_default(), &name).take(COOKIES_MAX);
        let cookie = shown.next().unwrap_or_default();
        let arrived = self.issuers.arrive(&config.access, cookie, brought).await;
        let Arrived { name, issuer, checked, earlier } = arrived.map_err(|error| {
            tracing::warn!(peer = %view.client, "not signed in by an issuer: {error}");
            let status = match error {
                FlowError::Unreachable(_) => 502,
                FlowError::Crowded => 429,
                FlowError::Unknown => 400,
                FlowError::Refused(_) => 403,
                FlowError::Wrong(_) => {
                    self.penalties().failed(source, Instant::now());
                    401
                }
            };
            let why = if status == 502 {
                // What the gateway found on the way to the issuer is for its log.
                "The identity provider cannot be reached.".to_owned()
            } else {
                format!("Not signed in: {error}.")
            };
            NotSignedIn { status, why }
        })?;
        let id = PrincipalId::new(PrincipalKind::Identity, format!("{name}/{}", checked.name));
        let word = Proof::Vouched(Vouched::once(name, issuer, &checked), None);
        let now = Instant::now();
        self.logins.sweep(&config.access, config.login, now);
        let (text, login) =
            self.logins.begin_with(id.clone(), (word, checked.auth_time), None, now);
        for other in earlier {
            self.logins.join(login, other);
        }
        self.kept.write(config, &self.logins);
        self.penalties().signed_in(source, now);
        let gone = || NotSignedIn { status: 401, why: "Nobody signs in there any more.".into() };
        let principal: Principal = self.find_with(config, &id, Some(login)).ok_or_else(gone)?;
        Ok(SignedIn { principal, cookie: Secret::new(text), recovery_left: None })
    }
}
