//! Behind proxies: whose word counts, who is counted, and what a client cannot say for itself.

use std::{io::Write as _, net::SocketAddr};

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
    let hash = wsbridge::auth::hash_password(PASSWORD).unwrap();
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
    assert!(daemon.log().contains("peer=198.51.100.4") && !daemon.log().contains("evil"), "{}", daemon.log());
}

#[test]
fn behind_two_proxies_each_client_is_punished_alone() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1, 192.0.2.0/24 ]"));
    let address = daemon.address();
    let from = |client: &str| format!("X-Forwarded-For: {client}, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n");
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
        let request =
            format!("GET /api/endpoints HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
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
    assert_eq!((ask(&daemon, spoofed), daemon.log().matches("does not count").count()), (200, lines), "once");
    let daemon = start("{ addresses: [ 127.0.0.1 ], also: [ host, prefix ] }");
    assert_eq!(ask(&daemon, "X-Forwarded-Host: evil.example\r\n"), 421);
    assert_eq!(ask(&daemon, "X-Forwarded-Prefix: /../x\r\n"), 400);
    assert_eq!(ask(&daemon, "X-Forwarded-Host: localhost\r\nX-Forwarded-Prefix: /serial/\r\n"), 200);
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
    let upgrade = upgrade_head(daemon.address(), "echo", &format!("Origin: http://{host}\r\n{more}"));
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
    let open =
        |client: &str| handshake(&daemon, &of(client), "192.0.2.10", "Authorization: Bearer wsb_ci\r\n");
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
    raw.send(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(status(&raw.head()), 200);
}

#[test]
fn the_proxy_protocol_names_the_client_before_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new(folder.path());
    let (certificate, key) = authority.issue("gateway");
    let daemon =
        announced(&format!("tls: {{ certificate: {}, key: {} }}", certificate.display(), key.display()));
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x04\xc0\x00\x02\x0a\x9c\x41\x01\xbb";
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
    assert_eq!(said(b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), "");
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
