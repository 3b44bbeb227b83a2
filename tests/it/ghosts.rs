//! Sessions whose client is gone: the same principal can write again immediately, and nobody takes
//! anything from a client that is there.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{
    Daemon, Pty, Raw, Wire, access::tokens, client::upgrade_head, cutter::Cutter,
};

const ALL: &str = "read, write, signals, settings";

/// A line for token `anna`, which may not take over; `dead_after` is short.
fn config(pty: &Pty, more: &str) -> String {
    let access =
        tokens(&[("anna", ALL), ("bob", ALL)]).replace("tokens:\n", "dead_after: 12s\ntokens:\n");
    format!("{access}  e:\n    serial: {{ port: {} }}\n{more}", pty.path().display())
}

fn line(more: &str) -> (Daemon, Pty) {
    let pty = Pty::new();
    let daemon = Daemon::start(&config(&pty, more));
    daemon.wait_for("device open");
    (daemon, pty)
}

fn plain(daemon: &Daemon, name: &str) -> Raw {
    plain_at(daemon.address(), daemon, name)
}

fn plain_at(address: SocketAddr, daemon: &Daemon, name: &str) -> Raw {
    let mut raw = Raw::connect(address);
    let more = format!("Authorization: Bearer wsb_{name}\r\n");
    raw.send(upgrade_head(daemon.address(), "e", &more).as_bytes());
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_killed_scripts_session_gives_way_to_its_next_one_and_what_it_had_queued_is_discarded() {
    let (daemon, mut pty) = line("");
    let (mut old, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(opened["role"], "writer");
    // The device takes a few kilobytes, and the rest waits.
    old.send(&vec![b'o'; 40_000]).await;
    old.ask("get", json!({})).await;
    let (mut watcher, _) =
        Wire::open_as(&daemon, "e", "wsb_bob", json!({"role": "observer"})).await;
    drop(old);
    watcher.until(|told| told["type"] == "lease" && told["holder"]["away"] == true).await;
    // Somebody who would merely like to write does not take it.
    let (_auto, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({"role": "auto"})).await;
    assert_eq!(opened["role"], "observer");
    let (mut new, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(
        (&opened["type"], &opened["role"]),
        (&json!("opened"), &json!("writer")),
        "{opened}"
    );
    daemon.wait_for("discarded what a session that is gone had queued");
    new.send(b"new").await;
    // What the driver had is on its way; nothing of the queue follows it.
    let mut got = Vec::new();
    while !got.ends_with(b"new") {
        got.extend(pty.receive(1));
    }
    assert!(got.len() < 30_000, "{} bytes of the old session", got.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_gave_way_resumes_as_an_observer_and_hears_what_was_lost() {
    let (daemon, _pty) = line("");
    let (mut old, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    old.send(&vec![b'o'; 40_000]).await;
    old.ask("get", json!({})).await;
    let (mut watcher, _) =
        Wire::open_as(&daemon, "e", "wsb_bob", json!({"role": "observer"})).await;
    drop(old);
    watcher.until(|told| told["type"] == "lease" && told["holder"]["away"] == true).await;
    let (_new, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    let mut back =
        Wire::try_connect(&daemon, "e", &[("authorization", "Bearer wsb_anna")]).await.unwrap();
    let ask = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
    let resumed = back.ask("resume", ask).await;
    assert_eq!(
        (&resumed["type"], &resumed["role"]),
        (&json!("resumed"), &json!("observer")),
        "{resumed}"
    );
    let lost = back.until(|told| told["type"] == "error" && told["re"] == Value::Null).await;
    assert_eq!(lost["code"], "not_writer", "{lost}");
    assert!(lost["bytes"].as_u64().unwrap() > 0, "{lost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn of_two_live_scripts_on_one_token_neither_steals() {
    let (daemon, mut pty) = line("");
    let (mut first, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(opened["role"], "writer");
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(refused["code"], "busy", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("you in another window"), "{refused}");
    first.send(b"first").await;
    assert_eq!(pty.receive(5), b"first");
    // `take` is offered, and needs no right over others.
    let (mut second, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({"take": true})).await;
    assert_eq!(opened["role"], "writer", "{opened}");
    second.send(b"second").await;
    assert_eq!(pty.receive(6), b"second");
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_bob", json!({"take": true})).await;
    assert_eq!(refused["code"], "denied", "{refused}");
}

#[test]
fn the_second_of_two_plain_clients_writes_when_the_first_has_left() {
    let (daemon, mut pty) = line("");
    let mut first = plain(&daemon, "anna");
    first.frame(2, b"first");
    assert_eq!(pty.receive(5), b"first");
    let mut second = plain(&daemon, "bob");
    second.frame(2, b"ignored");
    second.frame(9, b"");
    while second.next().unwrap().opcode != 10 {}
    first.frame(8, &1000_u16.to_be_bytes());
    assert_eq!(first.closed().map(|(code, _)| code), Some(1000));
    second.frame(2, b"second");
    assert_eq!(pty.receive(6), b"second");
}

#[test]
fn a_plain_client_that_redials_after_its_network_went_writes_again() {
    let (daemon, mut pty) = line("");
    let network = Cutter::start(daemon.address(), Vec::new());
    let mut near = plain_at(network.address(), &daemon, "anna");
    near.frame(2, b"before");
    assert_eq!(pty.receive(6), b"before");
    // No FIN, no reset, no pong.
    network.swallow();
    let mut again = plain(&daemon, "anna");
    let begun = Instant::now();
    // A client that is silent for less than a heartbeat may be there.
    loop {
        again.frame(2, b".");
        thread::sleep(Duration::from_millis(100));
        if pty.has_input() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "still an observer");
    }
    assert_eq!(pty.receive(1), b".");
    assert!(
        !daemon.log().contains("session closed"),
        "before the old session was found to be dead"
    );
    drop(near);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_that_is_said_to_be_shared_gives_nothing_away() {
    let pty = Pty::new();
    let shared = config(&pty, "").replace("rights: { \"*\"", "shared: true, rights: { \"*\"");
    let daemon = Daemon::start(&shared);
    daemon.wait_for("device open");
    let (old, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    let (mut watcher, _) =
        Wire::open_as(&daemon, "e", "wsb_bob", json!({"role": "observer"})).await;
    drop(old);
    watcher.until(|told| told["type"] == "lease" && told["holder"]["away"] == true).await;
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(refused["code"], "busy", "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn on_an_exclusive_line_a_ghost_gives_way_too() {
    let (daemon, mut pty) = line("    share: exclusive\n");
    let (old, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    drop(old);
    daemon.wait_for("session closed");
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_bob", json!({})).await;
    assert_eq!(refused["code"], "busy", "{refused}");
    let (mut new, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(opened["role"], "writer", "{opened}");
    new.send(b"new").await;
    assert_eq!(pty.receive(3), b"new");
}
