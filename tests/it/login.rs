//! `wsbridge login`: a sign-in for the programs of a technician's computer, from its password to
//! its end.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::Value;

use crate::{
    connect::terminal::Terminal,
    harness::{Daemon, Raw, Technician, client::status, daemon::OPEN, tls},
    peers::works,
    signing::PASSWORD,
};

fn guarded(more: &str) -> String {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "users:\n  alice: {{ password: \"{hash}\", rights: {{ echo: [ read, write ] }} }}\n\
         \x20 bob: {{ password: \"{hash}\", rights: {{ \"*\": [ read, takeover ] }} }}\n{more}"
    );
    OPEN.replace("auth: none\n", &access) + "  echo:\n    sim: echo\n  other:\n    sim: echo\n"
}

/// Runs the command in a home, with something on standard input.
fn run(home: &Path, input: &str, args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(args)
        .env("XDG_CONFIG_HOME", home)
        .env_remove("WSBRIDGE_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that wants no password may be gone.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn get(daemon: &Daemon, path: &str, token: &str) -> (u16, Value) {
    let address = daemon.address();
    let answer = Raw::ask(
        address,
        &format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        ),
    );
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status(&answer), serde_json::from_str(body).unwrap_or_default())
}

fn post(daemon: &Daemon, path: &str, fields: &str, body: &str) -> (u16, Value) {
    let address = daemon.address();
    let answer = Raw::ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status(&answer), serde_json::from_str(body).unwrap_or_default())
}

/// The one sign-in that is kept in a home.
fn kept(home: &Path) -> Value {
    let folder = home.join("wsbridge");
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(file)), (0o700, 0o600));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn a_sign_in_by_password_is_kept_used_listed_and_ended() {
    let home = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&guarded(""));
    let url = format!("http://{}", daemon.address());
    let wrong = run(home.path(), "not it\n", &["login", &url, "--user", "alice"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", said(&wrong));
    assert!(said(&wrong).contains("the user or the password is wrong"), "{}", said(&wrong));
    let right = run(home.path(), &format!("{PASSWORD}\n"), &["login", &url, "--user", "alice"]);
    assert!(right.status.success(), "{}", said(&right));

    // It has the user's rights, and no more.
    let listed = run(home.path(), "", &["connect", &url, "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!(listed["endpoints"][0]["name"], "echo");
    let echoed = run(home.path(), "hello", &["connect", &format!("{url}/echo"), "--stdio"]);
    assert_eq!(echoed.stdout, b"hello", "{}", said(&echoed));

    let token = kept(home.path())["token"].as_str().unwrap().to_owned();
    let (_, logins) = get(&daemon, "/api/logins", &token);
    let one = &logins["logins"][0];
    assert_eq!((&one["current"], one["program"].is_string()), (&Value::Bool(true), true));
    assert!(one["expires_in"].as_u64().unwrap() > 3600);

    let out = run(home.path(), "", &["logout", &url]);
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(get(&daemon, "/api/session", &token).0, 401);
    let after = run(home.path(), "", &["connect", &url]);
    assert_eq!(after.status.code(), Some(1));
    assert!(said(&after).contains("wsbridge login"), "{}", said(&after));
}

#[test]
fn a_sign_in_ends_in_any_case_is_no_cookie_and_only_its_user_sees_it() {
    let daemon = Daemon::start(&guarded("login: { lifetime: 3s }\n"));
    let wish = format!(r#"{{"user":"alice","password":"{PASSWORD}","program":"lab-7"}}"#);
    let (code, answer) = post(&daemon, "/api/logins", "", &wish);
    assert_eq!((code, &answer["next"], &answer["user"]), (200, &Value::Null, &"alice".into()));
    let token = answer["token"].as_str().unwrap();
    let (_, bob) = post(&daemon, "/api/logins", "", &wish.replace("alice", "bob"));
    let bobs = bob["token"].as_str().unwrap();
    let id = answer["id"].as_u64().unwrap();
    let bearer = format!("Authorization: Bearer {bobs}\r\n");
    assert_eq!(post(&daemon, &format!("/api/logins/{id}/end"), &bearer, "{}").0, 404);
    assert_eq!(get(&daemon, "/api/logins", bobs).1["logins"].as_array().unwrap().len(), 1);
    // No browser's cookie, and a cookie is no token.
    let address = daemon.address();
    let cookie = format!("sid-{}={token}", address.port());
    let asked = Raw::ask(
        address,
        &format!(
            "GET /api/session HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        ),
    );
    assert_eq!(status(&asked), 401);
    crate::harness::until("its end", || {
        (get(&daemon, "/api/session", token).0 == 401).then_some(())
    });
}

#[test]
fn a_page_of_another_origin_signs_nothing_in_and_codes_are_for_our_own_page() {
    let daemon = Daemon::start(&guarded(""));
    let wish = format!(r#"{{"user":"alice","password":"{PASSWORD}","program":"lab-7"}}"#);
    let evil = "Origin: https://evil.example\r\n";
    assert_eq!(post(&daemon, "/api/logins", evil, &wish).0, 403);
    let (_, answer) = post(&daemon, "/api/logins", "", &wish);
    let bearer = format!("Authorization: Bearer {}\r\n", answer["token"].as_str().unwrap());
    let ask = r#"{"program":"lab-7","challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    assert_eq!(post(&daemon, "/api/logins/code", &bearer, ask).0, 403, "no page of ours");
    for wrong in [
        r#"{"user":"alice"}"#.to_owned(),
        wish.replace("lab-7", "<b>"),
        r#"{"code":"x"}"#.to_owned(),
    ] {
        assert_eq!(post(&daemon, "/api/logins", "", &wrong).0, 400, "{wrong}");
    }
    assert_eq!(post(&daemon, "/api/logins", "", r#"{"code":"x","verifier":"y"}"#).0, 401);
}

#[test]
fn what_a_certificate_is_believed_by_is_kept_with_the_sign_in() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority = tls::Authority::new(folder.path());
    let (certificate, key) = authority.issue("gateway");
    let listen =
        format!("    tls: {{ certificate: {}, key: {} }}\n", certificate.display(), key.display());
    let daemon = Daemon::start(&guarded("").replace("    tls: none\n", &listen));
    let url = format!("https://localhost:{}", daemon.address().port());
    let password = format!("{PASSWORD}\n");
    let unknown = run(home.path(), &password, &["login", &url, "--user", "alice"]);
    assert_eq!(unknown.status.code(), Some(69));
    assert!(said(&unknown).contains("--ca FILE"), "{}", said(&unknown));
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let known = run(home.path(), &password, &["login", &url, "--user", "alice", "--ca", ca]);
    assert!(known.status.success(), "{}", said(&known));
    let echoed = run(home.path(), "hello", &["connect", &format!("{url}/echo"), "--stdio"]);
    assert_eq!(echoed.stdout, b"hello", "{}", said(&echoed));
    // And by its fingerprint.
    let openssl = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&certificate)
        .output()
        .unwrap();
    let line = String::from_utf8(openssl.stdout).unwrap();
    let sum = line.trim().split_once('=').unwrap().1.to_owned();
    let pinned = run(home.path(), "", &["connect", &url, "--json", "--fingerprint", &sum]);
    assert!(pinned.status.success(), "{}", said(&pinned));
    let other = sum.replace(|c: char| c.is_ascii_digit(), "A");
    let wrong = run(home.path(), "", &["connect", &url, "--json", "--fingerprint", &other]);
    assert_eq!(wrong.status.code(), Some(69), "{}", said(&wrong));
}

#[test]
fn on_a_terminal_the_password_is_not_shown_and_ctrl_c_leaves_the_terminal_as_it_was() {
    if !works("setsid", &["--version"]) {
        eprintln!("skipped: no setsid, which makes a terminal the one of Ctrl-C");
        return;
    }
    let daemon = Daemon::start(&guarded(""));
    let url = format!("http://{}", daemon.address());
    let mut terminal = Terminal::new();
    let home = tempfile::tempdir().unwrap();
    let login = |terminal: &Terminal| {
        let mut command = Command::new("setsid");
        command.args(["--ctty", env!("CARGO_BIN_EXE_wsbridge"), "login", &url]);
        command.env("XDG_CONFIG_HOME", home.path()).env_remove("WSBRIDGE_TOKEN");
        let own = tempfile::tempdir().unwrap();
        Technician::run(command, own, |command| terminal.carry(command))
    };
    let mut away = login(&terminal);
    terminal.shows("User: ");
    terminal.types(b"alice\n");
    terminal.shows("Password: ");
    assert!(!terminal.is_cooked(), "what is typed would be shown");
    terminal.types(b"half a pass\x03");
    assert_eq!(away.exit().code(), Some(130));
    assert!(terminal.is_cooked(), "the terminal stays as it was for the password");
    terminal.shows("interrupted");
    assert!(!home.path().join("wsbridge").exists());

    let mut done = login(&terminal);
    terminal.shows("User: ");
    terminal.types(b"alice\n");
    terminal.shows("Password: ");
    terminal.types(format!("{PASSWORD}\n").as_bytes());
    terminal.shows("signed in to");
    assert_eq!(done.exit().code(), Some(0));
    assert!(terminal.is_cooked());
    assert!(!terminal.has_shown(PASSWORD) && !terminal.has_shown("half a pass"));
    assert_eq!(kept(home.path())["user"], "alice");
}

#[test]
fn a_proxy_that_wants_a_sign_in_of_its_own_is_named_before_anybody_types_a_password() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let found = "HTTP/1.1 302 Found\r\nLocation: https://auth.example/\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(found.as_bytes());
        }
    });
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), "", &["login", &url, "--user", "alice"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("HTTP 302") && said(&output).contains("a proxy in front of it"));
    // No password was read: there was none.
    assert!(!said(&output).contains("the password is wrong"));
}
