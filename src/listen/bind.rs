//! Sockets to listen on, made or taken over; and what to say when there is none.

use std::{
    io,
    net::SocketAddr,
    os::{fd::OwnedFd, unix::net::UnixListener as StdUnixListener},
    path::Path,
};

use socket2::{SockRef, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::{BoundSocket, holder, unix};
use crate::{
    config::Address,
    stream::{BACKLOG, listening},
};

pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<BoundSocket> {
    TcpListener::from_std(listening(address, false)?.into()).map(BoundSocket::Tcp)
}

/// A socket for an address that overlaps those of listeners about to leave (127.0.0.1 becomes
/// `[::]`). The two share the port (`SO_REUSEPORT`) only while this one is made, so that nobody
/// else can join before or after.
pub(super) fn bind_beside(address: SocketAddr, leaving: &[&OwnedFd]) -> io::Result<OwnedFd> {
    let share =
        |on| leaving.iter().try_for_each(|socket| SockRef::from(*socket).set_reuse_port(on));
    share(true)?;
    let made = listening(address, true);
    share(false)?;
    let made = made?;
    made.set_reuse_port(false)?;
    Ok(made.into())
}

/// A socket with this mode.
pub(super) fn bind_unix(path: &Path, mode: u32) -> io::Result<BoundSocket> {
    let (socket, file) = unix::listen(path, mode, BACKLOG)?;
    Ok(BoundSocket::Unix(UnixListener::from_std(socket.into())?, Some(file)))
}

pub(super) fn take_over(handed: OwnedFd) -> io::Result<BoundSocket> {
    let socket = Socket::from(handed);
    socket.set_nonblocking(true)?;
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the socket handed over is not a listening stream socket",
        ));
    }
    if socket.local_addr()?.as_socket().is_some() {
        TcpListener::from_std(socket.into()).map(BoundSocket::Tcp)
    } else {
        let listener: StdUnixListener = OwnedFd::from(socket).into();
        UnixListener::from_std(listener).map(|listener| BoundSocket::Unix(listener, None))
    }
}

pub(super) fn explain(error: &io::Error, address: &Address) -> String {
    match (error.kind(), address) {
        (io::ErrorKind::AddrInUse, Address::Tcp(address)) => {
            match holder::of_port(address.port()) {
                Some(process) => format!("the port is in use by {process}"),
                None => "the port is in use".into(),
            }
        }
        (io::ErrorKind::AddrInUse, _) => "another process is listening there".into(),
        (io::ErrorKind::AddrNotAvailable, _) => "this machine has no such address".into(),
        (io::ErrorKind::PermissionDenied, Address::Tcp(address)) if address.port() < 1024 => {
            "ports below 1024 need CAP_NET_BIND_SERVICE".into()
        }
        _ => error.to_string(),
    }
}
