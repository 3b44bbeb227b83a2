//! Events as lines of the record: who, from where, on what, and what else there is to say.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{
    Event, SessionInfo, Traffic, lending,
    named::{detail, name},
};
use crate::{
    audit::Entry,
    auth::{ClientAddress, PrincipalId},
    record::RecordNews,
};

/// Refusals of the same second: one line, and how many more there were. Strangers can cause these.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Coalesced>);

#[derive(Debug, Default)]
struct Coalesced {
    second: i64,
    more: u64,
}

impl Refusals {
    /// Whether another one is recorded now, with how many were not since the last.
    fn enter(&self, second: i64) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.second == second {
            last.more += 1;
            return None;
        }
        last.second = second;
        Some(std::mem::take(&mut last.more))
    }
}

/// What the record says of an event; `None`: nothing now.
pub(super) fn entry(event: &Event<'_>, refusals: &Refusals) -> Option<Entry> {
    let at = jiff::Timestamp::now();
    let said = match *event {
        Event::SignIn { principal, client } => by("sign_in", principal, client),
        Event::SignOut { principal, client } => by("sign_out", principal, client),
        Event::LetIn { principal, origin, endpoints, client } => Entry {
            detail: detail(json!({ "origin": origin, "endpoints": endpoints })),
            ..by("let_in", principal, client)
        },
        Event::Refusal { client, request, refusal } => {
            let more = refusals.enter(at.as_second())?;
            let mut detail = detail(json!({
                "request": request, "status": refusal.status(), "reason": refusal.label(),
            }));
            if more > 0 {
                detail.insert("more".to_owned(), Value::from(more));
            }
            Entry { what: "refused", peer: Some(client.to_string()), detail, ..Entry::default() }
        }
        Event::Open(session) => of("open", session),
        Event::Close { session, traffic, ended, lasted } => {
            let Traffic { to_client, to_target, lost_to_client, lost_to_target } = traffic;
            let detail = detail(json!({
                "to_client": to_client, "to_target": to_target,
                "lost_to_client": lost_to_client, "lost_to_target": lost_to_target,
                "code": ended.code(), "reason": ended.to_string(),
                "lasted": lasted.as_secs_f64(),
            }));
            Entry { detail, ..of("close", session) }
        }
        Event::Kick { by, session, reason } => {
            let mut detail = detail(json!({ "by": name(by) }));
            if let Some(reason) = reason {
                detail.insert("reason".to_owned(), reason.into());
            }
            Entry { detail, ..of("kick", session) }
        }
        Event::Hold { by, session, held } => {
            Entry { detail: detail(json!({ "by": name(by), "held": held })), ..of("hold", session) }
        }
        Event::Say { by: who, client, endpoint, text, told } => Entry {
            endpoint: Some(endpoint.to_owned()),
            detail: detail(json!({ "text": text, "told": told })),
            ..by("say", who, client)
        },
        Event::Lease { endpoint, holder, reason } => Entry {
            what: "lease",
            who: holder.map(name),
            endpoint: Some(endpoint.to_owned()),
            detail: detail(json!({ "reason": reason })),
            ..Entry::default()
        },
        Event::DeadMan { .. } => dead_man(event),
        Event::Lending(event) => lending::entry(event),
        Event::Record { endpoint, news } => recorded(endpoint, news),
        Event::Switch { on, why } => key_switch(on, why),
        Event::Reload { outcome } => {
            let (key, text) = match outcome {
                Ok(what) => ("changed", what),
                Err(why) => ("refused", why),
            };
            Entry { what: "reload", detail: detail(json!({ key: text })), ..Entry::default() }
        }
    };
    Some(Entry { at, ..said })
}

fn key_switch(on: bool, why: &str) -> Entry {
    let detail = detail(json!({ "on": on, "why": why }));
    Entry { what: "switch", detail, ..Entry::default() }
}

fn dead_man(event: &Event<'_>) -> Entry {
    let Event::DeadMan { endpoint, who, why, steps: (done, of), undone } = *event else {
        return Entry::default();
    };
    let mut detail = detail(json!({ "why": why, "done": done, "of": of }));
    if let Some(undone) = undone {
        detail.insert("undone".to_owned(), Value::from(undone));
    }
    Entry {
        what: "dead_man",
        who: Some(name(who)),
        endpoint: Some(endpoint.to_owned()),
        detail,
        ..Entry::default()
    }
}

fn recorded(endpoint: &str, news: RecordNews<'_>) -> Entry {
    let (what, key, text) = match news {
        RecordNews::Started(file) => ("record_started", "file", file),
        RecordNews::Rotated(file) => ("record_rotated", "file", file),
        RecordNews::Failed(why) => ("record_failed", "why", why),
    };
    let endpoint = Some(endpoint.to_owned());
    Entry { what, endpoint, detail: detail(json!({ key: text })), ..Entry::default() }
}

fn by(what: &'static str, principal: &PrincipalId, client: ClientAddress) -> Entry {
    Entry { what, who: Some(name(principal)), peer: Some(client.to_string()), ..Entry::default() }
}

fn of(what: &'static str, session: SessionInfo<'_>) -> Entry {
    let SessionInfo { number, endpoint, principal, client } = session;
    Entry {
        endpoint: Some(endpoint.to_owned()).filter(|name| !name.is_empty()),
        session: Some(number),
        ..by(what, principal, client)
    }
}
