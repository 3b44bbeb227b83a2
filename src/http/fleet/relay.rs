//! What people ask of a gateway, passed on by a link that it dials for this one request: a
//! WebSocket, or an exchange with its API.

use std::{sync::Arc, time::Duration};

use axum::{
    RequestExt as _,
    body::{Body, Bytes, to_bytes},
    extract::{Path, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header},
};
use tokio::{
    io::AsyncWriteExt as _,
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};
use tower_service::Service as _;

use super::{
    super::{
        Bridge, ask,
        run::turn_away,
        upgrade::{credentialed, handshake, switch, told, unanswered},
        visitor::Visitor,
    },
    open,
    splice::Splice,
};
use crate::{
    auth::{AllowedOrigin, Principal, PrincipalKind, Purpose, Visit, unix_now},
    config::RightsTable,
    dial::Answer,
    event::{Event, FleetEvent},
    fleet::{Open, Order, random_key},
    stream::Stream,
    wire::{
        assertion::{ASSERTION_LIFE, AssertedPage, Assertion},
        close::{Ended, Refusal},
        home::is_gateway_name,
        subprotocol::{Protocol, Spoken, is_credential, negotiate},
    },
};

/// How long a gateway may take to say that it dials, and then to arrive.
const DIALS: Duration = Duration::from_secs(3);
const ARRIVES: Duration = Duration::from_secs(10);
/// How long a gateway may take to answer: its target's time to connect, and some more.
const ANSWERS: Duration = Duration::from_secs(20);

/// What a gateway is told of a request besides its path. Credentials never are, nor is anything that
/// a proxy adds.
const PASSED_ON: [&str; 6] = [
    "content-type",
    "accept",
    "origin",
    "x-requested-with",
    "sec-websocket-key",
    "sec-websocket-version",
];

/// What a client is told of a gateway's answer.
const PASSED_BACK: [&str; 4] =
    ["content-type", "content-disposition", "retry-after", "sec-websocket-version"];

/// Parts of the API that are the hub's own wherever the page is: who has signed in.
const OF_THE_HUB: [&str; 6] =
    ["/api/session", "/api/login", "/api/logout", "/api/logins", "/api/oidc", "/api/grant"];

/// `GET /g/GATEWAY`: the page is one slash further.
pub(super) async fn slash(_: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let to = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let to = HeaderValue::from_str(&format!("{to}/")).map_err(|_| Refusal::NotFound)?;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

/// Everything below `/g/GATEWAY/`: the page itself, which is the hub's; who has signed in, which the
/// hub knows; and the rest of the API and all sockets, which are the gateway's.
pub(super) async fn below(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    open(&visitor.bridge)?;
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let inner = path.strip_prefix("/g/").and_then(|rest| rest.split_once('/'));
    let (gateway, inner) = inner.ok_or(Refusal::NotFound)?;
    let (gateway, inner) = (gateway.to_owned(), format!("/{inner}"));
    if !is_gateway_name(&gateway) {
        return Err(Refusal::NotFound);
    }
    let bare = inner.split('?').next().unwrap_or_default();
    let of_hub = OF_THE_HUB.iter().any(|own| {
        bare.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let of_gateway = bare.starts_with("/ws/") || (bare.starts_with("/api/") && !of_hub);
    if of_gateway {
        return pass(visitor, request, (&gateway, &inner)).await;
    }
    if !(of_hub || request.method() == Method::GET || request.method() == Method::HEAD) {
        return Err(Refusal::Method);
    }
    *request.uri_mut() = Uri::try_from(inner).map_err(|_| Refusal::NotFound)?;
    let router = visitor.bridge.router.clone();
    request.extensions_mut().insert(visitor);
    Ok({ router }.call(request).await.unwrap_or_else(|never| match never {}))
}

/// `GET /ws/GATEWAY/NAME`
pub(super) async fn line(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let unread = |_| Refusal::BadRequest("the names in the path are not UTF-8");
    let Path((gateway, name)): Path<(String, String)> =
        request.extract_parts().await.map_err(unread)?;
    socket(visitor, request, &gateway, &name).await
}

/// `GET /ws/GATEWAY/`: its bus.
pub(super) async fn bus(visitor: Visitor, mut request: Request) -> Result<Response<Body>, Refusal> {
    let unread = |_| Refusal::BadRequest("the name in the path is not UTF-8");
    let Path(gateway): Path<String> = request.extract_parts().await.map_err(unread)?;
    socket(visitor, request, &gateway, "").await
}

async fn socket(
    visitor: Visitor,
    request: Request,
    gateway: &str,
    name: &str,
) -> Result<Response<Body>, Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !is_gateway_name(gateway) || !name.bytes().all(plain) {
        return Err(Refusal::NotFound);
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    pass(visitor, request, (gateway, &format!("/ws/{name}{query}"))).await
}

/// Somebody who may ask something of a gateway.
struct Asker {
    principal: Principal,
    visit: Visit,
    /// Rights at the gateway.
    rights: RightsTable,
}

/// Passes a request on to a gateway, and its answer back.
async fn pass(
    visitor: Visitor,
    request: Request,
    (gateway, path): (&str, &str),
) -> Result<Response<Body>, Refusal> {
    let (request, body) = ask::parted(request);
    let asks_socket = path.starts_with("/ws/");
    let asker = match admit(&visitor, &request, gateway, asks_socket).await {
        Ok(asker) => asker,
        Err(refusal) if asks_socket => return unanswered(&visitor, &request, refusal),
        Err(refusal) => return Err(refusal),
    };
    let accept = asks_socket.then(|| handshake(request.method(), request.headers())).transpose()?;
    let body = to_bytes(body, usize::MAX).await;
    let body = body.map_err(|_| Refusal::BadRequest("the body broke off"))?;
    let head = head(&request, path, asks_socket, &body)?;
    let who = asker.principal.clone();
    let reached = reach(&visitor, gateway, &asker, head, &body).await;
    let (answer, place) = match (reached, &accept) {
        (Ok(reached), _) => reached,
        // A page cannot see the status of a refused handshake, but it can see a close code.
        (Err(refusal), Some(accept)) if request.headers().contains_key(header::ORIGIN) => {
            return turned_away(&visitor, request.headers(), accept, refusal);
        }
        (Err(refusal), _) => return Err(refusal),
    };
    let event = FleetEvent::Reached { who: &who.id, client: visitor.client, path };
    visitor.bridge.events.tell(Event::Fleet { gateway, event });
    match (answer.status, accept) {
        (101, Some(accept)) => {
            let spoken = answer.field("sec-websocket-protocol").map(str::to_owned);
            let upgraded = visitor.connection.take_stream().ok_or(Refusal::NotUpgrade)?;
            let splice = Splice {
                bridge: Arc::clone(&visitor.bridge),
                connection: Arc::clone(&visitor.connection),
                client: visitor.client,
                who,
                gateway: gateway.to_owned(),
                path: path.to_owned(),
            };
            let (far, early) = answer.into_parts();
            let tasks = visitor.bridge.tasks.clone();
            tasks.spawn(async move {
                if let Ok(near) = upgraded.await {
                    splice.run(near, (far, early)).await;
                }
                drop(place);
            });
            Ok(switch(&accept, spoken.as_deref()))
        }
        _ => back(&visitor.bridge, answer, place),
    }
}

/// Checks Host, Origin and credentials as for a line of the hub's own, and what they give at that
/// gateway. Without any right there, every name looks the same.
async fn admit(
    visitor: &Visitor,
    request: &axum::http::Request<()>,
    gateway: &str,
    asks_socket: bool,
) -> Result<Asker, Refusal> {
    let (principal, visit) = if asks_socket {
        credentialed(visitor, "", None, request).await?.0
    } else {
        let purpose = if request.method() == Method::GET { Purpose::Read } else { Purpose::Change };
        visitor.authorise(&ask::read(request, purpose)).await?
    };
    // What a pass or an app limits is about lines of the hub's own.
    let limited = principal.only.is_some() || visitor.connection.peer.app.is_some();
    let rights = principal.rights.of_gateway(gateway);
    if limited || rights.0.is_empty() {
        return Err(Refusal::Forbidden);
    }
    Ok(Asker { principal, visit, rights })
}

/// The head of the request as the gateway gets it.
fn head(
    request: &axum::http::Request<()>,
    path: &str,
    asks_socket: bool,
    body: &Bytes,
) -> Result<Vec<u8>, Refusal> {
    let mut head = format!("{} {path} HTTP/1.1\r\nHost: gateway\r\n", request.method());
    let headers = request.headers();
    let mut field = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
    for name in PASSED_ON {
        if let Some(value) = ask::text(headers, name) {
            field(name, value);
        }
    }
    if asks_socket {
        field("connection", "Upgrade");
        field("upgrade", "websocket");
        let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let offers = offers.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
        let offers: Vec<_> =
            offers.map(str::trim).filter(|it| !it.is_empty() && !is_credential(it)).collect();
        if !offers.is_empty() {
            field("sec-websocket-protocol", &offers.join(", "));
        }
    } else {
        field("connection", "close");
        if request.method() != Method::GET {
            field("content-length", &body.len().to_string());
        }
    }
    head.push_str("\r\n");
    if path.contains("ticket=") {
        return Err(Refusal::BadRequest("a ticket is for a line of the hub's own"));
    }
    Ok(head.into_bytes())
}

/// An answer of a gateway's, and what holds the place of its link.
type Reached = (Answer<Stream>, Box<dyn std::any::Any + Send>);

/// Has the gateway dial, and asks it.
async fn reach(
    visitor: &Visitor,
    gateway: &str,
    asker: &Asker,
    head: Vec<u8>,
    body: &Bytes,
) -> Result<Reached, Refusal> {
    let hub = open(&visitor.bridge)?;
    let away = || Refusal::TargetTimeout(format!("the gateway {gateway} is not connected"));
    let home = hub.homes.find(gateway).ok_or_else(away)?;
    let awaited = hub.links.expect(gateway);
    let assertion = assertion(hub, gateway, &home.instance, asker, visitor);
    let assertion = hub.signer.sign(&assertion);
    let (told, answer) = oneshot::channel();
    let order = Order::Link { key: awaited.key.clone(), assertion, told };
    home.orders.try_send(order).map_err(|_| away())?;
    match timeout(DIALS, answer).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(why))) => {
            tracing::warn!(gateway, "the gateway does not dial: {why}");
            return Err(Refusal::Unreachable(format!("the gateway {gateway} refuses: {why}")));
        }
        Ok(Err(_)) | Err(_) => return Err(away()),
    }
    let lost = |why: String| Refusal::Unreachable(format!("the gateway {gateway}{why}"));
    let arrived = timeout(ARRIVES, awaited.arrived()).await;
    let (mut stream, early, place) =
        arrived.ok().flatten().ok_or_else(|| lost(" does not reach this hub".to_owned()))?;
    if !early.is_empty() {
        return Err(lost(" speaks before it is asked".to_owned()));
    }
    let until = Instant::now() + ANSWERS;
    let sent = async {
        stream.write_all(&head).await?;
        stream.write_all(body).await?;
        stream.flush().await
    };
    let late = || Refusal::TargetTimeout(format!("the gateway {gateway} does not answer"));
    let sent = timeout_at(until, sent).await.map_err(|_| late())?;
    sent.map_err(|error| lost(format!(": {error}")))?;
    let answer = timeout_at(until, Answer::read(stream)).await.map_err(|_| late())?;
    Ok((answer.map_err(lost)?, place))
}

/// What the hub says about whoever asks.
fn assertion(
    hub: &Open,
    gateway: &str,
    instance: &str,
    asker: &Asker,
    visitor: &Visitor,
) -> Assertion {
    let Asker { principal, visit, rights } = asker;
    let now = unix_now();
    let mut table = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (pattern, rights) in &rights.0 {
        let words = table.entry(pattern.clone()).or_default();
        words.extend(rights.words().into_iter().map(str::to_owned));
    }
    let id = &principal.id;
    Assertion {
        hub: hub.rules.name.clone(),
        gateway: gateway.to_owned(),
        instance: instance.to_owned(),
        who: match id.kind {
            PrincipalKind::User
            | PrincipalKind::Identity
            | PrincipalKind::Open
            | PrincipalKind::Local => id.name.clone(),
            PrincipalKind::Token
            | PrincipalKind::Certificate
            | PrincipalKind::Grant
            | PrincipalKind::Link => format!("{}:{}", id.kind.word(), id.name),
        },
        rights: table,
        client: visitor.client.ip(),
        page: match visit.page {
            AllowedOrigin::Own => AssertedPage::Own,
            AllowedOrigin::Listed | AllowedOrigin::App => AssertedPage::Listed,
            AllowedOrigin::None => AssertedPage::None,
        },
        auth_time: principal.auth_time,
        issued: now,
        expires: now + ASSERTION_LIFE,
        id: random_key(),
    }
}

/// Lets a page in only to tell it why it is refused.
fn turned_away(
    visitor: &Visitor,
    headers: &HeaderMap,
    accept: &str,
    refusal: Refusal,
) -> Result<Response<Body>, Refusal> {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offer = negotiate(offers.map(|it| it.to_str().unwrap_or_default()), Spoken::Any);
    let (Ok(offer), Some(upgraded)) = (offer, visitor.connection.take_stream()) else {
        return Err(refusal);
    };
    // Between client and gateway, not between gateway and device: whoever resumes goes on trying.
    let ended = if let Refusal::Unreachable(why) | Refusal::TargetTimeout(why) = refusal {
        Ended::Away(why)
    } else {
        told(refusal)
    };
    let held = Arc::clone(&visitor.connection);
    visitor.bridge.tasks.spawn(async move {
        turn_away(upgraded, &ended).await;
        drop(held);
    });
    Ok(switch(accept, offer.answer.as_ref().map(Protocol::name)))
}

/// An answer that is no WebSocket, as it comes.
fn back(
    bridge: &Bridge,
    mut answer: Answer<Stream>,
    place: Box<dyn std::any::Any + Send>,
) -> Result<Response<Body>, Refusal> {
    let status = StatusCode::from_u16(answer.status).ok().filter(|it| !it.is_informational());
    let status =
        status.ok_or_else(|| Refusal::Unreachable("the gateway's answer makes no sense".into()))?;
    let fields: Vec<_> = PASSED_BACK
        .iter()
        .filter_map(|name| {
            let value = HeaderValue::from_str(answer.field(name)?).ok()?;
            Some((HeaderName::from_static(name), value))
        })
        .collect();
    let length = answer.field("content-length").and_then(|it| HeaderValue::from_str(it).ok());
    let (pieces, comes) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    bridge.tasks.spawn(async move {
        loop {
            let piece = tokio::select! {
                piece = answer.piece() => piece,
                () = pieces.closed() => break,
            };
            let piece = match piece {
                Ok(Some(piece)) => Ok(Bytes::from(piece)),
                Ok(None) => break,
                Err(why) => Err(std::io::Error::other(format!("the gateway{why}"))),
            };
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        drop(place);
    });
    let stream = futures_util::stream::unfold(comes, |mut comes| async move {
        comes.recv().await.map(|piece| (piece, comes))
    });
    let mut response = Response::new(Body::from_stream(stream));
    *response.status_mut() = status;
    response.headers_mut().extend(fields);
    response.headers_mut().extend(length.map(|length| (header::CONTENT_LENGTH, length)));
    Ok(response)
}
