//! Which of a principal's rights count here: at an app's origin, with a pass, for an endpoint, for
//! an app.

use std::sync::Arc;

use crate::{
    auth::{
        PassLimit, Principal, PrincipalId, PrincipalKind, Request, RequestState, parse_origin,
        unix_now,
    },
    config::{App, Config, Endpoint, Origin, Rights, RightsTable},
    line::{Ghosts, Participant},
    wire::close::Refusal,
};

/// What every session needs.
pub(super) const NEEDED: Rights = Rights::READ;

/// Which rights count at an app's origin, and in another page's frame; everywhere else they all do.
/// An app that a reload has removed reaches nothing. In a frame nothing can be taken over, since
/// the page around it may have led the click astray.
pub(super) fn within(
    config: &Config,
    (app, framed): (Option<&str>, bool),
    rights: RightsTable,
) -> RightsTable {
    match app {
        None if framed => rights.without(Rights::TAKEOVER.with(Rights::OVER_OTHERS)),
        None => rights,
        Some(name) => {
            let app = config.apps.get(name);
            app.map_or_else(RightsTable::default, |app| app.limit(&rights))
                .without(Rights::OVER_OTHERS)
        }
    }
}

/// Which rights remain with a pass that names endpoints.
pub(super) fn named(only: Option<&PassLimit>, rights: RightsTable) -> RightsTable {
    let Some(PassLimit { endpoints, once }) = only else { return rights };
    let rights = rights.without(Rights::OVER_OTHERS);
    let rights = if once.is_some() { rights.without(Rights::TAKEOVER) } else { rights };
    RightsTable(endpoints.iter().map(|name| (name.clone(), rights.on(name))).collect())
}

/// Whether an app has anything for a principal.
pub(super) fn may_open(app: &App, principal: &Principal) -> bool {
    app.endpoints.iter().any(|name| principal.rights.on(name).allows(Rights::READ))
}

/// Whether somebody may decide on a request at all: not on his own.
pub(super) fn may_decide(principal: &Principal, request: &Request) -> bool {
    request.by.0 != principal.id && principal.rights.on(&request.endpoint).allows(Rights::APPROVE)
}

/// Whether somebody may decide on a request, and has not yet.
pub(super) fn decides(principal: &Principal, request: &Request) -> bool {
    let open = request.state == RequestState::Pending;
    let said = request.approved.iter().any(|whose| whose.0 == principal.id);
    open && !said && may_decide(principal, request)
}

/// A principal as a participant on an endpoint's line.
pub(super) fn participant(config: &Config, principal: &Principal, endpoint: &str) -> Participant {
    let PrincipalId { kind, name } = &principal.id;
    let is_shared = || config.access.tokens.get(name).is_some_and(|token| token.shared);
    let ghosts = match kind {
        // Everybody who looks at another site's page comes in with the one principal of its server.
        _ if principal.one_session().is_some() => Ghosts::Never,
        PrincipalKind::Token if is_shared() => Ghosts::Never,
        // More than one person may be on this machine.
        PrincipalKind::Local => Ghosts::Never,
        PrincipalKind::User
        | PrincipalKind::Token
        | PrincipalKind::Certificate
        | PrincipalKind::Identity
        | PrincipalKind::Grant
        | PrincipalKind::Link => Ghosts::Silent,
        PrincipalKind::Open => Ghosts::Away,
    };
    let granted = principal.rights.on(endpoint);
    let found = config.endpoints.get(endpoint);
    let fresh = found.is_none_or(|it| is_fresh(it, *kind, principal.auth_time));
    let rights = if fresh { granted } else { granted.only(Rights::READ) };
    Participant { principal: principal.id.clone(), rights, granted, ghosts }
}

/// Whether somebody who proved at that time who he is may write on an endpoint.
pub(super) fn is_fresh(endpoint: &Endpoint, kind: PrincipalKind, auth_time: Option<i64>) -> bool {
    // Where nobody signs in, there is nothing to do again.
    let Some(limit) = endpoint.reauth else { return true };
    if matches!(kind, PrincipalKind::Open | PrincipalKind::Local) {
        return true;
    }
    let limit = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    auth_time.is_some_and(|moment| unix_now().saturating_sub(moment) < limit)
}

/// Refuses somebody who lends or decides on access to these endpoints, and has not signed in lately
/// enough to write there.
pub(super) fn need_fresh(
    config: &Config,
    principal: &Principal,
    names: &[String],
) -> Result<(), Refusal> {
    let endpoints = names.iter().filter_map(|name| config.endpoints.get(name));
    let mut stale = endpoints.filter(|it| !is_fresh(it, principal.id.kind, principal.auth_time));
    match stale.next() {
        None => Ok(()),
        Some(endpoint) => Err(Refusal::NotLent(format!(
            "{} has `reauth`: sign in again to lend or decide on access there",
            endpoint.name
        ))),
    }
}

/// The endpoint, for a principal with `rights` on that name. Without rights, an unknown name and a
/// forbidden one look the same.
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

/// That origin, if its pages may show ours in a frame.
pub(super) fn ancestor_of(config: &Config, text: &str) -> Result<Origin, Refusal> {
    parse_origin(text).filter(|origin| config.frame_ancestors.contains(origin)).ok_or(
        Refusal::BadRequest(
            "that page is none of `frame_ancestors:` in the gateway's configuration",
        ),
    )
}
