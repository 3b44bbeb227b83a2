//! What a request proves besides who it is from: the origin that would be ours, and whether a browser
//! may have sent it by itself.

use super::{
    AuthRequest, Authority, PresentedCredential, Principal, PrincipalKind, Purpose, View, Visit,
    default_port, origin::Proof, signing,
};
use crate::config::Origin;

/// Our own origin as the client sees it.
pub(super) fn own_origin(view: &View) -> Option<Origin> {
    let authority = Authority::parse(&view.host)?;
    let scheme = if view.tls { "https" } else { "http" };
    let port = authority.port.unwrap_or_else(|| default_port(scheme));
    Some(Origin { scheme: scheme.to_owned(), host: authority.host, port })
}

/// What came instead of an Origin.
pub(super) fn proof(ask: &AuthRequest<'_>, visit: &Visit, principal: &Principal) -> Proof {
    match (&ask.shown, principal.id.kind) {
        (PresentedCredential::Bearer(_) | PresentedCredential::Ticket(_), _)
        | (_, PrincipalKind::Local) => Proof::Deliberate,
        (
            _,
            PrincipalKind::User
            | PrincipalKind::Token
            | PrincipalKind::Certificate
            | PrincipalKind::Identity
            | PrincipalKind::Grant
            | PrincipalKind::Link,
        ) => Proof::Automatic,
        (_, PrincipalKind::Open) if visit.view.here => Proof::OpenHere,
        (_, PrincipalKind::Open) => Proof::OpenElsewhere,
    }
}

/// Whether only a browser would send this: a cookie of ours (other programs on this host have
/// cookies, too, and scripts keep them), or Sec-Fetch-*. WebSocket clients of Node.js send
/// Sec-Fetch-Mode with a handshake; browsers send Origin with each (RFC 6455 section 4.1).
pub(super) fn is_browser(ask: &AuthRequest<'_>, view: &View) -> bool {
    signing::has_cookie(ask.cookie, view)
        || ask.signs.site.is_some()
        || (ask.purpose != Purpose::Upgrade && ask.signs.mode.is_some())
}
