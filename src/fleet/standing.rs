//! How a gateway stands with the hub that it calls.

use serde::Serialize;

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Standing {
    /// It is enrolled nowhere.
    #[default]
    NotEnrolled,
    /// It is on its way.
    Calling { hub: String, gateway: String },
    /// The hub has welcomed it.
    Connected {
        hub: String,
        gateway: String,
        /// RFC 3339.
        since: String,
    },
    /// It was not let in, or did not get there; it tries again.
    Failed {
        hub: String,
        gateway: String,
        why: String,
        /// Seconds until it tries again.
        again: u64,
    },
}

impl Standing {
    /// Whether its hub has it; `None`: it is enrolled nowhere.
    pub(crate) fn is_connected(&self) -> Option<bool> {
        match self {
            Self::NotEnrolled => None,
            Self::Connected { .. } => Some(true),
            Self::Calling { .. } | Self::Failed { .. } => Some(false),
        }
    }
}
