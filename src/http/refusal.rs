//! A refusal as an HTTP response.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use crate::wire::close::{NO_ROOM_WAIT, Refusal};

/// The response. A browser gets no Basic challenge, since that would ask the user for a password in
/// the middle of a page.
pub(super) fn response(refusal: &Refusal, browser: bool) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{refusal}\n")));
    *response.status_mut() =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    for (name, value) in fields(refusal, browser) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(name, value);
        }
    }
    response
}

/// The fields that go with a refusal's status.
fn fields(refusal: &Refusal, browser: bool) -> Vec<(&'static str, String)> {
    match refusal {
        // Trying Basic again would not help.
        Refusal::SecondFactor(_) => vec![("www-authenticate", "Bearer realm=\"wsbridge\"".into())],
        Refusal::Unauthorized if browser => {
            vec![("www-authenticate", "Bearer realm=\"wsbridge\"".into())]
        }
        Refusal::Unauthorized => vec![
            ("www-authenticate", "Basic realm=\"wsbridge\", charset=\"UTF-8\"".into()),
            ("www-authenticate", "Bearer realm=\"wsbridge\"".into()),
        ],
        Refusal::TooMany(seconds) => vec![("retry-after", seconds.to_string())],
        Refusal::NoRoom(_) => vec![("retry-after", NO_ROOM_WAIT.to_string())],
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
        | Refusal::NotLoopback
        | Refusal::Origin(_)
        | Refusal::Subprotocol(_)
        | Refusal::Forbidden
        | Refusal::NotLent(_)
        | Refusal::NotKept(_)
        | Refusal::NotFound
        | Refusal::Method
        | Refusal::BodyTooLarge
        | Refusal::MediaType
        | Refusal::Busy(_)
        | Refusal::Unreachable(_)
        | Refusal::TargetTimeout(_)
        | Refusal::TargetAbsent(_)
        | Refusal::Proxy(_)
        | Refusal::Opening(_)
        | Refusal::Registration
        | Refusal::Tls
        | Refusal::Exhausted => Vec::new(),
    }
}
