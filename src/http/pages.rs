//! The pages besides the sockets: health, metrics, the list of endpoints.

use axum::{
    body::Body,
    extract::{Query, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
};
use serde::Deserialize;
use serde_json::json;

use super::{Bridge, ask, assets, scope::ancestor_of, visitor::Visitor, warden::tally};
use crate::{
    auth::{AllowedOrigin, Purpose},
    config::{Endpoint, Rights, Share},
    fleet::Open,
    line,
    metrics::{self, ExpositionFormat, Observed, TargetState},
    process,
    wire::close::Refusal,
};

/// Shown at `/` by a gateway that was built without its page.
const HOME: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>wsbridge</title>\n\
<meta name=\"viewport\" content=\"width=device-width\">\n\
<h1>wsbridge</h1>\n<p>The gateway is running, but it was built without its page, the console that is normally shown here.\n\
<p>To get the page: install Node.js 18 or newer with npm (Debian: <code>sudo apt install npm</code>), build again\n\
(<code>cargo build --release</code>), and restart the gateway. The packages for Debian and OpenWrt have it.\n\
<p>Everything else works. Endpoints are WebSockets at <code>/ws/NAME</code>; <code>/api/endpoints</code> lists those you may see.\n\
How to connect and sign in: <code>man wsbridge</code>, or the <code>docs</code> folder of the sources.\n</html>\n";

/// `GET /healthz`, for everybody: the daemon answers. It says nothing about devices. Pages of any
/// origin may know that much: the client asks before it dials again.
pub(super) async fn healthz(_: Visitor, _: Request) -> Result<Response<Body>, Refusal> {
    let mut response = content("text/plain; charset=utf-8", "ok\n".into());
    let policy = HeaderValue::from_static("cross-origin");
    response.headers_mut().insert("cross-origin-resource-policy", policy);
    Ok(response)
}

/// `OPTIONS` of a page that is for everybody: proxies' health checks send it.
pub(super) async fn options(_: Visitor, _: Request) -> Result<Response<Body>, Refusal> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    Ok(response)
}

/// A file of the page, for everybody: it contains only what is in the package.
pub(super) async fn asset(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let Visitor { bridge, connection, .. } = &visitor;
    let ask = ask::read(&request, Purpose::Read);
    let view = bridge.auth.check_host(&bridge.config(), &connection.peer, &ask)?;
    let config = bridge.config();
    let path = request.uri().path();
    let ancestors = if path == assets::FRAMED {
        let said = Query::<Framed>::try_from_uri(request.uri());
        let Query(Framed { ancestor }) = said.map_err(|_| Refusal::BadRequest(FRAME))?;
        &[ancestor_of(&config, &ancestor)?]
    } else {
        config.frame_ancestors.as_slice()
    };
    assets::answer(path, (&view.host, ancestors), request.headers()).ok_or(Refusal::NotFound)
}

/// What a frame's address says.
#[derive(Deserialize)]
struct Framed {
    ancestor: String,
}

const FRAME: &str = "a frame's address is /embed?line=NAME&ancestor=https://...#ticket=TICKET";

/// `GET /` of a gateway built without its page: says what this is.
pub(super) async fn home(_: Visitor, _: Request) -> Result<Response<Body>, Refusal> {
    Ok(content("text/html; charset=utf-8", HOME.into()))
}

/// Anything else: 404.
pub(super) async fn nothing(_: Visitor, _: Request) -> Result<Response<Body>, Refusal> {
    Err(Refusal::NotFound)
}

/// A page asked for with a method it does not have.
pub(super) async fn wrong_method(_: Visitor, _: Request) -> Result<Response<Body>, Refusal> {
    Err(Refusal::Method)
}

/// `GET /metrics`: OpenMetrics, or Prometheus' older text format for a client that asks for it;
/// open to programs on this machine and to those with `/metrics: [read]`.
pub(super) async fn metrics(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    may_read_metrics(&visitor, &request).await?;
    let bridge = &visitor.bridge;
    let config = bridge.config();
    for name in config.endpoints.keys() {
        let counted = bridge.metrics.endpoint(name);
        counted.queue.set(bridge.lines.depth(name) as u64);
        bridge.lines.count_errors(name).await;
        if let Some(state) = bridge.lines.state(name) {
            counted.target(target_state(&state));
        }
    }
    let format = ExpositionFormat::accepted(ask::text(request.headers(), "accept"));
    let observed = Observed {
        process: process::observe(),
        certificates: bridge.certificates.expiries(),
        authority: bridge.certificates.authority().map(|authority| authority.until),
        home: bridge.home.borrow().is_connected(),
        gateways: bridge.hub.get().map(Open::counts),
    };
    let mut page =
        content(format.content_type(), metrics::render(&bridge.metrics, format, &observed));
    page.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(page)
}

async fn may_read_metrics(visitor: &Visitor, request: &Request<()>) -> Result<(), Refusal> {
    let ask = ask::read(request, Purpose::Read);
    let visit = visitor.check_page(&visitor.bridge.config(), &ask)?;
    if ask.shown.is_nothing() && visit.view.here {
        return Ok(());
    }
    let (principal, _) = visitor.authorise(&ask).await?;
    if principal.rights.on("/metrics").allows(Rights::READ) {
        Ok(())
    } else {
        Err(Refusal::Forbidden)
    }
}

fn target_state(state: &line::LineState) -> TargetState {
    match state {
        line::LineState::Closed => TargetState::Closed,
        line::LineState::Opening => TargetState::Opening,
        line::LineState::Up => TargetState::Up,
        line::LineState::Down(_) => TargetState::Down,
    }
}

/// `GET /api/endpoints`: the endpoints on which the caller has a right.
pub(super) async fn endpoints(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let bridge = &visitor.bridge;
    for entry in bridge.sessions.list() {
        tally(bridge, &entry);
    }
    let config = bridge.config();
    let list: Vec<_> = config
        .endpoints
        .values()
        .map(|endpoint| (endpoint, principal.rights.on(&endpoint.name)))
        .filter(|(_, rights)| *rights != Rights::NONE)
        .map(|(endpoint, rights)| describe(bridge, endpoint, rights))
        .collect();
    Ok(content("application/json", json!({ "endpoints": list }).to_string()))
}

fn describe(bridge: &Bridge, endpoint: &Endpoint, rights: Rights) -> serde_json::Value {
    let share = endpoint.share.map(|share| match share {
        Share::Exclusive => "exclusive",
        Share::OneWriter => "one-writer",
        Share::Everyone => "everyone",
    });
    // A dedicated endpoint has no line, so nothing is known about its target before somebody
    // connects.
    let board = bridge.lines.board(&endpoint.name).map(|board| board.borrow().clone());
    let holder = board.as_ref().and_then(|board| board.lease.holder()).map(
        |holder| json!({ "user": holder.principal.name, "since": line::rfc3339(holder.since), "away": holder.away }),
    );
    let counted = bridge.metrics.endpoint(&endpoint.name);
    json!({
        "name": endpoint.name,
        "title": endpoint.title,
        "kind": endpoint.target.kind(),
        "state": board.as_ref().map(|board| board.state.word()),
        "share": share,
        "holder": holder,
        "observers": board.as_ref().map_or(0, line::Board::observers),
        "sessions": bridge.sessions.count(&endpoint.name),
        "to_client": counted.to_client.get(),
        "to_target": counted.to_target.get(),
        "rights": rights.words(),
    })
}

/// `OPTIONS`: what a listed page may send (Fetch standard section 3.2.2). Any other gets 403, and
/// no CORS headers.
pub(super) async fn preflight(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let ask = ask::read(&request, Purpose::Change);
    let visit = visitor.check_page(&visitor.bridge.config(), &ask)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST, OPTIONS"));
    if matches!(visit.page, AllowedOrigin::Listed | AllowedOrigin::App) {
        allow(headers, request.headers());
    }
    Ok(response)
}

fn allow(headers: &mut HeaderMap, asked: &HeaderMap) {
    let fields = [
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "authorization, content-type"),
        ("access-control-max-age", "600"),
        ("vary", "Access-Control-Request-Method, Access-Control-Request-Headers"),
    ];
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if asked.contains_key("access-control-request-private-network") {
        headers.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
    }
}

/// A response with a text of that media type.
pub(super) fn content(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
