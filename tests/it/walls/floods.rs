//! What is slow and what comes in masses: the time, places and patience that strangers get.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use super::{PASSWORD, TOKEN, basic, bearer, guarded};
use crate::harness::{
    Daemon, Raw, Target,
    client::{status, upgrade_head},
    daemon::OPEN,
    page, until,
};

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
