//! Whether sessions of an endpoint can go on under a new configuration.

use super::Reopening;
use crate::config::{DialInTarget, Endpoint, SerialTarget, Target};

/// Why sessions of one endpoint cannot continue with the other; `None` if they can: it is the same
/// device, reached and shared in the same way.
pub(super) fn reopening(old: &Endpoint, new: &Endpoint) -> Option<Reopening> {
    let same = match (&old.target, &new.target) {
        // Time-outs apply to future connections.
        (Target::Tcp(old), Target::Tcp(new)) => old.address == new.address && old.tls == new.tls,
        (Target::DialIn(old), Target::DialIn(new)) => waits_on(old, new),
        (Target::Serial(old), Target::Serial(new)) => stays_open(old, new),
        (Target::Rfc2217(old), Target::Rfc2217(new)) => {
            old.tcp.address == new.tcp.address && old.control == new.control
        }
        (Target::Udp(old), Target::Udp(new)) => old == new,
        (Target::Sim(old), Target::Sim(new)) => old == new,
        (
            Target::Tcp(_)
            | Target::DialIn(_)
            | Target::Serial(_)
            | Target::Rfc2217(_)
            | Target::Udp(_)
            | Target::Sim(_),
            _,
        ) => false,
    };
    if !same {
        Some(Reopening::Target)
    } else if old.share != new.share || old.open != new.open {
        Some(Reopening::Sharing)
    } else {
        (old.history != new.history).then_some(Reopening::History)
    }
}

/// Whether a device that connects to us may stay: it would be let in as it was. Time-outs apply to
/// future connections.
fn waits_on(old: &DialInTarget, new: &DialInTarget) -> bool {
    let DialInTarget {
        listen,
        from,
        registration,
        keep_registration,
        heartbeat,
        keepalive: _,
        dead_after: _,
        user_timeout: _,
        usb: _,
    } = old;
    *listen == new.listen
        && *from == new.from
        && *registration == new.registration
        && *keep_registration == new.keep_registration
        && *heartbeat == new.heartbeat
}

/// Whether the device can stay open: line settings can be changed on it, everything else belongs to
/// opening it.
fn stays_open(old: &SerialTarget, new: &SerialTarget) -> bool {
    let SerialTarget {
        port,
        settings: _,
        rs485,
        on_open: _,
        on_release: _,
        carrier,
        removes_echo,
        low_latency,
        allow_console,
    } = old;
    *port == new.port
        && *rs485 == new.rs485
        && *carrier == new.carrier
        && *removes_echo == new.removes_echo
        && *low_latency == new.low_latency
        // Withdrawing the permission closes the console.
        && (new.allow_console || !*allow_console)
}
