//! One client connection: requests through the gate, answers with the headers every answer has.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tower_service::Service as _;

use super::{
    Bridge, ask,
    gate::{Gate, Remains},
    grant::within,
    refusal,
};
use crate::{
    auth::{Ask, Peer, Principal, Purpose, Slot, Visit, parse_origin},
    metrics::Held,
    stream::Stream,
    wire::close::Refusal,
};

/// How long a running answer may still take once the gateway stops.
const LAST_ANSWER: Duration = Duration::from_secs(2);

/// What a request knows of its connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// The other end.
    pub(super) peer: Peer,
    slot: Mutex<Slot>,
    _open: Held,
}

impl Connection {
    /// Counts as a stranger's no longer; false when the gateway is full and this is no administrator.
    pub(super) fn signed_in(&self, administrator: bool) -> bool {
        self.slot().authenticate(administrator)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a connection until it ends or becomes a session, which then runs on the bridge's tracker and keeps the slot.
/// The first request's head must be here by `until`.
pub async fn serve(bridge: Arc<Bridge>, stream: Stream, peer: Peer, slot: Slot, until: Instant) {
    let open = bridge.metrics.connections_open.hold();
    let connection = Arc::new(Connection { peer, slot: Mutex::new(slot), _open: open });
    let remains = Arc::new(Remains::default());
    let patience = bridge.config().limits.handshake;
    let gate = Gate::new(stream, until, patience, Arc::clone(&remains));
    let service = service_fn(|request: Request<Incoming>| {
        let (bridge, connection) = (Arc::clone(&bridge), Arc::clone(&connection));
        async move { Ok::<_, Infallible>(answer(&bridge, connection, request).await) }
    });
    let http = http1::Builder::new()
        .half_close(false)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(gate), service)
        .with_upgrades();
    let mut http = pin!(http);
    let ended = tokio::select! {
        biased;
        () = bridge.stop.cancelled() => None,
        ended = http.as_mut() => Some(ended),
    };
    if ended.is_none() {
        http.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER, http.as_mut()).await;
    }
    if let Some((stream, told)) = remains.take() {
        if let Some(told) = &told {
            bridge.refusals.note(&bridge.metrics, told, connection.peer.client, "");
        }
        refusal::farewell(stream, told.as_ref()).await;
    }
}

/// One request: the walls that every page has, the page, and what goes with every answer.
async fn answer(
    bridge: &Arc<Bridge>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let asked = request.headers().clone();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let config = bridge.config();
    let heard = ask::read(&request, Purpose::Read);
    let client = bridge.auth.client(&config, &connection.peer, heard.forwarded);
    let mut response = if let Err(refusal) = bridge.auth.check_host(&config, &connection.peer, &heard) {
        refuse(refusal)
    } else {
        request.extensions_mut().insert(Arc::clone(&connection));
        request.extensions_mut().insert(Arc::clone(bridge));
        let router = if connection.peer.app.is_some() { &bridge.apps } else { &bridge.router };
        router.clone().call(request).await.unwrap_or_else(|never| match never {})
    };
    // The gateway is full, and this was no administrator: that goes before whatever else there is to say.
    let full = connection.slot().is_reserve().then_some(Refusal::TooMany(10));
    let closing = full.is_some();
    if let Some(refusal) = full.or_else(|| response.extensions().get().cloned()) {
        let what = format!("{method} {path}");
        bridge.refusals.note(&bridge.metrics, &refusal, client, &what);
        response = refusal::response(&refusal, &asked);
    }
    if closing {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let listed = path.starts_with("/api/")
        && ask::text(&asked, "origin")
            .and_then(parse_origin)
            .is_some_and(|origin| config.origins.contains(&origin));
    finish(&mut response, &asked, &path, listed);
    response
}

/// A handler's way to refuse: the connection turns it into the response.
pub(super) fn refuse(refusal: Refusal) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(refusal);
    response
}

/// Headers of every answer.
fn finish(response: &mut Response<Body>, asked: &HeaderMap, path: &str, listed: bool) {
    let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    if upgraded {
        return;
    }
    if asked.contains_key(header::UPGRADE) {
        // What follows such a request was meant for another protocol: it is never read as HTTP.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
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
    // An answer that says otherwise knows better.
    for (name, value) in fixed {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    let policy = if listed { "cross-origin" } else { "same-origin" };
    headers.entry("cross-origin-resource-policy").or_insert(HeaderValue::from_static(policy));
    if path.starts_with("/api/") {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = asked.get(header::ORIGIN).filter(|_| listed) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }
}

/// Host, Origin, credentials; and the connection counts as a stranger's no longer.
pub(super) async fn authorise(
    bridge: &Bridge,
    connection: &Connection,
    ask: &Ask<'_>,
) -> Result<(Principal, Visit), Refusal> {
    let config = bridge.config();
    let visit = bridge.auth.check_page(&config, &connection.peer, ask)?;
    let principal = bridge.auth.check_credentials(&config, &connection.peer, ask, &visit).await?;
    let rights = within(&config, connection.peer.app.as_deref(), principal.rights);
    let principal = Principal { rights, ..principal };
    if !connection.signed_in(principal.is_administrator()) {
        return Err(Refusal::TooMany(10));
    }
    Ok((principal, visit))
}
