//! Bytes that keep a connection open: its part of the configuration.

use std::time::Duration;

use super::{
    cursor::{Keys, Placed},
    escaped::{EscapedBytes, at_most},
};

/// The longest heartbeat; vendors' have up to 40 bytes.
const LONGEST: usize = 64;

/// Bytes that keep a connection open, ours and the device's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// What we send, and after how long without anything else.
    pub ours: Option<(Duration, Vec<u8>)>,
    /// What the device sends, which is no data.
    pub theirs: Option<Vec<u8>>,
}

/// Reads `heartbeat:` of a `tcp` target; whether it is the device that connects.
pub(super) fn heartbeat(k: &mut Keys<'_>) -> Option<Placed<Heartbeat>> {
    k.key("heartbeat", "bytes that keep the connection open: [below](#heartbeats)")
        .without("none")
        .map(bytes)
}

fn bytes(k: &mut Keys<'_>) -> Heartbeat {
    let second = Duration::from_secs(1);
    let every = k
        .key("every", "after so long without anything sent, `send` is sent")
        .uci("heartbeat_every")
        .within(second..=86_400 * second)
        .or(30 * second);
    let send = k
        .key("send", "1 to 64 bytes, written like a `delimiter`")
        .without("nothing")
        .uci("heartbeat_send")
        .maybe::<EscapedBytes>();
    let ignore = k
        .key(
            "ignore",
            "1 to 64 bytes that a device which connects to us (`listen`) sends by itself: where they come alone, with a pause \
             before and after, they are counted and dropped",
        )
        .without("nothing")
        .uci("heartbeat_ignore")
        .maybe::<EscapedBytes>();
    if let (Some(at), None) = (k.place("every"), &send) {
        k.odd_in("every", at, "has no effect without `send`");
    }
    let send = send.map(|it| at_most(LONGEST, "send", it, k));
    let theirs = ignore.map(|it| at_most(LONGEST, "ignore", it, k));
    Heartbeat { ours: send.map(|bytes| (every, bytes)), theirs }
}
