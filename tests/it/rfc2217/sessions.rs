//! What sessions do to a port on another box, as that box hears it.

use std::{
    fs::{self, File},
    io, thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::Peer;
use crate::harness::{Daemon, PATIENCE, Wire};

/// The box, and a daemon that has it as line `e`.
fn line(resume: &str) -> Option<(Peer, Daemon)> {
    let peer = Peer::start()?;
    let target = format!("{{ address: \"127.0.0.1:{}\" }}", peer.port);
    let daemon = Daemon::open(&format!("  e:\n    rfc2217: {target}\nresume: {resume}\n"));
    daemon.wait_for("device open");
    Some((peer, daemon))
}

fn heard(peer: &Peer, what: &str) {
    while peer.says.recv_timeout(PATIENCE).unwrap() != what {}
}

/// Whether some socket on this machine that is connected to this port has sent bytes that are not
/// acknowledged (`proc_net_tcp`: the third field is the peer's address, the fifth begins with the
/// bytes).
/// bytes).
fn has_unacknowledged(port: u16) -> bool {
    let (table, port) = (fs::read_to_string("/proc/net/tcp").unwrap(), format!(":{port:04X}"));
    table
        .lines()
        .filter_map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().ok())
        .any(|[_, _, peer, _, queues, ..]: [&str; 17]| {
            peer.ends_with(&port) && !queues.starts_with("00000000:")
        })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_session_began_is_brought_to_its_end_when_it_leaves() {
    let on = json!({"break": true});
    for how in ["close", "Close", "lost", "lost and parked"] {
        let Some((peer, daemon)) = line(if how == "lost" { "0s" } else { "60s" }) else { return };
        let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
        let (mut other, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
        assert_eq!(wire.ask("signals", on.clone()).await["type"], "ok");
        heard(&peer, "set break_condition 1");
        // One session's end is not the other's.
        other.ask("close", json!({})).await;
        let still = wire.ask("get", json!({})).await;
        assert_eq!(still["outputs"]["break"], true, "{how}");
        match how {
            "close" => drop(wire.ask("close", json!({})).await),
            "Close" => wire.close(1000).await,
            _ => drop(wire),
        }
        heard(&peer, "set break_condition 0");
    }

    // A board is not left in reset.
    let Some((peer, daemon)) = line("60s") else { return };
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let reset = json!([{"dtr": false, "ms": 300}, {"dtr": true}]);
    wire.say(json!({"type": "signals", "steps": reset, "now": true})).await;
    heard(&peer, "set dtr 0");
    drop(wire);
    heard(&peer, "set dtr 1");

    // Nobody can tell whether the wire of another box is idle; whatever waits for that continues
    // once everything is handed over.
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(b"behind this").await;
    let refused = wire.ask("drain", json!({})).await;
    assert_eq!(
        (&refused["type"], &refused["code"]),
        (&json!("error"), &json!("unsupported")),
        "{refused}"
    );
    assert_eq!(wire.ask("config", json!({"baud": 19_200, "when": "drain"})).await["type"], "ok");
    heard(&peer, "set baudrate 19200");
    assert_eq!(wire.ask("close", json!({"drain": true})).await["type"], "ok");

    // What the box has received for others belongs to everybody; what was sent to it is the
    // sender's to discard.
    let (mut other, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    assert_eq!(other.ask("flush", json!({"rx": true})).await["type"], "ok");
    other.ask("close", json!({})).await;
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({"take": true})).await;
    wire.send(b"never mind").await;
    assert_eq!(wire.ask("flush", json!({"tx": true})).await["type"], "ok");
    // The settings that the previous session left behind are restored first.
    let purged = peer.says.iter().find(|line| line.starts_with("purge")).unwrap();
    assert_eq!(purged, "purge output");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_close_without_drain_discards_what_the_driver_has_too() {
    let Some((peer, daemon)) = line("60s") else { return };
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let mut far = File::open(&peer.device).unwrap();
    thread::spawn(move || io::copy(&mut far, &mut io::sink()));
    // The box reads nothing, and its kernel takes less than this, which escaping doubles.
    let child = Pid::from_child(&peer.child);
    kill_process(child, Signal::STOP).unwrap();
    wire.send(&vec![0xff; 65_536]).await;
    while !has_unacknowledged(peer.port) {
        tokio::task::yield_now().await;
    }
    wire.ask("close", json!({})).await;
    kill_process(child, Signal::CONT).unwrap();
    heard(&peer, "purge output");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_takeover_ends_a_break_and_leaves_dtr_and_rts_where_they_are() {
    for hold in [json!({"break": true, "ms": 9000}), json!({"break": true})] {
        let Some((peer, daemon)) = line("60s") else { return };
        let (mut anna, _) = Wire::opened(&daemon, "e", json!({})).await;
        let (mut bob, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
        let began = std::time::Instant::now();
        let steps = json!([{"dtr": false, "rts": false}, hold]);
        anna.say(json!({"type": "signals", "steps": steps})).await;
        heard(&peer, "set break_condition 1");
        assert_eq!(bob.ask("lease", json!({"op": "take"})).await["type"], "ok");
        heard(&peer, "set break_condition 0");
        assert!(began.elapsed().as_secs() < 9);
        let outputs = &bob.ask("get", json!({})).await["outputs"];
        assert_eq!(outputs, &json!({"dtr": false, "rts": false, "break": false}));
    }
}
