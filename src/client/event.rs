//! What a client is told, in the order of the line.

use bytes::Bytes;

use crate::{
    settings::{Inputs, LineEvent, Settings},
    wire::control::{Code, Hello, LeaseNews, Opened, Status},
};

/// Something that happened on the line or to the connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Line bytes.
    Data {
        /// Offset of the first on the endpoint's axis.
        at: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Bytes that were overwritten before this client took them; data go on behind them.
    Gap {
        /// Offset of the first that is missing.
        from: u64,
        /// Offset of the next that will come.
        to: u64,
    },
    /// CTS, DSR, DCD and RI are so now.
    Signals(Inputs),
    /// The settings are so now.
    Config {
        /// The settings.
        settings: Settings,
        /// Who changed them; `None`: they are as configured.
        by: Option<String>,
    },
    /// A break or errors on the line.
    Line {
        /// What.
        event: LineEvent,
        /// Offset of the byte it belongs to.
        at: u64,
        /// On how many bytes from there.
        count: u64,
    },
    /// When the byte at an offset came, after a pause of 5 ms or more.
    Time {
        /// The offset.
        at: u64,
        /// Milliseconds since 1970.
        ms: u64,
    },
    /// The lease, its holder or the number of observers changed.
    Lease(LeaseNews),
    /// How the device is: with each session, and when it goes or comes; on the bus, an endpoint
    /// that changed.
    Status(Status),
    /// Something about data went wrong.
    Error {
        /// For programs.
        code: Code,
        /// For people.
        message: String,
        /// How many bytes were not sent.
        bytes: Option<u64>,
    },
    /// Another `hello`: the connection is back, or the bus lists anew.
    Hello(Box<Hello>),
    /// The connection is lost, and dialled again.
    Lost(String),
    /// The session goes on where it was; nothing was lost or doubled.
    Resumed(Box<Opened>),
    /// The session is over on the gateway, which says why: `open` begins a new one.
    Gone(String),
    /// The end: nothing follows, and nothing is dialled again.
    Closed {
        /// Close code, if the gateway gave one.
        code: Option<u16>,
        /// Its reason.
        reason: String,
    },
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The gateway could not be reached.
    #[error("cannot reach the gateway: {0}")]
    Unreachable(String),
    /// Its certificate is not one that is trusted.
    #[error("{0}")]
    Untrusted(String),
    /// It refused the handshake.
    #[error("the gateway refused with HTTP {status}: {body}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        body: String,
    },
    /// It answered and speaks something else, or broke the protocol.
    #[error("not a gateway that speaks wsbridge.v1: {0}")]
    Foreign(String),
    /// It understood, and said no.
    #[error("{code:?}: {message}")]
    Failed {
        /// For programs.
        code: Code,
        /// For people.
        message: String,
    },
    /// The connection was lost before the answer came; whether it was done is not known.
    #[error("the connection was lost before the answer came")]
    Lost,
    /// There is no session, or the connection has ended for good.
    #[error("closed: {0}")]
    Closed(String),
}
