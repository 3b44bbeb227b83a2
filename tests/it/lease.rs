//! The right to write: requested, granted, taken, lost; and nobody's input is ever mixed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};
use wsbridge::client::{Client, Code, Dial, Error, Event, LeaseOp, Open, Role};

use crate::harness::{Daemon, PATIENCE, Pty, Raw, Wire, access::tokens};

const ALL: &str = "read, write, signals, settings, takeover";

/// A daemon with one line `e` for anna, bob and carol.
fn on_pty(more: &str) -> (Daemon, Pty) {
    let pty = Pty::new();
    let access = tokens(&[("anna", ALL), ("bob", ALL), ("carol", ALL)]);
    let serial = format!("  e:\n    serial: {{ port: {} }}\n{more}", pty.path().display());
    let daemon = Daemon::start(&format!("{access}{serial}"));
    daemon.wait_for("device open");
    (daemon, pty)
}

async fn enter(daemon: &Daemon, user: &str, role: &str) -> Wire {
    let (wire, opened) =
        Wire::open_as(daemon, "e", &format!("wsb_{user}"), json!({ "role": role })).await;
    assert_eq!(opened["role"], role, "{opened}");
    wire
}

async fn lease(wire: &mut Wire, op: &str) -> Value {
    wire.ask("lease", json!({ "op": op })).await
}

/// The next message about the lease with this reason.
async fn heard(wire: &mut Wire, reason: &str) -> Value {
    wire.until(|told| told["type"] == "lease" && told["reason"] == reason).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_is_told_to_the_holder_alone_and_granted_or_denied_by_it() {
    let (daemon, mut pty) = on_pty("");
    let mut anna = enter(&daemon, "anna", "writer").await;
    let mut bob = enter(&daemon, "bob", "observer").await;
    let mut carol = enter(&daemon, "carol", "observer").await;
    anna.until(|told| told["type"] == "lease" && told["observers"] == 2).await;

    assert_eq!(lease(&mut bob, "request").await["type"], "ok");
    let asked = heard(&mut anna, "requested").await;
    assert_eq!((&asked["you"], &asked["request"]["user"]), (&json!("writer"), &json!("bob")));
    assert_eq!(heard(&mut carol, "requested").await["request"], Value::Null);
    assert_eq!(lease(&mut carol, "request").await["code"], "busy");
    assert_eq!(lease(&mut carol, "grant").await["code"], "not_writer");
    assert_eq!(lease(&mut anna, "deny").await["type"], "ok");
    heard(&mut bob, "denied").await;
    assert_eq!(lease(&mut anna, "grant").await["code"], "bad_message");

    lease(&mut bob, "request").await;
    heard(&mut anna, "requested").await;
    assert_eq!(lease(&mut anna, "grant").await["type"], "ok");
    for (wire, you) in [(&mut bob, "writer"), (&mut anna, "observer"), (&mut carol, "observer")] {
        let news = heard(wire, "granted").await;
        assert_eq!((&news["you"], &news["holder"]["user"]), (&json!(you), &json!("bob")));
        assert_eq!(news["observers"], 2);
    }
    bob.send(b"bob").await;
    assert_eq!(pty.receive(3), b"bob");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_lease_is_taken_given_back_and_free_when_its_holder_leaves() {
    let (daemon, mut pty) = on_pty("");
    let mut anna = enter(&daemon, "anna", "writer").await;
    let mut bob = enter(&daemon, "bob", "observer").await;
    assert_eq!(lease(&mut bob, "take").await["type"], "ok");
    let news = heard(&mut anna, "taken").await;
    assert_eq!((&news["you"], &news["holder"]["user"]), (&json!("observer"), &json!("bob")));
    assert!(news["holder"]["since"].as_str().unwrap().ends_with('Z'));
    anna.send(b"no").await;
    assert_eq!(anna.told("error").await["code"], "not_writer");
    assert_eq!(lease(&mut anna, "release").await["type"], "ok");
    assert_eq!(lease(&mut bob, "release").await["type"], "ok");
    assert_eq!(heard(&mut anna, "released").await["holder"], Value::Null);
    // A free lease is had for the asking.
    assert_eq!(lease(&mut anna, "request").await["type"], "ok");
    assert_eq!(heard(&mut bob, "opened").await["holder"]["user"], "anna");
    lease(&mut bob, "request").await;
    anna.ask("close", json!({})).await;
    // The one that asks gets it.
    assert_eq!(heard(&mut bob, "granted").await["you"], "writer");
    bob.send(b"bob").await;
    assert_eq!(pty.receive(3), b"bob");
    let taken = json!({"role": "writer", "take": true});
    let (_carol, opened) = Wire::open_as(&daemon, "e", "wsb_carol", taken).await;
    assert_eq!(opened["role"], "writer");
    heard(&mut bob, "taken").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_holder_that_sends_nothing_loses_the_lease_and_who_was_just_given_it_does_not() {
    let (daemon, _pty) = on_pty("    lease_idle: 2s\n");
    let mut bob = enter(&daemon, "bob", "observer").await;
    let began = Instant::now();
    let mut anna = enter(&daemon, "anna", "writer").await;
    anna.until(|told| told["type"] == "lease" && told["reason"] == "expired").await;
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(heard(&mut bob, "expired").await["holder"], Value::Null);
    // Bob has said nothing for longer than that, and is given the lease: he has it for the whole
    // time.
    lease(&mut anna, "request").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    lease(&mut bob, "request").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    lease(&mut anna, "grant").await;
    let given = Instant::now();
    heard(&mut bob, "granted").await;
    heard(&mut bob, "expired").await;
    assert!(given.elapsed() >= Duration::from_millis(1900), "{:?}", given.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_everyone_may_write_nobody_is_busy() {
    let (daemon, mut pty) = on_pty("    share: everyone\n");
    let mut anna = enter(&daemon, "anna", "writer").await;
    let mut bob = enter(&daemon, "bob", "writer").await;
    for (wire, text) in [(&mut anna, b"anna "), (&mut bob, b"bob. ")] {
        wire.send(text).await;
        assert_eq!(pty.receive(5), text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_everyone_may_write_who_came_to_look_on_does_not_until_it_asks() {
    let (daemon, mut pty) = on_pty("    share: everyone\n");
    let mut anna = enter(&daemon, "anna", "writer").await;
    let mut bob = enter(&daemon, "bob", "observer").await;
    bob.send(b"no").await;
    assert_eq!(bob.told("error").await["code"], "not_writer");
    assert_eq!(lease(&mut bob, "request").await["type"], "ok");
    assert_eq!(bob.told("lease").await["you"], "writer");
    bob.send(b"yes").await;
    assert_eq!(pty.receive(3), b"yes");
    assert_eq!(lease(&mut bob, "release").await["type"], "ok");
    assert_eq!(bob.until(|told| told["you"] == "observer").await["type"], "lease");
    anna.send(b"anna").await;
    assert_eq!(pty.receive(4), b"anna");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_that_is_resumed_with_fewer_rights_has_no_lease_left() {
    let pty = Pty::new();
    let config = |bob: &str| {
        let access = tokens(&[("anna", ALL), ("bob", bob)]);
        format!("{access}  e:\n    serial: {{ port: {} }}\n", pty.path().display())
    };
    let daemon = Daemon::start(&config(ALL));
    daemon.wait_for("device open");
    let (bob, opened) = Wire::open_as(&daemon, "e", "wsb_bob", json!({})).await;
    let mut anna = enter(&daemon, "anna", "observer").await;
    drop(bob);
    anna.until(|told| told["type"] == "lease" && told["holder"]["away"] == true).await;
    daemon.reload(&config("read"));
    anna.until(|told| told["type"] == "lease" && told["holder"] == Value::Null).await;
    let mut bob =
        Wire::try_connect(&daemon, "e", &[("authorization", "Bearer wsb_bob")]).await.unwrap();
    let ask = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
    let resumed = bob.ask("resume", ask).await;
    assert_eq!(
        (&resumed["type"], &resumed["role"]),
        (&json!("resumed"), &json!("observer")),
        "{resumed}"
    );
    bob.send(b"no").await;
    assert_eq!(bob.told("error").await["code"], "not_writer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_exclusive_line_has_one_client_and_tells_the_others_who() {
    let (daemon, _pty) = on_pty("    share: exclusive\n");
    let _anna = enter(&daemon, "anna", "writer").await;
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_bob", json!({"role": "observer"})).await;
    assert_eq!(refused["code"], "busy");
    assert!(refused["message"].as_str().unwrap().contains("anna"), "{refused}");
    let ask = |more: &str| {
        let more = format!("Authorization: Bearer wsb_bob\r\n{more}");
        let mut raw = Raw::connect(daemon.address());
        raw.send(crate::harness::client::upgrade_head(daemon.address(), "e", &more).as_bytes());
        (raw.head(), raw)
    };
    let (head, _) = ask("");
    assert!(head.starts_with("HTTP/1.1 409 "), "{head}");
    let (head, mut page) = ask(&format!("Origin: http://{}\r\n", daemon.address()));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (code, reason) = page.closed().unwrap();
    assert!(code == 4409 && reason.contains("anna"), "{code} {reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_ask_at_once_exactly_one_holds_the_lease() {
    let (daemon, _pty) = on_pty("    limits: { sessions: 24 }\n");
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let dial = Dial::new(daemon.url("e")).bearer("wsb_anna");
        tasks.spawn(async move {
            let (client, events) = Client::connect(dial).await.unwrap();
            match client.open(Open::default()).await {
                Ok(opened) => assert_eq!(opened.role, Role::Writer),
                Err(Error::Failed { .. }) => {
                    let opened =
                        client.open(Open { role: Role::Auto, ..Open::default() }).await.unwrap();
                    assert_eq!(opened.role, Role::Observer);
                }
                Err(other) => panic!("{other}"),
            }
            (client, events)
        });
    }
    let mut clients = tasks.join_all().await;
    let mut tasks = JoinSet::new();
    for (client, events) in clients.drain(..) {
        tasks.spawn(async move {
            for op in
                [LeaseOp::Request, LeaseOp::Take, LeaseOp::Grant, LeaseOp::Release, LeaseOp::Take]
            {
                client.lease(op).await.ok();
            }
            (client, events)
        });
    }
    let clients = tasks.join_all().await;
    // All have heard the same last word, and one of them has heard that it holds the lease.
    let mut holders = 0;
    for (client, mut events) in clients {
        client.ping().await.unwrap();
        let mut you = Role::Observer;
        while let Ok(Some(event)) = timeout(Duration::from_millis(100), events.next()).await {
            if let Event::Lease(news) = event {
                you = news.you;
            }
        }
        holders += usize::from(you == Role::Writer);
    }
    assert_eq!(holders, 1);
}

/// Takes the lease and writes numbered words, round after round; returns how many bytes were not
/// refused.
async fn write_by_force(dial: Dial, user: u8, rounds: u8) -> u64 {
    let (client, mut events) = Client::connect(dial).await.unwrap();
    client.open(Open { role: Role::Auto, ..Open::default() }).await.unwrap();
    let (mut sent, mut refused) = (0_u64, 0_u64);
    for round in 0..rounds {
        client.lease(LeaseOp::Take).await.unwrap();
        // In pieces that a takeover can separate.
        for word in 0..50_u8 {
            client.write(&[user, round + 32, word + 32, b'\n']).await.unwrap();
            sent += 4;
        }
    }
    // The other one takes the lease away from the drain as well.
    match client.drain().await {
        Ok(()) | Err(Error::Failed { code: Code::NotWriter, .. }) => {}
        Err(error) => panic!("{error}"),
    }
    client.ping().await.unwrap();
    while let Ok(Some(event)) = timeout(Duration::from_millis(300), events.next()).await {
        if let Event::Error { bytes, .. } = event {
            refused += bytes.unwrap();
        }
    }
    sent - refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_of_writers_that_take_the_lease_from_each_other_is_never_mixed() {
    const ROUNDS: u8 = 40;
    let (daemon, mut pty) = on_pty("");
    let mut tasks = JoinSet::new();
    for user in [b'a', b'b'] {
        let name = if user == b'a' { "wsb_anna" } else { "wsb_bob" };
        let dial = Dial::new(daemon.url("e")).bearer(name);
        tasks.spawn(write_by_force(dial, user, ROUNDS));
    }
    let reader = tokio::task::spawn_blocking(move || {
        // The last words are the test's own.
        let mut all = Vec::new();
        while !all.ends_with(b"the end\n") {
            all.extend(pty.receive(1));
        }
        all
    });
    let accepted: u64 = timeout(PATIENCE, tasks.join_all()).await.unwrap().iter().sum();
    let (mut carol, _) =
        Wire::open_as(&daemon, "e", "wsb_carol", json!({"role": "writer", "take": true})).await;
    carol.send(b"the end\n").await;
    let all = reader.await.unwrap();
    let all = &all[..all.len() - 8];
    assert_eq!(
        all.len() as u64,
        accepted,
        "what was refused was told, and nothing else is missing"
    );
    // Each byte belongs to some writer's word, which is whole unless a takeover cut it, and each
    // writer's words are in order.
    let mut last = [(0, 0); 2];
    for word in all.chunks(4) {
        assert!(word.len() == 4 && word[3] == b'\n', "mixed: {word:?}");
        let who = usize::from(word[0] - b'a');
        assert!((word[1], word[2]) > last[who], "{word:?} behind {:?}", last[who]);
        last[who] = (word[1], word[2]);
    }
}
