//! The sign-ins of programs: begun, let in by the user's browser, listed and ended.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Request},
    http::{Response, StatusCode},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    ask,
    change::Said,
    disk::blocking,
    pages::content,
    second_factors,
    signing::expires_in,
    visitor::{NO_PLACE_WAIT, Visitor},
    warden,
};
use crate::{
    auth::{
        AllowedOrigin, CODE_LIFE, OWN_PAGE_ALONE, PresentedCredential, Principal, PrincipalKind,
        Purpose, SignInForm, challenge, program_name,
    },
    config::Secret,
    event::Event,
    line::rfc3339,
    wire::close::Refusal,
};

/// How a program signs in: with its user's password, or with what the browser handed over.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Wish {
    Password {
        user: String,
        password: String,
        #[serde(default)]
        code: Option<String>,
        program: String,
    },
    Code {
        code: String,
        verifier: String,
    },
}

const WISHES: &str = "send {\"user\": \"NAME\", \"password\": \"...\", \"program\": \"COMPUTER\"}, and \"code\" where one is needed, or {\"code\": \"...\", \
                      \"verifier\": \"...\"}; the computer's name has at most 64 letters, digits and ._-@()";

/// `POST /api/logins`: a program's sign-in.
pub(super) async fn begin(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let Visitor { bridge, connection, client, .. } = &visitor;
    let (request, body) = ask::parted(request);
    let config = bridge.config();
    let ask = ask::read(&request, Purpose::Change);
    let visit = bridge.auth.check_page(&config, &connection.peer, &ask)?;
    let signed = match Said::of(&request, body).await?.read(WISHES)? {
        Wish::Password { user, password, code, program } => {
            let program = program_name(&program).ok_or(Refusal::BadRequest(WISHES))?;
            let password = Secret::new(password);
            let form = SignInForm { user, password, code: code.map(Secret::new) };
            let outcome = bridge.auth.sign_in_program(&config, &visit, &form, program).await;
            second_factors::tell(bridge, &form, *client, &outcome);
            let Some(signed) = outcome? else { return Ok(second_factors::code_needed()) };
            signed
        }
        Wish::Code { code, verifier } => {
            bridge.auth.exchange(&config, &visit, (&code, &verifier))?
        }
    };
    if !connection.signed_in(signed.principal.is_administrator()) {
        return Err(Refusal::TooMany(NO_PLACE_WAIT));
    }
    bridge.events.tell(Event::SignIn { principal: &signed.principal.id, client: *client });
    let told = json!({
        // What is to be answered before there is a token: nothing more.
        "next": null,
        "recovery_codes": signed.recovery_left,
        "token": signed.cookie.reveal(),
        "user": signed.principal.id.name,
        "id": signed.principal.login,
        "expires_in": expires_in(bridge, &config, &signed.principal),
    });
    Ok(content("application/json", told.to_string()))
}

/// What a page asks for a program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LetIn {
    program: String,
    challenge: String,
}

const LET_IN: &str =
    "send {\"program\": \"COMPUTER\", \"challenge\": \"...\"}, as the program's link has them";

/// `POST /api/logins/code`: our own page lets a program in.
pub(super) async fn code(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let (request, body) = ask::parted(request);
    let ask = ask::read(&request, Purpose::Change);
    // By the cookie alone: a program's token makes no further ones, which would outlive it.
    let bears = !matches!(ask.shown, PresentedCredential::Nothing | PresentedCredential::Basic(..));
    let (principal, visit) = visitor.authorise(&ask).await?;
    if visit.page != AllowedOrigin::Own {
        return Err(Refusal::Origin(OWN_PAGE_ALONE.to_owned()));
    }
    let user = own(&principal)?;
    if bears || user.login.is_none() {
        return Err(Refusal::Forbidden);
    }
    let LetIn { program, challenge: proof } = Said::of(&request, body).await?.read(LET_IN)?;
    let program = program_name(&program).ok_or(Refusal::BadRequest(LET_IN))?;
    let proof = challenge(&proof).ok_or(Refusal::BadRequest(LET_IN))?;
    let life = u32::try_from(CODE_LIFE.as_secs()).unwrap_or(u32::MAX);
    let code = visitor.bridge.auth.code(user, proof, program).ok_or(Refusal::TooMany(life))?;
    Ok(content("application/json", json!({ "code": code, "expires_in": life }).to_string()))
}

/// A user who has signed in: nobody else has sign-ins.
fn own(principal: &Principal) -> Result<&Principal, Refusal> {
    let people = matches!(principal.id.kind, PrincipalKind::User | PrincipalKind::Identity);
    let is_user = people && principal.only.is_none();
    if is_user { Ok(principal) } else { Err(Refusal::Forbidden) }
}

/// The sign-in that a grant was exchanged for, if that is who asks.
fn lent(principal: &Principal) -> Option<crate::auth::LoginId> {
    principal
        .login
        .filter(|_| principal.id.kind == PrincipalKind::Grant && principal.only.is_none())
}

/// `GET /api/logins`: the caller's own sign-ins; of a grant's, which are different people's, this one.
pub(super) async fn list(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let bridge = &visitor.bridge;
    if let Some(id) = lent(&principal) {
        let since = UNIX_EPOCH
            + Duration::from_secs(principal.auth_time.unwrap_or(0).try_into().unwrap_or(0));
        let one = json!({
            "id": id,
            "program": null,
            "since": rfc3339(since),
            "expires_in": expires_in(bridge, &bridge.config(), &principal),
            "current": true,
        });
        return Ok(content("application/json", json!({ "logins": [one] }).to_string()));
    }
    let user = own(&principal)?;
    let all = bridge.auth.sign_ins(&bridge.config(), &user.id);
    let told = |one: &crate::auth::SignInInfo| {
        json!({
            "id": one.id,
            "program": one.program,
            "since": rfc3339(one.since),
            "expires_in": one.left.as_secs(),
            "current": user.login == Some(one.id),
        })
    };
    let list: Vec<_> = all.iter().map(told).collect();
    Ok(content("application/json", json!({ "logins": list }).to_string()))
}

/// Nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// `POST /api/logins/ID/end`: one of the caller's own sign-ins ends, and what began with it.
pub(super) async fn end(visitor: Visitor, mut request: Request) -> Result<Response<Body>, Refusal> {
    let Path(id): Path<u64> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (principal, _, said) = visitor.change(request).await?;
    let Visitor { bridge, client, .. } = &visitor;
    let lent = lent(&principal);
    if lent.is_none() {
        own(&principal)?;
    }
    let Empty {} = said.read("send {}")?;
    let config = bridge.config();
    if lent == Some(id) {
        let auth = Arc::clone(bridge);
        blocking(move || auth.auth.sign_out(&config, id)).await?;
    } else if lent.is_some() || !bridge.auth.end_sign_in(&config, &principal.id, id) {
        return Err(Refusal::NotFound);
    }
    warden::look(bridge);
    bridge.events.tell(Event::SignOut { principal: &principal.id, client: *client });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
