//! The walls before anything happens: each refusal with its status, and the attacks that they are
//! there for, played out.

mod credentials;
mod floods;

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::harness::{
    Daemon, Raw, Target,
    client::{status, upgrade_head},
    daemon::OPEN,
    page, tls,
};

const PASSWORD: &str = "correct horse battery";
const TOKEN: &str = "wsb_0123456789abcdef0123456789abcdef";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Alice with a password, a program with a token, both only for `plc1`; one listener, `more` of the
/// file's keys.
fn guarded(target: &Target, more: &str) -> String {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "users:\n  alice: {{ password: \"{hash}\", rights: {{ plc1: [ read, write ] }} }}\n\
         tokens:\n  billing: {{ sha256: \"{}\", rights: {{ plc1: [ read, write ] }} }}\n{more}",
        hex(&Sha256::digest(TOKEN))
    );
    let endpoints = format!("{}{}", target.endpoint("plc1"), target.endpoint("plc2"));
    format!("{}{endpoints}", OPEN.replace("auth: none\n", &access))
}

#[test]
fn the_walls_stand_in_their_order() {
    let echo = Target::echo();
    let daemon = Daemon::start(&guarded(&echo, ""));
    let address = daemon.address();
    // A request that every wall would refuse loses one fault after another.
    let bad = |host: &str, more: &str, version: &str| {
        let request = format!(
            "GET /ws/plc1 HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        let mut raw = Raw::connect(address);
        raw.send(request.as_bytes());
        status(&raw.head())
    };
    let (here, evil) = (address.to_string(), "Origin: http://attacker.example\r\n");
    assert_eq!(bad("attacker.example", evil, "8"), 421);
    assert_eq!(bad(&here, evil, "8"), 403);
    assert_eq!(bad(&here, "", "8"), 401);
    assert_eq!(bad(&here, &bearer(TOKEN).replace("wsb_", "wsx_"), "8"), 401);
    assert_eq!(bad(&here, &bearer(TOKEN), "8"), 426);
    assert_eq!(bad(&here, &bearer(TOKEN), "13"), 101);
    assert_eq!(Raw::status(address, "plc2", &bearer(TOKEN)), 403);
}

#[test]
fn browsers_are_told_to_use_https_alone_where_that_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new(folder.path());
    let (certificate, key) = authority.issue("gateway");
    let listen = format!(
        "- address: \"127.0.0.1:0\"\n    tls: {{ certificate: {}, key: {} }}\n  - address: \"127.0.0.1:0\"\n    tls: none\n",
        certificate.display(),
        key.display()
    );
    let config = OPEN.replace("- address: \"127.0.0.1:0\"\n    tls: none\n", &listen)
        + "  e: { sim: echo }\n";
    let daemon = Daemon::start(&config);
    let heard = || {
        let [secure, plain] = daemon.addresses()[..] else { panic!("two listeners") };
        let mut stream = tls::connect(secure, &authority.file(), None);
        let request = format!("GET / HTTP/1.1\r\nHost: {secure}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let told = |answer: &str| {
            let mut lines = answer.lines().map(str::to_ascii_lowercase);
            lines.find_map(|line| {
                line.strip_prefix("strict-transport-security: ").map(str::to_owned)
            })
        };
        (told(&String::from_utf8_lossy(&answer)), told(&page(plain, "/")))
    };
    assert_eq!(heard(), (None, None));
    daemon.reload(&format!("hsts: 365d\n{config}"));
    assert_eq!(heard(), (Some("max-age=31536000".into()), None));
    daemon.reload(&format!("hsts: 0s\n{config}"));
    assert_eq!(heard(), (Some("max-age=0".into()), None));
}

#[test]
fn unknown_and_forbidden_endpoints_look_alike() {
    let echo = Target::echo();
    let daemon = Daemon::start(&guarded(&echo, ""));
    let answer = |name: &str, more: &str| {
        let (mut raw, head) = Raw::handshake(daemon.address(), name, more);
        let head: Vec<_> =
            head.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect();
        (head, raw.rest())
    };
    for more in [String::new(), bearer(TOKEN)] {
        assert_eq!(answer("plc2", &more), answer("no-such-thing", &more), "{more}");
    }
    assert!(!page(daemon.address(), "/api/endpoints").contains("plc"));
    let mut raw = Raw::connect(daemon.address());
    let request =
        format!("GET /api/endpoints HTTP/1.1\r\nHost: {}\r\n{}", daemon.address(), bearer(TOKEN));
    raw.send(format!("{request}Connection: close\r\n\r\n").as_bytes());
    let list = raw.rest();
    assert!(list.contains("\"plc1\"") && !list.contains("plc2"), "{list}");
}

#[test]
fn cable_haunt_fails_though_the_browser_adds_the_users_password() {
    let echo = Target::echo();
    let daemon = Daemon::start(&guarded(&echo, ""));
    let (address, password) = (daemon.address(), basic("alice", PASSWORD));
    let with = |origin: &str| Raw::status(address, "plc1", &format!("{password}{origin}"));
    assert_eq!(with("Origin: http://attacker.example\r\n"), 403);
    assert_eq!(with("Origin: null\r\n"), 403);
    assert_eq!(with(&format!("Origin: http://{address}.attacker.example\r\n")), 403);
    assert_eq!(with(&format!("Origin: https://{address}\r\n")), 403);
    assert_eq!(with(&format!("Origin: http://127.0.0.1:{}\r\n", address.port() ^ 1)), 403);
    // Not an attack: the gateway's own page, and a program without one.
    assert_eq!(with(&format!("Origin: http://{address}\r\n")), 101);
    assert_eq!(with(""), 101);
}

#[test]
fn dns_rebinding_fails_with_and_without_an_upgrade() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let (address, port) = (daemon.address(), daemon.address().port());
    // By now the attacker's name resolves to this machine, so page and socket agree about Host and
    // Origin.
    let rebound = format!("attacker.example:{port}");
    let head = upgrade_head(address, "modem", &format!("Origin: http://{rebound}\r\n"));
    let mut raw = Raw::connect(address);
    raw.send(head.replace(&format!("Host: {address}"), &format!("Host: {rebound}")).as_bytes());
    assert_eq!(status(&raw.head()), 421);
    for path in ["/", "/healthz", "/metrics", "/api/endpoints", "/nothing"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {rebound}\r\nConnection: close\r\n\r\n");
        assert_eq!(status(&Raw::ask(address, &request)), 421, "{path}");
    }
    assert_eq!(status(&page(address, "/healthz")), 200);
}

#[test]
fn a_name_that_any_machine_of_the_link_may_take_is_not_ours() {
    let echo = Target::echo();
    let own = wsbridge::testing::own_name().split('.').next().unwrap().to_ascii_lowercase();
    let rebound = |daemon: &Daemon, name: &str| {
        let (address, host) = (daemon.address(), format!("{name}:{}", daemon.address().port()));
        let mut raw = Raw::connect(address);
        let head =
            upgrade_head(address, "plc1", &format!("{}Origin: http://{host}\r\n", bearer(TOKEN)));
        raw.send(head.replace(&format!("Host: {address}"), &format!("Host: {host}")).as_bytes());
        status(&raw.head())
    };
    let others = [
        format!("{own}-77.local"),
        format!("wsbridge-{own}.local"),
        format!("wsbridge-{own}-2.local"),
    ];
    // Without sign-in no name will do except a loopback one.
    let open = Daemon::start(&format!("hosts: [ gw.example ]\n{OPEN}{}", echo.endpoint("plc1")));
    for name in
        others.iter().map(String::as_str).chain([&*own, &*format!("{own}.local"), "gw.example"])
    {
        assert_eq!(rebound(&open, name), 421, "{name}");
    }
    let guarded = Daemon::start(&guarded(&echo, "hosts: [ gw.example ]\n"));
    for name in &others {
        assert_eq!(rebound(&guarded, name), 421, "{name}");
    }
    for name in [&*format!("{own}.local"), "gw.example", "localhost"] {
        assert_eq!(rebound(&guarded, name), 101, "{name}");
    }
}

#[test]
fn strangers_learn_nothing_of_an_endpoint_by_the_subprotocols_it_speaks() {
    let echo = Target::echo();
    let config = guarded(&echo, "").replacen("  plc1:\n", "  plc1:\n    base64: true\n", 1);
    let daemon = Daemon::start(&config);
    let answer = |name: &str, more: &str| {
        Raw::status(daemon.address(), name, &format!("Sec-WebSocket-Protocol: base64\r\n{more}"))
    };
    for name in ["plc1", "plc2", "no-such-thing"] {
        assert_eq!(answer(name, ""), 401, "{name}");
    }
    assert_eq!(answer("plc1", &bearer(TOKEN)), 101);
    assert_eq!(answer("plc2", &bearer(TOKEN)), 403);
}

#[test]
fn requests_that_two_parsers_could_read_differently_are_refused() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let address = daemon.address();
    let get = |more: &str| format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n{more}\r\n");
    let mut many = String::new();
    for field in 0..70 {
        write!(many, "X-{field}: y\r\n").unwrap();
    }
    for (what, request, expected) in [
        ("two Hosts", get(&format!("Host: {address}\r\n")), 400),
        ("two Origins", get("Origin: http://a\r\nOrigin: http://b\r\n"), 400),
        ("two Authorizations", get("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), 400),
        ("obs-fold", get("X: a\r\n b\r\n"), 400),
        ("bare LF", format!("GET /healthz HTTP/1.1\nHost: {address}\n\n"), 400),
        ("bare CR", get("X: a\rb\r\n"), 400),
        ("NUL", get("X: a\0b\r\n"), 400),
        ("chunked", get("Transfer-Encoding: chunked\r\n"), 400),
        ("space before the colon", get("X : a\r\n"), 400),
        ("HTTP/1.0 without a Host", "GET / HTTP/1.0\r\n\r\n".to_owned(), 400),
        (
            "HTTP/1.0 with a body",
            format!("POST /api/login HTTP/1.0\r\nHost: {address}\r\n\r\n"),
            400,
        ),
        (
            "HTTP/1.0 to a WebSocket",
            upgrade_head(address, "modem", "").replace("HTTP/1.1", "HTTP/1.0"),
            400,
        ),
        ("no Host", "GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "absolute target",
            format!("GET http://{address}/healthz HTTP/1.1\r\nHost: {address}\r\n\r\n"),
            400,
        ),
        ("TLS to a plain port", "\u{16}\u{3}\u{1}\0\u{1}\0".to_owned(), 400),
        ("a line too long", format!("GET /{} HTTP/1.1\r\n", "a".repeat(2100)), 414),
        ("headers too large", get(&format!("X: {}\r\n", "a".repeat(16400))), 431),
        ("too many fields", get(&many), 431),
        ("a body with an upgrade", upgrade_head(address, "modem", "Content-Length: 5\r\n"), 400),
        ("version 8", upgrade_head(address, "modem", "").replace("Version: 13", "Version: 8"), 426),
        ("no upgrade", format!("GET /ws/modem HTTP/1.1\r\nHost: {address}\r\n\r\n"), 426),
        (
            "a short key",
            upgrade_head(address, "modem", "").replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
            400,
        ),
    ] {
        let mut raw = Raw::connect(address);
        raw.send(request.as_bytes());
        assert_eq!(status(&raw.head()), expected, "{what}");
    }
}
