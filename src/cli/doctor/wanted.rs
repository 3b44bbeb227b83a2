//! A port that the doctor examines.

use crate::config::PortIdentity;

/// A port that is examined.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its place in the configuration, or its device file.
    pub(super) place: String,
    /// How it is named there; `None` if it was found without a configuration.
    pub(super) identity: Option<PortIdentity>,
    /// Its speed, if one is configured.
    pub(super) baud: Option<u32>,
    /// Whether the driver is asked for low latency.
    pub(super) low_latency: bool,
    pub(super) allow_console: bool,
}
