//! Behind proxies: whose word counts, who is counted, and what a client cannot say for itself.

use std::{io::Write as _, net::SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::{
    harness::{
        Daemon, Raw, Target, access,
        client::{status, upgrade_head},
        daemon::OPEN,
        tls,
    },
    signing::PASSWORD,
};

/// Alice, who may read, behind proxies as this says.
fn guarded(proxies: &str) -> String {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "trusted_proxies: {proxies}\nhosts: [ gw.example ]\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ echo: [ read ] }} }}\n"
    );
    OPEN.replace("auth: none\n", &access) + "  echo: { sim: echo }\n"
}

/// A try at a password, with these header lines beside it.
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
    // A client that names somebody new in the other family, each time.
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

/// A gateway that takes what 127.0.0.1 announces; with TLS where files are given.
fn announced(tls: &str) -> Daemon {
    announced_for(OPEN, tls)
}

fn announced_for(open: &str, tls: &str) -> Daemon {
    let open = open.replace("tls: none", &format!("{tls}\n    proxy_protocol: true"));
    Daemon::start(&format!(
        "trusted_proxies: [ 127.0.0.1 ]\nlimits: {{ per_address: 2, handshake: 2s }}\n{open}  echo: {{ sim: echo }}\n"
    ))
}

/// An endpoint's address in the handshake is the one that the client connected to.
fn handshake(daemon: &Daemon, header: &[u8], host: &str, more: &str) -> (Raw, String) {
    let mut raw = Raw::connect(daemon.address());
    let upgrade =
        upgrade_head(daemon.address(), "echo", &format!("Origin: http://{host}\r\n{more}"));
    let upgrade = upgrade.replace(&format!("Host: {}", daemon.address()), &format!("Host: {host}"));
    raw.send(&[header, upgrade.as_bytes()].concat());
    let head = raw.head();
    (raw, head)
}

#[test]
fn the_proxy_protocol_names_the_client_and_each_has_limits_of_its_own() {
    let daemon = announced_for(&access::tokens(&[("ci", "read")]), "tls: none");
    let of = |client: &str| format!("PROXY TCP4 {client} 192.0.2.10 40001 80\r\n").into_bytes();
    // The address that the client connected to is ours.
    let open = |client: &str| {
        handshake(&daemon, &of(client), "192.0.2.10", "Authorization: Bearer wsb_ci\r\n")
    };
    let held: Vec<_> = (0..2).map(|_| open("198.51.100.4")).collect();
    assert!(held.iter().all(|(_, head)| status(head) == 101), "{held:?}");
    assert!(daemon.wait_for("session opened").contains("peer=198.51.100.4:40001"));
    assert_eq!(status(&open("198.51.100.4").1), 429);
    assert_eq!(status(&open("198.51.100.5").1), 101);
    let daemon = announced("tls: none");
    // A client that its proxy calls 127.0.0.1 is on the proxy's machine, not on ours.
    let mut raw = Raw::connect(daemon.address());
    raw.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET /api/endpoints HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(status(&raw.head()), 200, "it may read");
    let mut raw = Raw::connect(daemon.address());
    raw.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n");
    raw.send(upgrade_head(daemon.address(), "echo", "").as_bytes());
    assert_eq!(status(&raw.head()), 403, "it is not a program on this machine");
    // A health check is the proxy's own.
    let mut raw = Raw::connect(daemon.address());
    raw.send(
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(status(&raw.head()), 200);
}

#[test]
fn the_proxy_protocol_names_the_client_before_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new(folder.path());
    let (certificate, key) = authority.issue("gateway");
    let daemon = announced(&format!(
        "tls: {{ certificate: {}, key: {} }}",
        certificate.display(),
        key.display()
    ));
    let v2 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x04\xc0\x00\x02\x0a\x9c\x41\x01\xbb";
    let mut client = tls::connect_behind(daemon.address(), v2, &authority.file());
    let upgrade = upgrade_head(daemon.address(), "echo", "Origin: https://localhost\r\n");
    let upgrade = upgrade.replace(&format!("Host: {}", daemon.address()), "Host: localhost");
    client.write_all(upgrade.as_bytes()).unwrap();
    assert!(daemon.wait_for("session opened").contains("peer=198.51.100.4:40001"));
}

#[test]
fn a_listener_for_proxies_takes_nobody_else() {
    let daemon = announced("tls: none");
    let said = |bytes: &[u8]| {
        let mut raw = Raw::connect(daemon.address());
        raw.send(bytes);
        raw.rest()
    };
    let get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(said(get), "", "no header");
    assert_eq!(
        said(b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ""
    );
    assert_eq!(said(b"PROXY TCP4"), "", "within the handshake's time");
    let mut stranger = Raw::connect_from("127.0.0.9", daemon.address());
    stranger.send(&[b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".as_slice(), get].concat());
    assert_eq!(stranger.rest(), "", "a proxy that is not trusted");
    let metrics = |name: &str| {
        let mut raw = Raw::connect(daemon.address());
        raw.send(b"PROXY UNKNOWN\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        raw.rest().contains(&format!("wsbridge_refusals_total{{reason=\"{name}\"}}"))
    };
    assert!(metrics("proxy") && metrics("timeout"));
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
    assert!(told.contains("why=\"bad request: no Host, or one that is no host\""), "{told}");
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

fn sum(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |all, byte| format!("{all}{byte:02x}"))
}

/// Alice and bob behind a proxy that names users, with a secret or without.
fn named(secret: &str) -> Daemon {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let hidden = sum("wsb_proxy");
    let secret = secret.replace("SUM", &hidden);
    let access = format!(
        "trusted_proxies: {{ addresses: [ 127.0.0.1 ], user_header: Remote-User{secret} }}\nhosts: [ gw.example ]\n\
         origins: [ \"https://tools.example\" ]\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ echo: [ read, write ] }} }}\n\
         \x20 bob: {{ password: \"{hash}\", rights: {{ echo: [ read ] }} }}\n\
         tokens:\n  ci: {{ sha256: \"{}\", rights: {{ echo: [ read ] }} }}\n",
        sum("wsb_ci")
    );
    Daemon::start(&(OPEN.replace("auth: none\n", &access) + "  echo: { sim: echo }\n"))
}

const PROXY: &str =
    "Host: gw.example\r\nX-Forwarded-For: 198.51.100.4\r\nX-Forwarded-Proto: https\r\n";
const SECRET: &str = "X-Gateway-Secret: wsb_proxy\r\n";

/// The status of a request through the proxy, with these header lines.
fn through(address: SocketAddr, request: &str, more: &str) -> u16 {
    status(&Raw::ask(
        address,
        &format!("{request} HTTP/1.1\r\n{PROXY}Connection: close\r\n{more}\r\n"),
    ))
}

/// The same for a handshake.
fn upgraded(address: SocketAddr, more: &str) -> u16 {
    let head = upgrade_head(
        address,
        "echo",
        &format!("{}{more}", PROXY.replace("Host: gw.example\r\n", "")),
    );
    let mut raw = Raw::connect(address);
    raw.send(head.replace(&format!("Host: {address}"), "Host: gw.example").as_bytes());
    status(&raw.head())
}

#[test]
fn a_user_that_the_proxy_names_is_signed_in_for_our_own_page_alone() {
    let daemon = named(", secret: { header: X-Gateway-Secret, sha256: \"SUM\" }");
    let address = daemon.address();
    let alice = format!("{SECRET}Remote-User: alice\r\n");
    let own = format!("{alice}Origin: https://gw.example\r\n");
    let reads = |more: &str| through(address, "GET /api/session", &format!("{alice}{more}"));
    assert_eq!(reads("Sec-Fetch-Site: same-origin\r\n"), 200);
    assert_eq!(reads("Sec-Fetch-Site: none\r\n"), 200);
    assert_eq!(reads("Origin: https://gw.example\r\n"), 200);
    assert_eq!(reads(""), 403, "no browser");
    assert_eq!(reads("Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_eq!(reads("Sec-Fetch-Site: same-site\r\n"), 403);
    assert_eq!(reads("Origin: https://evil.example\r\n"), 403);
    assert_eq!(
        reads("Origin: https://tools.example\r\n"),
        401,
        "a listed page brings a credential of its own"
    );
    assert_eq!(upgraded(address, &own), 101);
    assert_eq!(upgraded(address, &alice), 403, "no Origin");
    assert_eq!(
        upgraded(address, &format!("{alice}Sec-Fetch-Site: same-origin\r\n")),
        403,
        "no Origin"
    );
    assert_eq!(upgraded(address, &format!("{alice}Origin: https://evil.example\r\n")), 403);
    let change = "Content-Type: application/json\r\nContent-Length: 0\r\n";
    assert_eq!(through(address, "POST /api/ticket", &format!("{alice}{change}")), 403, "no Origin");
    assert_eq!(
        through(address, "POST /api/ticket", &format!("{own}{change}")),
        400,
        "only the body is missing"
    );
}

#[test]
fn a_user_that_the_proxy_names_twice_or_beside_a_token_or_without_the_secret_is_refused() {
    let daemon = named(", secret: { header: X-Gateway-Secret, sha256: \"SUM\" }");
    let address = daemon.address();
    let own = format!("{SECRET}Remote-User: alice\r\nOrigin: https://gw.example\r\n");
    // What is refused, whoever says it.
    let page = "Origin: https://gw.example\r\n";
    for wrong in [
        format!("{SECRET}Remote-User: alice\r\nRemote-User: bob\r\n{page}"),
        format!("{SECRET}Remote-User:\r\n{page}"),
        format!("{own}Authorization: Bearer wsb_ci\r\n"),
    ] {
        assert_eq!(through(address, "GET /api/session", &wrong), 400, "{wrong}");
    }
    assert_eq!(
        through(address, "GET /api/session", &format!("{SECRET}Remote-User: mallory\r\n{page}")),
        401
    );
    // `curl -H Remote-User: alice` on this machine.
    for spoofed in
        ["Remote-User: alice\r\n", "Remote-User: alice\r\nX-Gateway-Secret: wsb_guess\r\n"]
    {
        assert_eq!(
            through(address, "GET /api/session", &format!("{spoofed}{page}")),
            401,
            "{spoofed}"
        );
    }
    // It counts before our cookie.
    let signed = Raw::ask(
        address,
        &format!(
            "POST /api/login HTTP/1.1\r\n{PROXY}{page}Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
            31 + PASSWORD.len(),
            format_args!("{{\"user\": \"bob\", \"password\": \"{PASSWORD}\"}}"),
        ),
    );
    let cookie = crate::signing::cookie(&signed);
    let answer = Raw::ask(
        address,
        &format!("GET /api/session HTTP/1.1\r\n{PROXY}{own}{cookie}Connection: close\r\n\r\n"),
    );
    assert!(answer.contains("\"user\":\"alice\""), "{answer}");
}

#[test]
fn without_a_secret_no_program_of_this_machine_names_a_user() {
    let daemon = named("");
    let more = "Remote-User: alice\r\nOrigin: https://gw.example\r\n";
    assert_eq!(through(daemon.address(), "GET /api/session", more), 401);
    assert_eq!(upgraded(daemon.address(), more), 401);
    assert!(daemon.log().contains("is not believed from a loopback address"), "{}", daemon.log());
}

#[test]
fn a_password_for_the_proxy_does_not_lock_anybody_out() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1 ]"));
    let address = daemon.address();
    let basic = "Authorization: Basic cHJveHk6b3RoZXI=\r\n";
    let page = format!("{basic}Sec-Fetch-Site: same-origin\r\n");
    for n in 0..30 {
        for (path, code) in [("/healthz", 200), ("/", 200), ("/api/session", 401)] {
            assert_eq!(through(address, &format!("GET {path}"), &page), code, "{n}: {path}");
        }
    }
    assert_eq!(
        attempt(
            address,
            &format!("{basic}X-Forwarded-For: 198.51.100.4\r\nX-Forwarded-Proto: https\r\n"),
            PASSWORD
        ),
        200
    );
    let signed = Raw::ask(
        address,
        &format!(
            "POST /api/login HTTP/1.1\r\n{PROXY}{page}Origin: https://gw.example\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
            33 + PASSWORD.len(),
            format_args!("{{\"user\": \"alice\", \"password\": \"{PASSWORD}\"}}"),
        ),
    );
    let cookie = crate::signing::cookie(&signed);
    for _ in 0..30 {
        assert_eq!(through(address, "GET /api/session", &format!("{page}{cookie}")), 200);
        assert_eq!(
            upgraded(address, &format!("{basic}{cookie}Origin: https://gw.example\r\n")),
            101
        );
    }
    // Programs are heard as ever.
    assert_eq!(through(address, "GET /api/session", basic), 401);
}

#[test]
fn a_subprotocol_of_the_endpoint_is_answered_and_another_named_in_the_log() {
    let echo = Target::echo();
    let daemon =
        Daemon::open(&format!("{}    subprotocols: [ mqtt, mqttv3.1 ]\n", echo.endpoint("broker")));
    let offer = |names: &str| {
        let more =
            format!("Origin: http://{}\r\nSec-WebSocket-Protocol: {names}\r\n", daemon.address());
        Raw::handshake(daemon.address(), "broker", &more)
    };
    let (mut raw, head) = offer("mqttv3.1, mqtt");
    assert!(head.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"), "{head}");
    raw.frame(2, b"CONNECT");
    assert_eq!(raw.data(7), b"CONNECT");
    let (_raw, head) = offer("arduino, ocpp1.6");
    assert_eq!(status(&head), 400);
    let told = daemon.wait_for("refused");
    assert!(told.contains("arduino, ocpp1.6") && told.contains("subprotocols:"), "{told}");
}

#[test]
fn a_listed_file_or_app_needs_a_token() {
    let listed = "origins: [ \"file://\", \"capacitor://localhost\" ]\n";
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let user = format!(
        "{listed}users:\n  alice: {{ password: \"{hash}\", rights: {{ echo: [ read ] }} }}\ntokens:"
    );
    let daemon = Daemon::start(
        &(access::tokens(&[("ci", "read")]).replace("tokens:", &user) + "  echo: { sim: echo }\n"),
    );
    let address = daemon.address();
    let basic =
        format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("alice:{PASSWORD}")));
    for page in ["file://", "capacitor://localhost"] {
        let from = |more: &str| Raw::status(address, "echo", &format!("Origin: {page}\r\n{more}"));
        assert_eq!(from("Authorization: Bearer wsb_ci\r\n"), 101, "{page}");
        assert_eq!(from(&basic), 403, "{page}");
        assert_eq!(from(""), 401, "{page}");
    }
    let null =
        Raw::handshake(address, "echo", "Origin: null\r\nAuthorization: Bearer wsb_ci\r\n").1;
    assert_eq!(status(&null), 403);
    assert_eq!(
        Raw::status(
            address,
            "echo",
            "Origin: ionic://localhost\r\nAuthorization: Bearer wsb_ci\r\n"
        ),
        403
    );
    // A script keeps cookies of other programs of the host.
    assert_eq!(Raw::status(address, "echo", &format!("{basic}Cookie: theirs=1\r\n")), 101);
}

#[test]
fn a_refused_page_is_told_what_was_compared_and_a_program_is_not_told_of_pages() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1 ]"));
    let address = daemon.address();
    let ask = |more: &str| {
        let answer = Raw::ask(
            address,
            &format!("GET /api/session HTTP/1.1\r\nConnection: close\r\n{more}\r\n"),
        );
        assert_eq!(status(&answer), 403, "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    // A proxy that cuts off port and scheme, as many a guide has it.
    let cut = ask(
        "Host: gw.example\r\nX-Forwarded-For: 198.51.100.4\r\nOrigin: https://gw.example:8443\r\n",
    );
    for part in [
        "https://gw.example:8443",
        "http://gw.example as seen here",
        "X-Forwarded-Proto",
        "trusted_proxies",
    ] {
        assert!(cut.contains(part), "{part}\n{cut}");
    }
    let other = ask("Host: gw.example\r\nOrigin: https://tools.example\r\n");
    assert!(other.contains("`origins: [ \"https://tools.example\" ]`"), "{other}");
    assert!(!ask("Host: gw.example\r\nOrigin: null\r\n").contains("origins:"));
    assert!(
        daemon.wait_for("refused").contains("why=\"this page's origin is https://gw.example:8443")
    );
    let daemon = named("");
    let body = "{}";
    let change = format!(
        "Content-Type: application/json\r\nContent-Length: 2\r\nAuthorization: Basic {}\r\n",
        STANDARD.encode(format!("alice:{PASSWORD}"))
    );
    let program = Raw::ask(
        daemon.address(),
        &format!(
            "POST /api/ticket HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n{change}\r\n{body}"
        ),
    );
    assert!(
        status(&program) == 403 && !program.contains("this page") && program.contains("Bearer"),
        "{program}"
    );
}

#[test]
fn a_page_in_a_frame_takes_nothing_over() {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "frame_ancestors: [ \"https://portal.example\" ]\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write, takeover ] }} }}\n"
    );
    let daemon =
        Daemon::start(&(OPEN.replace("auth: none\n", &access) + "  echo: { sim: echo }\n"));
    let address = daemon.address();
    let cookie = crate::signing::signed_in(address, "alice");
    let rights = |query: &str| {
        let answer =
            crate::signing::ask(address, "GET", &format!("/api/endpoints{query}"), &cookie, "");
        answer.split("\"rights\":").nth(1).unwrap().to_owned()
    };
    assert!(rights("").contains("takeover"));
    assert!(!rights("?framed").contains("takeover") && rights("?framed").contains("write"));
    assert!(
        crate::signing::ask(address, "GET", "/api/sessions?framed", &cookie, "")
            .ends_with("{\"sessions\":[]}")
    );
    let page = crate::signing::ask(address, "GET", "/", "", "");
    if page.contains("script-src") {
        assert!(page.contains("frame-ancestors https://portal.example;"), "{page}");
    }
}

#[test]
fn below_a_path_everything_is_there_and_the_sign_in_is_its_own() {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "public: https://gw.example/a/serial/\ntrusted_proxies: [ 127.0.0.1 ]\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ echo: [ read ] }} }}\n"
    );
    let daemon =
        Daemon::start(&(OPEN.replace("auth: none\n", &access) + "  echo: { sim: echo }\n"));
    let address = daemon.address();
    let body = format!("{{\"user\": \"alice\", \"password\": \"{PASSWORD}\"}}");
    let mut cookies = Vec::new();
    // The proxy leaves the path, or cuts it off.
    for below in ["/a/serial", ""] {
        assert_eq!(through(address, &format!("GET {below}/"), ""), 200);
        assert_eq!(through(address, &format!("GET {below}/healthz"), ""), 200);
        let answer = Raw::ask(
            address,
            &format!(
                "POST {below}/api/login HTTP/1.1\r\n{PROXY}Origin: https://gw.example\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        assert!(answer.contains("set-cookie: __Host-sid!a!serial="), "{answer}");
        assert!(answer.contains("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{answer}");
        let cookie = crate::signing::cookie(&answer);
        let page = format!("{cookie}Origin: https://gw.example\r\n");
        assert_eq!(through(address, &format!("GET {below}/api/session"), &page), 200);
        let head = upgrade_head(
            address,
            &format!("{below}/ws/echo"),
            &format!("{}{page}", PROXY.replace("Host: gw.example\r\n", "")),
        );
        let mut raw = Raw::connect(address);
        raw.send(head.replace(&format!("Host: {address}"), "Host: gw.example").as_bytes());
        assert_eq!(status(&raw.head()), 101, "{below}");
        cookies.push(cookie);
    }
    // A gateway at `/` of the same host has a cookie of another name.
    let theirs = cookies[0].replace("sid!a!serial", "sid");
    assert_eq!(
        through(
            address,
            "GET /a/serial/api/session",
            &format!("{theirs}Origin: https://gw.example\r\n")
        ),
        401
    );
    let answer =
        Raw::ask(address, &format!("GET /a/serial?x HTTP/1.1\r\n{PROXY}Connection: close\r\n\r\n"));
    assert!(status(&answer) == 308 && answer.contains("location: /a/serial/?x\r\n"), "{answer}");
    assert_eq!(through(address, "GET /a/serialx/", ""), 404);
    assert_eq!(through(address, "GET /a/serial//evil.example/", ""), 404);
}

#[test]
fn a_page_over_plain_http_is_not_asked_for_a_password_by_the_browser() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1 ]"));
    let ask = |more: &str| {
        Raw::ask(
            daemon.address(),
            &format!(
                "GET /api/session HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n{more}\r\n"
            ),
        )
    };
    // A browser tells of itself to trustworthy origins alone; what our page adds says that it is
    // one.
    assert!(!ask("X-Requested-With: XMLHttpRequest\r\n").contains("Basic"));
    assert!(ask("").contains("www-authenticate: Basic"), "programs are");
}

#[test]
fn plain_http_on_a_tls_port_is_told_the_address_that_would_do() {
    let daemon =
        Daemon::start(&(OPEN.replace("tls: none", "tls: self-signed") + "  echo: { sim: echo }\n"));
    let address = daemon.address();
    let answer = Raw::ask(address, &format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains(&format!("https://{address}/")), "{answer}");
    assert!(status(&Raw::ask(address, "GET nonsense\r\n\r\n")) == 400);
    assert!(daemon.wait_for("refused").contains("plain HTTP on a port that speaks TLS"));
}
