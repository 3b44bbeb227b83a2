//! Borders of messages, in both directions.

use serde_json::json;

use super::{Peer, counted, datagram, message};
use crate::harness::{Raw, Wire, client::masked, noise};

/// Datagrams that would look alike, or nothing, without their borders.
const ALL: [&[u8]; 5] = [b"$GPGGA,1*00\r\n$GP", b"RMC,2*00\r\n", b"", b"\0\xff\r", b"\nx"];

#[test]
fn each_message_of_a_plain_client_is_one_datagram_and_each_datagram_one_message() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let mut client = Raw::upgrade(daemon.address(), "e");
    // In one write, so that they come together.
    let frames: Vec<u8> = ALL.iter().flat_map(|bytes| masked(0x82, bytes)).collect();
    client.send(&frames);
    for bytes in ALL {
        assert_eq!(peer.receive(), bytes);
    }
    for bytes in ALL {
        peer.send(bytes);
    }
    for bytes in ALL {
        assert_eq!(message(&mut client), bytes);
    }
    // A text message counts as its bytes.
    client.frame(1, "größe".as_bytes());
    assert_eq!(peer.receive(), "größe".as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_message_in_control_mode_is_one_datagram_and_each_datagram_one_message() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let mut wire = Wire::connect(&daemon, "e").await;
    let hello = wire.told("hello").await;
    assert_eq!(hello["endpoint"]["kind"], "udp");
    assert!(hello["endpoint"]["caps"].as_array().unwrap().contains(&json!("datagrams")), "{hello}");
    let opened = wire.open(json!({})).await;
    for bytes in ALL {
        wire.send(bytes).await;
    }
    for bytes in ALL {
        assert_eq!(peer.receive(), bytes);
    }
    let sent: usize = ALL.iter().map(|bytes| bytes.len()).sum();
    wire.until(|told| told["type"] == "ack" && told["tx"] == sent).await;
    for bytes in ALL {
        peer.send(bytes);
    }
    for bytes in ALL {
        assert_eq!(datagram(&mut wire).await, bytes);
    }
    let got = wire.ask("get", json!({})).await;
    assert_eq!(got["rx"].as_u64().unwrap(), opened["rx"].as_u64().unwrap() + sent as u64);
    // Nobody can tell when a datagram has arrived.
    assert_eq!(wire.ask("drain", json!({})).await["code"], "unsupported");
}

#[test]
fn the_longest_datagram_is_gathered_from_fragments_and_a_longer_one_refused_and_counted() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let mut client = Raw::upgrade(daemon.address(), "e");
    let bytes = noise(65_507);
    client.send(&masked(0x02, &bytes[..1]));
    client.send(&masked(0x00, &bytes[1..40_000]));
    // A ping between two fragments takes no part.
    client.frame(9, b"there?");
    client.send(&masked(0x00, b""));
    client.send(&masked(0x80, &bytes[40_000..]));
    assert_eq!(peer.receive(), bytes);
    peer.send(&bytes);
    loop {
        let frame = client.next().unwrap();
        if frame.opcode == 2 {
            assert!(frame.fin && frame.payload == bytes);
            break;
        }
    }
    client.send(&masked(0x02, &bytes));
    client.send(&masked(0x80, b"x"));
    let (code, reason) = client.closed().unwrap();
    assert_eq!(code, 1009, "{reason}");
    assert_eq!(counted(&daemon, "wsbridge_undelivered_bytes_total"), 65_508);
    let mut next = Raw::upgrade(daemon.address(), "e");
    next.frame(2, b"next");
    assert_eq!(peer.receive(), b"next", "nothing of the other went out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn in_control_mode_a_longer_one_is_told_counted_and_the_session_goes_on() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let bytes = noise(65_508);
    wire.send(&bytes[..65_507]).await;
    assert_eq!(peer.receive(), &bytes[..65_507]);
    wire.until(|told| told["type"] == "ack" && told["tx"] == 65_507).await;
    wire.send(&bytes).await;
    let error = wire.told("error").await;
    assert_eq!((&error["code"], &error["bytes"]), (&json!("limit"), &json!(65_508)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("at most 65507"), "{error}");
    wire.until(|told| told["type"] == "ack" && told["tx"] == 2 * 65_507 + 1).await;
    assert_eq!(counted(&daemon, "wsbridge_undelivered_bytes_total"), 65_508);
    wire.send(b"next").await;
    assert_eq!(peer.receive(), b"next");
    // Going beyond the window breaks the protocol, as on every line.
    wire.send(&noise(65_537)).await;
    let (code, reason) = wire.closed().await;
    assert!(code == 4400 && reason.contains("window"), "{code} {reason}");
}

#[test]
fn base64_text_and_line_ends_do_not_reach_over_the_border_of_a_message() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("    base64: true\n");
    let (mut client, head) =
        Raw::handshake(daemon.address(), "e", "Sec-WebSocket-Protocol: base64\r\n");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.send(&masked(0x01, b"QU"));
    client.send(&masked(0x80, b"JD"));
    assert_eq!(peer.receive(), b"ABC");
    peer.send(b"ABC");
    assert_eq!(client.next().unwrap().payload, b"QUJD");
    drop(client);

    let (mut client, _) = Raw::handshake(daemon.address(), "/ws/e?eol=crlf&frames=text", "");
    client.frame(2, b"a\r");
    client.frame(2, b"\n");
    assert_eq!((peer.receive(), peer.receive()), (b"a\r\n".to_vec(), b"\r\n".to_vec()));
    // Half a character counts as a missing one, and is no part of the next message.
    peer.send(b"\xe2\x82");
    peer.send(b"\xacx");
    assert_eq!(client.next().unwrap().payload, "\u{fffd}".as_bytes());
    assert_eq!(client.next().unwrap().payload, "\u{fffd}x".as_bytes());
}
