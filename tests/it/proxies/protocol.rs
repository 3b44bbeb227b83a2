//! The PROXY protocol: who a connection is from, said before its first byte.

use std::io::Write as _;

use crate::harness::{
    Daemon, Raw, access,
    client::{status, upgrade_head},
    daemon::OPEN,
    tls,
};

/// A gateway that accepts what 127.0.0.1 announces; with TLS if files are given.
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
    // A health check comes from the proxy itself.
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
