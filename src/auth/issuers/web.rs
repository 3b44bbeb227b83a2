//! Requests to an issuer's HTTPS server: short answers, in bounded time.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{
    config::{Issuer, WebAddress},
    dial::{Dialler, Proxies, Request, Site, Trust},
    wire::jws::KEY_SET_MAX,
};

/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(10);

fn dialler(issuer: &Issuer) -> Dialler {
    let trust = issuer.ca.clone().map_or(Trust::System, Trust::File);
    Dialler { proxies: Proxies::of_environment(), trust }
}

/// Asks for a page, or sends it a form.
pub(super) async fn fetch(
    issuer: &Issuer,
    to: &WebAddress,
    form: Option<(&str, &[(&str, &str)])>,
) -> Result<(u16, Vec<u8>), String> {
    let site = Site { secure: to.secure, host: to.host.clone(), port: to.port };
    let mut fields = vec![("Accept", "application/json")];
    fields.extend(form.map(|(_, fields)| fields).into_iter().flatten().copied());
    let body = form.map(|(body, _)| body);
    let media = "application/x-www-form-urlencoded";
    let ask = Request { path: &to.path, fields: &fields, body, media };
    let answer = timeout(REQUEST, dialler(issuer).fetch(&site, &ask)).await;
    let answer = answer.map_err(|_| format!("{site}: no answer in {} s", REQUEST.as_secs()))?;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.body.len() > KEY_SET_MAX {
        return Err(format!("{}: the answer is over {} KiB", to.text, KEY_SET_MAX >> 10));
    }
    Ok((answer.status, answer.body))
}

/// A document at an address.
pub(super) async fn get(issuer: &Issuer, from: &WebAddress) -> Result<Vec<u8>, String> {
    match fetch(issuer, from, None).await? {
        (200, body) => Ok(body),
        (status, _) => Err(format!("{} answers with HTTP {status}", from.text)),
    }
}

/// A document at an address, read.
pub(super) async fn read<T: DeserializeOwned>(
    issuer: &Issuer,
    from: &WebAddress,
) -> Result<T, String> {
    let body = get(issuer, from).await?;
    serde_json::from_slice(&body).map_err(|error| format!("{}: {error}", from.text))
}
