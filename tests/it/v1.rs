//! `wsbridge.v1` on the wire: docs/protocol.md sections 3 to 6, 9 and 10, spoken and heard frame by
//! frame.

mod endings;
mod flow;
mod lines;
mod targets;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wsbridge::client::{Client, Dial, Error, Event, Open};

use crate::harness::{
    Daemon, Pty, Raw, Target, Wire,
    access::tokens,
    tls::{Authority, trusting},
    wire::Came,
};

/// A serial endpoint `e` on a pty, with additional lines.
fn serial(pty: &Pty, more: &str) -> String {
    format!("  e:\n    serial: {{ port: {{ path: \"{}\" }} }}\n{more}", pty.path().display())
}

/// A daemon with one serial endpoint `e` on a pty, open to everybody, its device open.
fn on_pty() -> (Daemon, Pty) {
    let pty = Pty::new();
    let daemon = Daemon::open(&serial(&pty, ""));
    daemon.wait_for("device open");
    (daemon, pty)
}

fn code(answer: &Value) -> &str {
    answer["code"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn hello_says_what_the_endpoint_is_and_opened_where_the_session_stands() {
    let mut pty = Pty::new();
    let path = pty.path().display().to_string();
    let daemon = Daemon::open(&format!(
        "  e:\n    title: Boiler\n    serial: {{ port: {path}, baud: 19200, macros: {{ reset: [ {{ rts: true }} ] }} }}\n"
    ));
    daemon.wait_for("device open");
    let mut wire = Wire::connect(&daemon, "e").await;
    let hello = wire.told("hello").await;
    assert_eq!(
        (&hello["v"], &hello["window"], &hello["heartbeat"]),
        (&json!(1), &json!(65536), &json!(10))
    );
    assert_eq!(hello["resume"], 60);
    assert!(hello["server"].as_str().unwrap().starts_with("wsbridge/"));
    let endpoint = &hello["endpoint"];
    assert_eq!(
        (&endpoint["name"], &endpoint["kind"], &endpoint["state"], &endpoint["title"]),
        (&json!("e"), &json!("serial"), &json!("up"), &json!("Boiler"))
    );
    assert_eq!(endpoint["macros"], json!(["reset"]));
    let using = ["read", "write", "signals", "settings", "takeover"];
    let over_others = ["grant", "approve", "sessions", "recordings"];
    assert_eq!(endpoint["rights"], json!([&using[..], &over_others[..]].concat()));
    let caps = endpoint["caps"].as_array().unwrap();
    assert!(
        caps.contains(&json!("config"))
            && caps.contains(&json!("times"))
            && !caps.contains(&json!("dtr"))
    );
    assert_eq!((&endpoint["writer"], &endpoint["observers"]), (&Value::Null, &json!(0)));

    pty.send(b"before");
    let (mut other, _) =
        Wire::opened(&daemon, "e", json!({"role": "observer", "replay": {"bytes": 6}})).await;
    assert_eq!(other.receive(6).await, b"before");
    let opened = wire.open(json!({"role": "writer"})).await;
    assert_eq!(opened["type"], "opened");
    assert_eq!((&opened["rx"], &opened["live"], &opened["tx"]), (&json!(6), &json!(6), &json!(0)));
    assert_eq!((&opened["window"], &opened["role"]), (&json!(65536), &json!("writer")));
    assert_eq!(
        opened["config"],
        json!({"baud": 19200, "data": 8, "parity": "none", "stop": 1, "flow": "none"})
    );
    assert_eq!(opened["session"].as_str().unwrap().len(), 22);
    wire.send(b"to the device").await;
    assert_eq!(pty.receive(13), b"to the device");
    pty.send(b"answer");
    assert_eq!(wire.receive(6).await, b"answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_writes_and_a_second_is_busy_or_observes_and_is_told_what_was_not_sent() {
    let (daemon, mut pty) = on_pty();
    let (mut writer, opened) = Wire::opened(&daemon, "e", json!({"role": "auto"})).await;
    assert_eq!(opened["role"], "writer");
    let (mut second, refused) = Wire::opened(&daemon, "e", json!({"role": "writer"})).await;
    assert_eq!(code(&refused), "busy");
    assert!(refused["message"].as_str().unwrap().contains("since"), "{refused}");
    let opened = second.open(json!({"role": "auto"})).await;
    assert_eq!(opened["role"], "observer");
    second.send(b"lost").await;
    let error = second.told("error").await;
    assert_eq!(
        (code(&error), &error["bytes"], &error["re"]),
        ("not_writer", &json!(4), &Value::Null)
    );
    assert_eq!(second.told("ack").await["tx"], 4);
    for (kind, members) in [
        ("config", json!({"baud": 300})),
        ("signals", json!({"dtr": true})),
        ("flush", json!({"tx": true})),
        ("lease", json!({"op": "grant"})),
    ] {
        assert_eq!(code(&second.ask(kind, members).await), "not_writer", "{kind}");
    }
    pty.send(b"for both");
    assert_eq!(second.receive(8).await, b"for both");
    assert_eq!(writer.receive(8).await, b"for both");
    writer.send(b"kept").await;
    assert_eq!(pty.receive(4), b"kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_plain_client_beside_a_writer_observes_and_its_input_is_dropped_and_counted() {
    let (daemon, mut pty) = on_pty();
    let (mut writer, _) = Wire::opened(&daemon, "e", json!({})).await;
    let mut plain = Raw::upgrade(daemon.address(), "e");
    plain.frame(2, b"lost");
    pty.send(b"seen");
    assert_eq!(plain.data(4), b"seen");
    writer.send(b"kept").await;
    assert_eq!(pty.receive(4), b"kept");
    plain.frame(8, &1000_u16.to_be_bytes());
    plain.rest();
    daemon.wait_for("session closed");
    let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let page = Raw::ask(daemon.address(), ask);
    assert!(page.contains("wsbridge_undelivered_bytes_total{endpoint=\"e\"} 4\n"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_socket_opens_closes_and_opens_again() {
    let (daemon, mut pty) = on_pty();
    let (mut wire, first) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(b"one").await;
    let again = wire.open(json!({"config": {"baud": 57600}})).await;
    assert_ne!(first["session"], again["session"]);
    assert_eq!((&again["config"]["baud"], &again["tx"]), (&json!(57600), &json!(0)));
    assert_eq!(pty.receive(3), b"one");
    wire.send(b"two").await;
    assert_eq!(wire.ask("close", json!({"drain": true})).await["type"], "ok");
    assert_eq!(pty.receive(3), b"two");
    assert_eq!(code(&wire.ask("get", json!({})).await), "not_open");
    let third = wire.open(json!({})).await;
    assert_eq!((&third["type"], &third["role"]), (&json!("opened"), &json!("writer")));
    // The last seat had left: the settings are the configured ones again.
    assert_eq!(third["config"]["baud"], 9600);
    assert_eq!(third["epoch"], first["epoch"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_cannot_be_done_is_answered_and_what_breaks_the_protocol_closes_with_4400() {
    let (daemon, _pty) = on_pty();
    let mut wire = Wire::connect(&daemon, "e").await;
    for kind in ["config", "signals", "get", "drain", "flush", "lease"] {
        let members = json!({"dtr": true, "op": "take"});
        assert_eq!(code(&wire.ask(kind, members).await), "not_open", "{kind}");
    }
    assert_eq!(code(&wire.ask("dance", json!({})).await), "unknown_type");
    wire.say(json!({"type": "dance"})).await;
    assert_eq!(wire.ask("ping", json!({})).await["type"], "pong");
    assert!(wire.passed.iter().all(|told| told["type"] == "hello"), "{:?}", wire.passed);
    let ask = wire.open(json!({"role": "king"})).await;
    assert_eq!(code(&ask), "bad_message");
    assert_eq!(wire.open(json!({"role": "writer", "new": {"member": 1}})).await["type"], "opened");
    assert_eq!(code(&wire.ask("config", json!({"baud": "fast"})).await), "bad_message");
    assert_eq!(code(&wire.ask("signals", json!({})).await), "bad_message");
    assert_eq!(code(&wire.ask("lease", json!({"op": "deny"})).await), "bad_message");

    for text in
        ["{", "[]", "7", "{\"id\":1}", "{\"type\":1}", "{\"type\":\"ping\",\"id\":-1}", "nonsense"]
    {
        let mut wire = Wire::connect(&daemon, "e").await;
        wire.text(text).await;
        assert_eq!(wire.closed().await.0, 4400, "{text}");
    }
    let mut wire = Wire::connect(&daemon, "e").await;
    wire.send(b"too early").await;
    assert_eq!(wire.closed().await, (4400, "bad message: data before `opened`".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_text_message_over_16_kib_closes_with_1009_and_long_data_do_not() {
    let sink = Target::sink();
    let daemon = Daemon::open(&sink.endpoint("e"));
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(&vec![7; 65536]).await;
    wire.until(|told| told["tx"] == 65536).await;
    let fits = format!("{{\"type\":\"ping\",\"id\":1,\"pad\":\"{}\"}}", "x".repeat(16_000));
    wire.text(&fits).await;
    wire.told("pong").await;
    wire.text(&format!("{{\"type\":\"ping\",\"pad\":\"{}\"}}", "x".repeat(17_000))).await;
    assert_eq!(wire.closed().await.0, 1009);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_socket_that_opens_nothing_for_ten_seconds_closes_with_4408() {
    let (daemon, _pty) = on_pty();
    let began = Instant::now();
    let mut wire = Wire::connect(&daemon, "e").await;
    wire.ask("ping", json!({})).await;
    assert_eq!(wire.closed().await.0, 4408);
    assert!(began.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_bus_lists_what_one_may_see_and_says_what_changes() {
    let (seen, hidden) = (Pty::new(), Target::echo());
    let access = tokens(&[("all", "read, write"), ("some", "read")])
        .replace("rights: { \"*\": [ read ] }", "rights: { \"e\": [ read ] }");
    let daemon =
        Daemon::start(&format!("{access}{}{}", serial(&seen, ""), hidden.endpoint("secret")));
    daemon.wait_for("device open");
    let bearer = [("authorization", "Bearer wsb_some")];
    let mut bus = Wire::try_connect(&daemon, "", &bearer).await.unwrap();
    let hello = bus.told("hello").await;
    let endpoints = hello["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 1);
    assert_eq!((&endpoints[0]["name"], &endpoints[0]["state"]), (&json!("e"), &json!("up")));
    assert_eq!((&hello["v"], &endpoints[0]["rights"]), (&json!(1), &json!(["read"])));

    let (writer, _) = Wire::open_as(&daemon, "e", "wsb_all", json!({})).await;
    let status =
        bus.until(|told| told["type"] == "status" && told["writer"]["user"] == "all").await;
    assert_eq!(
        (&status["endpoint"], &status["state"], &status["observers"]),
        (&json!("e"), &json!("up"), &json!(0))
    );
    drop(writer);
    bus.until(|told| told["writer"]["away"] == true).await;
    assert_eq!(code(&bus.ask("open", json!({})).await), "not_open");
    assert_eq!(bus.ask("ping", json!({})).await["type"], "pong");
    bus.send(b"data").await;
    assert_eq!(bus.closed().await.0, 4400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_page_without_a_login_is_told_4401_where_another_client_gets_401() {
    let pty = Pty::new();
    let daemon = Daemon::start(&format!("{}{}", tokens(&[("a", "read")]), serial(&pty, "")));
    let origin = format!("http://{}", daemon.address());
    let mut page = Wire::try_connect(&daemon, "e", &[("origin", &origin)]).await.unwrap();
    assert_eq!(page.next().await, Came::Close(4401, "not signed in".into()));
    let refused = Wire::try_connect(&daemon, "e", &[]).await.unwrap_err();
    assert!(refused.to_string().contains("401"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_right_allows_its_own_and_nothing_else() {
    let pty = Pty::new();
    let of = [
        ("r", "read"),
        ("w", "read, write"),
        ("s", "read, write, signals"),
        ("c", "read, write, settings"),
    ];
    let daemon = Daemon::start(&format!("{}{}", tokens(&of), serial(&pty, "")));
    daemon.wait_for("device open");
    for (token, role, config, signals) in [
        ("r", "observer", "not_writer", "not_writer"),
        ("w", "writer", "denied", "denied"),
        ("s", "writer", "denied", "unsupported"),
        ("c", "writer", "", "denied"),
    ] {
        let (mut wire, opened) =
            Wire::open_as(&daemon, "e", &format!("wsb_{token}"), json!({"role": "auto"})).await;
        assert_eq!(opened["role"], role, "{token}");
        let answer = wire.ask("config", json!({"baud": 1200})).await;
        assert_eq!(answer["code"].as_str().unwrap_or_default(), config, "{token}");
        assert_eq!(code(&wire.ask("signals", json!({"dtr": true})).await), signals, "{token}");
        let take = wire.ask("lease", json!({"op": "take"})).await;
        assert_eq!(code(&take), "denied", "{token}");
        wire.ask("close", json!({})).await;
    }
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_r", json!({"role": "writer"})).await;
    assert_eq!(code(&refused), "denied");
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_w", json!({"take": true})).await;
    assert_eq!(code(&refused), "denied");
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_w", json!({"config": {"baud": 300}})).await;
    assert_eq!(code(&refused), "denied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_client_goes_over_tls_with_a_token_and_says_why_it_cannot() {
    let (folder, pty) = (tempfile::tempdir().unwrap(), Pty::new());
    let authority = Authority::new(folder.path());
    let (certificate, key) = authority.issue("gateway");
    let pair = format!("tls: {{ certificate: {}, key: {} }}", certificate.display(), key.display());
    let config = tokens(&[("a", "read, write")]).replace("tls: none", &pair);
    let daemon = Daemon::start(&format!("{config}{}", serial(&pty, "")));
    daemon.wait_for("device open");
    let dial = || {
        let url = daemon.url("e").replace("ws://127.0.0.1", "wss://localhost");
        Dial::new(url).tls(trusting(&authority.file(), None))
    };
    let (client, mut events) = Client::connect(dial().bearer("wsb_a")).await.unwrap();
    assert_eq!(client.hello().endpoint.unwrap().name, "e");
    assert!(matches!(client.write(b"early").await, Err(Error::Closed(_))));
    client.open(Open::default()).await.unwrap();
    assert!(matches!(
        client.open(Open { take: true, ..Open::default() }).await,
        Err(Error::Failed { .. })
    ));
    client.open(Open::default()).await.unwrap();
    client.ping().await.unwrap();
    client.end().await;
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Closed { code: Some(1000), .. })), "{last:?}");

    let refused = Client::connect(dial()).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { status: 401, .. }), "{refused}");
    let untrusted =
        Client::connect(dial().tls(trusting(&other_authority(&folder), None))).await.unwrap_err();
    assert!(matches!(untrusted, Error::Untrusted(_)), "{untrusted}");
}

/// An authority that has signed nothing.
fn other_authority(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    Authority::new(&other).file()
}
