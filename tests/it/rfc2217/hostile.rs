//! Boxes that break telnet, answer nothing, or say a sentence instead of serving.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::json;

use super::Ser2net;
use crate::harness::{Daemon, PATIENCE, Raw, Wire, page, until};

const IAC: u8 = 255;

/// Agrees to everything a client of RFC 2217 asks for, and confirms 9600 8N1 when it is set.
fn serve(stream: &mut TcpStream) {
    let sub = |content: &[u8]| [&[IAC, 250, 44][..], content, &[IAC, 240]].concat();
    for verb in [251, 253] {
        stream.write_all(&[IAC, verb, 0, IAC, verb, 3]).unwrap();
    }
    stream.write_all(&[IAC, 253, 44]).unwrap();
    let (mut heard, flow_is_set) = (Vec::new(), sub(&[5, 1]));
    while !heard.windows(flow_is_set.len()).any(|window| window == flow_is_set) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        heard.extend(byte);
    }
    for answer in [&[101, 0, 0, 0x25, 0x80][..], &[102, 8], &[103, 1], &[104, 1], &[105, 1]] {
        stream.write_all(&sub(answer)).unwrap();
    }
}

/// A box, and a daemon that has it as line `e`. `play` plays each connection it gets, by its
/// number.
fn line(play: impl Fn(usize, &mut TcpStream) + Send + 'static) -> Daemon {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            serve(&mut stream);
            play(number, &mut stream);
        }
    });
    Daemon::open(&format!("  e:\n    rfc2217: {{ address: \"{address}\" }}\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_unescaped_sub_negotiation_does_not_silence_the_line() {
    let daemon = line(|number, stream| {
        // A client that writes has the line open.
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"data").unwrap();
        if number == 0 {
            stream.write_all(&[&[IAC, 250][..], &[b'.'; 300]].concat()).unwrap();
        }
        // Until the other end has had enough.
        std::io::copy(stream, &mut std::io::sink()).ok();
    });
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(b"1").await;
    assert_eq!(wire.receive(4).await, b"data");
    let down = wire.until(|told| told["state"] == "down").await;
    let why = down["error"].as_str().unwrap();
    assert!(
        why.contains("a telnet sub-negotiation of more than 256 bytes; it may not be doubling"),
        "{why}"
    );
    wire.until(|told| told["state"] == "up").await;
    wire.send(b"2").await;
    assert_eq!(wire.receive(4).await, b"data");
    assert!(daemon.log().contains("a telnet sub-negotiation of more than 256 bytes"));
    let counted = r#"wsbridge_line_errors_total{endpoint="e",kind="telnet"} 1"#;
    assert!(page(daemon.address(), "/metrics").contains(counted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_purge_that_is_never_answered_is_told_once_and_held_against_nobody() {
    let daemon = line(|_, stream| drop(std::io::copy(stream, &mut std::io::sink())));
    daemon.wait_for("device open");
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    for _ in 0..20 {
        // 20 time-outs of 3 s would exceed the patience of this test.
        assert_eq!(wire.ask("flush", json!({"tx": true})).await["type"], "ok");
    }
    let log = daemon.log();
    assert_eq!(log.matches("the peer did not answer purge").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_ser2net_says_of_a_port_in_use_is_the_reason() {
    let Some(far) = Ser2net::start("telnet(rfc2217),") else { return };
    let address = format!("127.0.0.1:{}", far.port);
    let mut other = until("ser2net listens", || TcpStream::connect(&address).ok());
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    // It has the port when it has begun to negotiate.
    other.read_exact(&mut [0; 3]).unwrap();
    let daemon = Daemon::open(&format!("  e:\n    rfc2217: {{ address: \"{address}\" }}\n"));
    let log = daemon.wait_for("device not there");
    let said = "the peer said \"Port already in use\" and closed the connection";
    assert!(log.replace('\\', "").contains(said), "{log}");
    let (_, refused) = Wire::opened(&daemon, "e", json!({})).await;
    assert_eq!(refused["code"], "line_down");
    assert!(refused["message"].as_str().unwrap().contains(said), "{refused}");
    let (mut client, head) = Raw::handshake(daemon.address(), "e", "");
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(client.rest().contains("Port already in use"));
    drop(other);
    daemon.wait_for("device is back");
}
