//! A link that a gateway has dialled: its stream goes to whoever awaits it.

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Request},
    http::{HeaderValue, Response, StatusCode, header},
};

use super::{
    super::{ask, visitor::Visitor},
    gateway_of, open,
};
use crate::wire::{close::Refusal, home::LINK_UPGRADE};

/// `GET /link/KEY`, `Upgrade: wsbridge-link`. After the 101 this side sends the request.
pub(super) async fn link(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let unread = |_| Refusal::BadRequest("the link's key is not UTF-8");
    let Path(key): Path<String> = request.extract_parts().await.map_err(unread)?;
    let request = ask::bare(request);
    let gateway = gateway_of(&visitor)?;
    let is_link = ask::text(request.headers(), "upgrade")
        .is_some_and(|word| word.eq_ignore_ascii_case(LINK_UPGRADE));
    if !is_link {
        return Err(Refusal::NotUpgrade);
    }
    // What is not awaited, or is another gateway's, is not there.
    let bring = open(&visitor.bridge)?.links.take(&gateway, &key).ok_or(Refusal::NotFound)?;
    let upgraded = visitor.connection.take_stream().ok_or(Refusal::NotUpgrade)?;
    let held = std::sync::Arc::clone(&visitor.connection);
    visitor.bridge.tasks.spawn(async move {
        if let Ok(arrived) = upgraded.await {
            // Nobody awaits it any more: then it ends here.
            let _ = bring.send((arrived.0, arrived.1, Box::new(held)));
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static(LINK_UPGRADE));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    Ok(response)
}
