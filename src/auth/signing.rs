//! Signing in and out from our own page: the cookie, and whose request it is.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    AllowedOrigin, Auth, AuthRequest, Authority, ClientCertificate, LoginId, Moment,
    PresentedCredential, Principal, PrincipalId, SignInForm, View, Visit, asserted::is_links,
    default_port, grants::is_grants, sign_in::FoundSignIn,
};
use crate::{
    auth::Purpose,
    config::{Config, Secret},
    wire::close::Refusal,
};

/// Cookies of our name that are looked at.
pub(super) const COOKIES_MAX: usize = 8;
/// The stem of the sign-in cookie's name.
pub(super) const SIGN_IN: &str = "sid";

/// A browser that has just signed in.
#[derive(Debug)]
pub(crate) struct SignedIn {
    /// Who it is.
    pub principal: Principal,
    /// The cookie's value.
    pub cookie: Secret,
    /// How many recovery codes are left, if one was used.
    pub recovery_left: Option<usize>,
}

/// The name of a cookie; `sid` is the sign-in's stem. `__Host-` makes browsers accept it over TLS
/// alone and keep it from other hosts. Cookies ignore ports, so the port is part of the name: two
/// gateways behind one address do not sign each other's users out. `__Host-` covers the whole host,
/// so the path of a gateway below one is part of the name as well.
pub(super) fn name(view: &View, stem: &str) -> String {
    let (prefix, scheme) = if view.tls { ("__Host-", "https") } else { ("", "http") };
    let port = Authority::parse(&view.host).and_then(|authority| authority.port);
    // A cookie's name has no slash, and this path has no exclamation mark.
    let path = view.prefix.replace('/', "!");
    match port.filter(|port| *port != default_port(scheme)) {
        Some(port) => format!("{prefix}{stem}-{port}{path}"),
        None => format!("{prefix}{stem}{path}"),
    }
}

/// The `Set-Cookie` that keeps `value` until the browser is closed, or with `None` the one that
/// forgets it. Over plain HTTP it cannot be `Secure`: browsers would not keep it.
pub(crate) fn cookie(view: &View, value: Option<&str>) -> String {
    set(view, SIGN_IN, value)
}

/// [`cookie`], under the name made from a stem.
pub(super) fn set(view: &View, stem: &str, value: Option<&str>) -> String {
    let secure = if view.tls { "; Secure" } else { "" };
    let forget = if value.is_none() { "; Max-Age=0" } else { "" };
    let value = value.unwrap_or_default();
    format!("{}={value}; Path=/{secure}; HttpOnly; SameSite=Strict{forget}", name(view, stem))
}

/// The values of our cookie in a request (RFC 6265 section 4.2.1): another page of this host, or an
/// older version of ours, may have set one of that name for another path or domain.
pub(super) fn values<'a>(cookies: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    cookies.split(';').filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Whether a request has a cookie of ours, whatever it is worth.
pub(super) fn has_cookie(cookies: Option<&str>, view: &View) -> bool {
    values(cookies.unwrap_or_default(), &name(view, SIGN_IN)).next().is_some()
}

/// Why another page may not do what only ours may.
pub(crate) const OWN_PAGE_ALONE: &str = "only the gateway's own page signs in and out, whatever `origins:` says; a page of another \
                                  origin brings a token, or a ticket of POST /api/ticket";

impl Auth {
    /// Signs a browser in by what was typed, from our own page alone, whatever cookie it has.
    /// `None`: a code is needed besides.
    pub(crate) async fn sign_in(
        &self,
        config: &Config,
        visit: &Visit,
        form: &SignInForm,
        cookies: Option<&str>,
    ) -> Result<Option<SignedIn>, Refusal> {
        if visit.page != AllowedOrigin::Own {
            return Err(Refusal::Origin(OWN_PAGE_ALONE.to_owned()));
        }
        let Some((principal, recovery_left)) =
            self.by_form(config, form, visit.view.client).await?
        else {
            return Ok(None);
        };
        let now = Instant::now();
        self.logins.sweep(&config.access, config.login, now);
        let begun = self.logins.begin(&config.access, &principal.id.name, now);
        let (text, id) = begun.ok_or(Refusal::Unauthorized)?;
        for earlier in self.cookies(config, cookies, visit) {
            self.logins.join(id, earlier.id);
        }
        self.kept.write(config, &self.logins);
        Ok(Some(SignedIn {
            principal: Principal { login: Some(id), ..principal },
            cookie: Secret::new(text),
            recovery_left,
        }))
    }

    /// The sign-ins of a browser's cookies.
    pub(super) fn cookies(
        &self,
        config: &Config,
        cookies: Option<&str>,
        visit: &Visit,
    ) -> Vec<FoundSignIn> {
        let (name, now) = (name(&visit.view, SIGN_IN), Instant::now());
        let shown = values(cookies.unwrap_or_default(), &name).take(COOKIES_MAX);
        let found: Vec<_> = shown
            .filter_map(|text| self.logins.find(text, &config.access, config.login, now))
            .collect();
        if !found.is_empty() {
            self.kept.follow(config, &self.logins);
        }
        found
    }

    /// Ends a sign-in and the earlier ones of its browser: from now on they let nobody in, and
    /// [`Self::is_signed_in`] says so about what still runs. It is on disk before this returns.
    /// Slow: it waits for the disk.
    pub(crate) fn sign_out(&self, config: &Config, id: LoginId) {
        if is_grants(id) {
            if let Err(error) = self.grants.sign_out(id, Moment::now()) {
                tracing::warn!("signing out cannot be kept: {error:?}");
            }
            return;
        }
        self.logins.end(id);
        self.kept.write(config, &self.logins);
    }

    /// Ends all sign-ins of somebody.
    pub(crate) fn sign_out_everywhere(&self, config: &Config, who: &PrincipalId) {
        self.logins.end_all_of(who);
        self.kept.write(config, &self.logins);
    }

    /// Takes over the sign-ins that an earlier run of the daemon left in a folder, and keeps them
    /// there from now on.
    pub(crate) fn keep_sign_ins(&self, folder: &std::path::Path, config: &Config) {
        self.kept.open(folder, config, &self.logins);
    }

    /// Whether what began with this sign-in may go on; what began without one always may.
    pub(crate) fn is_signed_in(&self, config: &Config, login: Option<LoginId>) -> bool {
        login.is_none_or(|id| self.login_left(config, id).is_some())
    }

    /// Whether what began with this sign-in or certificate may go on: neither has ended.
    pub(crate) fn goes_on(
        &self,
        config: &Config,
        login: Option<LoginId>,
        certificate: Option<&ClientCertificate>,
    ) -> bool {
        certificate.is_none_or(ClientCertificate::is_good) && self.is_signed_in(config, login)
    }

    /// Time a sign-in has left unless it is used.
    pub(crate) fn login_left(&self, config: &Config, id: LoginId) -> Option<Duration> {
        if is_grants(id) {
            return self.grants.sign_in_left(id, Moment::now());
        }
        if is_links(id) {
            return self.assertions.left(id);
        }
        self.logins.left(id, &config.access, config.login, Instant::now())
    }

    /// Notes that a session of this sign-in is being used.
    pub(crate) fn touch(&self, id: LoginId) {
        self.logins.touch(id, Instant::now());
    }

    /// Who is signed in by the request's cookie; `None` if there is no valid one, or another
    /// credential was shown. A browser sends the cookie whichever page asks, so it counts from our
    /// own page alone, which for all but reading Origin has to show. A wrong one is no help in
    /// guessing, so it is not a failure.
    pub(super) fn by_cookie(
        &self,
        config: &Config,
        ask: &AuthRequest<'_>,
        visit: &Visit,
    ) -> Result<Option<Principal>, Refusal> {
        // A password beside it may be one that a proxy asked for.
        let alone =
            matches!(ask.shown, PresentedCredential::Nothing | PresentedCredential::Basic(..));
        let shown = ask
            .cookie
            .filter(|_| alone && matches!(visit.page, AllowedOrigin::Own | AllowedOrigin::None));
        let found = self.cookies(config, shown, visit).into_iter().next();
        let principal = match found {
            Some(found) => self.find_with(config, &found.who, Some(found.id)),
            None => self.by_grant_cookie(config, shown, visit),
        };
        if principal.is_none() {
            return Ok(None);
        }
        if visit.page != AllowedOrigin::Own && ask.purpose != Purpose::Read {
            return Err(Refusal::Origin(super::origin::ABSENT.to_owned()));
        }
        Ok(principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(host: &str, tls: bool) -> View {
        View {
            host: host.to_owned(),
            tls,
            prefix: String::new(),
            client: super::super::ClientAddress::Local,
            here: false,
        }
    }

    #[test]
    fn the_cookie_is_for_this_host_and_port_and_no_script() {
        let strict = "HttpOnly; SameSite=Strict";
        assert_eq!(
            cookie(&view("gateway.example", true), Some("x")),
            format!("__Host-sid=x; Path=/; Secure; {strict}")
        );
        assert_eq!(
            cookie(&view("[2001:db8::1]:8443", true), None),
            format!("__Host-sid-8443=; Path=/; Secure; {strict}; Max-Age=0")
        );
        let below = View { prefix: "/a/serial".to_owned(), ..view("gateway.example", true) };
        assert_eq!(
            cookie(&below, Some("x")),
            format!("__Host-sid!a!serial=x; Path=/; Secure; {strict}")
        );
        assert_eq!(
            cookie(&view("localhost:80", false), Some("x")),
            format!("sid=x; Path=/; {strict}")
        );
    }

    #[test]
    fn our_cookie_is_found_among_others() {
        let all = |cookies, name| values(cookies, name).collect::<Vec<_>>();
        assert_eq!(all("a=b; sid=x; sid-80=y; sid=z", "sid"), ["x", "z"]);
        assert_eq!(all("a=b;sid-80=y", "sid-80"), ["y"]);
        assert!(all("asid=x; sid2=y; sid", "sid").is_empty());
    }
}
