//! From a request's headers to what authentication asks about it.

use axum::{
    body::Body,
    http::{HeaderMap, Request, Uri, header},
};

use crate::{
    auth::{AuthRequest, Forwarded, PresentedCredential, ProxyWord, Purpose, Signs},
    config::{Secret, TrustedProxies},
    wire::subprotocol::Credential,
};

/// A header's text. One that is not text does not count as absent: it becomes an empty one, which
/// no rule accepts.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// The texts of all lines of a header; empty for a line that is not text.
fn lines<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("unknown")).collect()
}

/// What a proxy says in the headers that the configuration names.
pub(super) fn proxy_word<'a>(headers: &'a HeaderMap, trusted: &TrustedProxies) -> ProxyWord<'a> {
    let all = |name: Option<&str>| name.map(|name| texts(headers, name)).unwrap_or_default();
    let secret = trusted.secret.as_ref().map(|secret| secret.header.as_str());
    ProxyWord { user: all(trusted.user_header.as_deref()), secret: all(secret) }
}

fn texts<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect()
}

/// A request whose path began with that of `public:`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below;

/// Cuts off the path of `public:`, if the proxy has left it in place. `Some`: the path was only
/// that, and the page is one slash further.
pub(super) fn cut<B>(request: &mut Request<B>, prefix: &str) -> Option<String> {
    let rest = request
        .uri()
        .path_and_query()?
        .as_str()
        .strip_prefix(prefix)
        .filter(|_| !prefix.is_empty())?;
    if !rest.starts_with('/') {
        let bare = rest.is_empty() || rest.starts_with('?');
        return bare.then(|| format!("{prefix}/{rest}"));
    }
    *request.uri_mut() = Uri::try_from(rest).ok()?;
    request.extensions_mut().insert(Below);
    None
}

/// The request without its body, which no check needs.
pub(super) fn bare(request: Request<Body>) -> Request<()> {
    parted(request).0
}

/// The same, and the body, for a handler that reads it once the checks have passed.
pub(super) fn parted(request: Request<Body>) -> (Request<()>, Body) {
    let (head, body) = request.into_parts();
    (Request::from_parts(head, ()), body)
}

/// Reads the headers; credentials other than `Authorization` are added by [`with_credential`].
pub(super) fn read<B>(request: &Request<B>, purpose: Purpose) -> AuthRequest<'_> {
    let headers = request.headers();
    AuthRequest {
        host: text(headers, "host").unwrap_or_default(),
        forwarded: Forwarded {
            standard: lines(headers, "forwarded"),
            addresses: lines(headers, "x-forwarded-for"),
            proto: lines(headers, "x-forwarded-proto"),
            port: lines(headers, "x-forwarded-port"),
            host: lines(headers, "x-forwarded-host"),
            prefix: lines(headers, "x-forwarded-prefix"),
        },
        signs: Signs {
            origin: text(headers, "origin"),
            site: text(headers, "sec-fetch-site"),
            mode: text(headers, "sec-fetch-mode"),
        },
        below: request.extensions().get::<Below>().is_some(),
        proxy: ProxyWord::default(),
        cookie: text(headers, header::COOKIE.as_str()),
        purpose,
        endpoint: "",
        shown: text(headers, "authorization")
            .map_or(PresentedCredential::Nothing, PresentedCredential::authorization),
    }
}

/// Adds the credential from the subprotocol list or the query. `None`: there is more than one
/// credential.
pub(super) fn with_credential<'a>(
    ask: AuthRequest<'a>,
    endpoint: &'a str,
    offered: Option<&Credential>,
    ticket: Option<String>,
) -> Option<AuthRequest<'a>> {
    let offered = offered.map(|credential| match credential {
        Credential::Bearer(text) => PresentedCredential::Bearer(Secret::new(text.reveal())),
        Credential::Ticket(text) => PresentedCredential::Ticket(Secret::new(text.reveal())),
    });
    let ticket = ticket.map(|text| PresentedCredential::Ticket(Secret::new(text)));
    let header = (!ask.shown.is_nothing()).then_some(ask.shown);
    let mut all = [header, offered, ticket].into_iter().flatten();
    let shown = all.next().unwrap_or(PresentedCredential::Nothing);
    all.next().is_none().then_some(AuthRequest { endpoint, shown, ..ask })
}
