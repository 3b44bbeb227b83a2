//! A hub's HTTP: what its gateways ask, and what people ask of gateways.

mod control;
mod enrol;
mod link;
mod manage;
mod relay;
mod splice;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use super::{
    Bridge,
    disk::blocking,
    pages,
    visitor::{Visitor, page},
};
use crate::{auth::unix_now, fleet::Open, tls::gateway_name, wire::close::Refusal};

/// What a gateway's connection to its hub reaches, and nothing else does.
pub(super) fn of_gateways() -> Router {
    Router::new()
        .route("/home", get(page(control::home)))
        .route("/home/enrol", post(page(enrol::enrol)))
        .route("/home/renew", post(page(enrol::renew)))
        .route("/link/{key}", get(page(link::link)))
        .fallback(page(pages::nothing))
        .method_not_allowed_fallback(page(pages::wrong_method))
}

/// Adds what people and commands ask a hub.
pub(super) fn of_people(router: Router) -> Router {
    router
        .route("/g/{gateway}", get(page(relay::slash)))
        .route("/g/{gateway}/", get(page(relay::below)))
        .route("/g/{gateway}/{*rest}", get(page(relay::below)).post(page(relay::below)))
        .route("/ws/{gateway}/", get(page(relay::bus)))
        .route("/ws/{gateway}/{endpoint}", get(page(relay::line)))
        .route("/api/fleet", get(page(manage::fleet)))
        .route("/api/fleet/{gateway}/revoke", post(page(manage::revoke)))
        .route("/api/fleet/{gateway}/clear", post(page(manage::clear)))
        .route("/api/home", get(page(manage::home)).post(page(manage::look)))
        .route("/api/hub", get(page(manage::hub)))
        .route("/api/hub/tokens", get(page(manage::tokens)).post(page(manage::new_token)))
        .route("/api/hub/tokens/{id}/end", post(page(manage::end_token)))
}

/// The hub, if this daemon is one.
fn open(bridge: &Bridge) -> Result<&Open, Refusal> {
    bridge.hub.get().ok_or(Refusal::NotFound)
}

/// Has the hub do what waits for the disk.
async fn kept<T: Send + 'static>(
    bridge: &Arc<Bridge>,
    work: impl FnOnce(&Open) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let bridge = Arc::clone(bridge);
    blocking(move || open(&bridge).map(work)).await?
}

/// Whose certificate a gateway's connection has shown, if that still lets it in.
fn gateway_of(visitor: &Visitor) -> Result<String, Refusal> {
    let hub = open(&visitor.bridge)?;
    let certificate = visitor.connection.peer.certificate.as_ref();
    let certificate = certificate.filter(|it| it.until >= unix_now());
    let found = certificate.and_then(|it| Some((gateway_name(&it.names)?, &it.sha256)));
    let (name, sha256) = found.ok_or(Refusal::Unauthorized)?;
    if !hub.register.knows(name, sha256) {
        return Err(Refusal::Unauthorized);
    }
    // The gateway counts no longer as a stranger.
    if !visitor.connection.signed_in(false) {
        return Err(Refusal::TooMany(super::visitor::NO_PLACE_WAIT));
    }
    Ok(name.to_owned())
}
