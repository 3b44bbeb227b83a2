//! A line in a frame of another site's page: the ticket its server asks for, the pass of our page
//! in the frame, and how little both are worth elsewhere.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    harness::{Daemon, Raw, client::status, daemon::OPEN},
    signing::{ask, own},
};

const PORTAL: &str = "https://portal.example";
const BESIDE: &str = "https://beside.example";
const TOKEN: &str = "wsb_0123456789abcdef0123456789abcdef";

/// A token with every right on two lines, and two pages that may show them.
fn guarded() -> String {
    let hash = Sha256::digest(TOKEN);
    let hash = hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let access = format!(
        "origins: [ \"https://tools.example\" ]\nframe_ancestors: [ \"{PORTAL}\", \"{BESIDE}\" ]\ntokens:\n  portal: {{ sha256: \"{hash}\", \
         rights: {{ \"*\": [ read, write, takeover ] }} }}\n"
    );
    OPEN.replace("auth: none\n", &access)
        + "  echo: { sim: echo, share: one-writer }\n  other: { sim: echo }\n"
}

fn json_of(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}\n{answer}"))
}

/// What the portal's server requests.
fn wish(address: SocketAddr, body: &Value) -> String {
    let more = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
    ask(address, "POST", "/api/ticket", &more, &body.to_string())
}

fn ticket(address: SocketAddr) -> String {
    let answer = wish(address, &json!({ "endpoint": "echo", "ancestor": PORTAL }));
    json_of(&answer)["ticket"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// What our page in the frame requests.
fn exchange(address: SocketAddr, ticket: &str, endpoint: &str, ancestor: &str) -> String {
    let body = json!({ "ticket": ticket, "endpoint": endpoint, "ancestor": ancestor });
    ask(address, "POST", "/api/pass", &own(address), &body.to_string())
}

fn bearer(origin: &str, pass: &str, protocol: &str) -> String {
    let text = URL_SAFE_NO_PAD.encode(pass);
    format!("Origin: {origin}\r\nSec-WebSocket-Protocol: {protocol}, wsbridge.bearer.{text}\r\n")
}

/// A `wsbridge.v1` socket of our page in the frame, after its hello.
fn socket(address: SocketAddr, pass: &str) -> (Raw, Value) {
    let origin = format!("http://{address}");
    let (mut raw, head) = Raw::handshake(address, "echo", &bearer(&origin, pass, "wsbridge.v1"));
    assert_eq!(status(&head), 101, "{head}");
    let hello = text(&mut raw);
    (raw, hello)
}

fn text(raw: &mut Raw) -> Value {
    loop {
        let frame = raw.next().unwrap();
        if frame.opcode == 1 {
            return serde_json::from_slice(&frame.payload).unwrap();
        }
    }
}

fn answered(raw: &mut Raw, message: &Value) -> Value {
    raw.frame(1, message.to_string().as_bytes());
    loop {
        let told = text(raw);
        if told["re"] == message["id"] {
            return told;
        }
    }
}

#[test]
fn a_ticket_for_a_frame_opens_one_session_on_its_endpoint_and_takes_nothing_over() {
    let daemon = Daemon::start(&guarded());
    let main = daemon.address();
    let own = format!("http://{main}");
    let given = exchange(main, &ticket(main), "echo", PORTAL);
    assert_eq!(status(&given), 200, "{given}");
    let pass = json_of(&given)["pass"].as_str().unwrap().to_owned();
    daemon.wait_for("page let in");
    assert!(daemon.log().contains(PORTAL) && !daemon.log().contains(&pass));

    // What it does not open, before and after.
    for (origin, endpoint, protocol, expected) in [
        (own.as_str(), "other", "wsbridge.v1", 403),
        (&own, "", "wsbridge.v1", 403),
        (&own, "echo", "binary", 400),
        ("https://tools.example", "echo", "wsbridge.v1", 101), // 4401: asked below
        (PORTAL, "echo", "wsbridge.v1", 403),
    ] {
        let (mut raw, head) = Raw::handshake(main, endpoint, &bearer(origin, &pass, protocol));
        assert_eq!(status(&head), expected, "{origin} {endpoint} {protocol}");
        if expected == 101 {
            assert_eq!(raw.closed().map(|(code, _)| code), Some(4401), "{origin}");
        }
    }
    let authorization = format!(
        "Authorization: Bearer {pass}\r\nContent-Type: application/json\r\nOrigin: {own}\r\n"
    );
    assert_eq!(status(&ask(main, "GET", "/api/endpoints", &authorization, "")), 401);

    // Somebody else holds the lease; the page in the frame takes nothing from them.
    let holds = format!("Authorization: Bearer {TOKEN}\r\nSec-WebSocket-Protocol: wsbridge.v1\r\n");
    let (mut holder, head) = Raw::handshake(main, "echo", &holds);
    assert_eq!(status(&head), 101);
    let opened = answered(&mut holder, &json!({ "type": "open", "id": 1, "role": "writer" }));
    assert_eq!(opened["role"], "writer");
    let (mut frame, hello) = socket(main, &pass);
    let rights = hello["endpoint"]["rights"].as_array().unwrap();
    assert!(rights.contains(&json!("write")) && !rights.contains(&json!("takeover")), "{hello}");
    let seized =
        answered(&mut frame, &json!({ "type": "open", "id": 1, "role": "writer", "take": true }));
    assert_eq!(seized["code"], "denied", "{seized}");
    let opened = answered(&mut frame, &json!({ "type": "open", "id": 2, "role": "auto" }));
    assert_eq!((&opened["type"], &opened["role"]), (&json!("opened"), &json!("observer")));
    let taken = answered(&mut frame, &json!({ "type": "lease", "id": 3, "op": "take" }));
    assert_eq!(taken["code"], "denied", "{taken}");

    // Resumed, and no second session next to it or after it.
    let (mut second, _) = socket(main, &pass);
    let again = answered(&mut second, &json!({ "type": "open", "id": 1, "role": "observer" }));
    assert_eq!(again["code"], "denied", "{again}");
    assert!(again["message"].as_str().unwrap().contains("new link"), "{again}");
    let resume = json!({ "type": "resume", "id": 2, "session": opened["session"], "epoch": opened["epoch"], "rx": opened["rx"] });
    let resumed = answered(&mut second, &resume);
    assert_eq!(resumed["type"], "resumed", "{resumed}");
    let closed = answered(&mut second, &json!({ "type": "close", "id": 3 }));
    assert_eq!(closed["type"], "ok", "{closed}");
    let (mut third, _) = socket(main, &pass);
    let again = answered(&mut third, &json!({ "type": "open", "id": 1, "role": "observer" }));
    assert_eq!(again["code"], "denied", "{again}");
}

#[test]
fn a_ticket_for_a_frame_is_for_its_line_and_ancestor_once() {
    let daemon = Daemon::start(&guarded());
    let main = daemon.address();
    let used = ticket(main);
    assert_eq!(status(&exchange(main, &used, "echo", PORTAL)), 200);
    assert_eq!(status(&exchange(main, &used, "echo", PORTAL)), 401, "used up");
    assert_eq!(status(&exchange(main, &ticket(main), "other", PORTAL)), 401, "another line");
    assert_eq!(status(&exchange(main, &ticket(main), "echo", BESIDE)), 401, "another ancestor");
    assert_eq!(status(&exchange(main, &ticket(main), "echo", "https://evil.example")), 400);
    let own = format!("http://{main}");
    let bare = |origin: &str| {
        let more = format!("Origin: {origin}\r\nContent-Type: application/json\r\n");
        status(&ask(
            main,
            "POST",
            "/api/pass",
            &more,
            &json!({ "ticket": ticket(main) }).to_string(),
        ))
    };
    assert_eq!(bare(&own), 403, "our own page says what it was served for");
    assert_eq!(
        bare("https://tools.example"),
        401,
        "a page of `origins:` is let in by another kind"
    );
    for protocol in ["binary", "wsbridge.v1"] {
        let more = format!(
            "Origin: {own}\r\nSec-WebSocket-Protocol: {protocol}, wsbridge.ticket.{}\r\n",
            ticket(main)
        );
        let (mut raw, head) = Raw::handshake(main, "echo", &more);
        let refused = status(&head) == 401 || raw.closed().map(|(code, _)| code) == Some(4401);
        assert!(refused, "it opens no endpoint by itself");
    }
    for (body, why) in [
        (
            json!({ "endpoint": "echo", "ancestor": "https://evil.example" }),
            "none of `frame_ancestors:`",
        ),
        (json!({ "endpoint": "echo", "ancestor": "portal.example" }), "none of `frame_ancestors:`"),
        (json!({ "endpoint": "echo", "ancestor": PORTAL, "origin": PORTAL }), "\"ancestor\""),
        (json!({ "app": "echo", "ancestor": PORTAL }), "\"ancestor\""),
        (json!({ "endpoints": ["echo"], "ancestor": PORTAL }), "\"ancestor\""),
    ] {
        let answer = wish(main, &body);
        assert!(status(&answer) == 400 && answer.contains(why), "{body}: {answer}");
    }
}

#[test]
fn the_page_for_a_frame_names_exactly_its_ancestor() {
    let daemon = Daemon::start(&guarded());
    let get = |query: &str| ask(daemon.address(), "GET", &format!("/embed{query}"), "", "");
    let page = get(&format!("?line=echo&ancestor={PORTAL}"));
    if status(&page) == 404 {
        return; // a gateway without its page
    }
    assert!(page.contains(&format!("frame-ancestors {PORTAL};")), "{page:.1500}");
    assert!(page.contains("cache-control: no-store\r\n"), "{page:.1500}");
    for other in ["https://evil.example", "*", "'self'", "https://portal.example;", ""] {
        let answer = get(&format!("?line=echo&ancestor={other}"));
        assert_eq!(status(&answer), 400, "{other}");
    }
    assert_eq!(status(&get("?line=echo")), 400);
}
