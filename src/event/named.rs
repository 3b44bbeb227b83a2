//! Principals and details, as lines of the record have them.

use serde_json::{Map, Value};

use crate::auth::{PrincipalId, PrincipalKind};

/// A user `ci` and a token `ci` are two.
pub(super) fn name(principal: &PrincipalId) -> String {
    match principal.kind {
        PrincipalKind::Open | PrincipalKind::Local => principal.name.clone(),
        PrincipalKind::User
        | PrincipalKind::Token
        | PrincipalKind::Certificate
        | PrincipalKind::Identity
        | PrincipalKind::Grant
        | PrincipalKind::Link => {
            format!("{}:{}", principal.kind.word(), principal.name)
        }
    }
}

pub(super) fn detail(mut value: Value) -> Map<String, Value> {
    value.as_object_mut().map(std::mem::take).unwrap_or_default()
}
