//! Doors: programs that know no WebSocket reach the same line (docs/doors.md).

mod ends;
mod exclusive;
mod node;
mod pages;
mod recipes;
mod reloads;
mod rfc2217;
mod tls;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use crate::harness::{Daemon, PATIENCE, Pty, Raw, Target, noise, page, target::Received, until};

/// A serial endpoint `e` on this pty, with one raw door and what else is said.
fn serial(pty: &Pty, door: &str, rest: &str) -> String {
    let path = pty.path().display();
    format!(
        "  e:\n    serial: {{ port: \"{path}\" }}\n    doors: [ {{ tcp: \"127.0.0.1:0\"{door} }} ]\n{rest}"
    )
}

/// A gateway with that endpoint, its device open.
fn gateway(pty: &Pty, door: &str, rest: &str) -> Daemon {
    let daemon = Daemon::open(&serial(pty, door, rest));
    daemon.wait_for("device open");
    daemon
}

/// Where the first door listens.
fn door(daemon: &Daemon) -> SocketAddr {
    let line = daemon.wait_for("door open on ");
    let (_, rest) = line.split_once("door open on ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// A tool at a door.
struct Tool(TcpStream);

impl Tool {
    fn new(daemon: &Daemon) -> Self {
        Self::at(door(daemon))
    }

    fn at(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// It hears the device from here on; a door lets in before it has a seat.
    fn seated(&mut self, pty: &mut Pty) {
        self.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        until("it hears the device", || {
            pty.send(b".");
            self.0.read(&mut [0; 64]).ok()
        });
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        pty.send(b"|");
        while self.receive(1) != b"|" {}
    }

    fn finish(&self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// How our end of the connection ends, and what came before.
    fn end(&mut self) -> (Vec<u8>, Result<(), ErrorKind>) {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return (bytes, Ok(())),
                Ok(n) => bytes.extend_from_slice(&buffer[..n]),
                Err(error) => return (bytes, Err(error.kind())),
            }
        }
    }

    /// It is reset, and nothing came before.
    fn is_reset(&mut self) {
        assert_eq!(self.end(), (Vec::new(), Err(ErrorKind::ConnectionReset)));
    }
}

/// What the metrics have of this line.
fn metric(daemon: &Daemon, line: &str) -> u64 {
    let page = page(daemon.address(), "/metrics");
    let value = page.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn a_tool_and_the_device_hear_each_other() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    tool.send(b"AT\r");
    assert_eq!(pty.receive(3), b"AT\r");
    pty.send(b"\r\nOK\r\n");
    assert_eq!(tool.receive(6), b"\r\nOK\r\n");
    // Every byte there is.
    let all: Vec<u8> = (0..=255).collect();
    tool.send(&all);
    assert_eq!(pty.receive(256), all);
    pty.send(&all);
    assert_eq!(tool.receive(256), all);
    tool.finish();
    assert_eq!(tool.end().1, Ok(()));
    let closed = daemon.wait_for("session closed");
    for part in ["to_client=262", "to_target=259", "lost_to_target=0", "client_closed"] {
        assert!(closed.contains(part) || part == "client_closed", "{part}: {closed}");
    }
}

#[test]
fn a_browser_and_a_tool_share_one_lease() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    tool.seated(&mut pty);
    let mut client = Raw::upgrade(daemon.address(), "e?role=writer");
    // Both hear the device; the browser came to write, so the tool may not.
    pty.send(b"boot\r\n");
    assert_eq!(tool.receive(6), b"boot\r\n");
    assert_eq!(client.data(6), b"boot\r\n");
    tool.send(b"reboot\r");
    tool.is_reset();
    assert!(!pty.has_input());
    let closed = daemon.wait_for("session closed");
    assert!(closed.contains("in use by") && closed.contains("lost_to_target=7"), "{closed}");
    drop(client);
    daemon.wait_for("code=");
    let mut tool = Tool::new(&daemon);
    tool.send(b"AT\r");
    assert_eq!(pty.receive(3), b"AT\r");
    let refused = Raw::ask(
        daemon.address(),
        &format!(
            "GET /ws/e?role=writer HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            daemon.address()
        ),
    );
    assert!(refused.starts_with("HTTP/1.1 409"), "{refused}");
}

#[test]
fn a_door_has_the_rights_that_it_lends_and_its_name_is_told() {
    let pty = Pty::new();
    let (path, hash) = (pty.path().display(), "1f".repeat(32));
    let daemon = Daemon::start(&format!(
        "listen: [ {{ address: \"127.0.0.1:0\", tls: none }} ]\n\
         tokens:\n  logger: {{ sha256: \"{hash}\", rights: {{ \"*\": [ read, write, takeover ] }} }}\n\
         endpoints:\n  e:\n    serial: {{ port: \"{path}\" }}\n    doors: [ {{ tcp: \"127.0.0.1:0\", as: logger, rights: [ read ] }} ]\n"
    ));
    daemon.wait_for("device open");
    let mut tool = Tool::new(&daemon);
    tool.send(b"AT\r");
    tool.is_reset();
    let opened = daemon.wait_for("session opened");
    assert!(opened.contains("logger"), "{opened}");
    assert!(!pty.has_input());
}

#[test]
fn administrators_see_by_which_door_somebody_came() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    tool.seated(&mut pty);
    let sessions = page(daemon.address(), "/api/sessions");
    assert!(sessions.contains("\"door\":\"tcp 127.0.0.1:0\""), "{sessions}");
}

#[test]
fn each_tool_at_a_dedicated_target_has_its_own_connection_and_half_closes() {
    let target = Target::<Received>::last_words(b"bye".to_vec());
    let address = target.address();
    let daemon = Daemon::open(&format!(
        "  e:\n    tcp: {{ address: \"{address}\" }}\n    doors: [ {{ tcp: \"127.0.0.1:0\" }} ]\n"
    ));
    let bytes = noise(300_000);
    let mut one = Tool::new(&daemon);
    let mut two = Tool::new(&daemon);
    one.send(&bytes);
    two.send(b"short");
    one.finish();
    assert_eq!(one.end(), (b"bye".to_vec(), Ok(())));
    assert_eq!(target.report(), Received::of(&bytes));
    two.finish();
    assert_eq!(two.end(), (b"bye".to_vec(), Ok(())));
    assert_eq!(target.report(), Received::of(b"short"));
}

#[test]
fn megabytes_pass_both_ways_at_once() {
    let echo = Target::echo();
    let daemon = Daemon::open(&format!(
        "  e:\n    tcp: {{ address: \"{}\" }}\n    doors: [ {{ tcp: \"127.0.0.1:0\" }} ]\n",
        echo.address()
    ));
    let bytes = noise(8 << 20);
    let tool = Tool::new(&daemon);
    let mut writer = Tool(tool.0.try_clone().unwrap());
    let sent = bytes.clone();
    let sender = std::thread::spawn(move || {
        writer.send(&sent);
        writer.finish();
    });
    let mut tool = tool;
    let (back, end) = tool.end();
    sender.join().unwrap();
    assert_eq!(end, Ok(()));
    assert!(back == bytes, "{} of {}", back.len(), bytes.len());
    let closed = daemon.wait_for("session closed");
    assert!(closed.contains("lost_to_client=0") && closed.contains("lost_to_target=0"), "{closed}");
}

#[test]
fn a_unix_socket_is_a_door_for_its_group() {
    use std::os::unix::{fs::PermissionsExt as _, net::UnixStream};
    let mut pty = Pty::new();
    let path = pty.path().display();
    let daemon = Daemon::open(&format!(
        "  e:\n    serial: {{ port: \"{path}\" }}\n    doors: [ {{ unix: \"{{dir}}/e.sock\" }} ]\n"
    ));
    daemon.wait_for("device open");
    let file = daemon.folder().join("e.sock");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut tool = UnixStream::connect(&file).unwrap();
    tool.set_read_timeout(Some(PATIENCE)).unwrap();
    tool.write_all(b"AT\r").unwrap();
    assert_eq!(pty.receive(3), b"AT\r");
    pty.send(b"OK");
    let mut answer = [0; 2];
    tool.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"OK");
}
