//! A port that doctor looks at.

use crate::config::PortIdentity;

/// A port that is looked at.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where it stands in the configuration, or its device file.
    pub(super) place: String,
    /// How it is named there; `None` for one that was found without a configuration.
    pub(super) identity: Option<PortIdentity>,
    /// Its speed, where one is configured.
    pub(super) baud: Option<u32>,
    /// Whether the driver is asked for low latency.
    pub(super) low_latency: bool,
    pub(super) allow_console: bool,
}
