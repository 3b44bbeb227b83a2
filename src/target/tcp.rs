//! TCP and unix socket targets: every address is tried, within one time-out.

use std::{
    collections::VecDeque, fmt::Write as _, io, net::SocketAddr, path::Path, time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use super::{OpenError, tls};
use crate::{
    config::{TcpAddress, TcpTarget},
    stream::Stream,
};

/// Connects; resolving the name, all attempts and TLS together take at most `connect_timeout`. A
/// name is resolved at every call.
///
/// # Errors
/// Each says what was tried: no such name, refused or unreachable, no answer in time, TLS failed.
pub(crate) async fn connect(target: &TcpTarget) -> Result<Stream, OpenError> {
    let mut stream = reach(target).await?;
    if let Some((every, bytes)) = &target.heartbeat {
        stream.keep_alive(*every, bytes.clone());
    }
    Ok(stream)
}

async fn reach(target: &TcpTarget) -> Result<Stream, OpenError> {
    let deadline = Instant::now() + target.connect_timeout;
    let late = |what: &str| late(what, target.connect_timeout);
    match &target.address {
        TcpAddress::Unix(path) => {
            let place = path.display().to_string();
            let stream = timeout_at(deadline, unix(path)).await.map_err(|_| late(&place))??.into();
            let Some(settings) = &target.tls else { return Ok(stream) };
            let secured =
                timeout_at(deadline, tls::handshake(stream, settings, None, &place)).await;
            secured.map_err(|_| late(&format!("TLS with {place}")))?
        }
        TcpAddress::Host(host, port) => {
            let place = if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            let addresses = timeout_at(deadline, resolve(host, *port)).await;
            let addresses =
                addresses.map_err(|_| late(&format!("name servers about {host}")))??;
            let stream = race(addresses, deadline, target.connect_timeout).await?;
            tune(&stream, target.keepalive, target.user_timeout);
            let Some(settings) = &target.tls else { return Ok(stream.into()) };
            let secured = tls::handshake(stream.into(), settings, Some(host), &place);
            timeout_at(deadline, secured).await.map_err(|_| late(&format!("TLS with {place}")))?
        }
    }
}

fn late(what: &str, within: Duration) -> OpenError {
    OpenError::Timeout(format!("no answer from {what} within {} s", within.as_secs_f32()))
}

async fn unix(path: &Path) -> Result<UnixStream, OpenError> {
    UnixStream::connect(path).await.map_err(|error| {
        let text = format!("{}: {}", path.display(), reason(&error));
        if error.kind() == io::ErrorKind::NotFound {
            OpenError::Absent(text)
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            OpenError::Denied(text)
        } else {
            OpenError::Refused(text)
        }
    })
}

/// The addresses of a host, with families alternating (RFC 8305 section 4), so that a dead family
/// costs only one attempt.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, OpenError> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found = lookup_host((host, port)).await.map_err(|error| {
        OpenError::Absent(format!("the name {host} cannot be resolved: {error}"))
    })?;
    let addresses = interleave(found.collect());
    if addresses.is_empty() {
        return Err(OpenError::Absent(format!("the name {host} has no address")));
    }
    Ok(addresses)
}

/// Alternates between the families, beginning with that of the first address; drops repetitions.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut mixed = Vec::new();
    while let Some(address) = these.pop_front().or_else(|| others.pop_front()) {
        if !mixed.contains(&address) {
            mixed.push(address);
        }
        if !others.is_empty() {
            std::mem::swap(&mut these, &mut others);
        }
    }
    mixed
}

/// Tries one after the other; each gets a fair share of the time that is left.
async fn race(
    addresses: Vec<SocketAddr>,
    deadline: Instant,
    within: Duration,
) -> Result<TcpStream, OpenError> {
    let mut left = addresses.len();
    let mut tried = String::new();
    let mut answered = false;
    for address in addresses {
        let share =
            deadline.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(1);
        left -= 1;
        let why = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => "no answer".into(),
            Ok(Err(error)) => {
                answered = true;
                reason(&error)
            }
            Err(_) => "no answer".into(),
        };
        let separator = if tried.is_empty() { "" } else { "; " };
        let _ = write!(tried, "{separator}{address}: {why}");
    }
    if answered {
        Err(OpenError::Refused(tried))
    } else {
        Err(OpenError::Timeout(format!("{tried} within {} s", within.as_secs_f32())))
    }
}

/// Sends without delay, and notices a peer that is gone. On a connected socket neither can fail,
/// except with a kernel that lacks it.
pub(super) fn tune(stream: &TcpStream, idle: Option<Duration>, user_timeout: Option<Duration>) {
    let socket = SockRef::from(stream);
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| idle.map_or(Ok(()), |idle| socket.set_tcp_keepalive(&keepalive(idle))))
        .and_then(|()| user_timeout.map_or(Ok(()), |time| socket.set_tcp_user_timeout(Some(time))));
    if let Err(error) = tuned {
        tracing::debug!(%error, "socket options not taken");
    }
}

/// Three probes in as much time again: a silent peer is gone after twice the idle time.
pub(super) fn keepalive(idle: Duration) -> TcpKeepalive {
    let interval = (idle / 3).max(Duration::from_secs(1));
    TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(3)
}

/// An error in words, without its number.
pub(super) fn reason(error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::ConnectionRefused, "connection refused"),
        (io::ErrorKind::ConnectionReset, "connection reset"),
        (io::ErrorKind::HostUnreachable, "host unreachable"),
        (io::ErrorKind::NetworkUnreachable, "network unreachable"),
        (io::ErrorKind::NotFound, "no such socket"),
    ];
    let words = known.iter().find(|(kind, _)| *kind == error.kind());
    words.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned())
}

#[cfg(test)]
mod tests;
