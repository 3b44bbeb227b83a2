//! What the page shows of all endpoints: the list, the rates, a line's log.

use serde_json::{Value, json};

use crate::harness::{Daemon, Raw, Wire, access::tokens, client::status};

const LINES: &str =
    "  echo:\n    title: Echo\n    sim: echo\n  other:\n    sim: echo\n  net:\n    sim: echo-tcp\n";

/// An answer's head, and its body.
fn get(daemon: &Daemon, path: &str, more: &str) -> (String, Vec<u8>) {
    let address = daemon.address();
    let mut raw = Raw::connect(address);
    raw.send(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}\r\n")
            .as_bytes(),
    );
    (raw.head(), raw.rest_bytes())
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

async fn writes(daemon: &Daemon, endpoint: &str, bytes: &[u8]) -> Wire {
    let (mut wire, _) = Wire::opened(daemon, endpoint, json!({})).await;
    wire.send(bytes).await;
    assert_eq!(wire.receive(bytes.len()).await, bytes);
    wire
}

#[tokio::test]
async fn the_list_says_who_writes_who_watches_and_what_has_passed() {
    let daemon = Daemon::open(LINES);
    let _writer = writes(&daemon, "echo", b"hello").await;
    let (_reader, _) = Wire::opened(&daemon, "echo", json!({ "role": "observer" })).await;
    let (_, body) = get(&daemon, "/api/endpoints", "");
    let list: Value = serde_json::from_slice(&body).unwrap();
    let of = |name: &str| {
        list["endpoints"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
    };
    let echo = of("echo");
    assert_eq!((&echo["share"], &echo["state"]), (&json!("one-writer"), &json!("up")));
    assert_eq!((&echo["observers"], &echo["sessions"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&echo["holder"]["user"], &echo["holder"]["away"]),
        (&json!("anyone"), &json!(false))
    );
    assert!(echo["holder"]["since"].as_str().unwrap().ends_with('Z'), "{echo}");
    assert_eq!((&echo["to_target"], &of("other")["to_target"]), (&json!(5), &json!(0)));
    assert_eq!(echo["to_client"], json!(5));
    let net = of("net");
    assert!(net["share"].is_null() && net["holder"].is_null() && net["state"].is_null(), "{net}");
}

#[tokio::test]
async fn a_bus_that_watches_is_told_rates_and_one_that_does_not_is_not() {
    let daemon = Daemon::open(LINES);
    let (mut bus, mut deaf) = (Wire::connect(&daemon, "").await, Wire::connect(&daemon, "").await);
    bus.told("hello").await;
    deaf.told("hello").await;
    assert_eq!(bus.ask("watch", json!({ "rates": true })).await["type"], "ok");
    let (mut line, mut net) =
        (writes(&daemon, "echo", b"x").await, writes(&daemon, "net", b"y").await);
    let moved = |told: &Value, name: &str| {
        told["rates"][name]["rx"].as_u64().is_some_and(|rx| rx > 0)
            && told["rates"][name]["tx"].as_u64().is_some_and(|tx| tx > 0)
    };
    // Whichever second they fall into: both endpoints are reported, the third stays at rest.
    let mut seen = (false, false);
    while seen != (true, true) {
        let told = bus.told("rates").await;
        seen = (seen.0 | moved(&told, "echo"), seen.1 | moved(&told, "net"));
        assert_eq!(told["rates"]["other"], json!({ "rx": 0, "tx": 0 }), "{told}");
    }
    bus.until(|told| told["type"] == "rates" && !moved(told, "echo") && !moved(told, "net")).await;
    assert_eq!(bus.ask("watch", json!({ "rates": false })).await["type"], "ok");
    let begun = bus.passed.len();
    for wire in [&mut line, &mut net] {
        wire.send(b"more").await;
        assert_eq!(wire.receive(4).await, b"more");
    }
    assert_eq!(bus.ask("ping", json!({})).await["type"], "pong");
    assert!(bus.passed.iter().skip(begun).all(|told| told["type"] != "rates"), "{:?}", bus.passed);
    assert_eq!(deaf.ask("ping", json!({})).await["type"], "pong");
    assert!(deaf.passed.iter().all(|told| told["type"] != "rates"), "{:?}", deaf.passed);
    assert_eq!(line.ask("watch", json!({ "rates": true })).await["code"], "unsupported");
}

#[tokio::test]
async fn the_log_is_the_lines_last_output_as_a_file() {
    let daemon =
        Daemon::open("  echo:\n    sim: echo\n    history: 4KiB\n  net:\n    sim: echo-tcp\n");
    let bytes: Vec<u8> = (0..=255).collect();
    let mut wire = writes(&daemon, "echo", &bytes).await;
    let (head, body) = get(&daemon, "/api/endpoints/echo/log", "");
    assert_eq!(status(&head), 200, "{head}");
    assert_eq!(body, bytes);
    assert_eq!(header(&head, "content-type"), Some("application/octet-stream"));
    assert_eq!(header(&head, "content-length"), Some("256"));
    assert_eq!(header(&head, "x-content-type-options"), Some("nosniff"));
    let named = header(&head, "content-disposition").unwrap();
    let stamp = named
        .strip_prefix("attachment; filename=\"echo-")
        .and_then(|rest| rest.strip_suffix("Z.log\""));
    assert!(stamp.is_some_and(|stamp| stamp.len() == 15 && stamp.contains('T')), "{named}");
    let long: Vec<u8> = (0..5000_u32).map(|n| n.to_le_bytes()[0]).collect();
    // No more at a time than the tape holds.
    for half in long.chunks(2500) {
        wire.send(half).await;
        assert_eq!(wire.receive(half.len()).await, half);
    }
    assert_eq!(get(&daemon, "/api/endpoints/echo/log", "").1, long[5000 - 4096..]);
    assert_eq!(
        status(&get(&daemon, "/api/endpoints/net/log", "").0),
        404,
        "nothing is kept of dedicated TCP"
    );
}

#[test]
fn the_log_is_for_those_who_may_read_the_line() {
    let access = tokens(&[("admin", "read"), ("none", "")]);
    let daemon = Daemon::start(&format!("{access}{LINES}"));
    let code = |who: &str, path: &str| status(&get(&daemon, path, who).0);
    let bearer = |name: &str| format!("Authorization: Bearer wsb_{name}\r\n");
    assert_eq!(code("", "/api/endpoints/echo/log"), 401);
    assert_eq!(code(&bearer("none"), "/api/endpoints/echo/log"), 403);
    assert_eq!(code(&bearer("none"), "/api/endpoints/unknown/log"), 403);
    assert_eq!(code(&bearer("admin"), "/api/endpoints/echo/log"), 200);
    assert_eq!(code(&bearer("admin"), "/api/endpoints/unknown/log"), 404);
}

#[tokio::test]
async fn a_list_says_of_a_device_that_is_not_there_why_and_since_when() {
    let daemon = Daemon::open("  gone:\n    serial: { port: /dev/ttyUSB77 }\n");
    let mut bus = Wire::connect(&daemon, "").await;
    let hello = bus.told("hello").await;
    let mut gone = hello["endpoints"][0].clone();
    if gone["state"] != "down" {
        gone = bus.until(|told| told["type"] == "status" && told["state"] == "down").await;
    }
    assert_eq!(gone["error"], json!("/dev/ttyUSB77 is not there"), "{gone}");
    let since = gone["since"].as_str().unwrap().to_owned();
    assert!(since.ends_with('Z'), "{since}");
    // Somebody who comes later hears the same, on the bus and on the line itself.
    let hello = Wire::connect(&daemon, "").await.told("hello").await;
    assert_eq!(
        (&hello["endpoints"][0]["error"], &hello["endpoints"][0]["since"]),
        (&gone["error"], &gone["since"])
    );
    let hello = Wire::connect(&daemon, "gone").await.told("hello").await;
    assert_eq!(
        (&hello["endpoint"]["error"], &hello["endpoint"]["since"]),
        (&gone["error"], &gone["since"])
    );
}
