//! What a client is told, in the line's order.

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
        /// Offset of the first one on the endpoint's axis.
        at: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Bytes that were overwritten before this client took them; data continues after them.
    Gap {
        /// Offset of the first one missing.
        from: u64,
        /// Offset of the next byte that will come.
        to: u64,
    },
    /// CTS, DSR, DCD and RI have changed to this.
    Signals(Inputs),
    /// The settings have changed to this.
    Config {
        /// The settings.
        settings: Settings,
        /// Who changed them; `None`: they are as configured.
        by: Option<String>,
    },
    /// A break or errors on the line.
    Line {
        /// What happened.
        event: LineEvent,
        /// Offset of the byte it belongs to.
        at: u64,
        /// How many bytes from there it concerns.
        count: u64,
    },
    /// When the byte at an offset arrived, after a pause of 5 ms or more.
    Time {
        /// The offset.
        at: u64,
        /// Milliseconds since 1970.
        ms: u64,
    },
    /// The lease, its holder or the number of observers changed.
    Lease(LeaseNews),
    /// The state of the device: with each session, and when it goes or comes; on the bus, an
    /// endpoint that changed.
    Status(Status),
    /// Something went wrong with data.
    Error {
        /// For programs.
        code: Code,
        /// For people.
        message: String,
        /// How many bytes were not sent.
        bytes: Option<u64>,
    },
    /// Somebody who watches over the sessions has a message for whoever uses this one.
    Notice {
        /// Whose it is.
        from: String,
        /// What it says.
        text: String,
    },
    /// Another `hello`: the connection is back, or the bus sends its list again.
    Hello(Box<Hello>),
    /// The connection is lost and being dialled again.
    Lost(String),
    /// The session continues where it was; nothing was lost or doubled.
    Resumed(Box<Opened>),
    /// The gateway has ended the session, and says why: `open` begins a new one.
    Gone(String),
    /// The end: nothing follows, and no further attempt is made.
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
    /// It answered but speaks something else, or broke the protocol.
    #[error("not a gateway that speaks wsbridge.v1: {0}")]
    Foreign(String),
    /// It understood, and refused.
    #[error("{code:?}: {message}")]
    Failed {
        /// For programs.
        code: Code,
        /// For people.
        message: String,
    },
    /// The connection was lost before the answer came; it is not known whether the request was
    /// done.
    #[error("the connection was lost before the answer came")]
    Lost,
    /// There is no session, or the connection has ended for good.
    #[error("closed: {0}")]
    Closed(String),
}
