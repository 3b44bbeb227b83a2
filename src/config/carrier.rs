//! What modem lines mean for sessions, and sessions for them.

use super::Target;
use crate::settings::{Levels, Settings};

/// What the modem lines of a port mean for sessions, and sessions for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarrierRules {
    /// DTR and RTS while there are sessions; an empty change leaves them.
    pub while_connected: Levels,
    /// The line that has to be on before the port counts as open.
    pub wait_for: Option<CarrierLine>,
    /// Whether sessions end when the carrier falls.
    pub ends_sessions: bool,
}

/// A line by which a modem says that somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierLine {
    /// Data Carrier Detect.
    Dcd,
    /// Data Set Ready.
    Dsr,
}

impl Target {
    /// What its modem lines mean for sessions.
    pub fn carrier(&self) -> CarrierRules {
        match self {
            Self::Serial(serial) => serial.carrier,
            Self::Rfc2217(remote) => remote.carrier,
            Self::Tcp(_) | Self::DialIn(_) | Self::Udp(_) | Self::Sim(_) => CarrierRules::default(),
        }
    }

    /// Settings of the port that it reaches; a stream has none.
    pub fn settings(&self) -> Option<Settings> {
        match self {
            Self::Serial(serial) => Some(serial.settings),
            Self::Rfc2217(remote) => Some(remote.settings),
            Self::Tcp(_) | Self::DialIn(_) | Self::Udp(_) | Self::Sim(_) => None,
        }
    }
}
