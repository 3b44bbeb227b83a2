//! The JSON messages of `wsbridge.v1`, parsed and printed (docs/protocol.md sections 3 to 10).

mod print;
mod tell;

use serde::{Deserialize, Serialize};

pub use self::tell::{
    Answer, Asker, Endpoint, Hello, Holder, LeaseNews, Opened, Rate, RightsNews, Status, Tell,
};
use crate::settings::{DataBits, Flow, Levels, Parity, Settings, Step, StopBits};

/// The longest text frame that a server takes, in bytes.
pub const TEXT_MAX: usize = 16 * 1024;

/// The most steps in one `signals` message.
pub const STEPS_MAX: usize = 32;

/// The longest that one `signals` message may take, in milliseconds.
pub const STEPS_TIME_MAX: u64 = 10_000;

/// The smallest window that a side may grant, in bytes.
pub const WINDOW_MIN: u32 = 4096;

/// The window a side grants if it says nothing, in bytes.
pub const WINDOW_DEFAULT: u32 = 65_536;

/// The longest payload of a datagram over IPv4, in bytes.
pub(crate) const DATAGRAM_MOST: usize = 65_507;

/// The largest window that a side may grant, in bytes.
pub const WINDOW_MAX: u32 = 1 << 20;

/// A client's message: what it asks for, and the number under which it wants an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The `id`; without one there is no answer, not even an error.
    pub id: Option<u64>,
    /// What it asks for, or why that cannot be understood.
    pub ask: Result<Ask, Failure>,
}

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Begin a session.
    Open(Open),
    /// Resume a session.
    Resume(Resume),
    /// End the session and keep the socket.
    Close(Close),
    /// Change settings.
    Config(Config),
    /// Move DTR and RTS, send break.
    Signals(Signals),
    /// Run a named signal sequence of the endpoint.
    Macro(Macro),
    /// Report signals, settings and counters.
    Get,
    /// Discard.
    Flush(Flush),
    /// Report when the transmitter is empty.
    Drain,
    /// This much has been consumed.
    Ack(Ack),
    /// Do something about the right to write.
    Lease(LeaseRequest),
    /// Report, or stop reporting, how many bytes pass each second (on the bus).
    Watch(WatchRequest),
    /// Say `pong`.
    Ping,
}

/// `open`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Open {
    /// The part that the client wants.
    pub role: Role,
    /// Take the lease from its holder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub take: bool,
    /// Settings to open with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<SettingsChange>,
    /// Where DTR and RTS go; if absent, nothing moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<Levels>,
    /// Scrollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// Bytes the server may send unacknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Whether `time` messages are wanted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub times: bool,
}

/// The part a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Writes, or `busy`.
    #[default]
    Writer,
    /// Reads.
    Observer,
    /// Writes if the lease is free.
    Auto,
}

/// Scrollback: the last bytes, or everything from an offset of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Replay {
    /// The last bytes.
    Bytes {
        /// How many.
        bytes: u64,
    },
    /// From an offset.
    From {
        /// The offset.
        from: u64,
        /// The epoch it belongs to.
        epoch: String,
    },
}

/// `resume`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The session's secret.
    pub session: String,
    /// The epoch its offsets belong to.
    pub epoch: String,
    /// The offset the client wants next.
    pub rx: u64,
}

/// `close`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Close {
    /// Send what is queued first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

/// Settings to change; absent ones stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsChange {
    /// Bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baud: Option<u32>,
    /// Data bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataBits>,
    /// Parity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parity: Option<Parity>,
    /// Stop bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopBits>,
    /// Flow control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
}

impl SettingsChange {
    /// `base` with the changes.
    pub fn apply(self, base: Settings) -> Settings {
        Settings {
            baud: self.baud.unwrap_or(base.baud),
            data: self.data.unwrap_or(base.data),
            parity: self.parity.unwrap_or(base.parity),
            stop: self.stop.unwrap_or(base.stop),
            flow: self.flow.unwrap_or(base.flow),
        }
    }
}

impl From<Settings> for SettingsChange {
    /// All settings are given.
    fn from(all: Settings) -> Self {
        Self {
            baud: Some(all.baud),
            data: Some(all.data),
            parity: Some(all.parity),
            stop: Some(all.stop),
            flow: Some(all.flow),
        }
    }
}

/// `config`
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What changes.
    #[serde(flatten)]
    pub change: SettingsChange,
    /// After what is still being sent, or not.
    pub when: When,
    /// Ahead of the queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

/// When settings change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// When the transmitter is empty.
    #[default]
    Drain,
    /// Immediately.
    Now,
}

/// `signals`, with the short form turned into one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// In this order.
    pub steps: Vec<Step>,
    /// Ahead of the queue.
    pub now: bool,
}

/// `macro`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Macro {
    /// Its name in the endpoint's configuration.
    pub name: String,
}

/// `flush`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flush {
    /// What the line has received.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rx: bool,
    /// What it has not sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tx: bool,
}

/// `ack`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Everything below this offset is consumed.
    pub rx: u64,
}

/// `lease`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// What to do.
    pub op: LeaseOp,
}

/// `watch`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchRequest {
    /// Bytes per second of each endpoint.
    pub rates: bool,
}

/// What to do about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseOp {
    /// Ask the holder for it, or take it if it is free.
    Request,
    /// Take it if it is free, or its holder is a session of the same user that is gone; else `busy`,
    /// at once.
    Claim,
    /// Take it from the holder.
    Take,
    /// Give it back.
    Release,
    /// Give it to whoever asked for it.
    Grant,
    /// Refuse it to whoever asked for it.
    Deny,
}

/// Why something was not done: `code` and `message` of an `error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure and its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Codes of `error` (section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of the specification, explained there")]
pub enum Code {
    BadConfig,
    BadMessage,
    Busy,
    Denied,
    Limit,
    LineDown,
    NotOpen,
    NotWriter,
    SessionGone,
    Timeout,
    UnknownType,
    Unsupported,
}

/// Reads a client's text frame. An error is a violation, which closes with 4400.
pub fn parse(text: &[u8]) -> Result<Request, String> {
    #[derive(Deserialize)]
    struct Head {
        r#type: Option<String>,
        id: Option<u64>,
    }
    let head: Head =
        serde_json::from_slice(text).map_err(|error| format!("not a message: {error}"))?;
    let Some(kind) = head.r#type else {
        return Err("a message without `type`".into());
    };
    Ok(Request { id: head.id, ask: parse_as(&kind, text) })
}

fn parse_as(kind: &str, text: &[u8]) -> Result<Ask, Failure> {
    fn body<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Failure> {
        serde_json::from_slice(text)
            .map_err(|error| Failure::new(Code::BadMessage, error.to_string()))
    }
    Ok(match kind {
        "open" => Ask::Open(body(text)?),
        "resume" => Ask::Resume(body(text)?),
        "close" => Ask::Close(body(text)?),
        "config" => Ask::Config(body(text)?),
        "signals" => Ask::Signals(steps(body(text)?)?),
        "macro" => Ask::Macro(body(text)?),
        "get" => Ask::Get,
        "flush" => Ask::Flush(body(text)?),
        "drain" => Ask::Drain,
        "ack" => Ask::Ack(body(text)?),
        "lease" => Ask::Lease(body(text)?),
        "watch" => Ask::Watch(body(text)?),
        "ping" => Ask::Ping,
        _ => return Err(Failure::new(Code::UnknownType, format!("`{kind}` is not known here"))),
    })
}

/// `signals` as it is written in JSON.
#[derive(Serialize, Deserialize)]
struct RawSignals {
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<RawStep>>,
    #[serde(flatten)]
    short: RawStep,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    now: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct RawStep {
    #[serde(flatten)]
    change: Levels,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<f64>,
}

/// Checks the steps before any of them is queued: together they may hold up the queue only so long.
fn steps(raw: RawSignals) -> Result<Signals, Failure> {
    let raw_steps = raw.steps.unwrap_or_else(|| vec![raw.short]);
    if raw_steps.len() > STEPS_MAX {
        return Err(Failure::new(Code::Limit, format!("at most {STEPS_MAX} steps a message")));
    }
    let mut steps = Vec::with_capacity(raw_steps.len());
    let mut total = 0.0;
    for step in raw_steps {
        if step.change.is_empty() && step.ms.is_none() {
            return Err(Failure::new(Code::BadMessage, "a step that changes nothing"));
        }
        total += step.ms.unwrap_or(0.0);
        let time = |ms: f64| {
            std::time::Duration::try_from_secs_f64(ms / 1000.0).map_err(|_| {
                Failure::new(Code::BadMessage, format!("{ms} is not a time in milliseconds"))
            })
        };
        let hold = time(step.ms.unwrap_or(0.0))?;
        steps.push(Step { change: step.change, hold, at: step.at.map(time).transpose()? });
    }
    if total > 10_000.0 {
        return Err(Failure::new(Code::Limit, format!("at most {STEPS_TIME_MAX} ms a message")));
    }
    Ok(Signals { steps, now: raw.now })
}
