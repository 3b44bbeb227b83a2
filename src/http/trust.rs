//! The authority of the gateway's own certificate: for devices that should trust it, and what those
//! who can replace it need to know.

use axum::{body::Body, extract::Request, http::Response};
use serde_json::{Value, json};

use super::{Bridge, pages::content, visitor::Visitor};
use crate::{
    auth::{Peer, own_name, unix_now},
    tls::{WantedNames, day},
    wire::close::Refusal,
};

/// `GET /ca.crt`, for everybody: the authority's certificate, on connections whose certificate it
/// issued. Whoever is about to trust it compares its fingerprint with the one the gateway itself
/// gives.
pub(super) async fn certificate(visitor: Visitor, _: Request) -> Result<Response<Body>, Refusal> {
    let Visitor { bridge, connection, .. } = &visitor;
    let authority = bridge.authority(&connection.peer).ok_or(Refusal::NotFound)?;
    Ok(content("application/x-x509-ca-cert", authority.pem()))
}

/// What the page shows about it: `null` if there is none. An administrator is told when a new one
/// is due.
pub(super) fn described(bridge: &Bridge, peer: &Peer, administrator: bool) -> Value {
    let Some(authority) = bridge.authority(peer) else { return Value::Null };
    let (sum, until) = (&authority.fingerprint, day(authority.until));
    if !administrator {
        return json!({ "sha256": sum, "until": until });
    }
    let wanted = WantedNames::new(&own_name(), &bridge.config().hosts);
    let (soon, outside) = (authority.ends_soon(unix_now()), authority.outside(&wanted));
    json!({ "sha256": sum, "until": until, "ends_soon": soon, "outside": outside })
}
