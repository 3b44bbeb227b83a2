//! Users that a proxy names, and passwords that are meant for the proxy.

use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use super::{PROXY, attempt, guarded, through};
use crate::{
    harness::{
        Daemon, Raw,
        client::{status, upgrade_head},
        daemon::OPEN,
    },
    signing::PASSWORD,
};

const SECRET: &str = "X-Gateway-Secret: wsb_proxy\r\n";

fn sum(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |all, byte| format!("{all}{byte:02x}"))
}

/// Alice and bob behind a proxy that names users, with or without a secret.
pub(super) fn named(secret: &str) -> Daemon {
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
    // It takes precedence over our cookie.
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
    // Programs are accepted as always.
    assert_eq!(through(address, "GET /api/session", basic), 401);
}
