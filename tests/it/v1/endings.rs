//! How a session ends: what still goes out, and which requests get which answer.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{code, on_pty};
use crate::harness::{Daemon, PATIENCE, Target, Wire, access::tokens, wire::Came};

/// Queues more than a pty holds: its device does not read yet.
async fn fill(daemon: &Daemon) -> Wire {
    let (mut wire, _) = Wire::opened(daemon, "e", json!({})).await;
    wire.send(&vec![7; 60_000]).await;
    wire.ask("ping", json!({})).await;
    wire
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_taken_from_a_client_goes_out_when_the_gateway_stops() {
    let (mut daemon, mut pty) = on_pty();
    let mut wire = fill(&daemon).await;
    daemon.signal(Signal::TERM);
    assert_eq!(wire.closed().await.0, 1001);
    assert_eq!(pty.receive(60_000), vec![7; 60_000]);
    assert!(daemon.exit().success());
    assert!(!daemon.log().contains("discarded"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_request_has_one_answer_also_when_its_session_ends_before_it_is_done() {
    let (daemon, mut pty) = on_pty();
    let mut wire = fill(&daemon).await;
    // As many as may wait.
    for id in 0..64 {
        wire.say(json!({"type": "drain", "id": id})).await;
    }
    assert_eq!(code(&wire.ask("drain", json!({})).await), "limit");
    // A close that drains is not among them.
    wire.say(json!({"type": "close", "id": 64, "drain": true})).await;
    assert_eq!(pty.receive(60_000), vec![7; 60_000]);
    let mut answers: Vec<(u64, Value)> = Vec::new();
    while answers.len() < 65 {
        if let Came::Json(told) = wire.next().await
            && let Some(id) = told["re"].as_u64()
        {
            answers.push((id, told["type"].clone()));
        }
    }
    assert!(answers.iter().map(|(id, _)| *id).eq(0..65), "{answers:?}");
    assert!(answers.iter().all(|(_, kind)| kind == "ok"), "{answers:?}");

    // Without it, what waits is not carried out.
    wire.open(json!({})).await;
    wire.send(&vec![8; 60_000]).await;
    wire.say(json!({"type": "drain", "id": 70})).await;
    wire.say(json!({"type": "close", "id": 71})).await;
    assert_eq!(code(&wire.until(|told| told["re"] == 70).await), "session_gone");
    assert_eq!(wire.until(|told| told["re"] == 71).await["type"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nobody_discards_what_another_session_is_still_sending() {
    let (daemon, mut pty) = on_pty();
    let mut wire = fill(&daemon).await;
    let (mut next, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    wire.say(json!({"type": "close", "id": 1, "drain": true})).await;
    next.until(|told| told["type"] == "lease" && told["holder"] == Value::Null).await;
    assert_eq!(next.ask("lease", json!({"op": "request"})).await["type"], "ok");
    next.send(b"never sent").await;
    assert_eq!(next.ask("flush", json!({"tx": true})).await["type"], "ok");
    next.send(b"nor this").await;
    assert_eq!(next.ask("close", json!({})).await["type"], "ok");
    assert_eq!(pty.receive(60_000), vec![7; 60_000]);
    assert_eq!(wire.until(|told| told["re"] == 1).await["type"], "ok");
    // It does discard its own, including the driver's part.
    next.open(json!({})).await;
    next.send(&vec![9; 60_000]).await;
    next.ask("ping", json!({})).await;
    assert_eq!(next.ask("flush", json!({"tx": true})).await["type"], "ok");
    next.send(b"behind").await;
    let mut got = Vec::new();
    while !got.ends_with(b"behind") {
        got.extend(pty.receive(1));
    }
    // A pty holds much more in its buffers; one of 4 KiB belongs to its reader already.
    assert!(got.len() <= 4096 + 6, "{}", got.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_line_that_takes_nothing_does_not_keep_a_drain_waiting_for_ever() {
    let (daemon, _pty) = on_pty();
    let mut wire = fill(&daemon).await;
    let (mut next, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    wire.say(json!({"type": "drain", "id": 1})).await;
    wire.say(json!({"type": "close", "id": 2, "drain": true})).await;
    // A client that closes no longer writes.
    next.until(|told| told["type"] == "lease" && told["holder"] == Value::Null).await;
    assert_eq!(next.ask("lease", json!({"op": "request"})).await["type"], "ok");
    assert!(wire.silent(Duration::from_secs(35)).await);
    for re in [1, 2] {
        let answer = wire.passed.iter().find(|told| told["re"] == re);
        assert_eq!(code(answer.expect("an answer")), "timeout", "{re}");
    }
    assert_eq!(wire.ask("ping", json!({})).await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_open_that_fails_changes_nothing() {
    let (daemon, mut pty) = on_pty();
    let (mut holder, _) = Wire::opened(&daemon, "e", json!({})).await;
    // No UART has that frame format, and a pty has no break.
    for (ask, why) in [
        (json!({"take": true, "config": {"stop": 1.5}}), "bad_config"),
        (
            json!({"take": true, "config": {"baud": 19_200}, "signals": {"break": true}}),
            "unsupported",
        ),
    ] {
        let (_other, refused) = Wire::opened(&daemon, "e", ask).await;
        assert_eq!(code(&refused), why);
    }
    holder.send(b"still here").await;
    assert_eq!(pty.receive(10), b"still here");
    let got = holder.ask("get", json!({})).await;
    assert_eq!(got["config"]["baud"], 9600);
    assert!(holder.passed.iter().all(|told| told["reason"] != "taken"), "{:?}", holder.passed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sessions_that_wait_to_be_resumed_count_and_make_room_for_their_own_user_alone() {
    let (ended, ends) = std::sync::mpsc::channel();
    let target = Target::serve(move |mut stream| {
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
        ended.send(()).unwrap();
    });
    let access = tokens(&[("anna", "read, write"), ("bob", "read, write")]);
    // Two of them may be anna's.
    let daemon =
        Daemon::start(&format!("{access}{}    limits: {{ sessions: 3 }}\n", target.endpoint("e")));
    // A socket that was lost counts until that is noticed.
    let connect = async |user: &str| loop {
        let bearer = format!("Bearer wsb_{user}");
        if let Ok(wire) = Wire::try_connect(&daemon, "e", &[("authorization", &bearer)]).await {
            return wire;
        }
    };
    let open = async |user: &str| {
        let mut wire = connect(user).await;
        let opened = wire.open(json!({})).await;
        (wire, opened)
    };
    let (lost, first) = open("anna").await;
    drop(lost);
    let (lost, second) = open("anna").await;
    drop(lost);
    // The first gives way to the third; its connection to the target ends.
    let (_anna, third) = open("anna").await;
    assert_eq!(third["type"], "opened", "{third}");
    ends.recv_timeout(PATIENCE).unwrap();
    let resume = async |opened: &Value| {
        let ask = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
        let mut wire = connect("anna").await;
        let answer = wire.ask("resume", ask).await;
        (wire, answer)
    };
    let (gone, answer) = resume(&first).await;
    assert_eq!(code(&answer), "session_gone");
    drop(gone);
    // Another user's session stays.
    let (_bob, opened) = open("bob").await;
    assert_eq!(opened["type"], "opened", "{opened}");
    assert_eq!(code(&open("bob").await.1), "limit");
    let (_second, answer) = resume(&second).await;
    assert_eq!(answer["type"], "resumed", "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_endpoints_rate_holds_in_control_mode_too() {
    let daemon = Daemon::open("  e:\n    sim: echo\n    limits: { rate: 64KiB/s }\n");
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let began = std::time::Instant::now();
    // A quarter of a second's worth is saved up, and each byte goes in both directions at the same
    // time.
    wire.send(&vec![1; 48 * 1024]).await;
    wire.receive(48 * 1024).await;
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
}
