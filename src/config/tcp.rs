//! A TCP or unix socket: its part of the configuration.

use std::time::Duration;

use super::{
    TargetTls, TcpAddress, TcpTarget,
    raw::{self, Leaf, Placed},
    report::Report,
    units::duration_text,
};

pub(super) fn tcp_target(
    raw: &raw::Tcp,
    path: &str,
    dead_after: Duration,
    report: &mut Report,
) -> Option<TcpTarget> {
    let address = report.read(&format!("{path}.address"), &raw.address);
    let second = Duration::from_secs(1);
    let mut time = |key, leaf: Option<&Leaf<Duration>>, bounds| {
        report.within(&format!("{path}.{key}"), leaf, bounds, duration_text)
    };
    let tenth = Duration::from_millis(100);
    let connect_timeout =
        time("connect_timeout", raw.connect_timeout.as_ref(), (tenth, 5 * second, 300 * second));
    let keepalive = time("keepalive", raw.keepalive.as_ref(), (Duration::ZERO, 30 * second, 7200 * second));
    let user_timeout =
        time("user_timeout", raw.user_timeout.as_ref(), (Duration::ZERO, Duration::ZERO, 3600 * second));
    let tls = raw.tls.as_ref().map(|tls| target_tls(tls, &format!("{path}.tls"), report));
    if let (Some(TcpAddress::Unix(_)), Some(written)) = (&address, &raw.tls)
        && written.value.server_name.is_none()
    {
        let what = "a unix socket has no host to check; add `server_name`";
        report.wrong(written.at, &format!("{path}.tls"), what);
    }
    let keepalive = (keepalive > Duration::ZERO).then_some(keepalive);
    let user_timeout = (user_timeout > Duration::ZERO).then_some(user_timeout);
    Some(TcpTarget { address: address?, connect_timeout, keepalive, dead_after, user_timeout, tls })
}

fn target_tls(
    Placed { value: raw, at }: &Placed<raw::TargetTls>,
    path: &str,
    report: &mut Report,
) -> TargetTls {
    let ca = raw.ca.as_ref().and_then(|leaf| report.read(&format!("{path}.ca"), leaf));
    let server_name =
        raw.server_name.as_ref().and_then(|leaf| report.read(&format!("{path}.server_name"), leaf));
    let certificate =
        raw.certificate.as_ref().and_then(|leaf| report.read(&format!("{path}.certificate"), leaf));
    let key = raw.key.as_ref().and_then(|leaf| report.read(&format!("{path}.key"), leaf));
    if raw.certificate.is_some() != raw.key.is_some() {
        report.wrong(*at, path, "`certificate` and `key` go together; write both or neither");
    }
    TargetTls { ca, server_name, client: certificate.zip(key) }
}
