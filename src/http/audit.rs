//! The record of who did what, for those who watch over sessions.

use std::{io, path::PathBuf, sync::Arc};

use axum::{
    body::Body,
    extract::{Query, Request},
    http::{HeaderValue, Response, header},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Bridge, ask, disk::blocking, download::streamed, pages::content, visitor::Visitor};
use crate::{
    audit::{self, Place, Verified},
    auth::{PrincipalKind, Purpose},
    config::{Rights, RightsTable},
    wire::close::Refusal,
};

/// Lines of a page, unless it says how many, and at most.
const LINES: (usize, usize) = (100, 500);
/// One at a time reads the whole record.
static VERIFYING: Semaphore = Semaphore::const_new(1);

/// What is asked of the record.
#[derive(Default, Deserialize)]
struct Wish {
    /// Only lines of this endpoint.
    endpoint: Option<String>,
    /// Only lines with this in their `who`.
    who: Option<String>,
    /// Only these events, with commas between them.
    ev: Option<String>,
    /// Only lines from this time on.
    from: Option<String>,
    /// Only lines before this time.
    to: Option<String>,
    /// Only lines older than those of the page that gave this.
    before: Option<String>,
    /// How many lines.
    limit: Option<usize>,
}

/// `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// What is wanted of it, as far as somebody may see it.
struct Wanted {
    rights: RightsTable,
    endpoint: Option<String>,
    who: Option<String>,
    events: Option<Vec<String>>,
    from: Option<String>,
    to: Option<String>,
}

impl Wanted {
    fn new(wish: &Wish, rights: RightsTable) -> Result<Self, Refusal> {
        let events = |text: &String| text.split(',').map(str::to_owned).collect();
        Ok(Self {
            rights,
            endpoint: wish.endpoint.clone(),
            who: wish.who.as_ref().map(|who| who.to_lowercase()),
            events: wish.ev.as_ref().map(events),
            from: moment(wish.from.as_deref())?,
            to: moment(wish.to.as_deref())?,
        })
    }

    fn has(&self, line: &Value) -> bool {
        let of = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let (endpoint, t) = (of("ep"), of("t"));
        may_see(&self.rights, endpoint)
            && self.endpoint.as_deref().is_none_or(|it| it == endpoint)
            && self.events.as_ref().is_none_or(|it| it.iter().any(|it| it == of("ev")))
            && self.from.as_deref().is_none_or(|it| it <= t)
            && self.to.as_deref().is_none_or(|it| t < it)
            && self.who.as_deref().is_none_or(|it| names(line, it))
    }
}

/// Whether somebody has to do with a line: did it, or had it done to him.
fn names(line: &Value, who: &str) -> bool {
    let fits = |value: &Value| value.as_str().is_some_and(|it| it.to_lowercase().contains(who));
    let detail = line.get("detail");
    line.get("who").is_some_and(fits)
        || ["by", "of", "to"].iter().any(|key| match detail.and_then(|it| it.get(key)) {
            Some(Value::Array(all)) => all.iter().any(fits),
            Some(one) => fits(one),
            None => false,
        })
}

/// Lines of an endpoint are for whoever watches over its sessions; the others for whoever does so
/// everywhere.
fn may_see(rights: &RightsTable, endpoint: &str) -> bool {
    rights.on(if endpoint.is_empty() { "*" } else { endpoint }).allows(Rights::SESSIONS)
}

/// A time as the record writes it, so that texts compare as times do.
fn moment(text: Option<&str>) -> Result<Option<String>, Refusal> {
    let read = text.map(str::parse::<jiff::Timestamp>).transpose();
    let wrong = |_| Refusal::BadRequest("`from` and `to` are like 2026-11-30T04:22:33Z");
    Ok(read.map_err(wrong)?.map(|it| format!("{it:.6}")))
}

/// The record's folder, for whoever may see some of it. Where none is kept there is nothing.
fn place(bridge: &Bridge, rights: &RightsTable) -> Result<PathBuf, Refusal> {
    if !rights.0.iter().any(|(_, rights)| rights.allows(Rights::SESSIONS)) {
        return Err(Refusal::Forbidden);
    }
    audit::folder(&bridge.config()).ok_or(Refusal::NotFound)
}

fn unreadable(error: &io::Error) -> Refusal {
    tracing::warn!("the record cannot be read: {error}");
    Refusal::NotFound
}

/// `GET /api/audit`: a page of it, the newest line first.
pub(super) async fn page(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let Query(wish) = Query::<Wish>::try_from_uri(request.uri()).map_err(|_| {
        Refusal::BadRequest(
            "the query is not `endpoint`, `who`, `ev`, `from`, `to`, `before`, `limit`",
        )
    })?;
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let folder = place(&visitor.bridge, &principal.rights)?;
    let whole = may_see(&principal.rights, "");
    let wanted = Wanted::new(&wish, principal.rights)?;
    let before = wish.before.as_deref().map(str::parse::<Place>).transpose();
    let before = before.map_err(|()| Refusal::BadRequest("`before` is what `older` said"))?;
    let most = wish.limit.unwrap_or(LINES.0).clamp(1, LINES.1);
    let looked = blocking(move || audit::look(&folder, before, most, |line| wanted.has(line)));
    let page = looked.await?.map_err(|error| unreadable(&error))?;
    let said = json!({
        "lines": page.lines,
        "older": page.older.map(|place| place.to_string()),
        "reached": page.reached,
        "whole": whole,
    });
    Ok(content("application/json", said.to_string()))
}

/// `GET /api/audit/verify`: whether it is whole, and up to which line that is proved.
pub(super) async fn verify(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let folder = place(&visitor.bridge, &principal.rights)?;
    let turn = VERIFYING.acquire().await;
    let judged = blocking(move || audit::verify(&folder, &[], None)).await?;
    drop(turn);
    let said = match judged.map_err(|error| unreadable(&error))? {
        Ok(Verified { origin, key, lines: (first, end), signed, lost, checkpoint, .. }) => json!({
            "whole": true, "origin": origin, "key": key, "first": first, "end": end,
            "signed": signed, "lost": lost, "checkpoint": checkpoint,
        }),
        Err(broken) => json!({ "whole": false, "why": broken.to_string() }),
    };
    Ok(content("application/json", said.to_string()))
}

/// `POST /api/audit/key`: a new key from here on. For this machine alone.
pub(super) async fn rotate(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let (principal, _, said) = visitor.change(request).await?;
    let Empty {} = said.read("send {}")?;
    if principal.id.kind != PrincipalKind::Local {
        return Err(Refusal::Forbidden);
    }
    let (bridge, client) = (Arc::clone(&visitor.bridge), visitor.connection.peer.client);
    let key = blocking(move || bridge.events.rotate_key(&principal.id, client)).await?;
    let key = key.map_err(|error| Refusal::NotKept(error.to_string()))?;
    let key = key.ok_or(Refusal::NotFound)?;
    Ok(content("application/json", json!({ "key": key }).to_string()))
}

/// `GET /api/audit/record.tar`: all of it, to be verified elsewhere.
pub(super) async fn packed(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let folder = place(&visitor.bridge, &principal.rights)?;
    if !may_see(&principal.rights, "") {
        return Err(Refusal::Forbidden);
    }
    let body = streamed(&visitor.bridge, move |out| audit::pack(&folder, out));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    let saved = HeaderValue::from_static("attachment; filename=\"wsbridge-audit.tar\"");
    headers.insert(header::CONTENT_DISPOSITION, saved);
    Ok(response)
}
