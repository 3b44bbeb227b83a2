//! The walls before anything happens: each refusal with its status, and the attacks they are there
//! for, played.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::harness::{
    Daemon, Raw, Target,
    client::{status, upgrade_head},
    daemon::OPEN,
    page, tls, until,
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

/// Alice with a password, a program with a token, both for `plc1` alone; one listener, `more` of
/// the file's keys.
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
    // A request that every wall would refuse loses one fault after the other.
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
    // No attack: the gateway's own page, and a program without one.
    assert_eq!(with(&format!("Origin: http://{address}\r\n")), 101);
    assert_eq!(with(""), 101);
}

#[test]
fn dns_rebinding_fails_with_and_without_an_upgrade() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let (address, port) = (daemon.address(), daemon.address().port());
    // The attacker's name resolves to this machine by now, so page and socket agree about Host and
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
    // Without sign-in no name will do but a loopback one.
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

#[test]
fn a_slow_head_is_408_at_the_deadline_however_it_trickles() {
    let echo = Target::echo();
    let config = format!("limits: {{ handshake: 1s }}\n{OPEN}{}", echo.endpoint("modem"));
    let daemon = Daemon::start(&config);
    let mut raw = Raw::connect(daemon.address());
    let begun = Instant::now();
    let mut stream = raw.stream().try_clone().unwrap();
    std::thread::spawn(move || {
        for byte in b"GET /ws/modem HTTP/1.1\r\nHost: localhost\r\nX: y" {
            std::thread::sleep(Duration::from_millis(50));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    assert_eq!(status(&raw.head()), 408);
    assert!((0.9..2.5).contains(&begun.elapsed().as_secs_f32()), "{:?}", begun.elapsed());
}

#[test]
fn the_deadline_of_the_handshake_includes_tls() {
    let echo = Target::echo();
    let open = OPEN.replace("tls: none", "tls: self-signed");
    let daemon =
        Daemon::start(&format!("limits: {{ handshake: 1s }}\n{open}{}", echo.endpoint("modem")));
    let mut raw = Raw::connect(daemon.address());
    let begun = Instant::now();
    raw.send(&[0x16, 0x03, 0x01]);
    assert_eq!(raw.rest(), "");
    assert!((0.9..2.5).contains(&begun.elapsed().as_secs_f32()), "{:?}", begun.elapsed());
}

#[test]
fn five_hundred_slow_handshakes_do_not_keep_another_client_out() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let address = daemon.address();
    let slow: Vec<_> = (0..500)
        .map(|_| {
            let stream = std::net::TcpStream::connect(address).unwrap();
            let _ = (&stream).write_all(b"GET /ws/modem HTTP/1.1\r\nHost:");
            stream
        })
        .collect();
    let mut other = Raw::connect_from("127.0.0.2", address);
    let begun = Instant::now();
    other.send(upgrade_head(address, "modem", "").as_bytes());
    assert_eq!(status(&other.head()), 101);
    eprintln!("served in {:?} beside 500 slow handshakes", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    drop(slow);
}

#[test]
fn one_source_gets_no_more_than_its_connections_and_is_told_429() {
    let echo = Target::echo();
    let daemon = Daemon::start(&guarded(&echo, "limits: { per_address: 3 }\n"));
    let address = daemon.address();
    let held: Vec<_> = (0..3).map(|_| Raw::handshake(address, "plc1", &bearer(TOKEN))).collect();
    assert!(held.iter().all(|(_, head)| status(head) == 101));
    assert_eq!(Raw::status(address, "plc1", &bearer(TOKEN)), 429);
    let mut other = Raw::connect_from("127.0.0.2", address);
    other.send(upgrade_head(address, "plc1", &bearer(TOKEN)).as_bytes());
    assert_eq!(status(&other.head()), 101);
    drop(held);
    until("a free place", || (Raw::status(address, "plc1", &bearer(TOKEN)) == 101).then_some(()));
}

#[test]
fn twenty_wrong_credentials_shut_one_source_out_and_no_other() {
    let echo = Target::echo();
    let daemon = Daemon::start(&guarded(&echo, ""));
    let address = daemon.address();
    for _ in 0..20 {
        assert_eq!(Raw::status(address, "plc1", &bearer("wsb_guess")), 401);
    }
    let password = basic("alice", PASSWORD);
    let (_, head) = Raw::handshake(address, "plc1", &password);
    assert_eq!(status(&head), 429);
    assert!(head.to_ascii_lowercase().contains("retry-after: "), "{head}");
    let mut other = Raw::connect_from("127.0.0.2", address);
    other.send(upgrade_head(address, "plc1", &password).as_bytes());
    assert_eq!(status(&other.head()), 101);
}

/// A request with a JSON body.
fn post(daemon: &Daemon, more: &str, body: &str) -> String {
    let address = daemon.address();
    Raw::ask(
        address,
        &format!(
            "POST /api/ticket HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{more}\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    )
}

#[test]
fn every_kind_of_credential_opens_the_door_and_no_log_line_has_one() {
    let echo = Target::echo();
    let daemon = Daemon::start_with(&guarded(&echo, ""), |command| {
        command.env("WSBRIDGE_LOG", "trace");
    });
    let address = daemon.address();
    let hidden = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(TOKEN);
    assert_eq!(Raw::status(address, "plc1", &basic("alice", PASSWORD)), 101);
    assert_eq!(Raw::status(address, "plc1", &basic("alice", "wrong guess")), 401);
    assert_eq!(Raw::status(address, "plc1", &basic("nobody", PASSWORD)), 401);
    assert_eq!(Raw::status(address, "plc1", &bearer(TOKEN)), 101);
    let offered = format!("Sec-WebSocket-Protocol: binary, wsbridge.bearer.{hidden}\r\n");
    let (_, head) = Raw::handshake(address, "plc1", &offered);
    assert!(head.starts_with("HTTP/1.1 101 ") && !head.contains("bearer"), "{head}");

    let told = post(&daemon, &bearer(TOKEN), "{\"endpoint\": \"plc1\"}");
    let ticket = told
        .split('"')
        .find(|word| word.len() >= 22 && !word.contains(' ') && !word.contains('\r'));
    let ticket = ticket.unwrap_or_else(|| panic!("{told}")).to_owned();
    assert_eq!(
        Raw::status(address, &format!("/ws/plc2?ticket={ticket}"), ""),
        401,
        "bound to its endpoint"
    );
    let told = post(&daemon, &bearer(TOKEN), "{\"endpoint\": \"plc1\"}");
    let second = told
        .split('"')
        .find(|word| word.len() >= 22 && !word.contains([' ', '\r']))
        .unwrap()
        .to_owned();
    assert_eq!(Raw::status(address, &format!("/ws/plc1?ticket={second}"), ""), 101);
    assert_eq!(Raw::status(address, &format!("/ws/plc1?ticket={second}"), ""), 401, "one use");
    assert_eq!(status(&post(&daemon, &bearer(TOKEN), "{\"endpoint\": \"plc2\"}")), 403);

    let log = daemon.log();
    assert!(log.contains("session opened"));
    let encoded = STANDARD.encode(format!("alice:{PASSWORD}"));
    for secret in [PASSWORD, "wrong guess", TOKEN, &hidden, &ticket, &second, &encoded] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

#[test]
fn a_client_certificate_is_a_login_and_anothers_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    std::fs::create_dir(&ours).unwrap();
    std::fs::create_dir(&theirs).unwrap();
    let (ours, theirs) = (tls::Authority::new(&ours), tls::Authority::new(&theirs));
    let (server, laptop, stranger) =
        (ours.issue("gateway"), ours.issue("laptop7"), ours.issue("unknown"));
    let forged = theirs.issue("laptop7");
    let echo = Target::echo();
    let files = format!(
        "tls: {{ certificate: {}, key: {}, client_ca: {} }}",
        server.0.display(),
        server.1.display(),
        ours.file().display()
    );
    let access = "certificates:\n  laptop7: { rights: { plc1: [ read, write ] } }\n";
    let config = OPEN.replace("tls: none", &files).replace("auth: none\n", access);
    let daemon = Daemon::start(&format!("{config}{}", echo.endpoint("plc1")));
    let address = daemon.address();
    let ask = |own: Option<&(std::path::PathBuf, std::path::PathBuf)>| {
        let mut stream = tls::connect(address, &ours.file(), own);
        let _ = stream.write_all(upgrade_head(address, "plc1", "").as_bytes());
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        status(&String::from_utf8_lossy(&head))
    };
    assert_eq!(ask(Some(&laptop)), 101);
    assert_eq!(ask(None), 401);
    assert_eq!(ask(Some(&stranger)), 401);
    assert_eq!(ask(Some(&forged)), 0, "the handshake fails");
}

#[test]
fn what_strangers_send_cannot_forge_a_log_line() {
    let echo = Target::echo();
    let daemon = Daemon::start_with(&guarded(&echo, ""), |command| {
        command.env("WSBRIDGE_LOG", "trace");
    });
    let lines = daemon.log().lines().count();
    Raw::status(
        daemon.address(),
        "/ws/%0a2026-01-01T00:00:00Z%20info%20session%20opened%1b%5b31m",
        "User-Agent: \u{9b}31m\r\n",
    );
    let forged = format!("{}\nforged\u{1b}[2J", "alice");
    Raw::status(daemon.address(), "plc1", &basic(&forged, "x"));
    daemon.wait_for("refused");
    assert!(daemon.log().lines().count() > lines);
    let log = daemon.log();
    assert!(!log.contains('\u{1b}') && !log.contains('\u{9b}'), "{log:?}");
    assert!(
        !log.lines().any(|line| line.starts_with("forged") || line.starts_with("2026-01-01")),
        "{log}"
    );
}

#[test]
fn a_flood_of_refusals_is_counted_and_not_printed() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    for _ in 0..100 {
        assert_eq!(
            Raw::status(daemon.address(), "modem", "Origin: http://attacker.example\r\n"),
            403
        );
    }
    let metrics = page(daemon.address(), "/metrics");
    assert!(metrics.contains("wsbridge_refusals_total{reason=\"origin\"} 100\n"), "{metrics}");
    assert!(daemon.log().matches("refused").count() < 20, "{}", daemon.log());
}
