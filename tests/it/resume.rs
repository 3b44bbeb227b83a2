//! Sessions that outlive their connections: each byte once and in order, both ways
//! (docs/protocol.md section 8).

use std::{
    fs,
    os::unix::fs::symlink,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};
use wsbridge::client::{Client, Dial, Event, Events, Open, Role};

use crate::harness::{Daemon, PATIENCE, Pty, Target, Wire, access::tokens, cutter::Cutter};

/// A byte that depends on its offset.
fn byte(at: u64) -> u8 {
    let [a, b, c, ..] = at.to_le_bytes();
    a.wrapping_mul(167) ^ b ^ c
}

/// Places to cut: anywhere in the traffic of `total` bytes in both directions, from a seed with
/// which a failure can be repeated.
fn cuts(number: u64, total: u64, mut seed: u64) -> Vec<usize> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    // Two cuts may directly follow each other, even within a handshake.
    (0..number).map(|_| usize::try_from(next() % (2 * total / number) + 1).unwrap()).collect()
}

/// Moves `total` bytes to an echo and back through a network that is cut, with at most `ahead`
/// bytes under way.
async fn nothing_is_lost_or_doubled(daemon: &Daemon, total: u64, ahead: u64, seed: u64) {
    const CUTS: u64 = 20;
    let cutter = Cutter::start(daemon.address(), cuts(CUTS, total, seed));
    let (client, mut events) = Client::connect(Dial::new(cutter.url("e"))).await.unwrap();
    client.open(Open::default()).await.unwrap();
    let client = Arc::new(client);
    let writer = Arc::clone(&client);
    let (done, mut read) = watch::channel(0);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut at = 0;
        while at < total {
            read.wait_for(|read| at - read <= ahead).await.unwrap();
            let end = total.min(at + 30_011);
            let bytes: Vec<u8> = (at..end).map(byte).collect();
            writer.write(&bytes).await.unwrap();
            at = end;
        }
    });
    let (mut at, mut resumed) = (0, 0);
    while at < total {
        match next(&mut events).await {
            Event::Data { at: place, bytes } => {
                assert_eq!(place, at);
                let right = bytes.iter().zip(at..).all(|(got, at)| *got == byte(at));
                assert!(right, "wrong bytes behind {at}, after {resumed} resumes");
                at += bytes.len() as u64;
                done.send_replace(at);
            }
            Event::Resumed(_) => resumed += 1,
            bad @ (Event::Gap { .. }
            | Event::Gone(_)
            | Event::Closed { .. }
            | Event::Error { .. }) => {
                panic!("{bad:?} at {at}, after {resumed} resumes")
            }
            _ => {}
        }
    }
    assert_eq!(at, total);
    // A cut within a handshake does not cut a session.
    assert!(
        cutter.cuts() as u64 >= CUTS && resumed > CUTS / 2,
        "{} cuts, {resumed} resumes",
        cutter.cuts()
    );
    tasks.join_all().await;
    client.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_cuts_in_a_hundred_megabytes_both_ways_lose_and_double_nothing() {
    const TOTAL: u64 = 50 << 20;
    let echo = Target::echo();
    // A session's own connection waits for its client: back-pressure, never a gap.
    let daemon = Daemon::open(&echo.endpoint("e"));
    nothing_is_lost_or_doubled(&daemon, TOTAL, u64::MAX, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_cuts_of_a_shared_line_lose_and_double_nothing() {
    const TOTAL: u64 = 16 << 20;
    let echo = Target::echo();
    // A shared line waits for nobody: what is under way must fit the history.
    let daemon =
        Daemon::open(&format!("{}    share: one-writer\n    history: 1MiB\n", echo.endpoint("e")));
    nothing_is_lost_or_doubled(&daemon, TOTAL, 512 << 10, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_cuts_of_a_serial_line_lose_and_double_nothing() {
    const TOTAL: u64 = 2 << 20;
    let pty = Pty::new();
    let device = pty.device();
    thread::spawn(move || std::io::copy(&mut &device, &mut &device));
    let daemon = Daemon::open(&format!("  e:\n    serial: {{ port: {} }}\n", pty.path().display()));
    daemon.wait_for("device open");
    nothing_is_lost_or_doubled(&daemon, TOTAL, 128 << 10, 3).await;
}

fn serial(pty: &Pty) -> String {
    format!("  e:\n    serial: {{ port: {} }}\n", pty.path().display())
}

fn resume(opened: &Value, rx: u64) -> Value {
    json!({"session": opened["session"], "epoch": opened["epoch"], "rx": rx})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_resume_while_the_old_socket_lives_closes_it_with_4410() {
    let mut pty = Pty::new();
    let daemon = Daemon::open(&serial(&pty));
    daemon.wait_for("device open");
    let (mut old, opened) = Wire::opened(&daemon, "e", json!({})).await;
    old.send(b"one").await;
    assert_eq!(pty.receive(3), b"one");
    pty.send(b"12345678");
    old.receive(8).await;
    let mut new = Wire::connect(&daemon, "e").await;
    let resumed = new.ask("resume", resume(&opened, 5)).await;
    assert_eq!(
        (&resumed["type"], &resumed["rx"], &resumed["tx"], &resumed["role"]),
        (&json!("resumed"), &json!(5), &json!(3), &json!("writer"))
    );
    assert_eq!(new.told("ack").await["tx"], 3);
    assert_eq!(new.receive(3).await, b"678");
    assert_eq!(old.closed().await.0, 4410);
    new.send(b"two").await;
    assert_eq!(pty.receive(3), b"two");
    // The session belongs to the new socket: the end of the old one does not end it.
    drop(old);
    pty.send(b"9");
    assert_eq!(new.receive(1).await, b"9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_not_this_users_session_here_and_now_is_gone() {
    let pty = Pty::new();
    let both = "read, write, takeover";
    let access = tokens(&[("anna", both), ("bob", both)]);
    let daemon = Daemon::start(&format!("resume: 2s\n{access}{}", serial(&pty)));
    daemon.wait_for("device open");
    let gone = async |token: &str, members: Value| {
        let bearer = format!("Bearer wsb_{token}");
        let mut wire =
            Wire::try_connect(&daemon, "e", &[("authorization", &bearer)]).await.unwrap();
        let answer = wire.ask("resume", members).await;
        answer["code"] == "session_gone"
    };
    let (old, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    drop(old);
    assert!(gone("bob", resume(&opened, 0)).await, "another user");
    let mut unknown = resume(&opened, 0);
    unknown["session"] = "AAAAAAAAAAAAAAAAAAAAAA".into();
    assert!(gone("anna", unknown).await, "unknown");
    let mut epoch = resume(&opened, 0);
    epoch["epoch"] = "another".into();
    assert!(gone("anna", epoch).await, "another epoch");

    let (old, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({"take": true})).await;
    drop(old);
    let (mut other, _) = Wire::open_as(&daemon, "e", "wsb_bob", json!({"role": "observer"})).await;
    // The end of the resume time frees the lease, and says so.
    other.until(|told| told["type"] == "lease" && told["holder"] == Value::Null).await;
    assert!(gone("anna", resume(&opened, 0)).await, "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_lease_stays_with_a_session_that_is_away_and_its_queue_still_drains() {
    let mut pty = Pty::new();
    let access = tokens(&[("anna", "read, write"), ("bob", "read, write")]);
    let daemon = Daemon::start(&format!("{access}{}", serial(&pty)));
    daemon.wait_for("device open");
    let (mut other, _) = Wire::open_as(&daemon, "e", "wsb_bob", json!({"role": "observer"})).await;
    let (mut away, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    away.send(&vec![5; 40_000]).await;
    away.ask("ping", json!({})).await;
    drop(away);
    other.until(|told| told["type"] == "lease" && told["holder"]["away"] == true).await;
    assert_eq!(other.open(json!({"role": "writer"})).await["code"], "busy");
    assert_eq!(pty.receive(40_000), vec![5; 40_000]);
    let anna = [("authorization", "Bearer wsb_anna")];
    let mut back = Wire::try_connect(&daemon, "e", &anna).await.unwrap();
    let resumed = back.ask("resume", resume(&opened, 0)).await;
    assert_eq!((&resumed["tx"], &resumed["role"]), (&json!(40_000), &json!("writer")));
    assert_eq!(back.told("ack").await["tx"], 40_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_last_bytes_of_a_target_that_has_ended_can_be_resumed() {
    let source = Target::source((0..30_000_u64).map(byte).collect());
    let daemon = Daemon::open(&source.endpoint("e"));
    let (mut wire, opened) = Wire::opened(&daemon, "e", json!({})).await;
    wire.receive(30_000).await;
    // Cut before the Close is answered.
    drop(wire);
    daemon.wait_for("session closed");
    let mut back = Wire::connect(&daemon, "e").await;
    let resumed = back.ask("resume", resume(&opened, 10_000)).await;
    assert_eq!(resumed["type"], "resumed", "{resumed}");
    let rest = back.receive(20_000).await;
    assert!(rest.iter().zip(10_000..).all(|(got, at)| *got == byte(at)));
    assert_eq!(back.closed().await.0, 1000);
}

async fn next(events: &mut Events) -> Event {
    timeout(PATIENCE, events.next()).await.expect("an event").expect("more events")
}

/// Data up to and including `last`, and what else was said on the way.
async fn until(events: &mut Events, last: &[u8]) -> (u64, Vec<u8>, Vec<Event>) {
    let (mut start, mut data, mut others) = (None, Vec::new(), Vec::new());
    while !data.ends_with(last) {
        match next(events).await {
            Event::Data { at, bytes } => {
                start.get_or_insert(at);
                data.extend_from_slice(&bytes);
            }
            other => others.push(other),
        }
    }
    (start.unwrap_or_default(), data, others)
}

fn states(events: &[Event]) -> Vec<&str> {
    let states = events.iter().filter_map(|event| match event {
        Event::Status(status) => Some(status.state.as_str()),
        _ => None,
    });
    states.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_adapter_pulled_and_put_back_costs_no_session_and_gets_its_settings_again() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("tty");
    let mut pty = Pty::new();
    symlink(pty.path(), &link).unwrap();
    let daemon = Daemon::open(&format!("  e:\n    serial: {{ port: {} }}\n", link.display()));
    daemon.wait_for("device open");
    let (client, mut events) = Client::connect(Dial::new(daemon.url("e"))).await.unwrap();
    client.open(Open::default()).await.unwrap();
    let config = serde_json::from_value(json!({"baud": 57600})).unwrap();
    client.config(config).await.unwrap();
    pty.send(b"before");
    until(&mut events, b"before").await;

    fs::remove_file(&link).unwrap();
    drop(pty);
    let began = Instant::now();
    let down = loop {
        if let Event::Status(status) = next(&mut events).await {
            break status;
        }
    };
    assert_eq!((down.state.as_str(), down.at), ("down", Some(6)));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(down.error.is_some());

    let mut back = Pty::new();
    symlink(back.path(), &link).unwrap();
    daemon.wait_for("device is back");
    back.send(b"after");
    let (at, data, others) = until(&mut events, b"after").await;
    assert_eq!((at, data.as_slice()), (6, &b"after"[..]));
    assert_eq!(states(&others).last(), Some(&"up"));
    let modes = rustix::termios::tcgetattr(back.device()).unwrap();
    assert_eq!(modes.output_speed(), 57600);
    client.write(b"on").await.unwrap();
    assert_eq!(back.receive(2), b"on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_shared_tcp_line_is_reconnected_and_its_sessions_go_on() {
    // A device that takes one word, answers, and hangs up.
    let target = Target::serve(|mut stream| {
        use std::io::{Read as _, Write as _};
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(&word).unwrap();
    });
    let daemon = Daemon::open(&format!("{}    share: one-writer\n", target.endpoint("e")));
    let (client, mut events) = Client::connect(Dial::new(daemon.url("e"))).await.unwrap();
    let opened = client.open(Open::default()).await.unwrap();
    assert_eq!(opened.role, Role::Writer);
    for (word, at) in [(b"one.", 0), (b"two.", 4), (b"six.", 8)] {
        client.write(word).await.unwrap();
        let (start, data, _) = until(&mut events, word).await;
        assert_eq!((start, data.as_slice()), (at, &word[..]));
        loop {
            if let Event::Status(status) = next(&mut events).await
                && status.state == "up"
            {
                break;
            }
        }
    }
}
