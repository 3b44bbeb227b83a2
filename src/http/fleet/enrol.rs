//! Gateways that enrol, and those that renew their certificates.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Response, StatusCode, header},
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{ask, change::Said, pages, visitor::Visitor},
    gateway_of, kept, open,
};
use crate::{
    auth::unix_now,
    event::{Event, FleetEvent},
    fleet::{NotEnrolled, Open},
    tls::GatewayKey,
    wire::close::Refusal,
};

/// What a gateway sends to enrol.
#[derive(Deserialize)]
struct Enrol {
    token: String,
    /// The name it would like.
    name: String,
    /// Its public key (`tls::GatewayKey`).
    key: String,
}

/// What a gateway sends for a new certificate.
#[derive(Deserialize)]
struct Renew {
    key: String,
}

const ENROL: &str = "send {\"token\": \"wse_...\", \"name\": \"...\", \"key\": \"...\"}";
const RENEW: &str = "send {\"key\": \"...\"}";

/// `POST /home/enrol`: a gateway that has a token and no certificate yet.
pub(super) async fn enrol(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let (request, body) = ask::parted(request);
    let sent: Enrol = Said::of(&request, body).await?.read(ENROL)?;
    let key = GatewayKey::parse(&sent.key).ok_or(Refusal::BadRequest(ENROL))?;
    let now = unix_now();
    let made = kept(&visitor.bridge, move |hub| {
        hub.register.enrol(&sent.token, &sent.name, now, |name| issue(hub, name, &key, now))
    })
    .await?;
    let hub = open(&visitor.bridge)?;
    match made {
        Ok(enrolled) => {
            let event = FleetEvent::Enrolled { client: visitor.client };
            visitor.bridge.events.tell(Event::Fleet { gateway: &enrolled.name, event });
            let answer = json!({
                "gateway": enrolled.name,
                "hub": hub.rules.name,
                "certificate": enrolled.certificate,
                "authority": hub.authority().pem(),
                "assertions": hub.signer.public(),
            });
            Ok(pages::content("application/json", answer.to_string()))
        }
        Err(NotEnrolled::Token) => {
            // It has 256 random bits: there is nothing to guess, and a whole plant may be behind
            // one address.
            Ok(no(StatusCode::UNAUTHORIZED, &NotEnrolled::Token))
        }
        Err(why @ (NotEnrolled::Name(_) | NotEnrolled::Taken(_))) => {
            Ok(no(StatusCode::CONFLICT, &why))
        }
        Err(why @ (NotEnrolled::Full | NotEnrolled::Failed(_))) => {
            tracing::error!("a gateway could not be enrolled: {why}");
            Ok(no(StatusCode::SERVICE_UNAVAILABLE, &why))
        }
    }
}

/// `POST /home/renew`: a gateway with a certificate that gets a new one, for a new key.
pub(super) async fn renew(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let name = gateway_of(&visitor)?;
    let (request, body) = ask::parted(request);
    let sent: Renew = Said::of(&request, body).await?.read(RENEW)?;
    let key = GatewayKey::parse(&sent.key).ok_or(Refusal::BadRequest(RENEW))?;
    let pem = kept(&visitor.bridge, move |hub| {
        let now = unix_now();
        let (pem, der, until) = issue(hub, &name, &key, now).map_err(Refusal::NotKept)?;
        match hub.register.renew(&name, &der, until, now) {
            Ok(true) => Ok(pem),
            Ok(false) => Err(Refusal::Unauthorized),
            Err(error) => Err(Refusal::NotKept(error.to_string())),
        }
    })
    .await??;
    let hub = open(&visitor.bridge)?;
    let answer: Value = json!({
        "certificate": pem,
        "authority": hub.authority().pem(),
        "assertions": hub.signer.public(),
    });
    Ok(pages::content("application/json", answer.to_string()))
}

/// A certificate for a gateway: as PEM, its DER and its last second.
fn issue(
    hub: &Open,
    name: &str,
    key: &GatewayKey,
    now: i64,
) -> Result<(String, Vec<u8>, i64), String> {
    let (pem, until) = hub.authority().issue(name, key, now).map_err(|error| error.to_string())?;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    Ok((pem, der.to_vec(), until))
}

fn no(status: StatusCode, why: &NotEnrolled) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{why}\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
