//! Signing in at an issuer: where one can, the way there, and the page for whoever comes back.

use axum::{
    body::Body,
    extract::{Query, Request},
    http::{HeaderValue, Response, StatusCode, header},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    ask,
    change::Said,
    pages::content,
    visitor::{NO_PLACE_WAIT, Visitor},
};
use crate::{
    auth::{Arrival, NotSignedIn, Purpose, cookie, flow_cookie},
    event::Event,
    wire::close::Refusal,
};

/// `GET /api/oidc`: where people can sign in besides here.
pub(super) async fn issuers(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let config = visitor.bridge.config();
    visitor.check_page(&config, &ask::read(&request, Purpose::Read))?;
    let all = config.access.issuers.iter().filter_map(|(name, issuer)| {
        Some(json!({ "name": name, "title": issuer.oidc.as_ref()?.title }))
    });
    let list: Vec<_> = all.collect();
    Ok(content("application/json", json!({ "issuers": list }).to_string()))
}

/// Where somebody wants to sign in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    issuer: String,
    /// Anew, even if that was done a moment ago.
    #[serde(default)]
    fresh: bool,
}

const WISH: &str = "send {\"issuer\": \"NAME\"}, a name of GET /api/oidc; \"fresh\": true asks for a new sign-in there";

/// `POST /api/oidc`: the address of an issuer's sign-in, and the cookie for the way.
pub(super) async fn depart(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let (request, body) = ask::parted(request);
    let config = visitor.bridge.config();
    let ask = ask::read(&request, Purpose::Change);
    let visit = visitor.check_page(&config, &ask)?;
    let Wish { issuer, fresh } = Said::of(&request, body).await?.read(WISH)?;
    let auth = &visitor.bridge.auth;
    let (url, value) = auth.depart(&config, &visit, (&issuer, fresh), ask.cookie).await?;
    let mut response = content("application/json", json!({ "url": url }).to_string());
    set(&mut response, &flow_cookie(&visit.view, Some(&value)));
    Ok(response)
}

/// `GET /api/oidc/callback`: whoever has signed in at an issuer is sent here. It comes from another
/// site, so the sign-in's cookie, which is Strict, would be sent neither here nor after a redirect
/// from here: a page answers, and goes on by itself.
pub(super) async fn arrive(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let Visitor { bridge, connection, client, .. } = &visitor;
    let request = ask::bare(request);
    let config = bridge.config();
    let ask = ask::read(&request, Purpose::Read);
    let view = bridge.auth.check_host(&config, &connection.peer, &ask)?;
    let brought = Query::<Arrival>::try_from_uri(request.uri()).map(|Query(brought)| brought);
    let brought = brought.map_err(|_| Refusal::BadRequest("the query cannot be read"))?;
    let home = format!("{}/", view.prefix);
    let mut response = match bridge.auth.arrive(&config, &view, (ask.cookie, &brought)).await {
        Ok(signed) => {
            if !connection.signed_in(signed.principal.is_administrator()) {
                return Err(Refusal::TooMany(NO_PLACE_WAIT));
            }
            bridge.events.tell(Event::SignIn { principal: &signed.principal.id, client: *client });
            let mut response = page(200, "Signed in", "", &home);
            set(&mut response, &cookie(&view, Some(signed.cookie.reveal())));
            response
        }
        Err(NotSignedIn { status, why }) => page(status, "Not signed in", &why, &home),
    };
    set(&mut response, &flow_cookie(&view, None));
    Ok(response)
}

fn set(response: &mut Response<Body>, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// A page with a way on, which it takes by itself if there is nothing to read.
fn page(status: u16, title: &str, text: &str, home: &str) -> Response<Body> {
    let safe = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let (text, home) = (safe(text), safe(home));
    let goes_on = if text.is_empty() {
        format!("<meta http-equiv=\"refresh\" content=\"0;url={home}\">")
    } else {
        String::new()
    };
    let mut response = content(
        "text/html; charset=utf-8",
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width\">{goes_on}\n<h1>{title}</h1>\n<p>{text}\n<p><a href=\"{home}\">Go on</a>\n</html>\n"
        ),
    );
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    response
}
