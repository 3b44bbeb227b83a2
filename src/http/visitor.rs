//! What a handler knows besides the request itself: the gateway, the connection, who asks. Refusals
//! leave here.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Body,
    extract::Request,
    handler::Handler,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse as _,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Bridge, ask, refusal,
    scope::{named, within},
};
use crate::{
    auth::{AuthRequest, ClientAddress, Peer, Principal, Slot, Source, Visit},
    config::{App, Config, Limits},
    metrics::GaugeUnit,
    stream::Stream,
    wire::close::Refusal,
};

/// The header that carries the fingerprint of the authority behind our own certificate.
const AUTHORITY_FIELD: HeaderName = HeaderName::from_static("wsbridge-authority");

/// Seconds that a client is told to wait when there is no place for it.
pub(super) const NO_PLACE_WAIT: u32 = 10;

/// The stream after a 101, and what the client sent after its handshake.
pub(super) type Upgraded = (Stream, Vec<u8>);

/// A connection, as far as its requests know about it.
#[derive(Debug)]
pub(super) struct Connection {
    /// The other end.
    pub(super) peer: Peer,
    slot: Slot,
    /// Delivers the stream once the current request has got its 101.
    upgraded: Mutex<Option<oneshot::Receiver<Upgraded>>>,
    _open: GaugeUnit,
}

impl Connection {
    /// A connection that holds this place.
    pub(super) fn new(peer: Peer, slot: Slot, open: GaugeUnit) -> Self {
        Self { peer, slot, upgraded: Mutex::default(), _open: open }
    }

    /// Notes that the current request asks for an upgrade: its handler may take the stream, which
    /// comes from the sender returned here.
    pub(super) fn offer_stream(&self) -> oneshot::Sender<Upgraded> {
        let (sender, receiver) = oneshot::channel();
        *lock(&self.upgraded) = Some(receiver);
        sender
    }

    /// Where the stream arrives when the 101 is out; `None` if the request did not ask for an
    /// upgrade.
    pub(super) fn take_stream(&self) -> Option<oneshot::Receiver<Upgraded>> {
        lock(&self.upgraded).take()
    }

    /// The connection no longer counts as a stranger's; false if the gateway is full and this is
    /// not an administrator.
    pub(super) fn signed_in(&self, administrator: bool) -> bool {
        self.slot.authenticate(administrator)
    }

    /// Cancelled when another connection has been given its place.
    pub(super) fn evicted(&self) -> CancellationToken {
        self.slot.evicted()
    }

    /// Whether it has not signed in, and gets only as much time as a stranger.
    pub(super) fn is_stranger(&self) -> bool {
        self.slot.is_stranger()
    }

    /// For a trusted proxy: counts towards that client, or towards nobody. False: the client has
    /// all the connections it may have.
    pub(super) fn speaks_for(&self, client: Option<Source>, limits: &Limits) -> bool {
        self.slot.set_client(client, limits)
    }

    /// Whether the gateway was full when it came, and it has not shown that it is an
    /// administrator's.
    fn is_reserve(&self) -> bool {
        self.slot.is_reserve()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is still needed of a request after it has been answered.
#[derive(Debug, Default)]
pub(super) struct RequestSummary {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    /// Our page says that it is inside another page's frame.
    pub(super) framed: bool,
}

impl RequestSummary {
    /// Summarises a request.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let framed = query.split('&').any(|pair| matches!(pair, "framed" | "framed="));
        Self { method: request.method().clone(), path, headers: request.headers().clone(), framed }
    }
}

/// What a handler knows besides the request.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) bridge: Arc<Bridge>,
    pub(super) connection: Arc<Connection>,
    /// Whoever asks.
    pub(super) client: ClientAddress,
    pub(super) asked: Arc<RequestSummary>,
}

impl Visitor {
    /// The response to a request: what its handler made, or why there is none. An `entrance` is
    /// also for strangers whose connection came when the gateway was full.
    pub(super) fn conclude(
        &self,
        made: Result<Response<Body>, Refusal>,
        entrance: bool,
    ) -> Response<Body> {
        // The gateway is full, and this was not an administrator: that takes precedence over
        // whatever else there is to say.
        let full = !entrance && self.connection.is_reserve();
        let made = if full { Err(Refusal::TooMany(NO_PLACE_WAIT)) } else { made };
        let mut response = made.unwrap_or_else(|refusal| {
            let RequestSummary { method, path, headers, .. } = &*self.asked;
            self.bridge.refused(self.client, &format!("{method} {path}"), &refusal);
            let browser = ["origin", "sec-fetch-mode", "x-requested-with"]
                .iter()
                .any(|name| headers.contains_key(*name));
            let mut response = refusal::response(&refusal, browser);
            // Our page asks this before anybody has signed in: it is what the form shows.
            if matches!(refusal, Refusal::Unauthorized) && path == "/api/session" {
                let authority = self.bridge.authority(&self.connection.peer);
                let sum = authority.and_then(|it| HeaderValue::from_str(&it.fingerprint).ok());
                response.headers_mut().extend(sum.map(|sum| (AUTHORITY_FIELD, sum)));
            }
            response
        });
        if full {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The app whose listener the request came to.
    pub(super) fn app(&self, config: &Config) -> Result<Arc<App>, Refusal> {
        let name = self.connection.peer.app.as_deref().ok_or(Refusal::NotFound)?;
        config.apps.get(name).cloned().ok_or(Refusal::NotFound)
    }

    /// Checks Host and Origin.
    pub(super) fn check_page(
        &self,
        config: &Config,
        ask: &AuthRequest<'_>,
    ) -> Result<Visit, Refusal> {
        self.bridge.auth.check_page(config, &self.connection.peer, ask)
    }

    /// Checks Host, Origin and credentials; after that the connection no longer counts as a
    /// stranger's.
    pub(super) async fn authorise(
        &self,
        ask: &AuthRequest<'_>,
    ) -> Result<(Principal, Visit), Refusal> {
        let config = self.bridge.config();
        let (auth, peer) = (&self.bridge.auth, &self.connection.peer);
        let visit = self.check_page(&config, ask)?;
        let proxy = ask::proxy_word(&self.asked.headers, &config.trusted_proxies);
        let ask = &AuthRequest { proxy, ..ask.clone() };
        let principal = auth.check_credentials(&config, peer, ask, &visit).await?;
        let rights = within(&config, (peer.app.as_deref(), self.asked.framed), principal.rights);
        let rights = named(principal.only.as_ref(), rights);
        let principal = Principal { rights, ..principal };
        if !self.connection.signed_in(principal.is_administrator()) {
            return Err(Refusal::TooMany(NO_PLACE_WAIT));
        }
        Ok((principal, visit))
    }
}

/// A page: a handler that answers or refuses.
#[derive(Clone, Debug)]
pub(super) struct PageHandler<F> {
    handler: F,
    entrance: bool,
}

/// An ordinary page.
pub(super) fn page<F>(handler: F) -> PageHandler<F> {
    PageHandler { handler, entrance: false }
}

/// What a browser needs until an administrator has signed in: served even when the gateway is full.
pub(super) fn entrance<F>(handler: F) -> PageHandler<F> {
    PageHandler { handler, entrance: true }
}

impl<F, A> Handler<(), ()> for PageHandler<F>
where
    F: Fn(Visitor, Request) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response<Body>, Refusal>> + Send + 'static,
{
    type Future = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

    fn call(self, mut request: Request, (): ()) -> Self::Future {
        let Some(visitor) = request.extensions_mut().remove::<Visitor>() else {
            // Every request is given one before it is routed.
            let lost = StatusCode::INTERNAL_SERVER_ERROR.into_response();
            return Box::pin(std::future::ready(lost));
        };
        Box::pin(async move {
            let made = (self.handler)(visitor.clone(), request).await;
            visitor.conclude(made, self.entrance)
        })
    }
}
