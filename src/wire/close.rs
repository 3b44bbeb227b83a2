//! Decided once: how a session ended -> close code; why a request is refused -> HTTP status.
//!
//! Codes: RFC 6455 section 7.4.1 and docs/protocol.md section 10.

use std::fmt;

use super::{opening::Foreign, second_factor::SecondFactor};

/// Seconds that a client is told to wait when an endpoint has no room for it.
pub const NO_ROOM_WAIT: u32 = 10;

/// Why an endpoint has no room for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// It has as many as it may.
    Full,
    /// The user has half of them already.
    Half,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "this endpoint already has as many sessions as it may",
            Self::Half => {
                "you already have half of this endpoint's sessions, the most that one may have"
            }
        })
    }
}

/// Why a session ended. The one vocabulary of endings: the close code, the log line and the metric
/// label all come from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client sent Close; the code it gave, if any.
    ClientClosed(Option<u16>),
    /// The client sent Close, and not everything it had sent before has reached the target (4451).
    Undelivered {
        /// Bytes that did reach it, at least.
        delivered: u64,
        /// Bytes the client sent.
        of: u64,
    },
    /// The client's connection broke without a Close.
    ClientLost(String),
    /// The client did not answer a ping in time.
    ClientSilent,
    /// The client broke RFC 6455 (1002).
    BadFrame(&'static str),
    /// A text frame was not UTF-8 (1007).
    BadText,
    /// A message exceeded the limit (1009).
    TooBig,
    /// The client broke `wsbridge.v1` (4400).
    BadMessage(String),
    /// The target ended its side and everything was delivered.
    TargetEnded,
    /// The target broke: an I/O error, or the device went.
    TargetFailed(String),
    /// The target's connection was reset, or a write to it failed: it may not have read what it had
    /// acknowledged.
    TargetReset(String),
    /// The carrier fell: whoever was at the other end of the modem's line has gone (4452).
    CarrierLost,
    /// The target could not be opened.
    TargetUnreachable(String),
    /// At a hub: the gateway is not connected, or does not answer (1013).
    Away(String),
    /// The daemon stops.
    Stopping,
    /// The daemon restarts and will be back.
    Restarting,
    /// Something of ours broke.
    Internal(String),
    /// The login ended, or there was none.
    NotAuthenticated,
    /// The right was withdrawn.
    Withdrawn,
    /// The access that somebody lent is over.
    LentOver,
    /// The endpoint is unknown or was removed.
    Removed,
    /// No `open` in time.
    NotOpened,
    /// The endpoint is exclusive and in use, and by whom.
    Busy(String),
    /// The session continued on another socket.
    Superseded,
    /// An administrator ended it, and may have said why.
    Disconnected(Option<String>),
    /// An observer fell behind the tape, and how many bytes it missed.
    TooSlow(u64),
    /// The endpoint has no room for it.
    NoRoom(NoRoom),
    /// It made room for somebody with the right to take over.
    GaveWay,
    /// Nothing was sent in either direction for the endpoint's idle limit.
    Idle,
}

impl Ended {
    /// The close code to send, or `None` if there is nobody to send it to.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::ClientLost(_) => None,
            // RFC 6455 section 5.5.1: the answer usually echoes the code received.
            Self::ClientClosed(code) => Some(code.unwrap_or(1000)),
            Self::TargetEnded => Some(1000),
            Self::Stopping => Some(1001),
            Self::BadFrame(_) => Some(1002),
            Self::BadText => Some(1007),
            Self::TooBig => Some(1009),
            Self::TargetFailed(_) | Self::TargetReset(_) | Self::Internal(_) => Some(1011),
            Self::Away(_) => Some(1013),
            Self::BadMessage(_) => Some(4400),
            Self::NotAuthenticated => Some(4401),
            Self::Withdrawn | Self::LentOver => Some(4403),
            Self::Removed => Some(4404),
            Self::ClientSilent | Self::NotOpened => Some(4408),
            Self::Busy(_) => Some(4409),
            Self::Superseded => Some(4410),
            Self::Disconnected(_) => Some(4412),
            Self::TooSlow(_) => Some(4413),
            Self::Restarting => Some(4420),
            Self::NoRoom(_) | Self::GaveWay => Some(4429),
            Self::Idle => Some(4440),
            Self::TargetUnreachable(_) => Some(4450),
            Self::Undelivered { .. } => Some(4451),
            Self::CarrierLost => Some(4452),
        }
    }

    /// The word for this ending in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::ClientClosed(_) => "client_closed",
            Self::Undelivered { .. } => "undelivered",
            Self::ClientLost(_) => "client_lost",
            Self::ClientSilent => "client_silent",
            Self::BadFrame(_) => "bad_frame",
            Self::BadText => "bad_text",
            Self::TooBig => "too_big",
            Self::BadMessage(_) => "bad_message",
            Self::TargetEnded => "target_ended",
            Self::TargetFailed(_) => "target_failed",
            Self::TargetReset(_) => "reset",
            Self::CarrierLost => "carrier_lost",
            Self::TargetUnreachable(_) => "target_unreachable",
            Self::Away(_) => "away",
            Self::Stopping => "stopping",
            Self::Restarting => "restarting",
            Self::Internal(_) => "internal",
            Self::NotAuthenticated => "not_authenticated",
            Self::Withdrawn => "withdrawn",
            Self::LentOver => "lent_over",
            Self::Removed => "removed",
            Self::NotOpened => "not_opened",
            Self::Busy(_) => "busy",
            Self::Superseded => "superseded",
            Self::Disconnected(_) => "disconnected",
            Self::TooSlow(_) => "too_slow",
            Self::NoRoom(_) => "limited",
            Self::GaveWay => "gave_way",
            Self::Idle => "idle",
        }
    }
}

impl fmt::Display for Ended {
    /// The reason, for people and for the Close frame (where it is cut to 123 bytes).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientClosed(_) => f.write_str("closed by the client"),
            Self::Undelivered { delivered, of } => write!(f, "{delivered} of {of} bytes delivered"),
            Self::ClientLost(why) => write!(f, "connection to the client lost: {why}"),
            Self::ClientSilent => f.write_str("no answer to pings"),
            Self::BadFrame(why) => write!(f, "protocol error: {why}"),
            Self::BadText => f.write_str("text frame is not UTF-8"),
            Self::TooBig => f.write_str("message too big"),
            Self::BadMessage(why) => write!(f, "bad message: {why}"),
            Self::TargetEnded => f.write_str("the device closed the connection"),
            Self::TargetFailed(why) | Self::TargetReset(why) | Self::Away(why) => f.write_str(why),
            Self::CarrierLost => f.write_str("the carrier was lost"),
            Self::TargetUnreachable(why) => write!(f, "the device cannot be reached: {why}"),
            Self::Stopping => f.write_str("the gateway is stopping"),
            Self::Restarting => f.write_str("the gateway is restarting"),
            Self::Internal(why) => write!(f, "internal error: {why}"),
            Self::NotAuthenticated => f.write_str("not signed in"),
            Self::Withdrawn => f.write_str("the right to this endpoint was withdrawn"),
            Self::LentOver => f.write_str("the access that was lent to you is over"),
            Self::Removed => f.write_str("no such endpoint"),
            Self::NotOpened => f.write_str("no open in time"),
            Self::Busy(holder) => write!(f, "in use by {holder}"),
            Self::Superseded => f.write_str("resumed on another connection"),
            Self::Disconnected(None) => f.write_str("disconnected by an administrator"),
            Self::Disconnected(Some(why)) => write!(f, "disconnected by an administrator: {why}"),
            Self::TooSlow(missed) => write!(f, "too slow: {missed} bytes missed"),
            Self::NoRoom(no) => write!(f, "{no}; try again in {NO_ROOM_WAIT} s"),
            Self::GaveWay => {
                write!(f, "an administrator needed the place; try again in {NO_ROOM_WAIT} s")
            }
            Self::Idle => f.write_str("idle for too long"),
        }
    }
}

/// Why a request was refused before it became anything: limits, Host, Origin, credentials, rights,
/// endpoint, dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The head breaks RFC 9112, or our stricter reading of it.
    BadRequest(&'static str),
    /// The request line exceeds its limit.
    UriTooLong,
    /// The head exceeds its limit.
    HeadTooLarge,
    /// The head did not arrive in time.
    Timeout,
    /// Too many connections, or too many wrong credentials; how many seconds to wait.
    TooMany(u32),
    /// The endpoint has no room for a session.
    NoRoom(NoRoom),
    /// Not our host.
    Misdirected,
    /// Not a loopback name, where nobody has to sign in.
    NotLoopback,
    /// The Origin is not allowed: what was compared, and what to do.
    Origin(String),
    /// No credentials, or wrong ones.
    Unauthorized,
    /// The password is right, and does not suffice.
    SecondFactor(SecondFactor),
    /// No right, or (which looks the same without a right) no such endpoint.
    Forbidden,
    /// Access cannot be lent, asked for or used like that, and why.
    NotLent(String),
    /// What was to be kept could not be written, and what that means.
    NotKept(String),
    /// No such page or endpoint.
    NotFound,
    /// The page does not know this method.
    Method,
    /// A WebSocket version other than 13.
    Version,
    /// A page for upgrades only.
    NotUpgrade,
    /// None of the subprotocols offered is spoken; these were offered.
    Subprotocol(String),
    /// The body exceeds its limit.
    BodyTooLarge,
    /// The body is not JSON.
    MediaType,
    /// The endpoint is in use, and by whom.
    Busy(String),
    /// The target refused or could not be found.
    Unreachable(String),
    /// The target did not answer in time.
    TargetTimeout(String),
    /// The device is not there.
    TargetAbsent(String),
    /// Where proxies announce their clients: the header of the PROXY protocol is missing, or does
    /// not come from a trusted proxy.
    Proxy(&'static str),
    /// A raw door's client that began like a web page, or never said enough to be told from one.
    Opening(Foreign),
    /// A connection that did not say what the device registers with, where devices connect to us.
    Registration,
    /// The TLS handshake failed or took too long: nothing can be said to the client.
    Tls,
    /// The system has no descriptor or memory for the connection, which waits in the kernel.
    Exhausted,
}

impl Refusal {
    /// The HTTP status (RFC 9110; 421 for a wrong Host, 426 with `Sec-WebSocket-Version: 13`).
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_)
            | Self::Subprotocol(_)
            | Self::Tls
            | Self::Proxy(_)
            | Self::Opening(_)
            | Self::Registration => 400,
            Self::Unauthorized | Self::SecondFactor(_) => 401,
            Self::Origin(_) | Self::Forbidden | Self::NotLent(_) => 403,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::Timeout => 408,
            Self::Busy(_) => 409,
            Self::BodyTooLarge => 413,
            Self::UriTooLong => 414,
            Self::MediaType => 415,
            Self::Misdirected | Self::NotLoopback => 421,
            Self::Version | Self::NotUpgrade => 426,
            Self::TooMany(_) | Self::NoRoom(_) => 429,
            Self::HeadTooLarge => 431,
            Self::Unreachable(_) => 502,
            Self::TargetAbsent(_) | Self::Exhausted | Self::NotKept(_) => 503,
            Self::TargetTimeout(_) => 504,
        }
    }

    /// The word for this refusal in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::UriTooLong => "uri_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::Timeout => "timeout",
            Self::TooMany(_) | Self::NoRoom(_) => "too_many",
            Self::Misdirected | Self::NotLoopback => "host",
            Self::Origin(_) => "origin",
            Self::Unauthorized => "unauthorized",
            Self::SecondFactor(_) => "second_factor",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::NotLent(_) => "not_lent",
            Self::NotKept(_) => "not_kept",
            Self::Method => "method",
            Self::Version => "version",
            Self::NotUpgrade => "not_upgrade",
            Self::BodyTooLarge => "body_too_large",
            Self::MediaType => "media_type",
            Self::Busy(_) => "busy",
            Self::Unreachable(_) => "unreachable",
            Self::TargetTimeout(_) => "target_timeout",
            Self::TargetAbsent(_) => "target_absent",
            Self::Subprotocol(_) => "subprotocol",
            Self::Proxy(_) => "proxy",
            Self::Opening(_) => "opening",
            Self::Registration => "registration",
            Self::Tls => "tls",
            Self::Exhausted => "exhausted",
        }
    }
}

impl fmt::Display for Refusal {
    /// One sentence for the body of the response: what is wrong, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest(why) => write!(f, "bad request: {why}"),
            Self::UriTooLong => f.write_str("request line over 2 KiB"),
            Self::HeadTooLarge => f.write_str("headers over the limit (`limits.head`, 16 KiB unless set) or 64 fields; cookies of this host count"),
            Self::Timeout => f.write_str("the request did not come in time"),
            Self::TooMany(seconds) => write!(f, "too many; try again in {seconds} s"),
            Self::NoRoom(no) => write!(f, "{no}; try again in {NO_ROOM_WAIT} s"),
            Self::Misdirected => f.write_str("this gateway does not go by that name; add it to `hosts:`"),
            Self::NotLoopback => f.write_str(
                "without sign-in (`auth: none`) this gateway answers to localhost and loopback addresses only",
            ),
            Self::Origin(why) | Self::NotLent(why) | Self::NotKept(why) => f.write_str(why),
            Self::Subprotocol(offered) => write!(
                f,
                "this endpoint speaks none of the offered subprotocols ({offered}): offer `binary` or none, or name it in the \
                 endpoint's `subprotocols:`"
            ),
            Self::SecondFactor(why) => why.fmt(f),
            Self::Unauthorized => f.write_str("sign in, or send a valid token"),
            Self::Forbidden => f.write_str("not allowed"),
            Self::NotFound => f.write_str("nothing here by that name"),
            Self::Method => f.write_str("method not allowed"),
            Self::Version => f.write_str("only WebSocket version 13 is spoken here"),
            Self::NotUpgrade => f.write_str("this address speaks WebSocket"),
            Self::BodyTooLarge => f.write_str("the body is too large"),
            Self::MediaType => f.write_str("send application/json"),
            Self::Busy(holder) => write!(f, "in use by {holder}"),
            Self::Unreachable(why) | Self::TargetTimeout(why) | Self::TargetAbsent(why) => {
                write!(f, "the device cannot be reached: {why}")
            }
            Self::Proxy(why) => f.write_str(why),
            Self::Opening(foreign) => write!(
                f,
                "{} came where a door hands on raw bytes; a web page can cause that, so nothing was passed on \
                 (`http: allow` of the door lets it through)",
                foreign.word()
            ),
            Self::Registration => {
                f.write_str("it did not begin with the `registration` of the device that is waited for")
            }
            Self::Tls => f.write_str("the TLS handshake failed"),
            Self::Exhausted => f.write_str("the gateway has no descriptor or memory for another connection"),
        }
    }
}
