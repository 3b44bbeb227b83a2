//! What does not arrive is dropped whole, counted and reported.

use serde_json::json;

use super::{Peer, counted, datagram, message};
use crate::harness::{Daemon, Raw, Wire, access::tokens};

/// A datagram of this length that contains its number.
fn numbered(number: u32, length: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().cycle().take(length).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_that_is_longer_than_half_the_window_is_a_gap_and_the_rest_whole() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let (mut wire, opened) = Wire::opened(&daemon, "e", json!({"window": 8192})).await;
    let rx = opened["rx"].as_u64().unwrap();
    wire.send(b"?").await;
    peer.receive();
    for (number, length) in [(1, 4096), (2, 4097), (3, 100)] {
        peer.send(&numbered(number, length));
    }
    assert_eq!(datagram(&mut wire).await, numbered(1, 4096));
    let gap = wire.told("gap").await;
    assert_eq!((&gap["from"], &gap["to"]), (&json!(rx + 4096), &json!(rx + 4096 + 4097)));
    assert_eq!(wire.receive(100).await, numbered(3, 100));
    assert_eq!(counted(&daemon, "wsbridge_undelivered_bytes_total"), 4097);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reader_that_is_slow_gets_whole_datagrams_and_a_gap() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let (mut other, _) = Wire::opened(&daemon, "e", json!({})).await;
    let (mut slow, opened) =
        Wire::opened(&daemon, "e", json!({"role": "observer", "window": 4096})).await;
    let rx = opened["rx"].as_u64().unwrap();
    other.send(b"?").await;
    peer.receive();
    // It acknowledges nothing: three fit its window of 4096, and the others pass it by. Each waits
    // for the one before it, so that the kernel's buffer plays no part.
    let (length, count) = (1000_u32, 400_u32);
    for number in 0..count {
        peer.send(&numbered(number, length as usize));
        assert_eq!(datagram(&mut other).await, numbered(number, length as usize));
        let seen = u64::from((number + 1) * length);
        // Both began at the same byte.
        other.say(json!({"type": "ack", "rx": rx + seen})).await;
    }
    for number in 0..4 {
        assert_eq!(datagram(&mut slow).await, numbered(number, 1000));
    }
    slow.say(json!({"type": "ack", "rx": rx + 4000})).await;
    let gap = slow.told("gap").await;
    assert_eq!(gap["from"], rx + 4000);
    let missed = gap["to"].as_u64().unwrap() - rx - 4000;
    assert!(missed > 0 && missed % 1000 == 0, "{gap}");
    let mut next = u32::try_from(4 + missed / 1000).unwrap();
    assert_eq!(counted(&daemon, "wsbridge_undelivered_bytes_total"), missed);
    while next < count {
        assert_eq!(datagram(&mut slow).await, numbered(next, 1000));
        next += 1;
        slow.say(json!({"type": "ack", "rx": rx + u64::from(next * 1000)})).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_plain_reader_that_is_slow_misses_datagrams_and_stays() {
    let (length, count) = (60_000_u32, 400_u32);
    let mut peer = Peer::new();
    let daemon = peer.daemon("    history: 4KiB\n");
    let (mut other, opened) = Wire::opened(&daemon, "e", json!({"window": 262_144})).await;
    let mut client = Raw::upgrade(daemon.address(), "e");
    other.send(b"?").await;
    peer.receive();
    // 24 MB, more than all buffers on its way hold.
    for number in 0..count {
        peer.send(&numbered(number, length as usize));
        assert_eq!(datagram(&mut other).await.len(), length as usize);
        let rx = opened["rx"].as_u64().unwrap() + u64::from((number + 1) * length);
        other.say(json!({"type": "ack", "rx": rx})).await;
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&(count - 1)) {
        let bytes = message(&mut client);
        let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        assert_eq!(bytes, numbered(number, length as usize));
        seen.push(number);
    }
    assert!(seen.is_sorted() && seen[0] == 0, "{seen:?}");
    let missed = u64::from(count) - seen.len() as u64;
    assert!(missed > 0);
    assert_eq!(counted(&daemon, "wsbridge_undelivered_bytes_total"), missed * u64::from(length));
}

#[test]
fn datagrams_of_another_sender_are_dropped() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let mut client = Raw::upgrade(daemon.address(), "e");
    client.frame(2, b"?");
    peer.receive();
    let mut other = Peer::new();
    other.gateway = peer.gateway;
    other.send(b"forged");
    // The same address and another port; and another address of this machine.
    let mut far = Peer::at("127.0.0.2:0".parse().unwrap());
    far.gateway = peer.gateway;
    far.send(b"forged, too");
    peer.send(b"true");
    assert_eq!(message(&mut client), b"true");
    peer.send(b"and only that");
    assert_eq!(message(&mut client), b"and only that");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_datagram_of_an_observer_is_refused_whole_and_the_writers_goes() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let (mut writer, _) = Wire::opened(&daemon, "e", json!({})).await;
    let (mut observer, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    observer.send(b"of an observer").await;
    let error = observer.told("error").await;
    assert_eq!((&error["code"], &error["bytes"]), (&json!("not_writer"), &json!(14)));
    writer.send(b"of the writer").await;
    assert_eq!(peer.receive(), b"of the writer");
    let busy = Wire::opened(&daemon, "e", json!({"role": "writer"})).await.1;
    assert_eq!(busy["code"], "busy");
    // What the peer says is for everybody.
    peer.send(b"to all");
    assert_eq!(datagram(&mut writer).await, b"to all");
    assert_eq!(datagram(&mut observer).await, b"to all");
}

#[test]
fn an_exclusive_endpoint_takes_one_session_and_a_reader_may_not_send() {
    let peer = Peer::new();
    let daemon = peer.daemon("    share: exclusive\n");
    let _one = Raw::upgrade(daemon.address(), "e");
    assert_eq!(Raw::status(daemon.address(), "e", ""), 409);

    let mut peer = Peer::new();
    let config = tokens(&[("reads", "read"), ("writes", "read, write")]);
    let daemon =
        Daemon::start(&format!("{config}  e:\n    udp: {{ address: \"{}\" }}\n", peer.address()));
    daemon.wait_for("device open");
    let as_who = |who: &str| {
        Raw::handshake(daemon.address(), "e", &format!("Authorization: Bearer wsb_{who}\r\n")).0
    };
    let (mut reads, mut writes) = (as_who("reads"), as_who("writes"));
    reads.frame(2, b"never");
    writes.frame(2, b"said");
    assert_eq!(peer.receive(), b"said");
    peer.send(b"heard");
    assert_eq!((message(&mut reads), message(&mut writes)), (b"heard".to_vec(), b"heard".to_vec()));
}
