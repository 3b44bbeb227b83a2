//! TLS doors: encrypted bytes, and a client certificate that says who comes in.

use std::io::{ErrorKind, Read as _, Write as _};

use super::door;
use crate::harness::{
    Daemon, Pty,
    tls::{Authority, connect},
};

/// A gateway whose door asks for certificates of this authority; `pump` may read and write.
fn gateway(pty: &Pty, authority: &Authority) -> Daemon {
    let (certificate, key) = authority.issue("gateway");
    let daemon = Daemon::start(&format!(
        "listen: [ {{ address: \"127.0.0.1:0\", tls: none }} ]\n\
         certificates:\n  pump: {{ rights: {{ e: [ read, write ] }} }}\n\
         endpoints:\n  e:\n    serial: {{ port: \"{}\" }}\n    doors:\n      - tls: \"127.0.0.1:0\"\n        \
         certificate: {}\n        key: {}\n        client_ca: {}\n",
        pty.path().display(),
        certificate.display(),
        key.display(),
        authority.file().display(),
    ));
    daemon.wait_for("device open");
    daemon
}

#[test]
fn a_certificate_says_who_comes_in_and_nobody_comes_in_without() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let mut pty = Pty::new();
    let daemon = gateway(&pty, &authority);
    let address = door(&daemon);
    let own = authority.issue("pump");
    let mut tool = connect(address, &authority.file(), Some(&own));
    tool.write_all(b"AT\r").unwrap();
    assert_eq!(pty.receive(3), b"AT\r");
    pty.send(b"OK");
    let mut answer = [0; 2];
    tool.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"OK");
    let opened = daemon.wait_for("session opened");
    assert!(opened.contains("principal=pump"), "{opened}");
    // One that nobody knows, none, and HTTP inside TLS: nothing passes.
    for own in [Some(authority.issue("stranger")), None] {
        let mut tool = connect(address, &authority.file(), own.as_ref());
        let _ = tool.write_all(b"AT+EVIL=1\r\n\r\n");
        let end = tool.read(&mut [0; 16]);
        assert!(!matches!(end, Ok(1..)), "{end:?}");
    }
    drop(tool);
    let mut page = connect(address, &authority.file(), Some(&own));
    page.write_all(b"POST / HTTP/1.1\r\n\r\nAT+EVIL=1\r\n").unwrap();
    let end = page.read(&mut [0; 16]);
    let kind = end.map_err(|error| error.kind());
    assert!(matches!(kind, Err(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)), "{kind:?}");
    // The daemon's page asks for a token here, and its log tells one refusal a second.
    assert!(!daemon.log().contains("to_target=21"), "{}", daemon.log());
    assert!(!pty.has_input());
}
