//! A modem behind RFC 2217 whose carrier comes and goes, and DTR that follows who is there.

use serde_json::json;

use super::Peer;
use crate::harness::{Daemon, PATIENCE, Raw, client::upgrade_head};

/// A line of a modem with these rules, on that peer.
fn modem(peer: &Peer, rules: &str) -> Daemon {
    Daemon::open(&format!(
        "  modem: {{ rfc2217: {{ address: \"127.0.0.1:{}\", {rules} }} }}\n",
        peer.port
    ))
}

/// Waits until the peer says so, whatever it says before.
fn says(peer: &Peer, what: &str) {
    while peer.says.recv_timeout(PATIENCE).unwrap() != what {}
}

fn order(peer: &mut Peer, words: &str) {
    use std::io::Write as _;
    writeln!(peer.orders.as_mut().unwrap(), "{words}").unwrap();
}

#[test]
fn a_line_waits_for_the_carrier_and_its_sessions_end_with_it() {
    let Some(mut peer) = Peer::start() else { return };
    let daemon = modem(&peer, "wait_for: dcd, on_carrier_lost: end");
    daemon.wait_for("waiting for the modem: DCD is off");
    let mut refused = Raw::connect(daemon.address());
    refused.send(upgrade_head(daemon.address(), "modem", "").as_bytes());
    assert!(refused.head().starts_with("HTTP/1.1 503 "));
    order(&mut peer, "cd 1");
    daemon.wait_for("device open");
    let mut plain = Raw::upgrade(daemon.address(), "modem");
    let mut control = Raw::connect(daemon.address());
    let head = upgrade_head(daemon.address(), "modem", "Sec-WebSocket-Protocol: wsbridge.v1\r\n");
    control.send(head.as_bytes());
    assert!(control.head().starts_with("HTTP/1.1 101 "));
    control.frame(1, json!({ "type": "open", "id": 1, "role": "observer" }).to_string().as_bytes());
    while !String::from_utf8_lossy(&control.next().unwrap().payload).contains("opened") {}
    order(&mut peer, "cd 0");
    for client in [&mut plain, &mut control] {
        let (code, reason) = client.closed().unwrap();
        assert!(code == 4452 && reason.contains("the carrier was lost"), "{code} {reason}");
    }
    says(&peer, "closed");
}

#[test]
fn without_a_rule_sessions_outlive_the_carrier() {
    let Some(mut peer) = Peer::start() else { return };
    let daemon = modem(&peer, "baud: 9600");
    let mut client = Raw::upgrade(daemon.address(), "modem");
    for words in ["cd 1", "cd 0"] {
        order(&mut peer, words);
        says(&peer, &format!("did {words}"));
    }
    client.frame(2, b"still here");
    let mut device = std::fs::File::open(&peer.device).unwrap();
    let mut got = [0; 10];
    std::io::Read::read_exact(&mut device, &mut got).unwrap();
    assert_eq!(&got, b"still here");
}

#[test]
fn dtr_is_up_while_somebody_is_there() {
    let Some(peer) = Peer::start() else { return };
    let daemon = modem(&peer, "signals: { while_connected: { dtr: true } }");
    says(&peer, "set dtr 0");
    daemon.wait_for("device open");
    for _ in 0..2 {
        let first = Raw::upgrade(daemon.address(), "modem");
        says(&peer, "set dtr 1");
        let second = Raw::upgrade(daemon.address(), "modem");
        drop(first);
        drop(second);
        says(&peer, "set dtr 0");
    }
}
