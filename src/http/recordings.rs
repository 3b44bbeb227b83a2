//! Recordings and live captures, for those with the right `recordings`.

use std::{
    fs::File,
    io,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    RequestExt as _,
    body::{Body, Bytes},
    extract::{Path, Query, Request},
    http::{HeaderValue, Response, header},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::{
    Bridge, ask,
    download::streamed,
    pages::content,
    scope::{find_endpoint, named, within},
    visitor::Visitor,
};
use crate::{
    auth::{Principal, Purpose},
    config::{Config, RecordFormat, Rights, RightsTable},
    line::rfc3339,
    record::{self, Capture, Recording, View, convert, format_of},
    wire::close::Refusal,
};

/// What recordings and captures need.
const NEEDED: Rights = Rights::READ.with(Rights::RECORDINGS);
/// How often we look whether whoever captures still may.
const LOOK: Duration = Duration::from_secs(10);

/// `GET /api/recordings`: the files of the endpoints where the caller has the right.
pub(super) async fn list(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let config = visitor.bridge.config();
    let listed = tokio::task::spawn_blocking(move || found(&config, &principal.rights)).await;
    let all = listed.map_err(|_| Refusal::NotFound)?;
    Ok(content("application/json", json!({ "recordings": all }).to_string()))
}

fn found(config: &Config, rights: &RightsTable) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    for (name, endpoint) in &config.endpoints {
        let Some(folder) = record::folder(config, endpoint) else { continue };
        if !rights.on(name).allows(NEEDED) {
            continue;
        }
        match record::list(&folder) {
            Ok(files) => all.extend(files.iter().map(|file| described(name, file))),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), "recordings cannot be listed: {error}");
            }
        }
    }
    all
}

fn described(endpoint: &str, file: &Recording) -> serde_json::Value {
    let format = format_of(file.name.as_ref()).map(RecordFormat::extension);
    json!({
        "endpoint": endpoint,
        "name": file.name,
        "format": format,
        "bytes": file.size,
        "changed": rfc3339(file.changed.max(UNIX_EPOCH)),
        "open": file.open,
    })
}

/// What is asked of a file.
#[derive(Default, Deserialize)]
struct Wish {
    /// Another form of it: `cast`, `text`, `raw`.
    format: Option<String>,
}

/// `GET /api/recordings/ENDPOINT/NAME`: a file, or another form of it with `?format=cast`.
pub(super) async fn file(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let Path((endpoint, name)): Path<(String, String)> =
        request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let Query(wish) = Query::<Wish>::try_from_uri(request.uri())
        .map_err(|_| Refusal::BadRequest("the query is not `format=cast|text|raw`"))?;
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let config = visitor.bridge.config();
    let found = may(&config, &principal, &endpoint)?;
    if !record::is_recording(&name) {
        return Err(Refusal::NotFound);
    }
    let folder = record::folder(&config, &found).ok_or(Refusal::NotFound)?;
    let format = format_of(name.as_ref()).ok_or(Refusal::NotFound)?;
    let view = match wish.format.as_deref() {
        None => View::File(format),
        Some(word) => View::of(word)
            .ok_or(Refusal::BadRequest("`format` is none of pcapng, cast, raw and text"))?,
    };
    if format != RecordFormat::Pcapng && view == View::File(RecordFormat::Pcapng) {
        return Err(Refusal::BadRequest("only a pcapng recording has what pcapng has"));
    }
    let opened = tokio::task::spawn_blocking(move || open(&folder, &name).map(|it| (it, name)));
    let Ok(Ok((file, name))) = opened.await else { return Err(Refusal::NotFound) };
    let title = endpoint.clone();
    let body = streamed(&visitor.bridge, move |out| convert(file, (format, &title), view, out));
    Ok(attachment(body, &endpoint, &name, view))
}

/// The file of that name, closed or not.
fn open(folder: &std::path::Path, name: &str) -> io::Result<File> {
    let mut path = folder.join(name);
    File::open(&path).or_else(|_| {
        path.as_mut_os_string().push(".part");
        File::open(&path)
    })
}

/// The endpoint, for whoever may have its recordings.
fn may(
    config: &Config,
    principal: &Principal,
    endpoint: &str,
) -> Result<Arc<crate::config::Endpoint>, Refusal> {
    let rights = principal.rights.on(endpoint);
    let found = find_endpoint(config, rights, endpoint)?;
    if rights.allows(NEEDED) { Ok(found) } else { Err(Refusal::Forbidden) }
}

fn attachment(body: Body, endpoint: &str, name: &str, view: View) -> Response<Body> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let (kind, extension) = match view {
        View::File(RecordFormat::Pcapng) => ("application/x-pcapng", "pcapng"),
        View::File(RecordFormat::Cast) => ("application/x-asciicast", "cast"),
        View::File(RecordFormat::Raw) => ("application/octet-stream", "raw"),
        View::Text => ("text/plain; charset=utf-8", "txt"),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let disposition = format!("attachment; filename=\"{endpoint}-{stem}.{extension}\"");
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// `GET /api/endpoints/NAME/capture`: what passes from now on, as a pcapng file without an end.
pub(super) async fn capture(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let Path(name): Path<String> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let bridge = Arc::clone(&visitor.bridge);
    let endpoint = may(&bridge.config(), &principal, &name)?;
    let live = Live {
        capture: Capture::begin(bridge.lines.tap(&endpoint)),
        bridge,
        principal,
        app: visitor.connection.peer.app.clone(),
        framed: visitor.asked.framed,
        name: name.clone(),
    };
    let pieces = stream::unfold(live, |mut live| async move {
        let piece = live.next().await?;
        Some((Ok::<_, io::Error>(Bytes::from(piece)), live))
    });
    let body = Body::from_stream(pieces);
    let view = View::File(RecordFormat::Pcapng);
    Ok(attachment(body, &name, "live.pcapng", view))
}

/// A live capture for a client.
struct Live {
    capture: Capture,
    bridge: Arc<Bridge>,
    principal: Principal,
    app: Option<Arc<str>>,
    framed: bool,
    name: String,
}

impl Live {
    /// The next bytes; `None` when it is over, or whoever captures may not any more.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            tokio::select! {
                biased;
                () = self.bridge.stop.cancelled() => return None,
                () = sleep(LOOK) => {}
                piece = self.capture.next() => return piece.filter(|_| self.may()),
            }
            if !self.may() {
                return None;
            }
        }
    }

    fn may(&self) -> bool {
        let (config, auth) = (self.bridge.config(), &self.bridge.auth);
        let Principal { id, login, certificate, only, .. } = &self.principal;
        let Some(now) = auth.find(&config, id) else { return false };
        let rights = within(&config, (self.app.as_deref(), self.framed), now.rights);
        auth.goes_on(&config, *login, certificate.as_deref())
            && config.endpoints.contains_key(&self.name)
            && named(only.as_ref(), rights).on(&self.name).allows(NEEDED)
    }
}
