//! A device that connects to us: one at a time, known by what it says first (docs/guide.md).

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use crate::harness::{Daemon, PATIENCE, Raw, page, until};

/// A gateway with an endpoint `e` whose device connects; what else is said of that.
fn gateway(more: &str) -> Daemon {
    Daemon::open(&format!("  e:\n    tcp: {{ listen: \"127.0.0.1:0\"{more} }}\n"))
}

/// Where devices connect.
fn address(daemon: &Daemon) -> SocketAddr {
    let line = daemon.wait_for("waiting for the device on ");
    let (_, rest) = line.split_once("waiting for the device on ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// A device, or somebody who claims to be one.
struct Dtu(TcpStream);

impl Dtu {
    fn connect(daemon: &Daemon) -> Self {
        let stream = TcpStream::connect(address(daemon)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn says(daemon: &Daemon, bytes: &[u8]) -> Self {
        let mut dtu = Self::connect(daemon);
        dtu.send(bytes);
        dtu
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// It was turned away, and got nothing.
    fn is_reset(&mut self) {
        let error = self.0.read(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    fn name(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

fn metric(daemon: &Daemon, name: &str) -> u64 {
    let page = page(daemon.address(), "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

fn refused(daemon: &Daemon, reason: &str, count: u64) {
    let name = format!("wsbridge_refusals_total{{reason=\"{reason}\"}}");
    until("it is counted", || (metric(daemon, &name) == count).then_some(()));
}

/// Waits until the device is there, and opens a session.
fn session(daemon: &Daemon) -> Raw {
    until("the line is up", || {
        let up = "wsbridge_target_state{endpoint=\"e\",wsbridge_target_state=\"up\"}";
        (metric(daemon, up) == 1).then_some(())
    });
    Raw::upgrade(daemon.address(), "e")
}

#[test]
fn the_line_is_there_while_the_device_is_and_comes_back_with_it() {
    let daemon = gateway("");
    address(&daemon);
    assert_eq!(Raw::status(daemon.address(), "e", ""), 503);
    daemon.wait_for("no device is connected to 127.0.0.1:");
    for round in 1..=2 {
        // A device that waits to be asked.
        let mut dtu = Dtu::connect(&daemon);
        let mut browser = session(&daemon);
        browser.frame(2, b"read 40001");
        assert_eq!(dtu.receive(10), b"read 40001");
        dtu.send(b"4711");
        assert_eq!(browser.data(4), b"4711");
        drop(dtu);
        let (code, why) = browser.closed().unwrap();
        assert_eq!(code, 1011, "{why}");
        assert_eq!(daemon.log().matches("the device has connected").count(), round);
    }
}

#[test]
fn a_device_that_only_brings_something_and_leaves_is_heard_to_the_end() {
    let daemon = gateway("");
    let dtu = Dtu::says(&daemon, b"level 1.23 m\n");
    dtu.0.shutdown(Shutdown::Write).unwrap();
    until("it was heard", || {
        let log = page(daemon.address(), "/api/endpoints/e/log");
        log.ends_with("level 1.23 m\n").then_some(())
    });
}

#[test]
fn nothing_reaches_anybody_before_the_registration_which_is_no_data() {
    let daemon = gateway(", registration: \"PUMP?\\\\r\\\\n\"");
    let mut stranger = Dtu::says(&daemon, b"\0PUMP7\r\nAT+CFUN=0\r");
    stranger.is_reset();
    refused(&daemon, "registration", 1);
    assert!(daemon.log().contains("did not begin with the `registration`"), "{}", daemon.log());
    // One that has said nothing is nobody, and keeps nobody out.
    let _silent: Vec<_> = (0..40).map(|_| Dtu::connect(&daemon)).collect();
    let mut dtu = Dtu::says(&daemon, b"PUM");
    dtu.send(b"P7\r\nhello");
    let mut browser = session(&daemon);
    browser.frame(2, b"x");
    assert_eq!(dtu.receive(1), b"x");
    dtu.send(b", world");
    let heard = browser.data(7);
    assert_eq!(heard, b", world");
    let log = page(daemon.address(), "/api/endpoints/e/log");
    assert!(log.ends_with("hello, world"), "{log}");
}

#[test]
fn a_registration_that_is_kept_is_the_first_data() {
    let daemon = gateway(", registration: \"ID=*;\", keep_registration: true");
    let _dtu = Dtu::says(&daemon, b"ID=4711;on");
    until("it was heard", || {
        let log = page(daemon.address(), "/api/endpoints/e/log");
        log.ends_with("ID=4711;on").then_some(())
    });
}

#[test]
fn no_web_page_is_taken_for_the_device() {
    let post = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_vec();
    let mut hello = vec![22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3];
    hello.extend([0x5A; 500]);
    let stun = [&[0, 1, 0, 0x58, 0x21, 0x12, 0xA4, 0x42][..], &[0x41; 100]].concat();
    for registration in ["", ", registration: \"*HTTP\""] {
        let daemon = gateway(registration);
        for (count, bytes) in (1..).zip([&post, &hello, &stun]) {
            Dtu::says(&daemon, bytes).is_reset();
            refused(&daemon, "opening", count);
        }
        assert!(!daemon.log().contains("the device has connected"), "{}", daemon.log());
    }
    // A browser opens a connection ahead of time, and uses it later.
    let daemon = gateway("");
    let mut page_of_somebody = Dtu::connect(&daemon);
    session(&daemon);
    page_of_somebody.send(&post);
    page_of_somebody.is_reset();
    refused(&daemon, "opening", 1);
    assert!(page(daemon.address(), "/api/endpoints/e/log").ends_with("\r\n\r\n"), "nothing");
}

#[test]
fn a_device_that_answers_keeps_its_place() {
    let daemon = gateway(", registration: REG");
    let mut dtu = Dtu::says(&daemon, b"REG");
    let mut browser = session(&daemon);
    let mut other = Dtu::says(&daemon, b"REG");
    other.is_reset();
    refused(&daemon, "busy", 1);
    let told = daemon.wait_for(&format!("in use by the device at {}, which answers", dtu.name()));
    assert!(told.contains(&other.name().to_string()), "{told}");
    browser.frame(2, b"still there?");
    assert_eq!(dtu.receive(12), b"still there?");
    // When it has left, the next one follows at once.
    drop(dtu);
    let mut other = Dtu::says(&daemon, b"REG");
    daemon.wait_for(&format!("peer={}", other.name()));
    session(&daemon).frame(2, b"new");
    assert_eq!(other.receive(3), b"new");
}

#[test]
fn without_a_registration_one_that_has_said_nothing_gives_way() {
    let daemon = gateway("");
    let mut preconnect = Dtu::connect(&daemon);
    session(&daemon);
    let mut dtu = Dtu::connect(&daemon);
    preconnect.is_gone();
    daemon.wait_for(&format!("peer={}", dtu.name()));
    session(&daemon).frame(2, b"hello");
    assert_eq!(dtu.receive(5), b"hello");
}

impl Dtu {
    /// Its connection has ended, in whatever way.
    fn is_gone(&mut self) {
        assert!(matches!(self.0.read(&mut [0; 16]), Ok(0) | Err(_)));
    }
}

#[test]
fn heartbeats_of_the_device_are_no_data() {
    let daemon = gateway(", registration: REG, heartbeat: { ignore: HB }");
    let mut dtu = Dtu::says(&daemon, b"REG");
    let mut browser = session(&daemon);
    let name = "wsbridge_heartbeats_ignored_total{endpoint=\"e\"}";
    for count in 1..=3 {
        dtu.send(b"HB");
        until("it is dropped", || (metric(&daemon, name) == count).then_some(()));
    }
    dtu.send(b"HB, or what?");
    assert_eq!(browser.data(12), b"HB, or what?");
}

#[test]
fn a_device_hears_from_us_while_nobody_else_says_anything() {
    let daemon = gateway(", heartbeat: { every: 1s, send: \"\\\\0\" }");
    let mut dtu = Dtu::connect(&daemon);
    assert_eq!(dtu.receive(2), [0, 0]);
    // What a client sends comes whole, and is not counted with ours.
    let mut browser = session(&daemon);
    browser.frame(2, &[b'x'; 1000]);
    let mut heard = Vec::new();
    while heard.len() < 1000 {
        heard.extend(dtu.receive(1).into_iter().filter(|byte| *byte != 0));
    }
    assert_eq!(heard, [b'x'; 1000]);
    assert_eq!(metric(&daemon, "wsbridge_undelivered_bytes_total{endpoint=\"e\"}"), 0);
}

#[test]
fn both_kinds_of_connections_to_a_device_are_kept_open() {
    use crate::harness::Target;
    for share in ["", "    share: one-writer\n    open: always\n"] {
        let target = Target::serve(|mut stream| {
            let mut heard = [0; 6];
            stream.read_exact(&mut heard).unwrap();
            heard
        });
        let daemon = Daemon::open(&format!(
            "  e:\n    tcp: {{ address: \"{}\", heartbeat: {{ every: 1s, send: \"ok\" }} }}\n{share}",
            target.address()
        ));
        let session = share.is_empty().then(|| Raw::upgrade(daemon.address(), "e"));
        assert_eq!(target.report(), *b"okokok");
        drop(session);
    }
}

#[test]
fn an_address_that_is_taken_is_told_and_had_when_it_is_free() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let daemon = Daemon::open(&format!("  e: {{ tcp: {{ listen: \"{address}\" }} }}\n"));
    daemon.wait_for(&format!("cannot listen on {address}"));
    drop(held);
    let mut dtu = until("it listens", || TcpStream::connect(address).ok().map(Dtu));
    dtu.0.set_read_timeout(Some(PATIENCE)).unwrap();
    session(&daemon).frame(2, b"hello");
    assert_eq!(dtu.receive(5), b"hello");
    // Another pattern is another device.
    let next = format!(
        "{}  e: {{ tcp: {{ listen: \"{address}\", registration: REG }} }}\n",
        crate::harness::daemon::OPEN
    );
    daemon.reload(&next);
    dtu.is_gone();
    until("it waits for that", || {
        (daemon.log().matches("waiting for the device on ").count() == 2).then_some(())
    });
    let mut dtu = Dtu::says(&daemon, b"REG");
    session(&daemon).frame(2, b"anew");
    assert_eq!(dtu.receive(4), b"anew");
}
