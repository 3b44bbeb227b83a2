//! Targets in all conditions: refusing, resetting, silent, on a unix socket, behind TLS, on IPv6.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{ServerConnection, StreamOwned};

use crate::harness::{Daemon, Raw, Target, tls};

/// A browser's handshake from the gateway's own page: its status, and the code of the Close after a
/// 101.
fn from_a_page(daemon: &Daemon, endpoint: &str) -> (u16, Option<u16>) {
    let address = daemon.address();
    let origin = format!("Origin: http://{address}\r\n");
    let (mut client, head) = Raw::handshake(address, endpoint, &origin);
    let status = crate::harness::client::status(&head);
    (status, client.closed().map(|(code, _)| code))
}

#[test]
fn a_target_that_refuses_is_502_and_4450_to_a_page() {
    let target = Target::<()>::refuse();
    let daemon = Daemon::open(&target.endpoint("plc"));
    let (mut client, head) = Raw::handshake(daemon.address(), "plc", "");
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(client.rest().contains("refused"), "the body says why");
    assert_eq!(from_a_page(&daemon, "plc"), (101, Some(4450)));
}

#[test]
fn a_target_that_answers_nothing_is_504_within_the_connect_timeout_and_4450_to_a_page() {
    let target = Target::<()>::blackhole();
    let daemon = Daemon::open(&format!(
        "  plc:\n    tcp: {{ address: \"{}\", connect_timeout: 1s }}\n",
        target.address()
    ));
    let begun = Instant::now();
    assert_eq!(Raw::status(daemon.address(), "plc", ""), 504);
    let took = begun.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert_eq!(from_a_page(&daemon, "plc"), (101, Some(4450)));
}

#[test]
fn a_name_that_does_not_exist_is_503_and_4450_to_a_page() {
    let daemon = Daemon::open("  plc:\n    tcp: { address: \"nowhere.invalid:502\" }\n");
    let status = Raw::status(daemon.address(), "plc", "");
    assert!([502, 503].contains(&status), "{status}");
    assert_eq!(from_a_page(&daemon, "plc"), (101, Some(4450)));
}

#[test]
fn a_target_that_resets_mid_way_is_1011_behind_what_it_sent() {
    let target = Target::reset(5);
    let daemon = Daemon::open(&target.endpoint("plc"));
    let mut client = Raw::upgrade(daemon.address(), "plc");
    client.frame(2, b"hello");
    assert_eq!(client.closed().map(|(code, _)| code), Some(1011));
}

#[test]
fn a_unix_socket_is_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(b"HELLO").unwrap();
    });
    let daemon =
        Daemon::open(&format!("  dev:\n    tcp: {{ address: \"unix:{}\" }}\n", path.display()));
    let mut client = Raw::upgrade(daemon.address(), "dev");
    client.frame(2, b"hello");
    assert_eq!(client.data(5), b"HELLO");
    assert_eq!(client.closed().map(|(code, _)| code), Some(1000));
}

#[test]
fn an_ipv6_address_is_a_target_and_a_names_second_address_is_tried() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = (&stream).write_all(b"six");
        }
    });
    let daemon = Daemon::open(&format!("  six:\n    tcp: {{ address: \"[::1]:{port}\" }}\n"));
    assert_eq!(Raw::upgrade(daemon.address(), "six").data(3), b"six");
}

#[test]
fn a_target_behind_tls_is_checked_by_its_authority_and_shown_our_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
    std::fs::create_dir(&ours).unwrap();
    std::fs::create_dir(&other).unwrap();
    let (ours, other) = (tls::Authority::new(&ours), tls::Authority::new(&other));
    let (device, client) = (ours.issue("plc1"), ours.issue("gateway"));
    let config = tls::server(&device, &ours.file());
    let target = Target::serve(move |stream: TcpStream| {
        let mut stream =
            StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        let mut bytes = [0; 5];
        let _ = stream.read_exact(&mut bytes).and_then(|()| stream.write_all(b"secret"));
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let endpoint = |name: &str, ca: &tls::Authority, more: &str| {
        let ca = ca.file();
        format!(
            "  {name}:\n    tcp: {{ address: \"{}\", tls: {{ ca: {}{more} }} }}\n",
            target.address(),
            ca.display()
        )
    };
    let own = format!(", certificate: {}, key: {}", client.0.display(), client.1.display());
    let daemon = Daemon::open(
        &[
            endpoint("good", &ours, &own),
            endpoint("named", &ours, &format!("{own}, server_name: plc1")),
            endpoint("misnamed", &ours, &format!("{own}, server_name: plc2")),
            endpoint("stranger", &other, &own),
        ]
        .concat(),
    );
    for name in ["good", "named"] {
        let mut client = Raw::upgrade(daemon.address(), name);
        client.frame(2, b"hello");
        assert_eq!(client.data(6), b"secret");
        assert_eq!(client.closed().map(|(code, _)| code), Some(1000));
    }
    for name in ["misnamed", "stranger"] {
        assert_eq!(Raw::status(daemon.address(), name, ""), 502, "{name}");
        assert_eq!(from_a_page(&daemon, name), (101, Some(4450)), "{name}");
    }
}
