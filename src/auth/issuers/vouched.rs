//! What an issuer has said of somebody who is signed in by its word.

use serde::{Deserialize, Serialize};

use super::claims::Checked;
use crate::config::{Access, Issuer, RightsTable};

/// What an issuer has said of somebody.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(in crate::auth) struct Vouched {
    /// Its name in the configuration.
    issuer: String,
    /// Its own name: another issuer of the same name has said nothing.
    iss: String,
    /// The claims that gave something when it said so.
    claims: Vec<(String, String)>,
    /// When it said so, in seconds since 1970.
    pub(in crate::auth) issued: i64,
    /// The second at which its word ends; `None`: it was said once, to a browser that signed in.
    pub(in crate::auth) until: Option<i64>,
}

impl Vouched {
    /// The word of a program's token, which ends with that.
    pub(in crate::auth) fn by_token(name: &str, issuer: &Issuer, checked: &Checked) -> Self {
        Self { until: Some(checked.until), ..Self::once(name, issuer, checked) }
    }

    /// The word about somebody who signs in.
    pub(in crate::auth) fn once(name: &str, issuer: &Issuer, checked: &Checked) -> Self {
        Self {
            issuer: name.to_owned(),
            iss: issuer.iss.clone(),
            claims: checked.claims.clone(),
            issued: checked.issued,
            until: None,
        }
    }

    /// What it is worth now; `None`: its issuer is no longer there.
    pub(in crate::auth) fn rights(&self, access: &Access) -> Option<RightsTable> {
        let issuer = self.issuer(access)?;
        let said =
            |claim: &str, value: &str| self.claims.iter().any(|(c, v)| c == claim && v == value);
        let rules = issuer.claims.iter().filter(|rule| said(&rule.claim, &rule.value));
        let rows = rules.flat_map(|rule| &rule.rights.0).chain(&issuer.rights.0);
        Some(RightsTable(rows.cloned().collect()))
    }

    /// Whether the word still counts at a second.
    pub(in crate::auth) fn counts(&self, access: &Access, now: i64) -> bool {
        let issuer = self.issuer(access);
        // Without `oidc` nobody signs in there; without `audience` no program's token counts.
        let way = issuer.is_some_and(|issuer| match self.until {
            None => issuer.oidc.is_some(),
            Some(_) => issuer.audience.is_some(),
        });
        way && self.until.is_none_or(|until| now < until)
    }

    fn issuer<'a>(&self, access: &'a Access) -> Option<&'a Issuer> {
        access.issuers.get(&self.issuer).filter(|issuer| issuer.iss == self.iss)
    }
}
