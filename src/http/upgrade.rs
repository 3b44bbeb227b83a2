//! The way to a WebSocket: every check in its order, the dial, then 101.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    Bridge, ask,
    connection::{Connection, authorise, refuse},
    pages::find_endpoint,
    run::{Reached, Run},
};
use crate::{
    auth::{Principal, Purpose},
    config::{Endpoint, Rights, Target},
    line::NoSeat,
    metrics::TargetState,
    session::{Payload, Session},
    target::tcp,
    wire::{
        close::{Ended, Refusal},
        subprotocol::{Offer, Protocol, negotiate},
    },
};

/// What a plain session needs: it reads and writes.
pub(super) const NEEDED: Rights = Rights::READ.with(Rights::WRITE);

/// Seconds a client is told to wait when an endpoint has all the sessions it may have.
const FULL: u32 = 10;

/// What the query may say.
#[derive(Debug, Default, Deserialize)]
struct Said {
    /// A one-time ticket.
    ticket: Option<String>,
    /// The endpoint, for websockify clients.
    token: Option<String>,
    /// `text`: line bytes in text frames.
    frames: Option<String>,
}

/// `GET /ws/NAME`
pub(super) async fn by_path(
    State(bridge): State<Arc<Bridge>>,
    Extension(connection): Extension<Arc<Connection>>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    upgrade(bridge, connection, Some(name), request).await
}

/// `GET /websockify?token=NAME`
pub(super) async fn by_token(
    State(bridge): State<Arc<Bridge>>,
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
) -> Response<Body> {
    upgrade(bridge, connection, None, request).await
}

async fn upgrade(
    bridge: Arc<Bridge>,
    connection: Arc<Connection>,
    name: Option<String>,
    mut request: Request,
) -> Response<Body> {
    let said = Query::<Said>::try_from_uri(request.uri()).map(|Query(said)| said);
    let (said, broken) = said.map_or((Said::default(), true), |said| (said, false));
    let name = name.or(said.token).unwrap_or_default();
    let upgraded = hyper::upgrade::on(&mut request);
    let request = ask::bare(request);
    let frames = match said.frames.as_deref() {
        _ if broken => Err(Refusal::BadRequest("the query cannot be read")),
        None => Ok(Payload::Binary),
        Some("text") => Ok(Payload::Text),
        Some(_) => Err(Refusal::BadRequest("`frames` is `text` or left out")),
    };
    let checked = match check(&bridge, &connection, &name, said.ticket, &request).await {
        Ok(checked) => checked,
        Err(refusal) => return refuse(refusal),
    };
    let (offer, frames) = match (checked.offer, frames) {
        (Ok(offer), Ok(frames)) => (offer, frames),
        (Err(refusal), _) | (_, Err(refusal)) => return refuse(refusal),
    };
    let reached = dial(&bridge, &checked.endpoint, &checked.principal).await;
    let far = match reached {
        Ok(reached) => Ok(reached),
        // A page cannot see the status of a refused handshake, but it sees a close code.
        Err(refusal) if request.headers().contains_key(header::ORIGIN) => Err(told(refusal)),
        Err(refusal) => return refuse(refusal),
    };
    let payload = match offer.answer {
        Some(Protocol::Base64) => Payload::Base64,
        Some(Protocol::Binary | Protocol::V1) | None => frames,
    };
    let run = Run {
        bridge: Arc::clone(&bridge),
        connection,
        endpoint: checked.endpoint,
        principal: checked.principal,
        payload,
    };
    bridge.tasks.spawn(run.go(upgraded, far, checked.session));
    switch(&checked.accept, offer.answer)
}

/// A handshake that passed.
struct Checked {
    endpoint: Arc<Endpoint>,
    principal: Principal,
    session: Session,
    accept: String,
    offer: Result<Offer, Refusal>,
}

/// Host, Origin, credentials, rights, endpoint, limit of sessions, in this order.
async fn check(
    bridge: &Bridge,
    connection: &Connection,
    name: &str,
    ticket: Option<String>,
    request: &Request<()>,
) -> Result<Checked, Refusal> {
    let config = bridge.config();
    let base64 = config.endpoints.get(name).is_some_and(|endpoint| endpoint.base64);
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offer = negotiate(offers.map(|value| value.to_str().unwrap_or_default()), false, base64);
    let offered = offer.as_ref().ok().and_then(|offer| offer.credential.as_ref());
    let ask = ask::read(request, Purpose::Upgrade);
    bridge.auth.check_page(&config, &connection.peer, &ask)?;
    let ask = ask::with_credential(ask, name, offered, ticket)
        .ok_or(Refusal::BadRequest("more than one credential: send one"))?;
    let (principal, _) = match (authorise(bridge, connection, &ask).await, &offer) {
        // The credential may stand in the list that could not be read: the list is what to mend.
        (Err(Refusal::Unauthorized), Err(unread)) if ask.shown.is_nothing() => return Err(unread.clone()),
        (authorised, _) => authorised?,
    };
    let rights = principal.rights.on(name);
    if !rights.allows(NEEDED) {
        return Err(Refusal::Forbidden);
    }
    let endpoint = find_endpoint(&config, rights, name)?;
    let accept = handshake(request.method(), request.headers())?;
    let session = bridge.sessions.enter(name, &principal.name, &connection.peer.to_string());
    if bridge.sessions.count(name) > endpoint.limits.sessions {
        return Err(Refusal::TooMany(FULL));
    }
    Ok(Checked { endpoint, principal, session, accept, offer })
}

/// RFC 6455 section 4.2.1; the answer's `Sec-WebSocket-Accept`.
fn handshake(method: &Method, headers: &HeaderMap) -> Result<String, Refusal> {
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    let lists = |name: &str, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|entry| entry.trim().eq_ignore_ascii_case(word))
    };
    if !lists("upgrade", "websocket") || !lists("connection", "upgrade") {
        return Err(Refusal::NotUpgrade);
    }
    if ask::text(headers, "sec-websocket-version").map(str::trim) != Some("13") {
        return Err(Refusal::Version);
    }
    let key = ask::text(headers, "sec-websocket-key").unwrap_or_default().trim();
    match STANDARD.decode(key) {
        Ok(nonce) if nonce.len() == 16 => Ok(derive_accept_key(key.as_bytes())),
        _ => Err(Refusal::BadRequest("Sec-WebSocket-Key is not 16 bytes in base64")),
    }
}

/// Reaches the target: a connection of the session's own, or a seat on the line. Dropped when the client leaves.
async fn dial(bridge: &Bridge, endpoint: &Endpoint, principal: &Principal) -> Result<Reached, Refusal> {
    match (&endpoint.target, endpoint.share) {
        (Target::Tcp(target), None) => {
            let reached = tcp::connect(target).await;
            let state = if reached.is_ok() { TargetState::Up } else { TargetState::Down };
            bridge.metrics.endpoint(&endpoint.name).target(state);
            reached.map(Reached::Own).map_err(|error| Refusal::from(&error))
        }
        (Target::Tcp(_) | Target::Serial(_) | Target::Sim(_), _) => {
            bridge.lines.join(&endpoint.name, &principal.name).await.map(Reached::Seat).map_err(|no| match no
            {
                NoSeat::Busy(holder) => Refusal::Busy(holder),
                NoSeat::Down(why) => Refusal::from(&why),
                NoSeat::Unknown => Refusal::NotFound,
            })
        }
    }
}

/// A refusal as the ending of a session that never began.
fn told(refusal: Refusal) -> Ended {
    match refusal {
        Refusal::Busy(holder) => Ended::Busy(holder),
        Refusal::Unreachable(why) | Refusal::TargetTimeout(why) | Refusal::TargetAbsent(why) => {
            Ended::TargetUnreachable(why)
        }
        Refusal::NotFound => Ended::Removed,
        Refusal::TooMany(seconds) => Ended::Limited(seconds),
        Refusal::Unauthorized => Ended::NotAuthenticated,
        Refusal::Forbidden => Ended::Withdrawn,
        // The dial gives none of these.
        Refusal::BadRequest(_)
        | Refusal::UriTooLong
        | Refusal::HeadTooLarge
        | Refusal::Timeout
        | Refusal::Misdirected
        | Refusal::Origin
        | Refusal::Method
        | Refusal::Version
        | Refusal::NotUpgrade
        | Refusal::BodyTooLarge
        | Refusal::MediaType => Ended::Internal(refusal.to_string()),
    }
}

/// 101. No extension is ever negotiated.
fn switch(accept: &str, answer: Option<Protocol>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = answer {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol.name()));
    }
    response
}
