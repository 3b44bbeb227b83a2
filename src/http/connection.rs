//! One client connection: requests in order, each answered after the checks that every page has,
//! with the headers that go with every response.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Request, Response, StatusCode, header},
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tower_service::Service as _;

use super::{
    Bridge, ask,
    exchange::{Exchange, ReceivedRequest},
    refusal,
    visitor::{Connection, NO_PLACE_WAIT, RequestSummary, Upgraded, Visitor},
};
use crate::{
    auth::{ClientAddress, Peer, Purpose, Slot, Way, parse_origin},
    stream::Stream,
    wire::close::Refusal,
};

/// How long we wait for a stranger altogether: until its requests are here, and between them.
const STRANGER: Duration = Duration::from_secs(30);
/// How long a running response may still take when the gateway stops.
const LAST_ANSWER: Duration = Duration::from_secs(2);

/// What comes after a response.
#[derive(Debug)]
enum After {
    /// The next request.
    Next,
    /// Nothing: the connection is closed in such a way that the client can read the response.
    Close,
    /// Nothing, and nobody is left to read it.
    Gone,
    /// A WebSocket: whoever answered waits for the stream.
    Upgrade(oneshot::Sender<Upgraded>),
}

/// Serves a connection until it ends or becomes a session, which then runs on the bridge's tracker
/// and keeps the slot. The first request's head must have arrived by `until`.
pub(crate) async fn serve(
    bridge: Arc<Bridge>,
    stream: Stream,
    peer: Peer,
    slot: Slot,
    until: Instant,
) {
    serve_after(bridge, (stream, &[]), peer, slot, until).await;
}

/// The same where the first bytes have been read already.
pub(crate) async fn serve_after(
    bridge: Arc<Bridge>,
    (stream, early): (Stream, &[u8]),
    peer: Peer,
    slot: Slot,
    until: Instant,
) {
    let connection = Arc::new(Connection::new(peer, slot, bridge.metrics.connections_open.hold()));
    let limits = bridge.config().limits;
    let patience = limits.handshake;
    let mut exchange = Exchange::new(stream, until, &limits).after(early);
    // The time for the TLS handshake counts, too.
    let mut waited = patience.saturating_sub(until.saturating_duration_since(Instant::now()));
    let evicted = connection.evicted();
    loop {
        let began = Instant::now();
        let limit = connection.is_stranger().then(|| began + STRANGER.saturating_sub(waited));
        let incoming = tokio::select! {
            biased;
            () = bridge.stop.cancelled() => Ok(None),
            () = evicted.cancelled() => Err(Refusal::TooMany(0)),
            incoming = exchange.request(limit) => incoming,
        };
        waited += began.elapsed();
        let after = match incoming {
            Ok(None) => After::Close,
            Err(refusal @ Refusal::TooMany(_)) => {
                bridge.refused(connection.peer.client, "", &refusal);
                After::Gone
            }
            Ok(Some(incoming)) => answer(&bridge, &connection, &mut exchange, incoming).await,
            Err(refusal) => {
                bridge.refused(connection.peer.client, "", &refusal);
                say(&mut exchange, &refusal).await;
                After::Close
            }
        };
        match after {
            After::Next => {}
            After::Close => break,
            After::Gone => return,
            After::Upgrade(sender) => {
                // A session that has ended by now has no use for it.
                let _ = sender.send(exchange.into_parts());
                return;
            }
        }
    }
    exchange.close().await;
}

/// Answers a request that could not be read.
async fn say(exchange: &mut Exchange<Stream>, refusal: &Refusal) {
    let mut response = refusal::response(refusal, true);
    finish(&mut response, &RequestSummary::default(), (false, false));
    end_with(&mut response);
    // A client that has left does not hear it.
    let _ = exchange.respond(response, false).await;
}

/// Answers a request; ends when the client leaves, or soon after the gateway stops.
async fn answer(
    bridge: &Arc<Bridge>,
    connection: &Arc<Connection>,
    exchange: &mut Exchange<Stream>,
    incoming: ReceivedRequest,
) -> After {
    let ReceivedRequest { request, upgrade, last } = incoming;
    let stream = upgrade.then(|| connection.offer_stream());
    let asked = Arc::new(RequestSummary::of(&request));
    let evicted = connection.evicted();
    let cut = async {
        tokio::select! {
            () = evicted.cancelled() => bridge.refused(connection.peer.client, "", &Refusal::TooMany(0)),
            () = async {
                bridge.stop.cancelled().await;
                sleep(LAST_ANSWER).await;
            } => {}
        }
    };
    let answered = async {
        let mut response = tokio::select! {
            biased;
            response = route(bridge, connection, &asked, request) => response,
            () = exchange.gone(upgrade) => return After::Gone,
        };
        if !upgrade {
            connection.speaks_for(None, &bridge.config().limits);
        }
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        // What follows an upgrade that did not happen was meant for another protocol: it is never
        // read as HTTP.
        let last =
            last || asked.headers.contains_key(header::UPGRADE) || bridge.stop.is_cancelled();
        if last && !switched {
            end_with(&mut response);
        }
        let closing =
            response.headers().get(header::CONNECTION).is_some_and(|value| value == "close");
        match (exchange.respond(response, asked.method == "HEAD").await, stream) {
            (Err(_), _) => After::Gone,
            (Ok(()), Some(stream)) if switched => After::Upgrade(stream),
            (Ok(()), _) if closing || switched => After::Close,
            (Ok(()), _) => After::Next,
        }
    };
    tokio::select! {
        after = answered => after,
        () = cut => After::Gone,
    }
}

/// The checks that every page has, the page, and what goes with every response.
async fn route(
    bridge: &Arc<Bridge>,
    connection: &Arc<Connection>,
    asked: &Arc<RequestSummary>,
    mut request: Request<Body>,
) -> Response<Body> {
    let config = bridge.config();
    let public = config.public.as_ref().filter(|_| connection.peer.app.is_none());
    let further = public.and_then(|public| ask::cut(&mut request, &public.prefix));
    // After the cut: below the path of `public:` this is the API, too.
    let api = request.uri().path().starts_with("/api/");
    let heard = ask::read(&request, Purpose::Read);
    let visitor = Visitor {
        bridge: Arc::clone(bridge),
        connection: Arc::clone(connection),
        client: bridge.auth.client(&config, &connection.peer, &heard.forwarded),
        asked: Arc::clone(asked),
    };
    let source = bridge.auth.source(visitor.client);
    let forwarded = matches!(visitor.client, ClientAddress::Forwarded(_));
    // Neither is a stranger: the one is on this machine, the other has been let in by our hub.
    let is_known = connection.peer.way != Way::Usual;
    let walls = if forwarded && !connection.speaks_for(Some(source), &config.limits) {
        Err(Refusal::TooMany(NO_PLACE_WAIT))
    } else if !is_known && !bridge.rates.take(source, Instant::now()) {
        Err(Refusal::TooMany(1))
    } else if is_known || asked.headers.contains_key(header::HOST) {
        bridge.auth.check_host(&config, &connection.peer, &heard).map(drop)
    } else {
        // A health check in HTTP/1.0: what it can reach is open to everybody.
        Ok(())
    };
    let mut response = if let Err(refusal) = walls {
        visitor.conclude(Err(refusal), false)
    } else if let Some(further) = further {
        redirect(&further)
    } else {
        request.extensions_mut().insert(visitor);
        let router = match (&connection.peer.way, &connection.peer.app) {
            (Way::Gateway, _) => &bridge.gateways,
            (_, Some(_)) => &bridge.apps,
            (_, None) => &bridge.router,
        };
        router.clone().call(request).await.unwrap_or_else(|never| match never {})
    };
    let listed = api
        && ask::text(&asked.headers, "origin")
            .and_then(parse_origin)
            .is_some_and(|origin| config.origins.contains(&origin));
    finish(&mut response, asked, (api, listed));
    if let Some(hsts) = config.hsts.filter(|_| connection.peer.tls) {
        promise_https(&mut response, hsts);
    }
    response
}

/// Redirects to the page itself, whose addresses are relative to its own.
fn redirect(to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

fn end_with(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// Makes browsers use only HTTPS from now on (RFC 6797).
fn promise_https(response: &mut Response<Body>, time: Duration) {
    if let Ok(value) = HeaderValue::from_str(&format!("max-age={}", time.as_secs())) {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// Headers for every response, of the API or not; `listed` if a listed page may read it.
fn finish(response: &mut Response<Body>, asked: &RequestSummary, (api, listed): (bool, bool)) {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let headers = response.headers_mut();
    let fixed = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    // A response that sets its own knows better.
    for (name, value) in fixed {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    let policy = if listed { "cross-origin" } else { "same-origin" };
    headers.entry("cross-origin-resource-policy").or_insert(HeaderValue::from_static(policy));
    if api {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = asked.headers.get(header::ORIGIN).filter(|_| listed) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }
}
