//! The authority of the gateway's own certificate: made, kept, renewed and reported by the real
//! daemon.

mod verifiers;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::harness::{Daemon, page, tls, until};

const CONFIG: &str = "listen: [ { address: '127.0.0.1:0' }, { address: '127.0.0.1:0', tls: none } ]\n\
     state_directory: {dir}/state\nauth: none\nendpoints: { e: { sim: echo } }\n";

fn wsbridge(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wsbridge")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Exit code, standard output and standard error.
fn typed(args: &[&str]) -> (i32, String, String) {
    let output = wsbridge(args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join("state/tls").join(name)
}

/// What exists of certificate, key, authority and the authority's key.
fn files(folder: &Path) -> [Vec<u8>; 4] {
    ["cert.pem", "key.pem", "ca.crt", "ca.key"]
        .map(|name| fs::read(file(folder, name)).unwrap_or_default())
}

/// What a client that trusts this file gets for a path.
fn ask(daemon: &Daemon, trust: &Path, path: &str) -> std::io::Result<String> {
    let mut stream = tls::connect(daemon.address(), trust, None);
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    // Some connections end without a TLS goodbye.
    let _ = stream.read_to_string(&mut answer);
    Ok(answer)
}

fn serves(daemon: &Daemon, trust: &Path) -> bool {
    ask(daemon, trust, "/healthz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

#[test]
fn a_new_installation_has_an_authority_that_everybody_can_get_and_it_is_kept() {
    let mut daemon = Daemon::start(CONFIG);
    let folder = daemon.folder().to_owned();
    let authority = file(&folder, "ca.crt");
    daemon.wait_for("made an authority and a certificate under it");
    let got = ask(&daemon, &authority, "/ca.crt").unwrap();
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/x-x509-ca-cert"), "{head}");
    assert_eq!(body.trim(), fs::read_to_string(&authority).unwrap().trim());
    // A connection that was not shown the authority's certificate has no use for it.
    assert!(page(daemon.addresses()[1], "/ca.crt").starts_with("HTTP/1.1 404 "));
    // Its fingerprint is in the log and on the command line, and the page is told it.
    let (code, shown, _) = typed(&["ca", "show", daemon.config().to_str().unwrap()]);
    let sum = shown.split_once("SHA-256").unwrap().1.lines().next().unwrap().trim().to_owned();
    assert!(code == 0 && sum.len() == 95, "{shown}");
    daemon.wait_for(&sum);
    let session = ask(&daemon, &authority, "/api/session").unwrap();
    assert!(session.contains(&format!("\"sha256\":\"{sum}\"")), "{session}");
    assert!(session.contains("\"outside\":[]"), "{session}");
    for listed in ["localhost", "10.0.0.0/8", "fe80::/10"] {
        assert!(shown.contains(listed), "{shown}");
    }
    let metrics = page(daemon.addresses()[1], "/metrics");
    assert!(metrics.contains("\nwsbridge_authority_expiry_timestamp_seconds 2"), "{metrics}");
    let made = files(&folder);
    daemon.stop();
    let again = Daemon::start(&CONFIG.replace("{dir}", folder.to_str().unwrap()));
    assert!(serves(&again, &authority));
    assert_eq!(files(&folder), made);
}

#[test]
fn whoever_has_not_signed_in_is_told_the_fingerprint_on_the_way_to_the_form() {
    let users = "users: { admin: { password: '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg', \
                 rights: { '*': [ read ] } } }";
    let plain = "tls: none, plain: accepted }";
    let config = CONFIG.replace("auth: none", users).replace("tls: none }", plain);
    let daemon = Daemon::start(&config);
    let authority = file(daemon.folder(), "ca.crt");
    let asked = ask(&daemon, &authority, "/api/session").unwrap();
    assert!(asked.starts_with("HTTP/1.1 401 ") && asked.contains("\r\nwsbridge-authority: "));
    assert!(ask(&daemon, &authority, "/ca.crt").unwrap().starts_with("HTTP/1.1 200 "));
    assert!(!page(daemon.addresses()[1], "/api/session").contains("wsbridge-authority"));
}

#[test]
fn an_upgrade_keeps_a_self_signed_certificate_until_somebody_asks_for_an_authority() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after =
        date_time_ymd(1970, 1, 1) + Duration::from_secs(tls::unix_now() + 300 * 24 * 3600);
    fs::create_dir_all(folder.path().join("state/tls")).unwrap();
    fs::write(file(folder.path(), "key.pem"), key.serialize_pem()).unwrap();
    fs::write(file(folder.path(), "cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let before = files(folder.path());
    let pinned = folder.path().join("pinned.pem");
    fs::copy(file(folder.path(), "cert.pem"), &pinned).unwrap();

    let config = CONFIG.replace("{dir}", folder.path().to_str().unwrap());
    let daemon = Daemon::start(&config);
    daemon.reload(&config.replace("auth: none", "auth: none\nhosts: [ other.example ]"));
    assert!(serves(&daemon, &pinned));
    assert!(ask(&daemon, &pinned, "/ca.crt").unwrap().starts_with("HTTP/1.1 404 "));
    assert!(ask(&daemon, &pinned, "/api/session").unwrap().contains("\"authority\":null"));
    assert_eq!(files(folder.path()), before);
    let path = daemon.config();
    let (code, _, told) = typed(&["ca", "show", path.to_str().unwrap()]);
    assert!(
        code == 69 && told.contains("self-signed") && told.contains("wsbridge ca new "),
        "{told}"
    );

    let (code, told, error) = typed(&["ca", "new", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    for word in ["pins", "The gateway that runs uses it", "/ca.crt", "SHA-256"] {
        assert!(told.contains(word), "{told}");
    }
    let authority = file(folder.path(), "ca.crt");
    until("the new certificate", || serves(&daemon, &authority).then_some(()));
    assert!(!serves(&daemon, &pinned));
    // A new one is made only if that is asked for.
    let made = files(folder.path());
    let (code, _, told) = typed(&["ca", "new", path.to_str().unwrap()]);
    assert!(code == 65 && told.contains("ca new --replace"), "{told}");
    assert_eq!(files(folder.path()), made);
}

#[test]
fn a_name_outside_is_told_and_another_authority_is_made_only_by_hand() {
    let daemon = Daemon::start(CONFIG);
    let authority = file(daemon.folder(), "ca.crt");
    let made = files(daemon.folder());
    let path = daemon.config();
    let path = path.to_str().unwrap();
    let hosts = "hosts: [ gateway.example, 203.0.113.7, 10.1.2.3 ]\nauth: none";
    daemon.reload(&CONFIG.replace("auth: none", hosts));
    let told = daemon.wait_for("is not good for 203.0.113.7, gateway.example");
    assert!(told.contains("warn") && told.contains("`wsbridge ca new --replace`"), "{told}");
    let session = ask(&daemon, &authority, "/api/session").unwrap();
    assert!(session.contains("\"outside\":[\"203.0.113.7\",\"gateway.example\"]"), "{session}");
    let (code, _, told) = typed(&["check", path]);
    assert!(
        code == 0 && told.contains(&format!("`sudo wsbridge ca new --replace {path}`")),
        "{told}"
    );
    // The certificate already says what it may sign for: a private address.
    let now = files(daemon.folder());
    assert!(now[0] != made[0] && now[1..] == made[1..]);

    let (code, told, error) = typed(&["ca", "new", "--replace", path]);
    assert!(code == 0 && told.contains("exceptions in browsers and pins"), "{told}{error}");
    until("the new certificate", || serves(&daemon, &authority).then_some(()));
    let (_, shown, told) = typed(&["ca", "show", path]);
    assert!(told.is_empty() && shown.contains("203.0.113.7/32"), "{shown}{told}");
    assert_eq!(shown.matches("gateway.example").count(), 2, "{shown}");
    let session = ask(&daemon, &authority, "/api/session").unwrap();
    assert!(session.contains("\"outside\":[]"), "{session}");
}

#[test]
fn a_clock_set_late_and_a_year_gone_bring_a_new_certificate_under_the_same_authority() {
    let library = fs::read_dir("/usr/lib").unwrap().flatten().find_map(|entry| {
        let file = entry.path().join("faketime/libfaketimeMT.so.1");
        file.exists().then_some(file)
    });
    let Some(library) = library else {
        eprintln!("skipped: sudo apt install faketime");
        return;
    };
    let clock = tempfile::NamedTempFile::new().unwrap();
    let set = |time: &str| fs::write(clock.path(), format!("{time}\n")).unwrap();
    set("@1970-01-05 00:00:00");
    let daemon = Daemon::start_with(CONFIG, |command| {
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", clock.path())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    });
    let authority = file(daemon.folder(), "ca.crt");
    let first = files(daemon.folder());
    // The clock is set: the earlier certificate is not from that year; later its life ends.
    let mut before = first.clone();
    for time in ["+200d", "+600d"] {
        set(time);
        let renewed = until(time, || {
            // Whatever the client makes of it, the handshake triggers the look.
            let _ = serves(&daemon, &authority);
            let now = files(daemon.folder());
            (now[0] != before[0]).then_some(now)
        });
        assert_eq!(renewed[1..], first[1..], "{time}: key and authority stay");
        before = renewed;
    }
}

#[test]
fn commands_say_what_is_wrong_and_what_to_type() {
    let (code, _, told) = typed(&["ca", "nwe"]);
    assert!(code == 64 && told.contains("unrecognized subcommand 'nwe'"), "{told}");
    let (code, _, told) = typed(&["ca"]);
    assert!(code == 64 && told.contains("new") && told.contains("show"), "{told}");
    let (code, _, told) = typed(&["ca", "new", "/nowhere/wsbridge.yaml"]);
    assert!(code == 66 && told.contains("no such file"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wsbridge.yaml");
    fs::write(
        &path,
        "listen: [ { address: '127.0.0.1:0', tls: none } ]\nauth: none\nendpoints: {}\n",
    )
    .unwrap();
    let (code, _, told) = typed(&["ca", "new", path.to_str().unwrap()]);
    assert!(code == 65 && told.contains("no listener has `tls: self-signed`"), "{told}");
    // A folder that cannot be made, and UCI's own.
    let state = folder.path().join("state");
    let uci = folder.path().join("wsbridge");
    let text = format!(
        "config wsbridge 'main'\n\tlist listen '127.0.0.1:0'\n\toption tls 'self-signed'\n\toption auth 'none'\n\
         \toption state_directory '{}'\n\nconfig endpoint 'e'\n\toption type 'sim'\n\toption device 'echo'\n",
        state.display()
    );
    fs::write(&uci, text).unwrap();
    fs::write(&state, "").unwrap();
    let (code, _, told) = typed(&["ca", "new", "--uci", uci.to_str().unwrap()]);
    assert!(code == 74 && told.contains("state/tls: cannot be used"), "{told}");
    fs::remove_file(&state).unwrap();
    let (code, _, told) = typed(&["ca", "new", "--uci", uci.to_str().unwrap()]);
    assert_eq!(code, 0, "{told}");
    assert!(state.join("tls/ca.crt").exists());
    let (code, _, told) = typed(&["ca", "new", "--uci", uci.to_str().unwrap()]);
    assert!(code == 65 && told.contains("wsbridge ca new --replace --uci "), "{told}");
}
