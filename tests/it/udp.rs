//! UDP targets: a message is a datagram, in both directions and both modes (docs/protocol.md
//! sections 2 to 8).

mod borders;
mod clients;
mod loss;
mod peers;

use std::net::{SocketAddr, UdpSocket};

use crate::harness::{Daemon, PATIENCE, Raw, Wire, client::Frame, page, wire::Came};

/// A device that speaks UDP. It knows the gateway by the first datagram that it received.
struct Peer {
    socket: UdpSocket,
    gateway: Option<SocketAddr>,
}

impl Peer {
    fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    fn at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, gateway: None }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// A gateway with the endpoint `e` that reaches it; `more` has additional lines.
    fn daemon(&self, more: &str) -> Daemon {
        let daemon =
            Daemon::open(&format!("  e:\n    udp: {{ address: \"{}\" }}\n{more}", self.address()));
        daemon.wait_for("device open");
        daemon
    }

    /// The next datagram.
    fn receive(&mut self) -> Vec<u8> {
        let mut space = vec![0; 70_000];
        let (length, from) = self.socket.recv_from(&mut space).expect("a datagram");
        self.gateway = Some(from);
        space.truncate(length);
        space
    }

    fn send(&self, bytes: &[u8]) {
        let sent = self.socket.send_to(bytes, self.gateway.expect("it has heard the gateway"));
        assert_eq!(sent.unwrap(), bytes.len());
    }
}

/// The next message of a plain client.
fn message(client: &mut Raw) -> Vec<u8> {
    loop {
        let Frame { fin, opcode, payload } = client.next().expect("a frame");
        assert!(fin && matches!(opcode, 2 | 9), "{opcode}: {payload:?}");
        if opcode == 2 {
            return payload;
        }
    }
}

/// The next data message of a client in control mode.
async fn datagram(wire: &mut Wire) -> Vec<u8> {
    loop {
        match wire.next().await {
            Came::Data(bytes) => return bytes,
            Came::Json(told) => wire.passed.push(told),
            Came::Close(code, reason) => panic!("closed with {code} {reason}"),
        }
    }
}

/// The value of the metric with this name for `e`.
fn counted(daemon: &Daemon, name: &str) -> u64 {
    let page = page(daemon.address(), "/metrics");
    let line = format!("{name}{{endpoint=\"e\"}} ");
    let value = page.lines().find_map(|it| it.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}
