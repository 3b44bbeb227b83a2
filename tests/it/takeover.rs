//! What happens to a session's queue when the lease is taken from it: whoever takes over waits only
//! for data.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Daemon, Pty, Wire, access::tokens};

const ALL: &str = "read, write, signals, settings, takeover";

/// How long everything that should be cut waits: a test that takes this long has waited for it.
const HOLD: Duration = Duration::from_secs(9);

/// A daemon with one line `e` for anna and bob.
fn line() -> (Daemon, Pty) {
    let pty = Pty::new();
    let access = tokens(&[("anna", ALL), ("bob", ALL)]);
    let daemon =
        Daemon::start(&format!("{access}  e:\n    serial: {{ port: {} }}\n", pty.path().display()));
    daemon.wait_for("device open");
    (daemon, pty)
}

async fn enter(daemon: &Daemon, user: &str, open: Value) -> Wire {
    let (wire, opened) = Wire::open_as(daemon, "e", &format!("wsb_{user}"), open).await;
    assert_eq!(opened["type"], "opened", "{opened}");
    wire
}

/// A request that is not waited for.
async fn begin(wire: &mut Wire, id: u64, mut message: Value) {
    message["id"] = id.into();
    wire.say(message).await;
}

fn hold(now: bool) -> Value {
    json!({"type": "signals", "steps": [{"ms": HOLD.as_millis()}], "now": now})
}

async fn answer(wire: &mut Wire, id: u64) -> Value {
    let passed = wire.passed.iter().position(|told| told["re"] == json!(id));
    match passed {
        Some(at) => wire.passed.remove(at),
        None => wire.until(|told| told["re"] == json!(id)).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_takeover_ends_a_hold_and_discards_what_stands_behind_it_and_tells() {
    let (daemon, mut pty) = line();
    let mut anna = enter(&daemon, "anna", json!({})).await;
    let mut bob = enter(&daemon, "bob", json!({"role": "observer"})).await;
    let began = Instant::now();
    anna.send(b"before ").await;
    begin(&mut anna, 1, hold(false)).await;
    anna.send(b"behind").await;
    begin(&mut anna, 2, json!({"type": "drain"})).await;
    // One that bypasses the queue ends with the lease, too.
    begin(&mut anna, 3, hold(true)).await;
    assert_eq!(pty.receive(7), b"before ");
    anna.ask("ping", json!({})).await;
    assert_eq!(bob.ask("lease", json!({"op": "take"})).await["type"], "ok");
    bob.send(b"bob").await;
    assert_eq!(pty.receive(3), b"bob");
    for id in [1, 2, 3] {
        assert_eq!(answer(&mut anna, id).await["code"], "not_writer", "{id}");
    }
    let told = |told: &Value| told["type"] == "error" && told["bytes"] == 6;
    let lost = match anna.passed.iter().find(|message| told(message)).cloned() {
        Some(lost) => lost,
        None => anna.until(told).await,
    };
    assert_eq!((&lost["code"], &lost["re"]), (&json!("not_writer"), &Value::Null));
    assert!(began.elapsed() < HOLD, "{:?}", began.elapsed());
    daemon.wait_for("discarded what was queued behind a task when the lease was taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_opens_to_take_over_sets_the_line_without_waiting_for_who_had_it() {
    let (daemon, mut pty) = line();
    let mut anna = enter(&daemon, "anna", json!({})).await;
    let began = Instant::now();
    begin(&mut anna, 1, hold(false)).await;
    anna.send(b"behind").await;
    anna.ask("ping", json!({})).await;
    let take = json!({"take": true, "config": {"baud": 19_200}});
    let mut bob = enter(&daemon, "bob", take).await;
    bob.send(b"bob").await;
    assert_eq!(pty.receive(3), b"bob");
    assert_eq!(answer(&mut anna, 1).await["code"], "not_writer");
    assert!(began.elapsed() < HOLD, "{:?}", began.elapsed());
    assert_eq!(bob.ask("get", json!({})).await["config"]["baud"], 19_200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_open_that_is_refused_leaves_the_queue_and_the_lease_of_who_has_it() {
    let (daemon, mut pty) = line();
    let mut anna = enter(&daemon, "anna", json!({})).await;
    anna.send(b"before ").await;
    begin(&mut anna, 1, json!({"type": "signals", "steps": [{"ms": 300}]})).await;
    anna.send(b"behind").await;
    let take = json!({"take": true, "signals": {"break": true}});
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_bob", take).await;
    assert_eq!(refused["code"], "unsupported", "{refused}");
    assert_eq!(answer(&mut anna, 1).await["type"], "ok");
    assert_eq!(pty.receive(13), b"before behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lease_that_is_given_back_is_waited_for_as_before() {
    let (daemon, mut pty) = line();
    let mut anna = enter(&daemon, "anna", json!({})).await;
    let mut bob = enter(&daemon, "bob", json!({"role": "observer"})).await;
    begin(&mut anna, 1, json!({"type": "signals", "steps": [{"ms": 300}]})).await;
    anna.send(b"behind ").await;
    assert_eq!(anna.ask("lease", json!({"op": "release"})).await["type"], "ok");
    assert_eq!(bob.ask("lease", json!({"op": "request"})).await["type"], "ok");
    bob.send(b"bob").await;
    assert_eq!(pty.receive(10), b"behind bob");
    assert_eq!(answer(&mut anna, 1).await["type"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_session_has_queued_may_wait_for_ten_seconds_in_all() {
    let (daemon, mut pty) = line();
    let mut anna = enter(&daemon, "anna", json!({})).await;
    // Each by itself is short enough.
    for id in [1, 2] {
        begin(&mut anna, id, json!({"type": "signals", "steps": [{"ms": 5100}]})).await;
    }
    let refused = answer(&mut anna, 2).await;
    assert!(
        refused["code"] == "limit" && refused["message"].as_str().unwrap().contains("10 s"),
        "{refused}"
    );
    // Data do not count as a wait, nor does a step that holds for no time.
    anna.send(b"data").await;
    begin(&mut anna, 3, json!({"type": "signals", "steps": [{"ms": 0}]})).await;
    assert_eq!(anna.ask("lease", json!({"op": "release"})).await["type"], "ok");
    let mut bob = enter(&daemon, "bob", json!({"take": true})).await;
    bob.send(b"bob").await;
    // The lease was free: nothing of anna's is cut.
    assert_eq!(pty.receive(7), b"databob");
    assert_eq!(answer(&mut anna, 3).await["type"], "ok");
}
