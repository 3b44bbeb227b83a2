//! Issuers of identities: whose tokens count, what they are worth, and signing in there.

mod claims;
mod keys;
mod oidc;
mod vouched;
mod web;

use serde_json::{Map, Value};

pub(crate) use self::oidc::Arrival;
use self::{claims::check, keys::KeyStore, oidc::Flows};
pub(super) use self::{
    claims::{Checked, ClaimError},
    oidc::{Arrived, FLOW_LIFE, FlowError},
    vouched::Vouched,
};
use crate::{
    config::{Access, Issuer},
    wire::jws::{Jws, JwsError},
};

/// What is known of the issuers.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    keys: KeyStore,
    flows: Flows,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    /// It is no token of an issuer that is known.
    #[error("it is from no issuer that is known")]
    Stranger,
    /// Its form or signature is wrong.
    #[error("{0}")]
    Jws(#[from] JwsError),
    /// What it says does not count here.
    #[error("{0}")]
    Claims(#[from] ClaimError),
    /// Nothing is known against it: its issuer cannot be asked.
    #[error("{0}")]
    Keys(String),
}

impl TokenError {
    /// Whether whoever shows it may be guessing.
    pub(super) fn is_suspect(&self) -> bool {
        !matches!(self, Self::Keys(_) | Self::Claims(ClaimError::Expired(_)))
    }
}

impl Issuers {
    /// Whom a program's token is for, by the configuration's name of its issuer.
    pub(super) async fn check<'a>(
        &self,
        access: &'a Access,
        text: &str,
        now: i64,
    ) -> Result<(&'a str, Checked), TokenError> {
        let jws = Jws::parse(text)?;
        let named = jws.unproved("iss");
        let found = access.issuers.iter().find_map(|(name, issuer)| {
            let audience = issuer.audience.as_deref()?;
            (named == Some(&issuer.iss)).then_some((name, issuer, audience))
        });
        let (name, issuer, audience) = found.ok_or(TokenError::Stranger)?;
        let claims = self.prove(issuer, jws).await?;
        Ok((name, check(&claims, issuer, audience, now)?))
    }

    /// What a token says, proved by its issuer's keys.
    async fn prove(&self, issuer: &Issuer, jws: Jws<'_>) -> Result<Map<String, Value>, TokenError> {
        let keys = self.keys.keys(issuer, false).await.map_err(TokenError::Keys)?;
        match jws.clone().proved(&keys) {
            Err(JwsError::UnknownKey) => {}
            proved => return Ok(proved?),
        }
        let keys = self.keys.keys(issuer, true).await.map_err(TokenError::Keys)?;
        Ok(jws.proved(&keys)?)
    }
}
