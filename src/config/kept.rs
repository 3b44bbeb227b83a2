//! How a connection to a device is kept: the keys that it has whoever connects.

use std::time::Duration;

use super::cursor::Keys;
use crate::settings::UsbId;

/// How a connection is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) connect_timeout: Duration,
    pub(super) keepalive: Option<Duration>,
    pub(super) dead_after: Duration,
    pub(super) user_timeout: Option<Duration>,
    pub(super) usb: Option<UsbId>,
}

/// Reads them.
pub(super) fn kept(k: &mut Keys<'_>, dead_after: Duration) -> Kept {
    let second = Duration::from_secs(1);
    let connect_timeout = k
        .key(
            "connect_timeout",
            "time for all attempts together; an `rfc2217` target has it once more for the negotiation",
        )
        .uci("connect_timeout")
        .within(Duration::from_millis(100)..=300 * second)
        .or(5 * second);
    let keepalive = k
        .key("keepalive", "idle time before keepalive probes; `0s` sends none")
        .uci("keepalive")
        .within(Duration::ZERO..=7200 * second)
        .or(30 * second);
    let user_timeout = k
        .key(
            "user_timeout",
            "the kernel's own limit (TCP_USER_TIMEOUT): data unacknowledged for this long ends the connection. It cuts off \
             devices that are slow or paused as well as dead ones; without it, `dead_after` finds only the dead ones. \
             `0s` sets none",
        )
        .uci("user_timeout")
        .within(Duration::ZERO..=3600 * second)
        .or(Duration::ZERO);
    let usb = k
        .key(
            "usb",
            "USB ids of the device behind it, for web tools that choose ports by them; the connection itself does not tell them",
        )
        .without("none")
        .uci("usb")
        .maybe::<UsbId>();
    let some = |time: Duration| (time > Duration::ZERO).then_some(time);
    let (keepalive, user_timeout) = (some(keepalive), some(user_timeout));
    Kept { connect_timeout, keepalive, dead_after, user_timeout, usb: usb.map(|usb| usb.value) }
}
