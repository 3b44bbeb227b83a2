//! A line's output as a file.

use std::io;

use axum::{
    RequestExt as _,
    body::{Body, Bytes},
    extract::{Path, Request},
    http::{HeaderValue, Response, header},
};
use futures_util::stream;

use super::{ask, scope::find_endpoint, visitor::Visitor};
use crate::{
    auth::{Purpose, unix_now},
    line::Log,
    wire::close::Refusal,
};

/// Bytes read from the tape in one go.
const TAPE_READ: usize = 64 * 1024;

/// `GET /api/endpoints/NAME/log`: the bytes on the tape, oldest first.
pub(super) async fn log(visitor: Visitor, mut request: Request) -> Result<Response<Body>, Refusal> {
    let Path(name): Path<String> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let bridge = &visitor.bridge;
    find_endpoint(&bridge.config(), principal.rights.on(&name), &name)?;
    // Dedicated TCP keeps nothing: what it carries belongs to each session alone.
    let log = bridge.lines.log(&name).ok_or(Refusal::NotFound)?;
    Ok(attachment(&name, log))
}

fn attachment(name: &str, log: Log) -> Response<Body> {
    let (start, end) = log.bounds();
    let pieces = stream::unfold((log, start), move |(log, at)| async move {
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(TAPE_READ);
        let mut piece = vec![0; left.min(TAPE_READ)];
        match log.read(at, &mut piece) {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(Bytes::from(piece)), (log, at + length as u64)))
            }
            // A file with a hole would pass for the whole: instead the download fails, visibly.
            Err(_) => Some((Err(io::Error::other("overwritten before it was read")), (log, end))),
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    let disposition = format!("attachment; filename=\"{name}-{}.log\"", stamp());
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// The time in UTC, as part of a file's name: `20261126T081500Z`.
fn stamp() -> String {
    let now = jiff::Timestamp::from_second(unix_now()).unwrap_or_default();
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}
