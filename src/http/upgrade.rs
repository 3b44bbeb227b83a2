//! The way to a WebSocket: every check in order, the dial, then 101.

use std::sync::Arc;

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Query, Request},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    Bridge, ask,
    run::{Reached, Run, turn_away},
    scope::{NEEDED, find_endpoint, is_fresh, participant},
    visitor::Visitor,
    warden::lock,
};
use crate::{
    auth::{Peer, Principal, Purpose, Visit},
    config::{Endpoint, Rights, Target},
    line::{NoSeat, ReplayFrom, Seat, SeatRequest, WriteIntent},
    metrics::TargetState,
    session::{Crowd, Dedicated, Eol, Payload, Restraint, Session},
    target::tcp,
    wire::{
        close::{Ended, Refusal},
        subprotocol::{Offer, Protocol, Spoken, negotiate},
    },
};

/// What the query may contain.
#[derive(Debug, Default, Deserialize)]
struct Said {
    /// A one-time ticket.
    ticket: Option<String>,
    /// The endpoint, for websockify clients.
    token: Option<String>,
    /// `text`: line bytes in text frames.
    frames: Option<String>,
    /// `cr`, `lf` or `crlf`: what the client's line ends are turned into.
    eol: Option<String>,
    /// `observer`: reads, and leaves the lease alone.
    role: Option<String>,
    /// Bytes of scrollback.
    replay: Option<u64>,
}

impl Said {
    /// How the line's bytes travel.
    fn payload(&self) -> Result<Payload, Refusal> {
        match self.frames.as_deref() {
            None => Ok(Payload::Binary),
            Some("text") => Ok(Payload::Text),
            Some(_) => Err(Refusal::BadRequest("`frames` is `text` or left out")),
        }
    }

    /// What ends a line for the device, if that is not what the client sends.
    fn eol(&self) -> Result<Option<Eol>, Refusal> {
        match self.eol.as_deref() {
            None => Ok(None),
            Some("cr") => Ok(Some(Eol::Cr)),
            Some("lf") => Ok(Some(Eol::Lf)),
            Some("crlf") => Ok(Some(Eol::CrLf)),
            Some(_) => Err(Refusal::BadRequest("`eol` is `cr`, `lf`, `crlf` or left out")),
        }
    }

    /// Which seat a plain session wants.
    fn ask(&self) -> Result<SeatRequest, Refusal> {
        let intent = match self.role.as_deref() {
            None | Some("auto") => WriteIntent::Auto,
            Some("observer") => WriteIntent::Observer,
            Some("writer") => WriteIntent::Writer,
            Some(_) => return Err(Refusal::BadRequest("`role` is `observer`, `writer` or `auto`")),
        };
        Ok(SeatRequest {
            intent,
            replay: self.replay.map(ReplayFrom::Last),
            ..SeatRequest::default()
        })
    }
}

/// `GET /ws/NAME`
pub(super) async fn by_path(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let unread = |_| Refusal::BadRequest("the endpoint's name is not UTF-8");
    let Path(name): Path<String> = request.extract_parts().await.map_err(unread)?;
    upgrade(visitor, Some(name), request).await
}

/// `GET /websockify?token=NAME`
pub(super) async fn by_token(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    upgrade(visitor, None, request).await
}

/// `GET /ws/`: the bus.
pub(super) async fn bus(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    upgrade(visitor, Some(String::new()), request).await
}

async fn upgrade(
    visitor: Visitor,
    name: Option<String>,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let said = Query::<Said>::try_from_uri(request.uri()).map(|Query(said)| said);
    let (mut said, broken) = said.map_or((Said::default(), true), |said| (said, false));
    // No endpoint has that name, and the bus, which has none, cannot be reached this way.
    let name = name.or(said.token.take()).unwrap_or_else(|| "-".to_owned());
    let request = ask::bare(request);
    let wanted = if broken {
        Err(Refusal::BadRequest("the query cannot be read"))
    } else {
        said.payload().and_then(|payload| Ok((payload, said.eol()?, said.ask()?)))
    };
    let checked = match check(&visitor, &name, said.ticket, &request).await {
        Ok(checked) => checked,
        Err(refusal) => return unanswered(&visitor, &request, refusal),
    };
    let (offer, (frames, eol, ask)) = (checked.offer?, wanted?);
    let payload = match offer.answer {
        Some(Protocol::Base64) => Payload::Base64,
        Some(Protocol::Named(_) | Protocol::Binary | Protocol::V1) | None => frames,
    };
    let bridge = Arc::clone(&visitor.bridge);
    let reached = match (&checked.endpoint, &offer.answer) {
        (None, Some(Protocol::V1)) => Ok(Reached::Bus),
        (None, _) => return Err(Refusal::BadRequest("the bus speaks `wsbridge.v1`")),
        (Some(_), Some(Protocol::V1)) => Ok(Reached::Line),
        (Some(endpoint), _) => {
            let limit = checked.session.entry.restraints().limit();
            dial(&bridge, endpoint, (&checked.principal, limit), &ask).await
        }
    };
    if let Ok(reached) = &reached {
        checked.session.entry.stand(reached.standing());
    }
    let far = match reached {
        Ok(reached) => Ok(reached),
        // A page cannot see the status of a refused handshake, but it can see a close code.
        Err(refusal) if request.headers().contains_key(header::ORIGIN) => Err(told(refusal)),
        Err(refusal) => return Err(refusal),
    };
    let upgraded = visitor.connection.take_stream().ok_or(Refusal::NotUpgrade)?;
    let run = Run {
        bridge: Arc::clone(&bridge),
        connection: visitor.connection,
        endpoint: checked.endpoint,
        principal: checked.principal,
        payload,
        eol,
    };
    bridge.tasks.spawn(run.go(upgraded, far, checked.session));
    Ok(switch(&checked.accept, offer.answer.as_ref().map(Protocol::name)))
}

/// A handshake that did not pass. A page cannot see why, so one whose Origin has passed is let in
/// to be told immediately that there is no room for it (4429) or, if it speaks `wsbridge.v1`, that
/// nobody is signed in (4401; docs/protocol.md section 1).
pub(super) fn unanswered(
    visitor: &Visitor,
    request: &Request<()>,
    refusal: Refusal,
) -> Result<Response<Body>, Refusal> {
    let headers = request.headers();
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offer = negotiate(offers.map(|value| value.to_str().unwrap_or_default()), Spoken::Any);
    let Some(offer) = offer.ok().filter(|_| headers.contains_key(header::ORIGIN)) else {
        return Err(refusal);
    };
    let may_sign_in = refusal == Refusal::Unauthorized && offer.answer == Some(Protocol::V1);
    if !may_sign_in && !matches!(refusal, Refusal::NoRoom(_)) {
        return Err(refusal);
    }
    let (Ok(accept), Some(upgraded)) =
        (handshake(request.method(), headers), visitor.connection.take_stream())
    else {
        return Err(refusal);
    };
    let held = Arc::clone(&visitor.connection);
    visitor.bridge.tasks.spawn(async move {
        turn_away(upgraded, &told(refusal)).await;
        drop(held);
    });
    Ok(switch(&accept, offer.answer.as_ref().map(Protocol::name)))
}

/// A handshake that passed.
struct Checked {
    /// `None` is the bus.
    endpoint: Option<Arc<Endpoint>>,
    principal: Principal,
    session: Session,
    accept: String,
    offer: Result<Offer, Refusal>,
}

/// Checks Host, Origin, credentials, rights, endpoint and the limit of sessions, in this order.
async fn check(
    visitor: &Visitor,
    name: &str,
    ticket: Option<String>,
    request: &Request<()>,
) -> Result<Checked, Refusal> {
    let Visitor { bridge, connection, client, .. } = visitor;
    let config = bridge.config();
    let ((principal, _), offers) = credentialed(visitor, name, ticket, request).await?;
    let endpoint = if name.is_empty() {
        if principal.one_session().is_some() {
            return Err(Refusal::Forbidden);
        }
        None
    } else {
        let rights = principal.rights.on(name);
        if !rights.allows(NEEDED) {
            return Err(Refusal::Forbidden);
        }
        Some(find_endpoint(&config, rights, name)?)
    };
    let spoken = endpoint.as_ref().map_or(Spoken::By { base64: false, named: &[] }, |endpoint| {
        Spoken::By { base64: endpoint.base64, named: &endpoint.subprotocols }
    });
    let offer = negotiate(offers.into_iter(), spoken);
    let accept = handshake(request.method(), request.headers())?;
    let once = principal.one_session().is_some();
    if once && !matches!(&offer, Ok(Offer { answer: Some(Protocol::V1), .. })) {
        return Err(Refusal::BadRequest("in a frame of another site it takes `wsbridge.v1`"));
    }
    let framed = visitor.asked.framed || once;
    let relayed = ask::read(request, Purpose::Upgrade).forwarded.is_said();
    let peer = Peer { client: *client, framed, relayed, ..connection.peer.clone() };
    let session = bridge.sessions.enter(name, &principal, &peer);
    lock(bridge, &session.entry);
    if let Some(endpoint) = &endpoint {
        let Bridge { sessions, parking, lines, .. } = &**bridge;
        let limit = session.entry.restraints().limit();
        let who = participant(&config, &principal, name).within(limit);
        let room = Crowd { sessions, parking, lines }.admit(endpoint, &who, session.entry.number);
        room.map_err(Refusal::NoRoom)?;
        if !is_fresh(endpoint, principal.id.kind, principal.auth_time) {
            session.entry.restrain(Restraint::Reauth, true);
        }
    }
    Ok(Checked { endpoint, principal, session, accept, offer })
}

/// Who asks for a WebSocket, by any of the credentials that one can bring, and on which page; and
/// the subprotocols that are offered. Checks Host, Origin and credentials, in this order.
pub(super) async fn credentialed<'a>(
    visitor: &Visitor,
    name: &str,
    ticket: Option<String>,
    request: &'a Request<()>,
) -> Result<((Principal, Visit), Vec<&'a str>), Refusal> {
    let Visitor { bridge, connection, .. } = visitor;
    let config = bridge.config();
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offers: Vec<_> = offers.map(|value| value.to_str().unwrap_or_default()).collect();
    // What an endpoint speaks is not for strangers: until we know who asks, all look alike.
    let offer = negotiate(offers.iter().copied(), Spoken::Any);
    let offered = offer.as_ref().ok().and_then(|offer| offer.credential.as_ref());
    let ask = ask::read(request, Purpose::Upgrade);
    bridge.auth.check_page(&config, &connection.peer, &ask)?;
    let ask = ask::with_credential(ask, name, offered, ticket)
        .ok_or(Refusal::BadRequest("more than one credential: send one"))?;
    match (visitor.authorise(&ask).await, &offer) {
        // The credential may be in the list that could not be read: then the list is what to fix.
        (Err(Refusal::Unauthorized), Err(unread)) if ask.shown.is_nothing() => Err(unread.clone()),
        (authorised, _) => Ok((authorised?, offers)),
    }
}

/// Checks RFC 6455 section 4.2.1; returns the response's `Sec-WebSocket-Accept`.
pub(super) fn handshake(method: &Method, headers: &HeaderMap) -> Result<String, Refusal> {
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    let lists = |name: &str, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|entry| entry.trim().eq_ignore_ascii_case(word))
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

/// Reaches the target: through a connection for this session alone, or with a seat on the line.
/// Dropped if the client leaves.
async fn dial(
    bridge: &Bridge,
    endpoint: &Arc<Endpoint>,
    (principal, limit): (&Principal, Rights),
    ask: &SeatRequest,
) -> Result<Reached, Refusal> {
    let who = participant(&bridge.config(), principal, &endpoint.name).within(limit);
    if let (Target::Tcp(target), None) = (&endpoint.target, endpoint.share) {
        if !who.rights.allows(Rights::WRITE) {
            return Err(Refusal::Forbidden);
        }
        let reached = tcp::connect(target).await;
        let state = if reached.is_ok() { TargetState::Up } else { TargetState::Down };
        bridge.metrics.endpoint(&endpoint.name).target(state);
        let tap = bridge.lines.tap(endpoint);
        let own = |stream| Reached::Own(Dedicated::new(stream, tap, &who.principal));
        return reached.map(own).map_err(|error| Refusal::from(&error));
    }
    let ask = SeatRequest { pauses: endpoint.packing.pause().is_some(), ..ask.clone() };
    let taken = bridge.lines.sit(endpoint, who, &ask).await.map_err(|no| match no {
        NoSeat::Busy(holder) => Refusal::Busy(holder),
        NoSeat::Unknown => Refusal::NotFound,
    })?;
    match timeout(Seat::OPENING_WAIT, taken.seat.ready()).await {
        Ok(Ok(())) => Ok(Reached::Seat(taken.seat)),
        Ok(Err(why)) => Err(Refusal::from(&why)),
        Err(_) => Err(Refusal::TargetTimeout(format!(
            "still being opened after {} s",
            Seat::OPENING_WAIT.as_secs()
        ))),
    }
}

/// A refusal as the ending of a session that never began.
pub(super) fn told(refusal: Refusal) -> Ended {
    match refusal {
        Refusal::Busy(holder) => Ended::Busy(holder),
        Refusal::Unreachable(why) | Refusal::TargetTimeout(why) | Refusal::TargetAbsent(why) => {
            Ended::TargetUnreachable(why)
        }
        Refusal::NotFound => Ended::Removed,
        Refusal::NoRoom(no) => Ended::NoRoom(no),
        Refusal::Unauthorized => Ended::NotAuthenticated,
        Refusal::Forbidden => Ended::Withdrawn,
        // None of these is ever reported in this way.
        Refusal::BadRequest(_)
        | Refusal::SecondFactor(_)
        | Refusal::TooMany(_)
        | Refusal::UriTooLong
        | Refusal::HeadTooLarge
        | Refusal::Timeout
        | Refusal::Misdirected
        | Refusal::NotLoopback
        | Refusal::Origin(_)
        | Refusal::Subprotocol(_)
        | Refusal::NotLent(_)
        | Refusal::NotKept(_)
        | Refusal::Method
        | Refusal::Version
        | Refusal::NotUpgrade
        | Refusal::BodyTooLarge
        | Refusal::MediaType
        | Refusal::Proxy(_)
        | Refusal::Opening(_)
        | Refusal::Registration
        | Refusal::Tls
        | Refusal::Exhausted => Ended::Internal(refusal.to_string()),
    }
}

/// The 101 response. No extension is ever negotiated.
pub(super) fn switch(accept: &str, answer: Option<&str>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = answer.and_then(|answer| HeaderValue::from_str(answer).ok()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}
