//! What of a principal's rights counts here: at an app's origin, with a pass, for an endpoint, for
//! an app.

use std::sync::Arc;

use crate::{
    auth::{PassLimit, Principal, PrincipalId, PrincipalKind, parse_origin},
    config::{App, Config, Endpoint, Origin, Rights, RightsTable},
    line::{Ghosts, Participant},
    wire::close::Refusal,
};

/// What every session needs.
pub(super) const NEEDED: Rights = Rights::READ;

/// What of somebody's rights holds at an app's origin, and in another page's frame; everywhere else
/// all of them. An app that a reload has taken away reaches nothing. A click that the page around a
/// frame has led astray takes nothing over.
pub(super) fn within(
    config: &Config,
    (app, framed): (Option<&str>, bool),
    rights: RightsTable,
) -> RightsTable {
    match app {
        None if framed => rights.without(Rights::TAKEOVER),
        None => rights,
        Some(name) => {
            config.apps.get(name).map_or_else(RightsTable::default, |app| app.limit(&rights))
        }
    }
}

/// What of somebody's rights a pass leaves that names endpoints.
pub(super) fn named(only: Option<&PassLimit>, rights: RightsTable) -> RightsTable {
    let Some(PassLimit { endpoints, once }) = only else { return rights };
    let rights = if once.is_some() { rights.without(Rights::TAKEOVER) } else { rights };
    RightsTable(endpoints.iter().map(|name| (name.clone(), rights.on(name))).collect())
}

/// Whether an app has anything for a principal.
pub(super) fn may_open(app: &App, principal: &Principal) -> bool {
    app.endpoints.iter().any(|name| principal.rights.on(name).allows(Rights::READ))
}

/// A principal as one of those on an endpoint's line.
pub(super) fn participant(config: &Config, principal: &Principal, endpoint: &str) -> Participant {
    let PrincipalId { kind, name } = &principal.id;
    let is_shared = || config.access.tokens.get(name).is_some_and(|token| token.shared);
    let ghosts = match kind {
        // Everybody who looks at a page of another site comes by its server's one principal.
        _ if principal.one_session().is_some() => Ghosts::Never,
        PrincipalKind::Token if is_shared() => Ghosts::Never,
        PrincipalKind::User | PrincipalKind::Token | PrincipalKind::Certificate => Ghosts::Silent,
        PrincipalKind::Open => Ghosts::Away,
    };
    Participant { principal: principal.id.clone(), rights: principal.rights.on(endpoint), ghosts }
}

/// The endpoint, to a principal with `rights` on that name. Who has none cannot tell an unknown
/// name from a forbidden one.
pub(super) fn find_endpoint(
    config: &Config,
    rights: Rights,
    name: &str,
) -> Result<Arc<Endpoint>, Refusal> {
    if !rights.allows(Rights::READ) {
        return Err(Refusal::Forbidden);
    }
    config.endpoints.get(name).cloned().ok_or(Refusal::NotFound)
}

/// The origin of that text, if its pages may show ours in a frame.
pub(super) fn ancestor_of(config: &Config, text: &str) -> Result<Origin, Refusal> {
    parse_origin(text).filter(|origin| config.frame_ancestors.contains(origin)).ok_or(
        Refusal::BadRequest(
            "that page is none of `frame_ancestors:` in the gateway's configuration",
        ),
    )
}
