//! Credentials of every kind, and the log, which contains none of them.

use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{PASSWORD, TOKEN, basic, bearer, guarded};
use crate::harness::{
    Daemon, Raw, Target,
    client::{status, upgrade_head},
    daemon::OPEN,
    tls,
};

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
