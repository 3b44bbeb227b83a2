//! A request that changes something: who sends it, and what it says.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
};
use serde::de::DeserializeOwned;

use super::{ask, visitor::Visitor};
use crate::{
    auth::{Principal, Purpose, Visit},
    wire::close::Refusal,
};

/// The body of a request, which is JSON by its media type.
#[derive(Debug)]
pub(super) struct Said(Bytes);

impl Said {
    /// Takes it.
    pub(super) async fn of(request: &Request<()>, body: Body) -> Result<Self, Refusal> {
        // A form on another site's page cannot send this type without our leave.
        let kind = ask::text(request.headers(), "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("application/json") {
            return Err(Refusal::MediaType);
        }
        // It has already arrived, and is no longer than a connection accepts.
        let bytes = to_bytes(body, usize::MAX).await;
        bytes.map(Self).map_err(|_| Refusal::BadRequest("the body broke off"))
    }

    /// As what is expected; `usage` says what to send.
    pub(super) fn read<T: DeserializeOwned>(&self, usage: &'static str) -> Result<T, Refusal> {
        serde_json::from_slice(&self.0).map_err(|_| Refusal::BadRequest(usage))
    }
}

impl Visitor {
    /// Who wants the change, if whoever asks is known, and what the request says of it.
    pub(super) async fn change(
        &self,
        request: Request,
    ) -> Result<(Principal, Visit, Said), Refusal> {
        let (request, body) = ask::parted(request);
        let (principal, visit) = self.authorise(&ask::read(&request, Purpose::Change)).await?;
        Ok((principal, visit, Said::of(&request, body).await?))
    }
}
