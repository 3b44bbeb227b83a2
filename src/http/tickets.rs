//! One-time tickets, and what launch tickets are exchanged for: passes for pages that are not the
//! gateway's own, and the cookies of apps.

use axum::{
    body::Body,
    extract::{Query, Request},
    http::{HeaderValue, Response, StatusCode, header},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    ask,
    change::Said,
    pages::content,
    scope::{ancestor_of, find_endpoint, may_open},
    visitor::Visitor,
};
use crate::{
    auth::{
        AllowedOrigin, Opens, PASS_LIFE, Principal, Purpose, TICKET_LIFE, app_cookie, parse_origin,
    },
    config::Config,
    event::Event,
    wire::close::Refusal,
};

/// What a ticket is wanted for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// The endpoint the ticket is for.
    endpoint: Option<String>,
    /// Or the app to be opened with it.
    app: Option<String>,
    /// Or the endpoints that a page of another origin is going to use.
    endpoints: Option<Vec<String>>,
    /// The page that will use it, if that is not the one that asks.
    origin: Option<String>,
    /// The page of another site that will show the endpoint in a frame.
    ancestor: Option<String>,
}

const WISHES: &str = "send {\"endpoint\": \"NAME\"}, with \"origin\" if another page will use it or \"ancestor\" if one will \
                      show it in a frame, {\"app\": \"NAME\"}, or {\"endpoints\": [\"NAME\"], \"origin\": \"https://...\"} to \
                      let a page in";

/// `POST /api/ticket`: a one-time ticket for one page: for an endpoint, or to be exchanged for a
/// pass.
pub(super) async fn ticket(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let ticket = give_ticket(&visitor, request).await?;
    let told = json!({ "ticket": ticket, "expires_in": TICKET_LIFE.as_secs() });
    Ok(content("application/json", told.to_string()))
}

/// Each thing that a ticket can open has its own rules; any other combination is told what to send.
async fn give_ticket(visitor: &Visitor, request: Request) -> Result<String, Refusal> {
    let bridge = &visitor.bridge;
    let (request, body) = ask::parted(request);
    let ask = ask::read(&request, Purpose::Change);
    let (principal, _) = visitor.authorise(&ask).await?;
    let Wish { endpoint, app, endpoints, origin, ancestor } =
        Said::of(&request, body).await?.read(WISHES)?;
    let config = bridge.config();
    let ticket = match (endpoint, app, endpoints) {
        (Some(endpoint), None, None) if origin.is_none() && ancestor.is_some() => {
            let frame = Opens::Frame { endpoint, ancestor: ancestor.unwrap_or_default() };
            let_frame(visitor, &config, &principal, frame)?
        }
        _ if ancestor.is_some() => return Err(Refusal::BadRequest(WISHES)),
        (Some(name), None, None) => {
            find_endpoint(&config, principal.rights.on(&name), &name)?;
            let origin = origin.as_deref().or(ask.signs.origin);
            bridge.auth.ticket(&principal, Opens::Endpoint(name), origin)
        }
        (None, Some(name), None) if origin.is_none() => {
            let app = config.apps.get(&name).filter(|app| may_open(app, &principal));
            app.ok_or(Refusal::Forbidden)?;
            bridge.auth.ticket(&principal, Opens::App(name), None)
        }
        (None, None, Some(names)) => {
            let origin = origin.ok_or(Refusal::BadRequest(WISHES))?;
            let_in(visitor, &config, &principal, (&origin, names))?
        }
        _ => return Err(Refusal::BadRequest(WISHES)),
    };
    ticket.ok_or(Refusal::TooMany(u32::try_from(TICKET_LIFE.as_secs()).unwrap_or(u32::MAX)))
}

/// A ticket for a page of another origin, which the caller lets in to these endpoints.
fn let_in(
    visitor: &Visitor,
    config: &Config,
    principal: &Principal,
    (origin, mut names): (&str, Vec<String>),
) -> Result<Option<String>, Refusal> {
    if !parse_origin(origin).is_some_and(|origin| config.origins.contains(&origin)) {
        return Err(Refusal::BadRequest(
            "that page's origin is not in `origins:` of the gateway's configuration",
        ));
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(Refusal::BadRequest(WISHES));
    }
    for name in &names {
        find_endpoint(config, principal.rights.on(name), name)?;
    }
    let event = Event::LetIn {
        principal: &principal.id,
        origin,
        endpoints: &names,
        client: visitor.client,
    };
    visitor.bridge.events.tell(event);
    Ok(visitor.bridge.auth.ticket(principal, Opens::Page(names.into()), Some(origin)))
}

/// A ticket for a frame on another site's page, which the caller lets in.
fn let_frame(
    visitor: &Visitor,
    config: &Config,
    principal: &Principal,
    frame: Opens,
) -> Result<Option<String>, Refusal> {
    let Opens::Frame { endpoint, ancestor } = &frame else {
        return Err(Refusal::BadRequest(WISHES));
    };
    ancestor_of(config, ancestor)?;
    find_endpoint(config, principal.rights.on(endpoint), endpoint)?;
    let event = Event::LetIn {
        principal: &principal.id,
        origin: ancestor,
        endpoints: std::slice::from_ref(endpoint),
        client: visitor.client,
    };
    visitor.bridge.events.tell(event);
    Ok(visitor.bridge.auth.ticket(principal, frame, None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Launched {
    ticket: String,
}

const LAUNCHED: &str = "send {\"ticket\": \"...\"}";

/// `POST /api/pass` at an app's origin: exchanges a launch ticket for a pass.
pub(super) async fn app_pass(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let (request, body) = ask::parted(request);
    let config = visitor.bridge.config();
    let ask = ask::read(&request, Purpose::Change);
    let visit = visitor.check_page(&config, &ask)?;
    if visit.page != AllowedOrigin::Own {
        return Err(Refusal::Origin("only the app's own page gets a pass".to_owned()));
    }
    let app = visitor.app(&config)?;
    let Launched { ticket } = Said::of(&request, body).await?.read(LAUNCHED)?;
    let pass = visitor.bridge.auth.pass(&config, &app, &ticket, visit.view.client)?;
    Ok(passed(&config, &pass, &app.endpoints))
}

/// What a page sends to the gateway for a pass: its ticket, and, if it is our own page in a frame,
/// what it was served for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    ticket: String,
    endpoint: Option<String>,
    ancestor: Option<String>,
}

/// `POST /api/pass` at the gateway: exchanges a launch ticket for the pass of a page of another
/// origin, or a frame's ticket for that of our page in it.
pub(super) async fn page_pass(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let (request, body) = ask::parted(request);
    let config = visitor.bridge.config();
    let ask = ask::read(&request, Purpose::Change);
    let visit = visitor.check_page(&config, &ask)?;
    let Exchange { ticket, endpoint, ancestor } = Said::of(&request, body).await?.read(LAUNCHED)?;
    let (auth, client) = (&visitor.bridge.auth, visit.view.client);
    let (pass, names) = match (ask.signs.origin, visit.page, endpoint, ancestor) {
        (Some(origin), AllowedOrigin::Listed, None, None) => {
            auth.page_pass(&config, origin, &ticket, client)?
        }
        (Some(own), AllowedOrigin::Own, Some(endpoint), Some(ancestor)) => {
            ancestor_of(&config, &ancestor)?;
            let frame = Opens::Frame { endpoint, ancestor };
            auth.frame_pass(&config, own, (&ticket, &frame), client)?
        }
        _ => {
            let why = "only a page of `origins:` gets a pass, or the gateway's own in another site's frame; elsewhere that has \
                       its sign-in";
            return Err(Refusal::Origin(why.to_owned()));
        }
    };
    Ok(passed(&config, &pass, &names))
}

fn passed(config: &Config, pass: &str, names: &[String]) -> Response<Body> {
    let endpoints = names.iter().filter_map(|name| config.endpoints.get(name));
    let endpoints: Vec<_> = endpoints
        .map(|endpoint| json!({ "name": endpoint.name, "title": endpoint.title }))
        .collect();
    let told = json!({ "pass": pass, "expires_in": PASS_LIFE.as_secs(), "endpoints": endpoints });
    content("application/json", told.to_string())
}

/// `GET /api/launch?ticket=...` at an app's origin: sets its cookie, and leads on to its page with
/// another ticket. So the cookie is there before anything of the tool runs.
pub(super) async fn launch(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let usage = Refusal::BadRequest("open the app from the gateway's page");
    let Ok(Query(Launched { ticket })) = Query::<Launched>::try_from_uri(request.uri()) else {
        return Err(usage);
    };
    let request = ask::bare(request);
    let config = visitor.bridge.config();
    let ask = ask::read(&request, Purpose::Read);
    let view = visitor.bridge.auth.check_host(&config, &visitor.connection.peer, &ask)?;
    let app = visitor.app(&config)?;
    let (cookie, ticket) = visitor.bridge.auth.enter(&config, &app, &ticket, view.client)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    let set = [
        (header::SET_COOKIE, app_cookie(&app, &view, &cookie)),
        // Relative, so that it works wherever a proxy has put the app.
        (header::LOCATION, format!("../#wsbridge-ticket={ticket}")),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_str(&value).map_err(|_| usage.clone())?);
    }
    Ok(response)
}
