//! A page of another origin that somebody lets in: the ticket, the pass, and how little both are
//! worth elsewhere.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{
    harness::{Daemon, Raw, client::status, daemon::OPEN},
    signing::{PASSWORD, ask, own, signed_in},
};

const TOOL: &str = "https://tools.example";
const BESIDE: &str = "https://beside.example";

/// Alice may do everything; Bob may read `other`.
fn guarded() -> String {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "origins: [ \"{TOOL}\", \"{BESIDE}\" ]\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write, takeover ] }} }}\n\
         \x20 bob: {{ password: \"{hash}\", rights: {{ other: [ read ] }} }}\n"
    );
    OPEN.replace("auth: none\n", &access) + "  echo:\n    sim: echo\n  other:\n    sim: echo\n"
}

/// What the gateway's own page asks for when somebody lets a page in.
fn wish(address: SocketAddr, cookie: &str, endpoints: &str, origin: &str) -> String {
    let body = format!("{{\"endpoints\": {endpoints}, \"origin\": \"{origin}\"}}");
    ask(address, "POST", "/api/ticket", &(own(address) + cookie), &body)
}

fn exchange(address: SocketAddr, origin: &str, ticket: &str) -> String {
    let more = format!(
        "Origin: {origin}\r\nContent-Type: application/json\r\nSec-Fetch-Site: cross-site\r\n"
    );
    ask(address, "POST", "/api/pass", &more, &format!("{{\"ticket\": \"{ticket}\"}}"))
}

fn json(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}\n{answer}"))
}

fn ticket(answer: &str) -> String {
    json(answer)["ticket"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn bearer(origin: &str, pass: &str, protocol: &str) -> String {
    let text = URL_SAFE_NO_PAD.encode(pass);
    format!("Origin: {origin}\r\nSec-WebSocket-Protocol: {protocol}, wsbridge.bearer.{text}\r\n")
}

fn opens(address: SocketAddr, origin: &str, endpoint: &str, pass: &str) -> u16 {
    Raw::status(address, endpoint, &bearer(origin, pass, "binary"))
}

#[test]
fn a_page_that_was_let_in_has_sessions_on_the_endpoints_it_was_let_in_to_and_nothing_else() {
    let daemon = Daemon::start(&guarded());
    let main = daemon.address();
    let alice = signed_in(main, "alice");
    let given = exchange(main, TOOL, &ticket(&wish(main, &alice, "[\"echo\", \"echo\"]", TOOL)));
    assert_eq!(status(&given), 200, "{given}");
    assert!(
        given.contains(&format!("access-control-allow-origin: {TOOL}\r\n")),
        "the page may read it: {given}"
    );
    assert!(!given.contains("set-cookie"), "{given}");
    let given = json(&given);
    assert_eq!(given["endpoints"].as_array().map(Vec::len), Some(1));
    let pass = given["pass"].as_str().unwrap();
    daemon.wait_for("page let in");
    assert!(daemon.log().contains(TOOL) && !daemon.log().contains(pass));

    assert_eq!(opens(main, TOOL, "echo", pass), 101);
    assert_eq!(opens(main, TOOL, "other", pass), 403, "alice may, the page may not");
    assert_eq!(opens(main, BESIDE, "echo", pass), 401, "another page of the list");
    assert_eq!(opens(main, &format!("http://{main}"), "echo", pass), 401, "the gateway's own");
    assert_eq!(opens(main, "https://evil.example", "echo", pass), 403);
    let (mut bus, head) = Raw::handshake(main, "", &bearer(TOOL, pass, "wsbridge.v1"));
    assert_eq!(status(&head), 101);
    let hello = String::from_utf8(bus.next().unwrap().payload).unwrap();
    assert!(hello.contains("\"echo\"") && !hello.contains("\"other\""), "{hello}");

    // For sockets only: the API does not accept it, from whatever page or from none.
    let authorization =
        format!("Authorization: Bearer {pass}\r\nContent-Type: application/json\r\n");
    for (method, path, body) in [
        ("GET", "/api/endpoints", ""),
        ("GET", "/api/sessions", ""),
        ("GET", "/api/endpoints/echo/log", ""),
        ("POST", "/api/ticket", "{\"endpoint\": \"echo\"}"),
        ("POST", "/api/sessions/1/end", "{}"),
    ] {
        for origin in [format!("Origin: {TOOL}\r\n"), String::new()] {
            let answer = ask(main, method, path, &(origin.clone() + &authorization), body);
            assert_eq!(status(&answer), 401, "{method} {path} {origin}");
        }
    }

    let (mut running, head) = Raw::handshake(main, "echo", &bearer(TOOL, pass, "binary"));
    assert_eq!(status(&head), 101);
    assert_eq!(status(&ask(main, "POST", "/api/logout", &(own(main) + &alice), "{}")), 204);
    assert_eq!(
        running.closed().map(|(code, _)| code),
        Some(4401),
        "what runs ends with the sign-in"
    );
    assert_eq!(opens(main, TOOL, "echo", pass), 401, "and so does the pass");
}

#[test]
fn a_ticket_that_lets_a_page_in_is_for_that_page_once_and_for_nothing_else() {
    let daemon = Daemon::start(&guarded());
    let main = daemon.address();
    let alice = signed_in(main, "alice");
    let let_in = || ticket(&wish(main, &alice, "[\"echo\"]", TOOL));
    let used = let_in();
    assert_eq!(status(&exchange(main, TOOL, &used)), 200);
    assert_eq!(status(&exchange(main, TOOL, &used)), 401, "used up");
    assert_eq!(status(&exchange(main, BESIDE, &let_in())), 401, "another page of the list");
    assert_eq!(status(&exchange(main, "https://evil.example", &let_in())), 403);
    assert_eq!(
        status(&exchange(main, &format!("http://{main}"), &let_in())),
        403,
        "the gateway's own page has its sign-in"
    );
    let direct = format!(
        "Origin: {TOOL}\r\nSec-WebSocket-Protocol: binary, wsbridge.ticket.{}\r\n",
        let_in()
    );
    assert_eq!(Raw::status(main, "echo", &direct), 401, "it opens no endpoint by itself");
    // And a ticket for an endpoint lets no page in.
    let body = format!("{{\"endpoint\": \"echo\", \"origin\": \"{TOOL}\"}}");
    let single = ticket(&ask(main, "POST", "/api/ticket", &(own(main) + &alice), &body));
    assert_eq!(status(&exchange(main, TOOL, &single)), 401);
}

#[test]
fn nobody_lets_in_a_page_that_is_not_listed_or_to_what_they_may_not_use_themselves() {
    let daemon = Daemon::start(&guarded());
    let main = daemon.address();
    let [alice, bob] = ["alice", "bob"].map(|user| signed_in(main, user));
    let unlisted = wish(main, &alice, "[\"echo\"]", "https://evil.example");
    assert!(status(&unlisted) == 400 && unlisted.contains("not in `origins:`"), "{unlisted}");
    for origin in ["null", "https://tools.example/path", "tools.example"] {
        assert_eq!(status(&wish(main, &alice, "[\"echo\"]", origin)), 400, "{origin}");
    }
    assert_eq!(status(&wish(main, &bob, "[\"other\"]", TOOL)), 200);
    assert_eq!(status(&wish(main, &bob, "[\"other\", \"echo\"]", TOOL)), 403);
    assert_eq!(
        status(&wish(main, &bob, "[\"none\"]", TOOL)),
        403,
        "an unknown endpoint and a forbidden one look alike"
    );
    assert_eq!(status(&wish(main, &alice, "[]", TOOL)), 400);
    // A listed page cannot let itself in with the cookie that the browser adds.
    let body = format!("{{\"endpoints\": [\"echo\"], \"origin\": \"{TOOL}\"}}");
    let more = format!("Origin: {TOOL}\r\nContent-Type: application/json\r\n{alice}");
    assert_eq!(status(&ask(main, "POST", "/api/ticket", &more, &body)), 401);
}

#[test]
fn the_window_that_lets_a_page_in_stands_in_no_frame_and_keeps_its_tie_to_who_opened_it() {
    let framing =
        guarded().replace("users:", "frame_ancestors: [ \"https://tools.example\" ]\nusers:");
    let daemon = Daemon::start(&framing);
    let get = |path: &str| ask(daemon.address(), "GET", path, "", "");
    let window = get("/grant");
    if status(&window) == 404 {
        return; // a gateway without its page
    }
    assert!(window.contains("frame-ancestors 'none'"), "{window:.1500}");
    assert!(window.contains("cross-origin-opener-policy: unsafe-none\r\n"), "{window:.1500}");
    let console = get("/");
    assert!(console.contains("frame-ancestors https://tools.example;"), "{console:.1500}");
    assert!(console.contains("cross-origin-opener-policy: same-origin\r\n"), "{console:.1500}");
}
