//! Peers that are not there, and those that send first.

use std::net::UdpSocket;

use serde_json::json;

use super::{Peer, datagram};
use crate::harness::{Daemon, Raw, Wire, namespace};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_nobody_listens_the_line_is_down_and_heals_when_somebody_does() {
    let peer = Peer::new();
    let daemon = peer.daemon("");
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let address = peer.address();
    drop(peer);
    // The kernel takes it; what comes back shows that it was in vain.
    wire.send(b"in vain").await;
    let down = wire.until(|told| told["type"] == "status" && told["state"] == "down").await;
    let why = down["error"].as_str().unwrap();
    assert!(why.contains(&format!("{address}: nobody listens on UDP port")), "{down}");
    let mut peer = Peer::at(address);
    wire.until(|told| told["type"] == "status" && told["state"] == "up").await;
    wire.send(b"heard").await;
    assert_eq!(peer.receive(), b"heard");
    peer.send(b"answered");
    assert_eq!(datagram(&mut wire).await, b"answered");
}

#[test]
fn where_no_way_leads_the_line_is_down_and_says_so() {
    let setup =
        "ip link add one type dummy; ip link set one up; ip address add 192.0.2.1/24 dev one";
    let name = "udp::peers::where_no_way_leads_the_line_is_down_and_says_so";
    if !namespace::inside(name, setup) {
        return;
    }
    let daemon = Daemon::open(
        "  far:\n    udp: { address: \"198.51.100.7:10110\" }\n  e:\n    udp: { address: \"192.0.2.7:10110\" }\n",
    );
    // No route: that shows at once. Nobody at the address: when something is sent.
    daemon.wait_for("198.51.100.7:10110: network unreachable");
    let mut client = Raw::upgrade(daemon.address(), "e");
    client.frame(2, b"?");
    daemon.wait_for("192.0.2.7:10110: host unreachable");
}

#[test]
fn a_device_that_sends_without_being_asked_is_heard_at_the_local_port() {
    // A port that is free now; somebody else may have it a moment later.
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut peer = Peer::new();
    let daemon = Daemon::open(&format!(
        "  e:\n    udp: {{ address: \"{}\", local_port: {} }}\n",
        peer.address(),
        ours.port()
    ));
    daemon.wait_for("device open");
    peer.gateway = Some(ours);
    peer.send(b"$IIMWV,214.8,R,0.1,K,A*28\r\n");
    // Nobody was there to hear it: it is in the history.
    let (mut client, _) = Raw::handshake(daemon.address(), "/ws/e?replay=1000", "");
    assert_eq!(super::message(&mut client), b"$IIMWV,214.8,R,0.1,K,A*28\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_simulated_multiplexer_sends_sentences_one_by_one() {
    let daemon = Daemon::open("  e: { sim: nmea }\n");
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    for _ in 0..6 {
        let sentence = String::from_utf8(datagram(&mut wire).await).unwrap();
        let body = sentence.strip_prefix('$').and_then(|it| it.strip_suffix("\r\n")).unwrap();
        let (body, sum) = body.split_once('*').unwrap();
        let right = body.bytes().fold(0, |sum, byte| sum ^ byte);
        assert_eq!(u8::from_str_radix(sum, 16), Ok(right), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_resumed_session_goes_on_at_the_border_of_a_message_both_ways() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let (mut wire, opened) = Wire::opened(&daemon, "e", json!({})).await;
    let rx = opened["rx"].as_u64().unwrap();
    wire.send(b"first").await;
    assert_eq!(peer.receive(), b"first");
    wire.until(|told| told["type"] == "ack" && told["tx"] == 5).await;
    peer.send(b"one");
    assert_eq!(datagram(&mut wire).await, b"one");
    // Half a message, and the connection is gone: it does not count.
    wire.send_part(b"sec").await;
    peer.send(b"two");
    peer.send(b"three");
    assert_eq!(datagram(&mut wire).await, b"two");
    assert_eq!(datagram(&mut wire).await, b"three");
    drop(wire);
    let mut wire = Wire::connect(&daemon, "e").await;
    let resume = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": rx + 3});
    let resumed = wire.ask("resume", resume).await;
    assert_eq!(resumed["type"], "resumed", "{resumed}");
    assert_eq!((&resumed["tx"], &resumed["rx"]), (&json!(5), &json!(rx + 3)));
    assert_eq!(datagram(&mut wire).await, b"two");
    assert_eq!(datagram(&mut wire).await, b"three");
    wire.send(b"second").await;
    assert_eq!(peer.receive(), b"second");
    wire.until(|told| told["type"] == "ack" && told["tx"] == 11).await;
    // Inside a message nothing can continue; after it, it does.
    drop(wire);
    let mut wire = Wire::connect(&daemon, "e").await;
    let resume = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": rx + 1});
    let resumed = wire.ask("resume", resume).await;
    assert_eq!(resumed["rx"], rx + 3);
}
