//! What breaks between a client, a hub and a gateway, and what that costs.

use std::{
    io::{Read as _, Write as _},
    process::Command,
    sync::Arc,
};

use rustix::process::Signal;
use serde_json::json;
use tokio::{sync::watch, time::timeout};
use wsbridge::client::{Client, Dial, Event, Open};

use super::{ECHO, Gateway, Hub};
use crate::harness::{PATIENCE, Target, cutter::Cutter, until};

fn byte(at: u64) -> u8 {
    u8::try_from((at.wrapping_mul(2_654_435_761) >> 13) & 0xff).unwrap()
}

/// Sends bytes to an echo and reads them back; `at_half` is called once, half-way. Returns how often
/// the session was resumed.
async fn nothing_is_lost(url: String, total: u64, at_half: impl FnOnce()) -> usize {
    let dial = Dial::new(url).bearer("wsb_boss");
    let (client, mut events) = timeout(PATIENCE, Client::connect(dial)).await.unwrap().unwrap();
    client.open(Open::default()).await.unwrap();
    let client = Arc::new(client);
    let writer = Arc::clone(&client);
    let (done, mut read) = watch::channel(0);
    let mut sending = tokio::task::JoinSet::new();
    sending.spawn(async move {
        let mut at = 0;
        while at < total {
            read.wait_for(|read| at - read <= 256 << 10).await.unwrap();
            let end = total.min(at + 30_011);
            let bytes: Vec<u8> = (at..end).map(byte).collect();
            writer.write(&bytes).await.unwrap();
            at = end;
        }
    });
    let (mut at, mut resumed, mut half) = (0, 0, Some(at_half));
    while at < total {
        match timeout(PATIENCE, events.next()).await.expect("bytes").expect("a session") {
            Event::Data { at: place, bytes } => {
                assert_eq!(place, at);
                assert!(bytes.iter().zip(at..).all(|(got, at)| *got == byte(at)), "wrong at {at}");
                at += bytes.len() as u64;
                done.send_replace(at);
                if at > total / 2
                    && let Some(half) = half.take()
                {
                    half();
                }
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
    sending.join_all().await;
    client.drain().await.unwrap();
    resumed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_on_either_side_of_the_hub_lose_nothing() {
    const TOTAL: u64 = 8 << 20;
    let hub = Hub::start();
    let echo = Target::echo();
    let gateway = Gateway::start(&echo.endpoint("e"), "");
    // Places to cut, of both directions together; a control socket takes little.
    let cuts = |n: u64| -> Vec<usize> {
        (1..=n).map(|n| usize::try_from(n * 7919 % (TOTAL / 4) + 300_000).unwrap()).collect()
    };
    let far = Cutter::start(hub.gateways, [vec![usize::MAX; 2], cuts(8)].concat());
    gateway.enrol_by(&hub, &format!("https://localhost:{}", far.address().port()), "gw-1");
    hub.awaits("gw-1", |it| it["lines"].is_array());
    let near = Cutter::start(hub.people, cuts(8));
    let resumed = nothing_is_lost(near.url("gw-1/e"), TOTAL, || ()).await;
    assert!(near.cuts() >= 4 && far.cuts() >= 4, "{} and {} cuts", near.cuts(), far.cuts());
    assert!(resumed >= 8, "{resumed} resumes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_half_way_costs_nothing_but_time() {
    let mut hub = Hub::start();
    let gateway = Gateway::start(ECHO, "");
    gateway.enrol(&hub, "gw-1");
    let url = format!("ws://{}/ws/gw-1/e", hub.people);
    let resumed = nothing_is_lost(url, 1 << 20, || hub.again()).await;
    assert!(resumed >= 1, "{resumed} resumes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_gateway_is_cut_off_at_once_and_for_good() {
    let hub = Hub::start();
    let gateway = Gateway::start(ECHO, "");
    gateway.enrol(&hub, "gw-1");
    let mut wire = hub.wire("gw-1", "e", "boss").await;
    wire.open(json!({})).await;
    hub.run(&["revoke", "gw-1"]);
    let (code, _) = wire.closed().await;
    assert_eq!(code, 4403);
    gateway.daemon.wait_for("the hub has revoked this gateway");
    assert_eq!(hub.get("/g/gw-1/api/endpoints", "boss").0, 504);
    // Its certificate is worth nothing any more.
    gateway.daemon.signal(Signal::HUP);
    let (token, fingerprint) = hub.token(&[]);
    let told = gateway.try_enrol(&hub.url(), &token, &fingerprint, "gw-1");
    assert!(told.status.success(), "it can be enrolled anew");
    hub.awaits("gw-1", |it| it["online"] == true);
}

#[test]
fn a_copied_card_is_found_and_neither_machine_is_reached_until_that_is_decided() {
    let hub = Hub::start();
    let first = Gateway::start(ECHO, "");
    first.enrol(&hub, "gw-1");
    let second = Gateway::start(ECHO, "");
    super::copy(&first.home(), &second.home());
    let post = super::run(&[
        "sessions",
        "--socket",
        second.daemon.folder().join("admin.sock").to_str().unwrap(),
    ]);
    assert!(post.status.success());
    look(&second);
    hub.daemon.wait_for("two machines have this gateway's certificate");
    first.daemon.wait_for("another machine shows this gateway's certificate");
    second.daemon.wait_for("another machine shows this gateway's certificate");
    assert_eq!(hub.get("/g/gw-1/api/endpoints", "boss").0, 504);
    assert!(hub.run(&["gateways"]).contains("two machines"));
    drop(second);
    hub.run(&["clear", "gw-1"]);
    look(&first);
    hub.awaits("gw-1", |it| it["online"] == true);
}

/// Has a gateway look at its enrolment again.
fn look(gateway: &Gateway) {
    let socket = gateway.daemon.folder().join("admin.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream
        .write_all(b"POST /api/home HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_gateway_that_is_started_anew_is_not_taken_for_two() {
    let hub = Hub::start();
    let gateway = Gateway::start(ECHO, "");
    gateway.enrol(&hub, "gw-1");
    let kept = tempfile::tempdir().unwrap();
    super::copy(&gateway.home(), &kept.path().join("home"));
    // Stopped dead: its socket stays open, and nobody answers on it.
    gateway.daemon.signal(Signal::STOP);
    let again = Gateway::start(ECHO, "");
    super::copy(&kept.path().join("home"), &again.home());
    look(&again);
    again.daemon.wait_for("connected to the hub");
    assert_eq!(hub.awaits("gw-1", |it| it["online"] == true)["cloned"], false);
    gateway.daemon.signal(Signal::KILL);
}

#[test]
fn a_certificate_is_renewed_in_time_by_both_ends_clocks() {
    if Command::new("faketime").arg("--version").output().is_err() {
        eprintln!("skipped: no faketime here (sudo apt install faketime)");
        return;
    }
    let hub = Hub::start();
    let gateway = Gateway::start(ECHO, "");
    gateway.enrol(&hub, "gw-1");
    let certificate =
        |gateway: &Gateway| std::fs::read(gateway.home().join("identity.pem")).unwrap();
    let before = certificate(&gateway);
    // Another gateway with its files, at a time when two thirds of the certificate's life are over.
    let text = std::fs::read_to_string(gateway.daemon.config()).unwrap();
    let home = gateway.home();
    let gateway_folder = gateway.daemon.folder().display().to_string();
    let kept = tempfile::tempdir().unwrap();
    super::copy(&home, &kept.path().join("state/home"));
    drop(gateway);
    until("the gateway is away", || {
        (hub.get("/g/gw-1/api/endpoints", "boss").0 == 504).then_some(())
    });
    let text = text.replace(&gateway_folder, &kept.path().display().to_string());
    let late = crate::harness::Daemon::start_with(&text, |command| {
        let program = command.get_program().to_owned();
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let envs: Vec<_> =
            command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
        *command = Command::new("faketime");
        command.args(["-f", "+61d"]).arg(program).args(args);
        for (name, value) in envs {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::piped());
    });
    late.wait_for("the certificate for the hub is renewed");
    late.wait_for("connected to the hub");
    let after = std::fs::read(kept.path().join("state/home/identity.pem")).unwrap();
    assert!(after != before);
    hub.awaits("gw-1", |it| it["online"] == true);
}
