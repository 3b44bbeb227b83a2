//! A TCP socket that listens, made the way all of ours are.

use std::{io, net::SocketAddr};

use socket2::{Domain, Socket, Type};

/// Connections the kernel holds until we accept them; more than the default limit of connections.
pub(crate) const BACKLOG: i32 = 512;

/// Listens on an address; `shared` lets another socket of ours have the same port
/// (`SO_REUSEPORT`).
pub(crate) fn listening(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if let SocketAddr::V6(address) = address {
        // `[::]` serves IPv4 as well, whatever net.ipv6.bindv6only says; any other address serves
        // only its own family.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
