//! The gateway's own certificate: made once, or read again when its files change.

use std::io::{Read, Write};

use crate::harness::{Daemon, Target, daemon::OPEN, tls, until};

#[test]
fn a_certificate_of_its_own_is_made_once_and_kept() {
    let echo = Target::echo();
    let state = tempfile::tempdir().unwrap();
    let config = format!(
        "state_directory: {}\n{}{}",
        state.path().display(),
        OPEN.replace("tls: none", "tls: self-signed"),
        echo.endpoint("echo")
    );
    let start = || {
        let daemon = Daemon::start(&config);
        let mut stream = tls::connect(daemon.address(), &state.path().join("tls/ca.crt"), None);
        let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok\n"),
            "{answer}"
        );
        let log = daemon.log().to_ascii_lowercase();
        assert!(
            log.contains("fingerprint") || log.contains("sha-256") || log.contains("sha256"),
            "{log}"
        );
        std::fs::read(state.path().join("tls/cert.pem")).unwrap()
    };
    assert_eq!(start(), start());
    let key = std::fs::metadata(state.path().join("tls/key.pem")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o077, 0);
}

#[test]
fn certificate_files_are_read_again_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let old = tls::Authority::new(folder.path());
    let files = old.issue("gateway");
    let echo = Target::echo();
    let pair = format!("tls: {{ certificate: {}, key: {} }}", files.0.display(), files.1.display());
    let config = format!("{}{}", OPEN.replace("tls: none", &pair), echo.endpoint("echo"));
    let daemon = Daemon::start(&config);
    let trusts = |authority: &tls::Authority| {
        let mut stream = tls::connect(daemon.address(), &authority.file(), None);
        let _ = stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 200 ")
    };
    assert!(trusts(&old));
    let folder = tempfile::tempdir().unwrap();
    let new = tls::Authority::new(folder.path());
    let renewed = new.issue("gateway");
    std::fs::copy(&renewed.1, &files.1).unwrap();
    std::fs::copy(&renewed.0, &files.0).unwrap();
    until("the new certificate", || trusts(&new).then_some(()));
    assert!(!trusts(&old));
}
