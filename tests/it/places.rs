//! Places for connections: whose they are, who waits for one, and who gives way.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    harness::{
        Daemon, Raw, Target,
        client::{status, upgrade_head},
        daemon::OPEN,
        page, tls, until,
    },
    signing::{PASSWORD, ask, cookie, own, session},
};

#[test]
fn a_client_behind_a_trusted_proxy_has_its_own_address_in_every_log_line() {
    let echo = Target::echo();
    let daemon =
        Daemon::start(&format!("trusted_proxies: [ 127.0.0.1 ]\n{OPEN}{}", echo.endpoint("modem")));
    let address = daemon.address();
    let origin = format!("Origin: http://{address}\r\n");
    let from = |client: &str| format!("X-Forwarded-For: 203.0.113.9, {client}\r\n{origin}");
    let (raw, head) = Raw::handshake(address, "modem", &from("192.0.2.4"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(daemon.wait_for("session opened").contains("peer=192.0.2.4"));
    drop(raw);
    assert!(daemon.wait_for("session closed").contains("peer=192.0.2.4"));
    assert_eq!(Raw::status(address, "nothing", &from("2001:db8::7")), 404);
    assert!(daemon.wait_for("refused").contains("peer=2001:db8::7"));
    assert!(!daemon.log().contains("peer=127.0.0.1"), "{}", daemon.log());
}

/// Half-open connections that send `first` and then nothing, `count` from each of five addresses.
fn stalled(address: SocketAddr, count: usize, first: &[u8]) -> Vec<Raw> {
    let open = |n: usize| {
        let mut raw = Raw::connect_from(&format!("127.0.0.{}", 10 + n % 5), address);
        raw.send(first);
        raw
    };
    (0..count * 5).map(open).collect()
}

#[test]
fn five_hundred_half_open_handshakes_from_five_addresses_do_not_keep_a_sixth_out() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let address = daemon.address();
    let slow = stalled(address, 100, b"GET /ws/modem HTTP/1.1\r\nHost:");
    let mut other = Raw::connect_from("127.0.0.2", address);
    other.send(upgrade_head(address, "modem", "").as_bytes());
    assert_eq!(status(&other.head()), 101);
    let metrics = page(address, "/metrics");
    assert!(metrics.contains("wsbridge_refusals_total{reason=\"too_many\"} "), "{metrics}");
    drop(slow);
}

#[test]
fn two_hundred_stalled_tls_handshakes_from_five_addresses_do_not_keep_a_sixth_out() {
    let echo = Target::echo();
    let folder = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new(folder.path());
    let (certificate, key) = authority.issue("gateway");
    let files =
        format!("tls: {{ certificate: {}, key: {} }}", certificate.display(), key.display());
    let open = OPEN.replace("tls: none", &files);
    let daemon = Daemon::start(&format!("{open}{}", echo.endpoint("modem")));
    let address = daemon.address();
    let slow = stalled(address, 40, &[0x16, 0x03, 0x01]);
    let mut other = tls::connect(address, &authority.file(), None);
    other
        .write_all(format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = [0; 15];
    other.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop(slow);
}

#[test]
fn a_stranger_that_keeps_its_connection_busy_is_waited_for_half_a_minute_in_all() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let address = daemon.address();
    let mut raw = Raw::connect(address);
    let begun = Instant::now();
    let request = format!("HEAD /nothing HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut asked = 0;
    let mut stream = raw.stream().try_clone().unwrap();
    while stream.write_all(request.as_bytes()).is_ok() && status(&raw.head()) == 404 {
        asked += 1;
        std::thread::sleep(Duration::from_secs(4));
    }
    assert!(asked >= 7, "{asked}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_client_of_a_trusted_proxy_has_the_connections_of_one_and_no_others() {
    let echo = Target::echo();
    let walls = "trusted_proxies: [ 127.0.0.1 ]\nlimits: { per_address: 2 }\n";
    let daemon = Daemon::start(&format!("{walls}{OPEN}{}", echo.endpoint("modem")));
    let address = daemon.address();
    let from = |client: &str| format!("X-Forwarded-For: {client}\r\nOrigin: http://{address}\r\n");
    let held: Vec<_> =
        (0..2).map(|_| Raw::handshake(address, "modem", &from("192.0.2.4"))).collect();
    assert!(held.iter().all(|(_, head)| status(head) == 101));
    assert_eq!(Raw::status(address, "modem", &from("192.0.2.4")), 429);
    let others: Vec<_> =
        (5..10).map(|n| Raw::handshake(address, "modem", &from(&format!("192.0.2.{n}")))).collect();
    assert!(others.iter().all(|(_, head)| status(head) == 101));
    drop(held);
    until("a free place", || {
        (Raw::status(address, "modem", &from("192.0.2.4")) == 101).then_some(())
    });
}

#[test]
fn the_reserve_serves_a_browser_until_an_administrator_has_signed_in_and_then_its_sockets() {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let users = format!(
        "users:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write, takeover ] }} }}\n\
         \x20 bob: {{ password: \"{hash}\", rights: {{ \"*\": [ read ] }} }}\nlimits: {{ connections: 3 }}\n"
    );
    let daemon =
        Daemon::start(&(OPEN.replace("auth: none\n", &users) + "  echo:\n    sim: echo\n"));
    let address = daemon.address();
    let login = |user: &str| {
        let body = format!("{{\"user\": \"{user}\", \"password\": \"{PASSWORD}\"}}");
        ask(address, "POST", "/api/login", &own(address), &body)
    };
    let bob = cookie(&login("bob")) + &own(address);
    let held: Vec<_> = (0..3).map(|_| Raw::handshake(address, "echo", &bob)).collect();
    assert!(held.iter().all(|(_, head)| status(head) == 101));
    assert_eq!(Raw::status(address, "echo", &bob), 429, "full");
    // A browser loads the page over several connections, which it keeps.
    let mut browser: Vec<_> = (0..6).map(|_| Raw::connect(address)).collect();
    for (path, expected) in [("/", 200), ("/", 200), ("/api/session", 401)] {
        for raw in &mut browser {
            raw.send(format!("HEAD {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes());
            assert_eq!(status(&raw.head()), expected, "{path}");
        }
    }
    assert_eq!(status(&login("bob")), 429, "no administrator");
    let alice = cookie(&login("alice")) + &own(address);
    assert_eq!(session(address, &alice).0, 200);
    let v1 = "Sec-WebSocket-Protocol: wsbridge.v1\r\n";
    let sockets: Vec<_> = ["/ws/", "echo", "echo"]
        .map(|path| Raw::handshake(address, path, &format!("{v1}{alice}")))
        .into();
    assert!(sockets.iter().all(|(_, head)| status(head) == 101));
    assert_eq!(Raw::status(address, "echo", &bob), 429, "still full for others");
}

#[test]
fn a_client_that_asks_without_end_is_told_to_wait_and_another_is_served() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("modem"));
    let address = daemon.address();
    let mut raw = Raw::connect(address);
    let mut stream = raw.stream().try_clone().unwrap();
    let request = format!("HEAD /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    // The thread ends with the connection.
    std::thread::spawn(move || while stream.write_all(request.as_bytes()).is_ok() {});
    let served = (0..100_000).find(|_| {
        let head = raw.head();
        assert!(
            head.starts_with("HTTP/1.1 200 ") || head.to_lowercase().contains("retry-after: 1\r\n"),
            "{head}"
        );
        status(&head) == 429
    });
    assert!(served.is_some_and(|served| served >= 1000), "{served:?}");
    let mut other = Raw::connect_from("127.0.0.2", address);
    other.send(upgrade_head(address, "modem", "").as_bytes());
    assert_eq!(status(&other.head()), 101);
}
