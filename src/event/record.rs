//! Events as lines of the record: who, from where, on what, and what else there is to say.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value, json};

use super::{
    Event, SessionInfo, Traffic, fleet, lending,
    named::{detail, name},
    second_factor,
};
use crate::{
    audit::Entry,
    auth::{ClientAddress, PrincipalId},
    config::Config,
    record::RecordNews,
    settings::{Levels, Step},
};

/// Steps of a sequence that the record names.
const STEPS_MAX: usize = 16;

/// What can come many times a second: one line for each second, and how many more there were.
/// Refusals, which strangers can cause, are those of no endpoint; the others are signals.
#[derive(Debug, Default)]
pub(super) struct Frequent(Mutex<BTreeMap<String, Coalesced>>);

#[derive(Debug, Default)]
struct Coalesced {
    second: i64,
    more: u64,
}

impl Frequent {
    /// Whether another one is recorded now, with how many were not since the last.
    fn enter(&self, endpoint: &str, second: i64) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = all.entry(endpoint.to_owned()).or_default();
        if last.second == second {
            last.more += 1;
            return None;
        }
        last.second = second;
        Some(std::mem::take(&mut last.more))
    }
}

/// What the record says of an event; `None`: nothing now.
pub(super) fn entry(event: &Event<'_>, frequent: &Frequent) -> Option<Entry> {
    let at = jiff::Timestamp::now();
    let said = match *event {
        Event::SignIn { principal, client } => by("sign_in", principal, client),
        Event::SignOut { principal, client } => by("sign_out", principal, client),
        Event::LetIn { principal, origin, endpoints, client } => Entry {
            detail: detail(json!({ "origin": origin, "endpoints": endpoints })),
            ..by("let_in", principal, client)
        },
        Event::Refusal { client, request, refusal } => {
            let more = frequent.enter("", at.as_second())?;
            let said = json!({
                "request": request, "status": refusal.status(), "reason": refusal.label(),
            });
            let detail = with_more(detail(said), more);
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
        Event::SecondFactor(event) => second_factor::entry(event),
        Event::Fleet { gateway, event } => fleet::entry(gateway, event),
        Event::Record { endpoint, news } => recorded(endpoint, news),
        Event::Switch { on, why } => key_switch(on, why),
        Event::Settings { endpoint, by, settings } => {
            port("settings", (endpoint, by), json!({ "settings": settings.to_string() }))
        }
        Event::Signals { endpoint, by, steps, name } => {
            let more = frequent.enter(endpoint, at.as_second())?;
            signals((endpoint, by), (steps, name), more)
        }
        Event::Witness { news } => witness(news),
        Event::Reload { outcome, config } => reloaded(outcome, config),
    };
    Some(Entry { at, ..said })
}

/// The line that announces a new key, without what that says.
pub(super) fn rotation(by: &PrincipalId, client: ClientAddress) -> Entry {
    Entry { at: jiff::Timestamp::now(), ..self::by("key", by, client) }
}

/// How the lines moved: `dtr on rts off, break on`.
pub(super) fn moved(steps: &[Step]) -> String {
    let words = |change: &Levels| {
        let lines = [("dtr", change.dtr), ("rts", change.rts), ("break", change.brk)];
        let set = lines.into_iter().filter_map(|(line, level)| Some((line, level?)));
        let set = set.map(|(line, on)| format!("{line} {}", if on { "on" } else { "off" }));
        set.collect::<Vec<_>>().join(" ")
    };
    let steps = steps.iter().map(|step| words(&step.change)).filter(|step| !step.is_empty());
    let mut told: Vec<_> = steps.take(STEPS_MAX + 1).collect();
    if let Some(rest) = told.get_mut(STEPS_MAX) {
        "...".clone_into(rest);
    }
    told.join(", ")
}

/// Adds how many of the kind were not recorded.
fn with_more(mut detail: Map<String, Value>, more: u64) -> Map<String, Value> {
    if more > 0 {
        detail.insert("more".to_owned(), Value::from(more));
    }
    detail
}

fn signals(
    whose: (&str, &PrincipalId),
    (steps, name): (&[Step], Option<&str>),
    more: u64,
) -> Entry {
    let entry = port("signals", whose, json!({ "steps": moved(steps) }));
    let mut detail = with_more(entry.detail, more);
    if let Some(name) = name {
        detail.insert("macro".to_owned(), Value::from(name));
    }
    Entry { detail, ..entry }
}

fn port(what: &'static str, (endpoint, by): (&str, &PrincipalId), said: Value) -> Entry {
    let endpoint = Some(endpoint.to_owned());
    Entry { what, who: Some(name(by)), endpoint, detail: detail(said), ..Entry::default() }
}

fn reloaded(outcome: Result<&str, &str>, config: &Config) -> Entry {
    let said = match outcome {
        Ok(what) => json!({ "changed": what, "config": config.files }),
        Err(why) => json!({ "refused": why }),
    };
    Entry { what: "reload", detail: detail(said), ..Entry::default() }
}

fn witness(news: Result<(), &str>) -> Entry {
    let detail = detail(json!({ "up": news.is_ok(), "why": news.err() }));
    Entry { what: "witness", detail, ..Entry::default() }
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
