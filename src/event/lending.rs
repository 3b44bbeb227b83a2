//! What is told of lending access: to the log and to the record.

use serde_json::{Value, json};

use super::named::{detail, name};
use crate::{
    audit::Entry,
    auth::{ClientAddress, EndOfGrant, Grant, PrincipalId, Receiver, Request},
};

/// Something about access that is lent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LendingEvent<'a> {
    /// Access was lent, used, or is over.
    Grant {
        deed: GrantDeed,
        /// Who did it; nobody when it ended by itself.
        by: Option<&'a PrincipalId>,
        grant: &'a Grant,
        client: Option<ClientAddress>,
    },
    /// Access was asked for, or that was decided: its state says which.
    Request {
        /// Who did it; nobody when it was not decided in time.
        by: Option<&'a PrincipalId>,
        request: &'a Request,
        client: Option<ClientAddress>,
    },
    /// The clock was set, by this many seconds.
    ClockSet { seconds: i64 },
    /// Somebody said that the clock is right although it was later before.
    ClockAccepted { by: &'a PrincipalId },
}

/// What became of a grant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GrantDeed {
    /// Somebody lent it.
    Given,
    /// It was exchanged for a sign-in, of a browser or of a program.
    Used { program: bool },
    /// It is over.
    Over(EndOfGrant),
}

/// Logs it.
pub(super) fn log(event: LendingEvent<'_>) {
    match event {
        LendingEvent::Grant { deed, by, grant, client } => log_grant(deed, by, (grant, client)),
        LendingEvent::Request { by, request, .. } => {
            let by = by.map(|by| by.name.as_str());
            let (id, endpoint) = (request.id.as_str(), request.endpoint.as_str());
            let state = request.state.word();
            tracing::info!(request = id, endpoint, by, state, "request for access");
        }
        LendingEvent::ClockSet { seconds } => tracing::info!(seconds, "the clock was set"),
        LendingEvent::ClockAccepted { by } => {
            tracing::warn!(by = by.name, "the clock is accepted, although it was later before");
        }
    }
}

fn log_grant(
    deed: GrantDeed,
    by: Option<&PrincipalId>,
    (grant, client): (&Grant, Option<ClientAddress>),
) {
    let by = by.map(|by| by.name.as_str());
    let peer = client.map(|client| client.to_string());
    let (grant, endpoint) = (grant.id.as_str(), grant.endpoint.as_str());
    match deed {
        GrantDeed::Given => tracing::info!(grant, endpoint, by, "access lent"),
        GrantDeed::Used { program } => {
            tracing::info!(grant, endpoint, program, peer, "lent access used");
        }
        GrantDeed::Over(why) => {
            tracing::info!(grant, endpoint, by, why = why.word(), "lent access over");
        }
    }
}

/// Its line of the record.
pub(super) fn entry(event: LendingEvent<'_>) -> Entry {
    match event {
        LendingEvent::Grant { deed, by, grant, client } => lent(deed, by, grant, client),
        LendingEvent::Request { by, request, client } => asked(by, request, client),
        LendingEvent::ClockSet { seconds } => {
            let detail = detail(json!({ "seconds": seconds }));
            Entry { what: "clock_step", detail, ..Entry::default() }
        }
        LendingEvent::ClockAccepted { by } => {
            Entry { what: "clock_accepted", who: Some(name(by)), ..Entry::default() }
        }
    }
}

fn lent(
    deed: GrantDeed,
    by: Option<&PrincipalId>,
    grant: &Grant,
    client: Option<ClientAddress>,
) -> Entry {
    let (what, said) = match deed {
        GrantDeed::Given => {
            let to = match &grant.to {
                Receiver::Bearer { .. } => None,
                Receiver::Asker(whose) => Some(name(&whose.0)),
            };
            let said = json!({
                "rights": grant.rights.words(), "from": grant.from, "until": grant.until,
                "uses": grant.uses_left(), "reason": grant.reason, "to": to,
                "by": grant.by.iter().map(|whose| name(&whose.0)).collect::<Vec<_>>(),
            });
            ("grant_given", said)
        }
        GrantDeed::Used { program } => ("grant_used", json!({ "program": program })),
        GrantDeed::Over(why) => ("grant_over", json!({ "why": why.word() })),
    };
    let mut detail = detail(said);
    detail.insert("grant".to_owned(), Value::from(grant.id.as_str()));
    Entry {
        what,
        who: by.map(name),
        peer: client.map(|client| client.to_string()),
        endpoint: Some(grant.endpoint.clone()),
        detail,
        ..Entry::default()
    }
}

fn asked(by: Option<&PrincipalId>, request: &Request, client: Option<ClientAddress>) -> Entry {
    let said = json!({
        "request": request.id, "state": request.state.word(), "of": name(&request.by.0),
        "rights": request.rights.words(), "seconds": request.seconds, "reason": request.reason,
        "approved": request.approved.iter().map(|whose| name(&whose.0)).collect::<Vec<_>>(),
        "grant": request.grant, "answer": request.answer,
    });
    Entry {
        what: "request",
        who: by.map(name),
        peer: client.map(|client| client.to_string()),
        endpoint: Some(request.endpoint.clone()),
        detail: detail(said),
        ..Entry::default()
    }
}
