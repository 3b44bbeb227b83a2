//! Decided once: why a line refused -> `error` of `wsbridge.v1`.

use crate::{
    line::{NoLease, Participant, Undone, held},
    target::PortError,
    wire::control::{Code, Failure},
};

/// Something that becomes an `error`.
pub(super) trait Refused {
    /// The code and the text.
    fn failure(&self) -> Failure;
}

impl Refused for PortError {
    fn failure(&self) -> Failure {
        let code = match self {
            Self::Unsupported | Self::Stalled => Code::Unsupported,
            Self::Stuck => Code::Timeout,
            Self::BadSettings(_) => Code::BadConfig,
            Self::Failed(_) => Code::LineDown,
        };
        Failure::new(code, self.to_string())
    }
}

impl Refused for Undone {
    fn failure(&self) -> Failure {
        match self {
            Self::Port(error) => error.failure(),
            Self::Timeout => Failure::new(Code::Timeout, "the transmitter was not empty in time"),
            Self::Full => Failure::new(Code::Limit, "too much waits in the queue already"),
            Self::TooLong => {
                Failure::new(Code::Limit, "the steps that wait in the queue would take over 10 s")
            }
            Self::Taken => {
                Failure::new(Code::NotWriter, "another session took the lease before this was done")
            }
            Self::Gone => Failure::new(Code::LineDown, "the device is not there"),
        }
    }
}

/// Why the lease was refused, as the participant that asked is told.
pub(super) fn no_lease(no: &NoLease, to: &Participant) -> Failure {
    let code = match no {
        NoLease::Held(_) | NoLease::Asked(_) => Code::Busy,
        NoLease::NotHolder => Code::NotWriter,
        NoLease::NotAsked => Code::BadMessage,
    };
    Failure::new(code, held(no, to))
}
