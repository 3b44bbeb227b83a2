//! Second factors: set up and taken away by the admin socket, and what is told of their use.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{body::Body, extract::Request, http::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Bridge, ask, change::Said, disk::blocking, pages::content, visitor::Visitor, warden};
use crate::{
    auth::{
        ClientAddress, Moment, Principal, PrincipalId, PrincipalKind, Purpose, SecondFactorFailure,
        SecondFactors, SignInForm, SignedIn,
    },
    event::{Event, FactorDeed, SecondFactorEvent},
    line::rfc3339,
    wire::close::Refusal,
};

/// Asks whoever has a right password for the code that is needed besides.
pub(super) fn code_needed() -> Response<Body> {
    content("application/json", json!({ "next": "totp" }).to_string())
}

/// Tells what came of a second factor.
pub(super) fn tell(
    bridge: &Bridge,
    form: &SignInForm,
    client: ClientAddress,
    outcome: &Result<Option<SignedIn>, Refusal>,
) {
    let deed = match outcome {
        Ok(Some(SignedIn { recovery_left: Some(left), .. })) => FactorDeed::RecoveryUsed(*left),
        Err(Refusal::SecondFactor(why)) => FactorDeed::Refused(*why),
        _ => return,
    };
    let user = form.user.as_str();
    bridge.events.tell(Event::SecondFactor(SecondFactorEvent { deed, user, by: None, client }));
}

/// `GET /api/totp`: every user, and who has one.
pub(super) async fn list(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    local(visitor.authorise(&ask::read(&request, Purpose::Read)).await?.0)?;
    let bridge = Arc::clone(&visitor.bridge);
    let all = blocking(move || bridge.auth.second_factors.list()).await?;
    let all = all.map_err(Refusal::NotKept)?;
    let config = visitor.bridge.config();
    let has_one = |user: &String| all.iter().any(|one| one.user == *user);
    let without = config.access.users.keys().filter(|user| !has_one(user));
    let told = all.iter().map(|one| {
        json!({
            "user": one.user,
            "since": rfc3339(UNIX_EPOCH + Duration::from_secs(one.since)),
            "recovery_codes": one.recovery,
            "configured": config.access.users.contains_key(&one.user),
        })
    });
    let told = told.chain(without.map(
        |user| json!({ "user": user, "since": null, "recovery_codes": null, "configured": true }),
    ));
    let list: Vec<_> = told.collect();
    Ok(content("application/json", json!({ "users": list }).to_string()))
}

/// A secret, and the code that shows that an app has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrolment {
    user: String,
    secret: String,
    code: String,
}

/// A user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    user: String,
}

const WHOSE: &str = "send {\"user\": \"NAME\"}";
const ENROLMENT: &str =
    "send {\"user\": \"NAME\", \"secret\": \"32 letters of base32\", \"code\": \"...\"}";

/// `POST /api/totp`: sets one up, and ends the user's sign-ins, which needed none.
pub(super) async fn enrol(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let (by, said) = local_change(&visitor, request).await?;
    let Enrolment { user, secret, code } = said.read(ENROLMENT)?;
    let config = visitor.bridge.config();
    if !config.access.users.contains_key(&user) {
        return Err(Refusal::NotFound);
    }
    let whose = user.clone();
    let codes = change(&visitor, move |all| all.enrol(&whose, (&secret, &code), Moment::now()));
    let codes = codes.await?;
    let (own, who) = (Arc::clone(&visitor.bridge), PrincipalId::new(PrincipalKind::User, &user));
    blocking(move || own.auth.sign_out_everywhere(&config, &who)).await?;
    warden::look(&visitor.bridge);
    done(&visitor, (&user, &by), FactorDeed::Enrolled);
    Ok(recovery_codes(&codes))
}

/// `POST /api/totp/recovery`: makes new recovery codes instead of those that are left.
pub(super) async fn recovery(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let (by, said) = local_change(&visitor, request).await?;
    let Whose { user } = said.read(WHOSE)?;
    let whose = user.clone();
    let codes = change(&visitor, move |all| all.renew_recovery(&whose)).await?;
    done(&visitor, (&user, &by), FactorDeed::RecoveryMade);
    Ok(recovery_codes(&codes))
}

/// `POST /api/totp/off`: takes one away.
pub(super) async fn off(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let (by, said) = local_change(&visitor, request).await?;
    let Whose { user } = said.read(WHOSE)?;
    let whose = user.clone();
    change(&visitor, move |all| all.remove(&whose)).await?;
    done(&visitor, (&user, &by), FactorDeed::Off);
    Ok(content("application/json", "{}".to_owned()))
}

/// Whoever asks by the admin socket, and what it says; nobody else may.
async fn local_change(visitor: &Visitor, request: Request) -> Result<(PrincipalId, Said), Refusal> {
    let (principal, _, said) = visitor.change(request).await?;
    Ok((local(principal)?, said))
}

fn local(principal: Principal) -> Result<PrincipalId, Refusal> {
    Some(principal.id).filter(|id| id.kind == PrincipalKind::Local).ok_or(Refusal::Forbidden)
}

async fn change<T: Send + 'static>(
    visitor: &Visitor,
    work: impl FnOnce(&SecondFactors) -> Result<T, SecondFactorFailure> + Send + 'static,
) -> Result<T, Refusal> {
    let all = Arc::clone(&visitor.bridge.auth.second_factors);
    blocking(move || work(&all)).await?.map_err(|why| match why {
        SecondFactorFailure::Code(why) => Refusal::SecondFactor(why),
        SecondFactorFailure::Absent => Refusal::NotFound,
        SecondFactorFailure::Secret => Refusal::BadRequest(ENROLMENT),
        SecondFactorFailure::File(error) => Refusal::NotKept(error.to_string()),
    })
}

fn done(visitor: &Visitor, (user, by): (&str, &PrincipalId), deed: FactorDeed) {
    let event = SecondFactorEvent { deed, user, by: Some(by), client: visitor.client };
    visitor.bridge.events.tell(Event::SecondFactor(event));
}

fn recovery_codes(codes: &[String]) -> Response<Body> {
    let told: Value = json!({ "recovery_codes": codes });
    content("application/json", told.to_string())
}
