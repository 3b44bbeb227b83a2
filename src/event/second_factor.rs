//! What is told of second factors: to the log and to the record.

use serde_json::{Value, json};

use super::named::{detail, name};
use crate::{
    audit::Entry,
    auth::{ClientAddress, PrincipalId, PrincipalKind},
    wire::second_factor::SecondFactor,
};

/// Something about a user's second factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecondFactorEvent<'a> {
    pub deed: FactorDeed,
    /// Whose it is.
    pub user: &'a str,
    /// Who did it, where it was not the user.
    pub by: Option<&'a PrincipalId>,
    pub client: ClientAddress,
}

/// What happened to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FactorDeed {
    /// It was set up, and the user's sign-ins have ended.
    Enrolled,
    /// It was taken away.
    Off,
    /// New recovery codes were made.
    RecoveryMade,
    /// A recovery code was used; so many are left.
    RecoveryUsed(usize),
    /// The password was right, and what came with it was not.
    Refused(SecondFactor),
}

/// Logs it.
pub(super) fn log(event: SecondFactorEvent<'_>) {
    let SecondFactorEvent { deed, user, by, client } = event;
    let by = by.map(|by| by.name.as_str());
    match deed {
        FactorDeed::Enrolled => tracing::info!(user, by, "second factor set up"),
        FactorDeed::Off => tracing::warn!(user, by, "second factor taken away"),
        FactorDeed::RecoveryMade => tracing::info!(user, by, "new recovery codes"),
        FactorDeed::RecoveryUsed(left) => {
            tracing::warn!(user, peer = %client, left, "recovery code used");
        }
        FactorDeed::Refused(why) => {
            tracing::warn!(user, peer = %client, "second factor refused: {why}");
        }
    }
}

/// Its line of the record.
pub(super) fn entry(event: SecondFactorEvent<'_>) -> Entry {
    let SecondFactorEvent { deed, user, by, client } = event;
    let (what, said) = match deed {
        FactorDeed::Enrolled => ("totp_enrolled", Value::Null),
        FactorDeed::Off => ("totp_off", Value::Null),
        FactorDeed::RecoveryMade => ("recovery_codes_made", Value::Null),
        FactorDeed::RecoveryUsed(left) => ("recovery_code_used", json!({ "left": left })),
        FactorDeed::Refused(why) => ("sign_in_failed", json!({ "reason": why.word() })),
    };
    let mut detail = detail(said);
    if let Some(by) = by {
        detail.insert("by".to_owned(), name(by).into());
    }
    Entry {
        what,
        who: Some(name(&PrincipalId::new(PrincipalKind::User, user))),
        peer: Some(client.to_string()),
        detail,
        ..Entry::default()
    }
}
