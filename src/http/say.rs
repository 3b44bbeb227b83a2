//! A message to everybody on an endpoint.

use std::sync::Arc;

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Request},
    http::Response,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    ask, change::Said, kick::is_line, pages::content, scope::find_endpoint, visitor::Visitor,
};
use crate::{auth::Purpose, config::Rights, event::Event, session::Notice, wire::close::Refusal};

/// The longest text, in characters.
const TEXT_MOST: usize = 500;

/// `{"text": "..."}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    text: String,
}

/// `POST /api/endpoints/NAME/say`: every session that can show a message is given it.
pub(super) async fn say(visitor: Visitor, mut request: Request) -> Result<Response<Body>, Refusal> {
    const USAGE: &str = "send {\"text\": \"...\"}, 1 to 500 characters on one line";
    let Path(name): Path<String> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (request, body) = ask::parted(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Change)).await?;
    let rights = principal.rights.on(&name);
    let bridge = &visitor.bridge;
    if !rights.allows(Rights::SESSIONS) {
        return Err(Refusal::Forbidden);
    }
    find_endpoint(&bridge.config(), rights.with(Rights::READ), &name)?;
    let Say { text } = Said::of(&request, body).await?.read(USAGE)?;
    if !is_line(&text, TEXT_MOST) {
        return Err(Refusal::BadRequest(USAGE));
    }
    let notice = Arc::new(Notice { from: principal.id.name.clone(), text });
    let all = bridge.sessions.list();
    let here: Vec<_> = all.iter().filter(|entry| entry.endpoint == name).collect();
    let told = here.iter().filter(|entry| entry.tell(Arc::clone(&notice))).count();
    bridge.events.tell(Event::Say {
        by: &principal.id,
        client: visitor.client,
        endpoint: &name,
        text: &notice.text,
        told,
    });
    let answer = json!({ "told": told, "sessions": here.len() });
    Ok(content("application/json", answer.to_string()))
}
