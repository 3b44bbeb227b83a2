//! Lines that are no serial line with room: datagrams, and one that takes nothing.

use std::net::UdpSocket;

use serde_json::json;

use super::{ALL, Lab, SAFE, SEND, TOLD, line, users};
use crate::harness::{Daemon, PATIENCE, Pty, Wire};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_datagram_is_sent_to_who_has_lost_its_writer_and_an_idle_writer_is_lost() {
    let device = UdpSocket::bind("127.0.0.1:0").unwrap();
    device.set_read_timeout(Some(PATIENCE)).unwrap();
    let users = users(&[("anna", ALL)], 60);
    let daemon = Daemon::start(&format!(
        "{users}  e:\n    udp: {{ address: \"{}\" }}\n    limits: {{ idle: 1s }}\n    on_writer_lost: [ {SEND} ]\n",
        device.local_addr().unwrap()
    ));
    daemon.wait_for("device open");
    let (mut anna, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    anna.send(b"work").await;
    assert_eq!(anna.closed().await.0, 4440);
    let told = daemon.wait_for(TOLD);
    assert!(told.contains("why=idle ") && told.contains("done=1 of=1"), "{told}");
    let mut space = [0; 99];
    for datagram in [&b"work"[..], SAFE] {
        let length = device.recv(&mut space).unwrap();
        assert_eq!(&space[..length], datagram);
    }
}

/// A pty has no CTS, and knows XOFF; CTS is held back in a guest (tests/vm/cases/deadman.py).
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn on_a_line_that_takes_nothing_bytes_are_given_up_and_the_rest_is_done() {
    let pty = Pty::new();
    let users = users(&[("anna", ALL), ("bob", ALL)], 60);
    let port = pty.path().display().to_string();
    let steps = format!("{{ after: 0s }}, {SEND}, {{ wait: 10ms }}, {{ restore: settings }}");
    let lines = line(&port, &steps).replace(" }\n", ", flow: xonxoff }\n");
    let daemon = Daemon::start(&format!("{users}{lines}"));
    daemon.wait_for("device open");
    let mut lab = Lab { daemon, pty };
    let mut anna = lab.enter("anna").await;
    anna.send(b"before").await;
    assert_eq!(lab.pty.receive(6), b"before");
    lab.pty.send(b"\x13behind the XOFF");
    assert_eq!(anna.receive(15).await, b"behind the XOFF");
    anna.send(b"stuck").await;
    anna.ask("ping", json!({})).await;
    drop(anna);
    let told = lab.daemon.wait_for(TOLD);
    assert!(told.contains("why=client_lost done=2 of=3 undone=\"send: "), "{told}");
    // What was given up does not come later.
    lab.pty.send(b"\x11");
    lab.count(1).await;
}
