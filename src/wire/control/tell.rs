//! A server's messages of `wsbridge.v1`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Code, Role};
use crate::settings::{ErrorCounts, Inputs, Levels, LineEvent, Settings, UsbId};

/// A server's message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub enum Tell {
    Hello(Hello),
    Opened(Opened),
    Resumed(Opened),
    Ok {
        re: u64,
        #[serde(flatten)]
        answer: Answer,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<u64>,
        code: Code,
        message: String,
        /// How many bytes of data it concerns.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    Ack {
        tx: u64,
    },
    Gap {
        from: u64,
        to: u64,
    },
    Signals(Inputs),
    Config {
        #[serde(flatten)]
        settings: Settings,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    Line {
        event: LineEvent,
        at: u64,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        count: u64,
    },
    Time {
        at: u64,
        ms: u64,
    },
    Lease(LeaseNews),
    Rights(RightsNews),
    Notice {
        from: String,
        text: String,
    },
    Status(Status),
    Rates {
        rates: BTreeMap<String, Rate>,
    },
    Lending {
        pending: usize,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<u64>,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_one(count: &u64) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn one() -> u64 {
    1
}

impl Tell {
    /// Reads a server's text frame, as its clients do.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The message as the text of a frame.
    pub fn text(&self) -> String {
        // Nothing in these shapes can fail to print.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An endpoint's bytes per second, from its device and to it; and the line's errors so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct Rate {
    pub rx: u64,
    pub tx: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub errors: u64,
}

/// `hello`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct Hello {
    pub v: u32,
    pub server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<Endpoint>>,
    pub window: u32,
    pub heartbeat: u64,
    pub resume: u64,
}

/// `rights`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct RightsNews {
    pub rights: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `status`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb: Option<UsbId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer: Option<Holder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observers: Option<usize>,
}

/// An endpoint in a `hello`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct Endpoint {
    pub name: String,
    pub kind: String,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb: Option<UsbId>,
    pub caps: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub macros: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rights: Vec<String>,
    pub writer: Option<Holder>,
    pub observers: usize,
}

/// `opened` and `resumed`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct Opened {
    pub re: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session: String,
    pub epoch: String,
    pub rx: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<u64>,
    pub tx: u64,
    pub window: u32,
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Settings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<Inputs>,
}

/// Members of an `ok`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Settings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<Inputs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Levels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<ErrorCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// `lease`, as a server says it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct LeaseNews {
    pub you: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub holder: Option<Holder>,
    pub observers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Asker>,
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct Holder {
    pub user: String,
    pub since: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
}

/// Who asks for a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members of the specification, explained there")]
pub struct Asker {
    pub user: String,
}
