//! Behind proxies: whose word counts, who is counted, and what a client cannot say for itself.

mod pages;
mod protocol;
mod users;

use std::net::SocketAddr;

use crate::{
    harness::{Daemon, Raw, Target, client::status, daemon::OPEN},
    signing::PASSWORD,
};

/// Alice, who may read, behind proxies as configured here.
fn guarded(proxies: &str) -> String {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "trusted_proxies: {proxies}\nhosts: [ gw.example ]\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ echo: [ read ] }} }}\n"
    );
    OPEN.replace("auth: none\n", &access) + "  echo: { sim: echo }\n"
}

/// An attempt at a password, with these additional header lines.
fn attempt(address: SocketAddr, headers: &str, password: &str) -> u16 {
    let body = format!("{{\"user\": \"alice\", \"password\": \"{password}\"}}");
    status(&Raw::ask(
        address,
        &format!(
            "POST /api/login HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\nContent-Length: {}\r\n\
             Origin: https://gw.example\r\nContent-Type: application/json\r\n{headers}\r\n{body}",
            body.len()
        ),
    ))
}

#[test]
fn of_two_families_of_headers_the_named_one_counts_alone() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1 ]"));
    let address = daemon.address();
    // A client that names somebody new in the other family each time.
    let spoofed = |n: usize| {
        format!(
            "X-Forwarded-For: 198.51.100.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=203.0.113.{n};host=evil.example;proto=https\r\n"
        )
    };
    for n in 0..20 {
        assert_eq!(attempt(address, &spoofed(n), "wrong"), 401, "{n}");
    }
    assert_eq!(attempt(address, &spoofed(20), PASSWORD), 429, "one client, whatever it says");
    let other = "X-Forwarded-For: 203.0.113.20\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(attempt(address, other, PASSWORD), 200, "and nobody else is locked out");
    assert!(
        daemon.log().contains("peer=198.51.100.4") && !daemon.log().contains("evil"),
        "{}",
        daemon.log()
    );
}

#[test]
fn behind_two_proxies_each_client_is_punished_alone() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1, 192.0.2.0/24 ]"));
    let address = daemon.address();
    let from = |client: &str| {
        format!("X-Forwarded-For: {client}, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n")
    };
    for _ in 0..20 {
        assert_eq!(attempt(address, &from("203.0.113.9, 198.51.100.4"), "wrong"), 401);
    }
    assert_eq!(attempt(address, &from("198.51.100.4"), PASSWORD), 429);
    assert_eq!(attempt(address, &from("198.51.100.5"), PASSWORD), 200);
}

#[test]
fn forwarded_of_rfc_7239_counts_where_it_is_named() {
    let daemon = Daemon::start(&guarded("{ addresses: [ 127.0.0.1 ], headers: forwarded }"));
    let headers = "Forwarded: for=203.0.113.1;proto=http, for=\"[2001:db8::7]:5\";proto=https\r\nX-Forwarded-For: 198.51.100.4\r\n";
    assert_eq!(attempt(daemon.address(), headers, PASSWORD), 200);
    assert!(daemon.wait_for("signed in").contains("peer=2001:db8::7"));
}

#[test]
fn a_host_or_prefix_of_a_proxy_counts_where_it_is_named_and_is_told_where_not() {
    let echo = Target::echo();
    let ask = |daemon: &Daemon, headers: &str| {
        let address = daemon.address();
        let request = format!(
            "GET /api/endpoints HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
        );
        status(&Raw::ask(address, &request))
    };
    let start = |proxies: &str| {
        Daemon::start(&format!("trusted_proxies: {proxies}\n{OPEN}{}", echo.endpoint("modem")))
    };
    let daemon = start("[ 127.0.0.1 ]");
    let spoofed = "X-Forwarded-Host: evil.example\r\nX-Forwarded-Prefix: /../x\r\n";
    assert_eq!(ask(&daemon, spoofed), 200, "ignored");
    let told = daemon.wait_for("X-Forwarded-Host of a trusted proxy does not count");
    assert!(told.contains("also: [ host ]"), "{told}");
    assert!(daemon.wait_for("X-Forwarded-Prefix of a trusted").contains("also: [ prefix ]"));
    let lines = daemon.log().matches("does not count").count();
    assert_eq!(
        (ask(&daemon, spoofed), daemon.log().matches("does not count").count()),
        (200, lines),
        "once"
    );
    let daemon = start("{ addresses: [ 127.0.0.1 ], also: [ host, prefix ] }");
    assert_eq!(ask(&daemon, "X-Forwarded-Host: evil.example\r\n"), 421);
    assert_eq!(ask(&daemon, "X-Forwarded-Prefix: /../x\r\n"), 400);
    assert_eq!(
        ask(&daemon, "X-Forwarded-Host: localhost\r\nX-Forwarded-Prefix: /serial/\r\n"),
        200
    );
}

#[test]
fn a_port_that_the_proxy_cut_off_is_read_from_its_header() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1 ]"));
    let body = format!("{{\"user\": \"alice\", \"password\": \"{PASSWORD}\"}}");
    let answer = Raw::ask(
        daemon.address(),
        &format!(
            "POST /api/login HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\nContent-Length: {}\r\n\
             Origin: https://gw.example:8443\r\nContent-Type: application/json\r\nX-Forwarded-For: 198.51.100.4\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n\r\n{body}",
            body.len()
        ),
    );
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("set-cookie: __Host-sid-8443="), "{answer}");
}

#[test]
fn health_checks_of_http_1_0_are_answered_with_and_without_a_host() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let address = daemon.address();
    let named = format!("Host: {address}\r\n");
    for (request, code) in [
        ("OPTIONS / HTTP/1.0\r\n\r\n".to_owned(), 204),
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
        (format!("HEAD /healthz HTTP/1.0\r\n{named}Connection: keep-alive\r\n\r\n"), 200),
        (format!("OPTIONS /healthz HTTP/1.1\r\n{named}Connection: close\r\n\r\n"), 204),
        (format!("GET /api/endpoints HTTP/1.0\r\n{named}\r\n"), 200),
        ("GET /healthz HTTP/1.0\r\nHost: evil.example\r\n\r\n".to_owned(), 421),
    ] {
        let answer = Raw::ask(address, &request);
        assert_eq!(status(&answer), code, "{request}\n{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}

#[test]
fn the_answer_to_a_handshake_spells_its_fields_as_rfc_6455_does() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let more = format!("Origin: http://{}\r\nSec-WebSocket-Protocol: binary\r\n", daemon.address());
    let (_raw, head) = Raw::handshake(daemon.address(), "modem", &more);
    for field in [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: ",
        "Sec-WebSocket-Protocol: binary",
    ] {
        assert!(head.contains(&format!("\r\n{field}")), "{field}\n{head}");
    }
}

#[test]
fn the_reason_of_a_400_is_in_the_log() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    assert_eq!(status(&Raw::ask(daemon.address(), "GET / HTTP/1.0\r\n\r\n")), 400);
    let told = daemon.wait_for("refused");
    assert!(told.contains("why=\"bad request: no Host, or one that is not valid\""), "{told}");
}

#[test]
fn a_host_with_many_cookies_is_served_up_to_a_limit_of_ones_own() {
    let echo = Target::echo();
    let cookies = |size: usize| format!("Cookie: a={}\r\n", "x".repeat(size));
    let ask = |daemon: &Daemon, size: usize| {
        let head =
            format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", daemon.address());
        Raw::ask(daemon.address(), &format!("{head}{}\r\n", cookies(size)))
    };
    let daemon = Daemon::open(&echo.endpoint("modem"));
    assert_eq!(status(&ask(&daemon, 16_000)), 200);
    let answer = ask(&daemon, 17_000);
    assert!(status(&answer) == 431 && answer.contains("limits.head"), "{answer}");
    let daemon =
        Daemon::start(&format!("limits: {{ head: 32KiB }}\n{OPEN}{}", echo.endpoint("modem")));
    assert_eq!(status(&ask(&daemon, 32_000)), 200);
}

const PROXY: &str =
    "Host: gw.example\r\nX-Forwarded-For: 198.51.100.4\r\nX-Forwarded-Proto: https\r\n";

/// The status of a request through the proxy, with these header lines.
fn through(address: SocketAddr, request: &str, more: &str) -> u16 {
    status(&Raw::ask(
        address,
        &format!("{request} HTTP/1.1\r\n{PROXY}Connection: close\r\n{more}\r\n"),
    ))
}
