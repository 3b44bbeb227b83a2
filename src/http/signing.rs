//! Signing in and out from the page, and what the page learns about itself.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Bridge, app, ask, change::Said, disk::blocking, pages::content, scope::may_open,
    second_factors, trust, visitor::Visitor, warden,
};
use crate::{
    auth::{
        AllowedOrigin, OWN_PAGE_ALONE, PresentedCredential, Principal, PrincipalKind, Purpose,
        SignInForm, Visit, cookie, own_name, unix_now,
    },
    config::{Config, Secret},
    event::Event,
    wire::close::Refusal,
};

/// What a sign-in form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    user: String,
    password: String,
    #[serde(default)]
    code: Option<String>,
}

/// An empty body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// `GET /api/session`: who is asking, and where they are.
pub(super) async fn session(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let mut ask = ask::read(&request, Purpose::Read);
    // Our page asks this before it knows of a sign-in; a password that its browser adds is then
    // meant for a proxy.
    if ask.signs.site.is_some() && matches!(ask.shown, PresentedCredential::Basic(..)) {
        ask.shown = PresentedCredential::Nothing;
    }
    let (principal, visit) = visitor.authorise(&ask).await?;
    Ok(content("application/json", describe(&visitor, &principal, &visit)))
}

/// `POST /api/login`: exchanges a name and a password, and a code where one is needed, for a cookie.
pub(super) async fn login(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let Visitor { bridge, connection, client, .. } = &visitor;
    let (request, body) = ask::parted(request);
    let config = bridge.config();
    let ask = ask::read(&request, Purpose::Change);
    let visit = visitor.check_page(&config, &ask)?;
    let usage =
        "send {\"user\": \"NAME\", \"password\": \"...\"}, and \"code\" where one is needed";
    let Form { user, password, code } = Said::of(&request, body).await?.read(usage)?;
    let password = Secret::new(password);
    let form = SignInForm { user, password, code: code.map(Secret::new) };
    let outcome = bridge.auth.sign_in(&config, &visit, &form, ask.cookie).await;
    second_factors::tell(bridge, &form, *client, &outcome);
    let Some(signed) = outcome? else { return Ok(second_factors::code_needed()) };
    if !connection.signed_in(signed.principal.is_administrator()) {
        return Err(Refusal::TooMany(10));
    }
    bridge.events.tell(Event::SignIn { principal: &signed.principal.id, client: *client });
    // Sessions that only read until now may write.
    warden::look(bridge);
    let mut told = description(&visitor, &signed.principal, &visit);
    if let (Some(left), Some(told)) = (signed.recovery_left, told.as_object_mut()) {
        told.insert("recovery_codes".to_owned(), left.into());
    }
    let mut response = content("application/json", told.to_string());
    set(&mut response, &cookie(&visit.view, Some(signed.cookie.reveal())));
    Ok(response)
}

/// `POST /api/logout`: ends a browser's sign-ins and everything begun with them.
pub(super) async fn logout(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let Visitor { bridge, client, .. } = &visitor;
    let (request, body) = ask::parted(request);
    let config = bridge.config();
    let ask = ask::read(&request, Purpose::Change);
    let visit = visitor.check_page(&config, &ask)?;
    if visit.page != AllowedOrigin::Own {
        return Err(Refusal::Origin(OWN_PAGE_ALONE.to_owned()));
    }
    let Empty {} = Said::of(&request, body).await?.read("send {}")?;
    // A browser whose sign-in has already ended is just as well served by losing its cookie.
    if let Ok((principal, _)) = visitor.authorise(&ask).await
        && let Some(login) = principal.login
    {
        let (own, config) = (Arc::clone(bridge), Arc::clone(&config));
        blocking(move || own.auth.sign_out(&config, login)).await?;
        warden::look(bridge);
        bridge.events.tell(Event::SignOut { principal: &principal.id, client: *client });
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    set(&mut response, &cookie(&visit.view, None));
    // Not "cookies": those of other ports on this host are not ours to remove.
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    Ok(response)
}

pub(super) fn set(response: &mut Response<Body>, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

pub(super) fn describe(visitor: &Visitor, principal: &Principal, visit: &Visit) -> String {
    description(visitor, principal, visit).to_string()
}

fn description(visitor: &Visitor, principal: &Principal, visit: &Visit) -> serde_json::Value {
    let bridge = &visitor.bridge;
    let kind = principal.id.kind.word();
    let own = own_name();
    json!({
        "user": principal.id.name,
        "kind": kind,
        "administrator": principal.is_administrator(),
        "expires_in": expires_in(bridge, &bridge.config(), principal),
        "tls": visit.view.tls,
        "version": env!("CARGO_PKG_VERSION"),
        "host": own.split('.').next().unwrap_or(&own),
        "apps": apps(&bridge.config(), principal, visit),
        "hub": bridge.hub.get().map(|hub| hub.rules.name.as_str()),
        "authority": trust::described(bridge, &visitor.connection.peer, principal.is_administrator()),
    })
}

/// The apps that a principal can open.
fn apps(config: &Config, principal: &Principal, visit: &Visit) -> Vec<serde_json::Value> {
    let open = config.apps.values().filter(|app| may_open(app, principal));
    open.filter_map(|app| {
        let url = app::url(app, &visit.view.host)?;
        Some(
            json!({ "name": app.name, "title": app.title, "url": url, "endpoints": app.endpoints }),
        )
    })
    .collect()
}

/// Seconds until the credential expires: for a sign-in, unless it is used again; for a token, in
/// any case.
pub(super) fn expires_in(bridge: &Bridge, config: &Config, principal: &Principal) -> Option<u64> {
    if let Some(login) = principal.login {
        return Some(bridge.auth.login_left(config, login).unwrap_or_default().as_secs());
    }
    let token = config
        .access
        .tokens
        .get(&principal.id.name)
        .filter(|_| principal.id.kind == PrincipalKind::Token)?;
    token.expires.map(|end| u64::try_from(end - unix_now()).unwrap_or(0))
}
