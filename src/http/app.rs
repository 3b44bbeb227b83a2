//! A user's web tool at an origin of its own: its files, with the client's script put first in its
//! pages.
//!
//! The sign-in's cookie is neither read nor set here. Whoever opens the app brings a launch ticket
//! (`http/tickets`).

use std::{
    collections::HashMap,
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::UNIX_EPOCH,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    routing::{get, post},
};
use futures_util::stream;
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    task::spawn_blocking,
};

use super::{
    ask, media, pages,
    script::Finder,
    tickets, upgrade,
    visitor::{Visitor, page},
};
use crate::{
    auth::{Authority, Purpose},
    config::{Address, App, Config, ListenTls},
    regular_file::open_shown,
    wire::close::Refusal,
};

/// Bytes of a file read in one go.
const FILE_READ: usize = 64 * 1024;
/// Bytes of a page that are looked at first: in all but odd pages the script's place is among them.
const FIRST_PIECE: usize = 4 * 1024;
/// Pages whose place is remembered.
const PLACES: usize = 256;
/// What a tool's pages may do is up to the tool, except for frames: nobody puts a device's page
/// into another page.
const POLICY: &str = "frame-ancestors 'none'";

/// What every app's origin has besides the app's files.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/webserial.js", get(page(pages::asset)))
        .route("/client.mjs", get(page(pages::asset)))
        .route("/ws/", get(page(upgrade::bus)))
        .route("/ws/{endpoint}", get(page(upgrade::by_path)))
        .route("/healthz", get(page(pages::healthz)).options(page(pages::options)))
        .route("/api/endpoints", get(page(pages::endpoints)))
        .route("/websockify", get(page(upgrade::by_token)))
        .route("/api/launch", get(page(tickets::launch)))
        .route("/api/pass", post(page(tickets::app_pass)))
        .fallback(page(file))
        .method_not_allowed_fallback(page(pages::wrong_method))
}

/// Where a browser that calls the gateway `host` finds an app; `None` if only its operator can
/// know.
pub(super) fn url(app: &App, host: &str) -> Option<String> {
    if let Some(origin) = &app.url {
        return Some(format!("{}://{}:{}/", origin.scheme, origin.host, origin.port));
    }
    let Address::Tcp(address) = &app.listen.address else { return None };
    let scheme = if app.listen.tls == ListenTls::Off { "http" } else { "https" };
    Some(format!("{scheme}://{}:{}/", Authority::parse(host)?.host, address.port()))
}

/// The address of the gateway's own page, as far as the configuration tells.
fn entrance(config: &Config, host: &str) -> Option<String> {
    if let Some(public) = &config.public {
        return Some(format!("{}{}/", public.origin, public.prefix));
    }
    let own = config.listen.iter().filter(|listen| listen.app.is_none());
    let mut found = own.filter_map(|listen| {
        let Address::Tcp(address) = &listen.address else { return None };
        let scheme = if listen.tls == ListenTls::Off { "http" } else { "https" };
        Some(format!("{scheme}://{}:{}/", Authority::parse(host)?.host, address.port()))
    });
    found.next()
}

/// `GET` of anything else: a file of the app.
async fn file(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let config = visitor.bridge.config();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::Method);
    }
    let app = visitor.app(&config)?;
    let ask = ask::read(&request, Purpose::Read);
    let view = visitor.bridge.auth.check_host(&config, &visitor.connection.peer, &ask)?;
    let found = locate(&app.directory, request.uri().path()).await.ok_or(Refusal::NotFound)?;
    let script = script(&app, entrance(&config, &view.host).as_deref());
    let mut response = send(&visitor.bridge.places, found, &script, request.headers())
        .await
        .ok_or(Refusal::NotFound)?;
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

/// The tag that goes first. A tool with only one line need not ask which.
fn script(app: &App, entrance: Option<&str>) -> String {
    let only = match app.endpoints.as_slice() {
        [one] => format!(" data-endpoints=\"{one}\""),
        _ => String::new(),
    };
    let entrance = entrance.map(|url| format!(" data-entrance=\"{url}\"")).unwrap_or_default();
    format!("<script src=\"/webserial.js\"{only}{entrance}></script>")
}

/// The file at a path of the URL: inside the folder wherever links lead, and neither hidden nor
/// reached through a hidden name.
async fn locate(directory: &Path, path: &str) -> Option<(PathBuf, File)> {
    let mut place = PathBuf::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let part = decoded(part)?;
        if part.starts_with('.') || part.contains(['/', '\\', '\0']) {
            return None;
        }
        place.push(part);
    }
    // Without the slash, the links in a folder's page would resolve one level too high.
    if path.ends_with('/') {
        place.push("index.html");
    }
    let (folder, wanted) = (directory.to_owned(), place.clone());
    let opened = spawn_blocking(move || open_shown(&folder, &wanted)).await.ok()?;
    Some((place, File::from_std(opened.ok()?)))
}

/// Percent-decoding (RFC 3986 section 2.1); `None` if the result is not UTF-8.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// A hash that tells one text from another.
fn digest(text: &str) -> u64 {
    Sha256::digest(text).first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Where the script goes in pages, by path: looked up once for each version of a file.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<PathBuf, (String, Option<u64>)>>);

impl Places {
    /// The place in a page whose version has this tag; `None` if the page is not to be touched.
    async fn find(&self, path: &Path, tag: &str, file: &mut File) -> io::Result<Option<u64>> {
        let known =
            self.lock().get(path).filter(|(known, _)| known == tag).map(|(_, place)| *place);
        if let Some(place) = known {
            return Ok(place);
        }
        let place = place_in(file).await?;
        let mut known = self.lock();
        if known.len() >= PLACES {
            known.clear();
        }
        known.insert(path.to_owned(), (tag.to_owned(), place));
        Ok(place)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, (String, Option<u64>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn place_in(file: &mut File) -> io::Result<Option<u64>> {
    let (mut finder, mut piece, mut first) = (Finder::default(), vec![0; FIRST_PIECE], true);
    loop {
        let n = file.read(&mut piece).await?;
        let read = piece.get(..n).unwrap_or_default();
        // In a UTF-16 page, our tag's bytes would not read as a tag.
        if std::mem::take(&mut first) && matches!(read, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return Ok(None);
        }
        if let Some(place) = finder.look(read) {
            return Ok(Some(place));
        }
        if n == 0 {
            return Ok(Some(finder.end()));
        }
        piece.resize(FILE_READ, 0);
    }
}

async fn send(
    places: &Places,
    (path, mut file): (PathBuf, File),
    script: &str,
    asked: &HeaderMap,
) -> Option<Response<Body>> {
    let about = file.metadata().await.ok()?;
    let kind = media::of(&path);
    let is_page = kind.starts_with("text/html");
    let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    // A page also changes with the tag that we put into it.
    let more = if is_page { digest(script) } else { 0 };
    let tag = format!("W/\"{changed:x}-{:x}-{more:x}\"", about.len());
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).ok()?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if ask::text(asked, "if-none-match")
        .is_some_and(|known| known.split(',').any(|one| one.trim() == tag))
    {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Some(response);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let place = if is_page { places.find(&path, &tag, &mut file).await.ok()? } else { None };
    file.seek(SeekFrom::Start(0)).await.ok()?;
    let script = place.map(|_| Bytes::copy_from_slice(script.as_bytes())).unwrap_or_default();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(about.len() + script.len() as u64));
    let before = place.unwrap_or(about.len()).min(about.len());
    let parts = Parts { file, before, script, behind: about.len() - before };
    *response.body_mut() = Body::from_stream(stream::unfold(parts, Parts::next));
    Some(response)
}

/// What is still to be sent of a file, and of the script in the middle.
struct Parts {
    file: File,
    before: u64,
    script: Bytes,
    behind: u64,
}

impl Parts {
    /// The file piece by piece, never more of it than was promised.
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.before == 0 && !self.script.is_empty() {
            let script = std::mem::take(&mut self.script);
            return Some((Ok(script), self));
        }
        let left = if self.before > 0 { &mut self.before } else { &mut self.behind };
        if *left == 0 {
            return None;
        }
        let mut piece = vec![0; usize::try_from(*left).unwrap_or(FILE_READ).min(FILE_READ)];
        let read = self.file.read(&mut piece).await;
        let piece = match read {
            // The file has become shorter: the client sees that the response broke off.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                piece.truncate(n);
                *left -= n as u64;
                Ok(Bytes::from(piece))
            }
            Err(error) => Err(error),
        };
        Some((piece, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_strictly() {
        assert_eq!(decoded("a%20b").as_deref(), Some("a b"));
        assert_eq!(decoded("%2e%2E").as_deref(), Some(".."));
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
