//! A refusal, as a response: through hyper, or by hand where hyper never saw the request.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use crate::{
    auth::{ClientAddress, unix_now},
    metrics::Metrics,
    wire::close::Refusal,
};

/// How long a closed connection is still read, so that the client gets our last words and not a reset.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read and thrown away meanwhile.
const LINGER_BYTES: u64 = 256 * 1024;

/// Counts refusals, and logs at most one a second: strangers cause these.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    second: AtomicU32,
}

impl Refusals {
    /// Notes one.
    pub(super) fn note(&self, metrics: &Metrics, refusal: &Refusal, client: ClientAddress, what: &str) {
        metrics.refused(refusal.label());
        // The low bits of the clock are enough to tell one second from another.
        let now = u32::try_from(unix_now() & 0xffff_ffff).unwrap_or(0);
        let (status, reason) = (refusal.status(), refusal.label());
        if self.second.swap(now, Ordering::Relaxed) == now {
            tracing::debug!(peer = %client, request = what, status, reason, "refused");
        } else {
            tracing::info!(peer = %client, request = what, status, reason, "refused");
        }
    }
}

/// The response. A browser gets no Basic challenge, since it would ask the user for a password in the middle of a page.
pub(super) fn response(refusal: &Refusal, asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{refusal}\n")));
    *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let browser = asked.contains_key(header::ORIGIN) || asked.contains_key("sec-fetch-mode");
    for (name, value) in fields(refusal, browser) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(name, value);
        }
    }
    response
}

/// What a refusal says beside its status.
fn fields(refusal: &Refusal, browser: bool) -> Vec<(&'static str, String)> {
    match refusal {
        Refusal::Unauthorized if browser => vec![("www-authenticate", "Bearer realm=\"wsbridge\"".into())],
        Refusal::Unauthorized => vec![
            ("www-authenticate", "Basic realm=\"wsbridge\", charset=\"UTF-8\"".into()),
            ("www-authenticate", "Bearer realm=\"wsbridge\"".into()),
        ],
        Refusal::TooMany(seconds) => vec![("retry-after", seconds.to_string())],
        Refusal::Version | Refusal::NotUpgrade => vec![
            ("sec-websocket-version", "13".into()),
            ("upgrade", "websocket".into()),
            ("connection", "upgrade".into()),
        ],
        Refusal::BadRequest(_)
        | Refusal::UriTooLong
        | Refusal::HeadTooLarge
        | Refusal::Timeout
        | Refusal::Misdirected
        | Refusal::Origin
        | Refusal::Forbidden
        | Refusal::NotFound
        | Refusal::Method
        | Refusal::BodyTooLarge
        | Refusal::MediaType
        | Refusal::Busy(_)
        | Refusal::Unreachable(_)
        | Refusal::TargetTimeout(_)
        | Refusal::TargetAbsent(_) => Vec::new(),
    }
}

/// Says the last word on a connection that hyper has left, and closes it so that the client can read it. Ends after
/// [`LINGER`].
pub(crate) async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, refusal: Option<&Refusal>) {
    let last = async {
        if let Some(refusal) = refusal {
            stream.write_all(by_hand(refusal).as_bytes()).await?;
        }
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // What goes wrong here has nobody left to hear of it.
    let _ = timeout(LINGER, last).await;
}

fn by_hand(refusal: &Refusal) -> String {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let reason = status.canonical_reason().unwrap_or("Refused");
    let body = format!("{refusal}\n");
    let mut text = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
        status.as_u16(),
        body.len()
    );
    for (name, value) in fields(refusal, true).iter().filter(|(name, _)| *name == "retry-after") {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text + "\r\n" + &body
}
