//! Signing in from the page: the cookie, what it opens and what it does not, and everything that
//! ends with it.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};

use crate::harness::{Daemon, Raw, client::status, daemon::OPEN, namespace};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Alice with every right and Bob, who may read `echo`; `more` of the file's keys.
fn guarded(password: &str, more: &str) -> String {
    let hash = wsbridge::testing::hash_password(password).unwrap();
    let access = format!(
        "users:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write, signals, settings, takeover ] }} }}\n\
         \x20 bob: {{ password: \"{hash}\", rights: {{ echo: [ read ] }} }}\n{more}"
    );
    OPEN.replace("auth: none\n", &access) + "  echo:\n    sim: echo\n  other:\n    sim: echo\n"
}

/// A request as the gateway's own page sends it.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, more: &str, body: &str) -> String {
    Raw::ask(
        address,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}",
            body.len()
        ),
    )
}

pub(crate) fn own(address: SocketAddr) -> String {
    format!(
        "Origin: http://{address}\r\nContent-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n"
    )
}

fn login(address: SocketAddr, user: &str, password: &str) -> String {
    let body = format!("{{\"user\": \"{user}\", \"password\": \"{password}\"}}");
    ask(address, "POST", "/api/login", &own(address), &body)
}

/// The cookie's part of an answer, without its attributes: to be sent back.
pub(crate) fn cookie(answer: &str) -> String {
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap_or_else(|| panic!("{answer}"));
    format!("Cookie: theme=dark; {}\r\n", line.split(';').next().unwrap())
}

pub(crate) fn signed_in(address: SocketAddr, user: &str) -> String {
    cookie(&login(address, user, PASSWORD))
}

pub(crate) fn session(address: SocketAddr, more: &str) -> (u16, serde_json::Value) {
    let answer = ask(address, "GET", "/api/session", more, "");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status(&answer), serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn a_right_password_gives_a_cookie_that_is_a_session() {
    let daemon = Daemon::start(&guarded(PASSWORD, ""));
    let address = daemon.address();
    assert_eq!(session(address, "").0, 401);
    let answer = login(address, "alice", PASSWORD);
    assert_eq!(status(&answer), 200, "{answer}");
    let set = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    assert!(
        set.starts_with(&format!("set-cookie: sid-{}=", address.port())) && !set.contains("Secure"),
        "{set}"
    );
    let (code, told) = session(address, &cookie(&answer));
    assert_eq!(code, 200);
    assert_eq!((told["user"].as_str(), told["kind"].as_str()), (Some("alice"), Some("user")));
    assert_eq!((told["administrator"].as_bool(), told["tls"].as_bool()), (Some(true), Some(false)));
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["expires_in"], 12 * 3600 - 1, "just used, and cut to whole seconds");
    assert_eq!(session(address, &signed_in(address, "bob")).1["administrator"], false);
    let list = ask(address, "GET", "/api/endpoints", &signed_in(address, "bob"), "");
    assert!(list.contains("\"echo\"") && !list.contains("\"other\""), "{list}");
    assert!(!daemon.log().contains(PASSWORD));
}

#[test]
fn a_wrong_password_is_401_and_twenty_are_429() {
    let daemon = Daemon::start(&guarded(PASSWORD, ""));
    let address = daemon.address();
    let known = signed_in(address, "alice");
    for n in 0..20 {
        let user = if n % 2 == 0 { "alice" } else { "nobody" };
        let answer = login(address, user, "wrong");
        assert_eq!(status(&answer), 401, "{n}: {answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
    }
    let answer = login(address, "alice", PASSWORD);
    assert_eq!(status(&answer), 429, "{answer}");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert_eq!(
        session(address, &known).0,
        200,
        "who is signed in already is not locked out by others"
    );
}

#[test]
fn beside_a_cookie_the_password_alone_says_who_signs_in() {
    let daemon = Daemon::start(&guarded(PASSWORD, ""));
    let address = daemon.address();
    let alice = signed_in(address, "alice");
    let again = |user: &str, password: &str| {
        let body = format!("{{\"user\": \"{user}\", \"password\": \"{password}\"}}");
        ask(address, "POST", "/api/login", &format!("{}{alice}", own(address)), &body)
    };
    assert_eq!(status(&again("alice", "wrong")), 401);
    assert_eq!(status(&again("bob", "wrong")), 401);
    let bob = cookie(&again("bob", PASSWORD));
    assert_eq!(session(address, &bob).1["user"], "bob");
    assert_eq!(session(address, &alice).1["user"], "alice");
}

#[test]
fn only_our_own_page_signs_in_or_out() {
    let daemon = Daemon::start(&guarded(PASSWORD, "origins: [ \"https://tools.example\" ]\n"));
    let address = daemon.address();
    let body = format!("{{\"user\": \"alice\", \"password\": \"{PASSWORD}\"}}");
    let json = "Content-Type: application/json\r\n";
    let other = format!("http://{}:{}", address.ip(), address.port() ^ 1);
    for origin in [
        "",
        "Origin: https://tools.example\r\n",
        &format!("Origin: {other}\r\n"),
        "Origin: null\r\n",
    ] {
        let answer = ask(address, "POST", "/api/login", &format!("{origin}{json}"), &body);
        assert_eq!(status(&answer), 403, "{origin}: {answer}");
    }
    let form = own(address).replace("application/json", "text/plain");
    assert_eq!(status(&ask(address, "POST", "/api/login", &form, &body)), 415);
    assert_eq!(status(&ask(address, "GET", "/api/login", "", "")), 405);
    let cookie = signed_in(address, "alice");
    let answer = ask(address, "POST", "/api/logout", &format!("{cookie}{json}"), "{}");
    assert_eq!(status(&answer), 403);
    assert_eq!(session(address, &cookie).0, 200);
}

#[test]
fn the_cookie_opens_sockets_and_tickets_to_our_own_page_alone() {
    let daemon = Daemon::start(&guarded(PASSWORD, "origins: [ \"https://tools.example\" ]\n"));
    let address = daemon.address();
    let cookie = signed_in(address, "alice");
    let upgrade = |origin: &str| Raw::status(address, "echo", &format!("{origin}{cookie}"));
    assert_eq!(upgrade(&format!("Origin: http://{address}\r\n")), 101);
    assert_eq!(upgrade(""), 403, "no browser leaves Origin out");
    assert_eq!(upgrade(&format!("Origin: http://{address}\r\nSec-Fetch-Site: same-site\r\n")), 403);
    assert_eq!(upgrade("Origin: https://evil.example\r\n"), 403);
    assert_eq!(
        upgrade("Origin: https://tools.example\r\n"),
        401,
        "a listed page brings a credential of its own"
    );
    let wish = "{\"endpoint\": \"echo\"}";
    let answer = ask(address, "POST", "/api/ticket", &format!("{}{cookie}", own(address)), wish);
    assert_eq!(status(&answer), 200, "{answer}");
    let bare = format!("Content-Type: application/json\r\n{cookie}");
    assert_eq!(status(&ask(address, "POST", "/api/ticket", &bare, wish)), 403);
    let elsewhere = format!("Sec-Fetch-Site: cross-site\r\n{cookie}");
    assert_eq!(session(address, &elsewhere).0, 403);
}

#[test]
fn signing_out_ends_every_socket_of_that_sign_in_and_no_other() {
    let daemon = Daemon::start(&guarded(PASSWORD, ""));
    let address = daemon.address();
    let (one, two) = (signed_in(address, "alice"), signed_in(address, "alice"));
    let open = |cookie: &str, endpoint: &str| {
        let more = format!("Origin: http://{address}\r\n{cookie}");
        let (raw, head) = Raw::handshake(address, endpoint, &more);
        assert_eq!(status(&head), 101, "{head}");
        raw
    };
    let (mut ended, mut kept) = (open(&one, "echo"), open(&two, "other"));
    let wish = "{\"endpoint\": \"echo\"}";
    let given = ask(address, "POST", "/api/ticket", &format!("{}{one}", own(address)), wish);
    let ticket = given.split("\"ticket\":\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = ask(address, "POST", "/api/logout", &format!("{}{one}", own(address)), "{}");
    assert_eq!(status(&answer), 204, "{answer}");
    assert!(answer.contains("set-cookie: sid-") && answer.contains("; Max-Age=0"), "{answer}");
    assert_eq!(ended.closed().map(|(code, _)| code), Some(4401));
    assert_eq!(session(address, &one).0, 401);
    let late = Raw::status(
        address,
        &format!("/ws/echo?ticket={ticket}"),
        &format!("Origin: http://{address}\r\n"),
    );
    assert_eq!(late, 401, "a ticket of that sign-in is worth nothing");
    assert_eq!(session(address, &two).0, 200);
    kept.frame(2, b"still here");
    assert_eq!(kept.data(10), b"still here");
    let again = ask(address, "POST", "/api/logout", &format!("{}{one}", own(address)), "{}");
    assert_eq!(status(&again), 204);
}

#[test]
fn a_sign_in_lives_through_a_reload_and_ends_with_its_password_or_user() {
    let first = guarded(PASSWORD, "");
    let daemon = Daemon::start(&first);
    let address = daemon.address();
    let cookie = signed_in(address, "alice");
    // The hash in the file stays the same; hashed again it would have another salt.
    assert!(daemon.reload(&format!("{first}  third:\n    sim: echo\n")).contains("added third"));
    assert_eq!(session(address, &cookie).0, 200);
    let (mut raw, head) =
        Raw::handshake(address, "echo", &format!("Origin: http://{address}\r\n{cookie}"));
    assert_eq!(status(&head), 101);
    daemon.reload(&guarded("another", ""));
    assert_eq!(raw.closed().map(|(code, _)| code), Some(4401));
    assert_eq!(session(address, &cookie).0, 401);
}

#[test]
fn an_expired_sign_in_ends_its_sockets() {
    let daemon = Daemon::start(&guarded(PASSWORD, "login: { lifetime: 2s }\n"));
    let address = daemon.address();
    let cookie = signed_in(address, "alice");
    let (mut raw, head) =
        Raw::handshake(address, "echo", &format!("Origin: http://{address}\r\n{cookie}"));
    assert_eq!(status(&head), 101);
    assert_eq!(raw.closed().map(|(code, _)| code), Some(4401));
    assert_eq!(session(address, &cookie).0, 401);
}

#[test]
fn behind_a_trusted_proxy_the_cookie_is_as_secure_as_the_client_sees_it() {
    let proxies = "trusted_proxies: { addresses: [ 127.0.0.1 ], headers: forwarded }\nhosts: [ gw.example ]\n";
    let daemon = Daemon::start(&guarded(PASSWORD, proxies));
    let address = daemon.address();
    let more = "Forwarded: for=192.0.2.9;host=gw.example;proto=https\r\nOrigin: https://gw.example\r\n\
                Content-Type: application/json\r\n";
    let body = format!("{{\"user\": \"alice\", \"password\": \"{PASSWORD}\"}}");
    let answer = ask(address, "POST", "/api/login", more, &body);
    assert!(
        answer.contains("set-cookie: __Host-sid=") && answer.contains("; Secure; HttpOnly"),
        "{answer}"
    );
    assert!(answer.contains("\"tls\":true"), "{answer}");
}

#[test]
fn without_a_login_everybody_is_the_open_principal() {
    let daemon = Daemon::open("  echo:\n    sim: echo\n");
    let (code, told) = session(daemon.address(), "");
    assert_eq!(
        (code, told["kind"].as_str(), told["expires_in"].is_null()),
        (200, Some("open"), true)
    );
    assert_eq!(status(&login(daemon.address(), "alice", PASSWORD)), 401);
}

#[test]
fn of_several_cookies_of_our_name_each_is_tried() {
    let daemon = Daemon::start(&guarded(PASSWORD, ""));
    let address = daemon.address();
    let good = signed_in(address, "alice");
    let good = good.trim_end().rsplit(' ').next().unwrap();
    let name = good.split('=').next().unwrap();
    for cookies in [
        format!("{name}=stale; {good}"),
        format!("{good}; {name}=stale"),
        format!("{name}=; {good}"),
    ] {
        assert_eq!(session(address, &format!("Cookie: {cookies}\r\n")).0, 200, "{cookies}");
    }
    assert_eq!(session(address, &format!("Cookie: {name}=stale; {name}=older\r\n")).0, 401);
}

#[test]
fn signing_out_takes_our_cookie_alone_and_ends_the_browsers_older_sign_ins() {
    let daemon = Daemon::start(&guarded(PASSWORD, ""));
    let address = daemon.address();
    let (first, elsewhere) = (signed_in(address, "alice"), signed_in(address, "alice"));
    let (mut socket, head) = Raw::handshake(address, "echo", &(first.clone() + &own(address)));
    assert_eq!(status(&head), 101);
    // The same browser signs in again, as somebody else.
    let body = format!("{{\"user\": \"bob\", \"password\": \"{PASSWORD}\"}}");
    let second =
        cookie(&ask(address, "POST", "/api/login", &(first.clone() + &own(address)), &body));
    assert_eq!((session(address, &first).0, session(address, &second).0), (200, 200));
    let answer = ask(address, "POST", "/api/logout", &(second.clone() + &own(address)), "{}");
    assert_eq!(status(&answer), 204);
    assert!(answer.contains("clear-site-data: \"cache\"\r\n"), "{answer}");
    let ours: Vec<_> = answer.lines().filter(|line| line.starts_with("set-cookie: ")).collect();
    assert!(ours.len() == 1 && ours[0].contains("Max-Age=0"), "{answer}");
    assert_eq!(socket.closed().map(|close| close.0), Some(4401));
    assert_eq!((session(address, &first).0, session(address, &second).0), (401, 401));
    assert_eq!(session(address, &elsewhere).0, 200, "another browser of hers");
}

/// A free port instead of any: it is part of the cookie's name, which outlives a restart.
fn on_one_port(config: &str) -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))
}

/// With a folder for sign-ins, as units have it.
fn start_keeping(config: &str, run: &Path) -> Daemon {
    Daemon::start_with(config, |command| {
        command.env("RUNTIME_DIRECTORY", run);
    })
}

#[test]
fn a_sign_in_outlives_a_restart_under_a_unit_that_hides_the_boots_number() {
    let test = "signing::a_sign_in_outlives_a_restart_under_a_unit_that_hides_the_boots_number";
    if !namespace::inside_bare_proc(test) {
        return;
    }
    assert!(Path::new("/proc/self/status").exists() && !Path::new("/proc/sys").exists());
    let run = tempfile::tempdir().unwrap();
    let config = on_one_port(&guarded(PASSWORD, ""));
    let mut daemon = start_keeping(&config, run.path());
    let cookie = signed_in(daemon.address(), "alice");
    daemon.stop();
    assert!(!daemon.log().contains("sign-ins cannot be kept"), "{}", daemon.log());
    let daemon = start_keeping(&config, run.path());
    assert_eq!(session(daemon.address(), &cookie).0, 200);
}

#[test]
fn a_sign_in_outlives_a_restart_and_ends_with_signing_out_or_another_password() {
    let run = tempfile::tempdir().unwrap();
    let start = |config: &str| start_keeping(config, run.path());
    let config = on_one_port(&guarded(PASSWORD, ""));
    let mut daemon = start(&config);
    let address = daemon.address();
    let (kept, over) = (signed_in(address, "alice"), signed_in(address, "alice"));
    assert_eq!(
        status(&ask(address, "POST", "/api/logout", &format!("{}{over}", own(address)), "{}")),
        204
    );
    // Ended as by a crash: what was answered has been written down.
    daemon.signal(rustix::process::Signal::KILL);
    daemon.exit();
    let mut daemon = start(&config);
    assert_eq!((session(address, &kept).0, session(address, &over).0), (200, 401));
    let file = std::fs::read_to_string(run.path().join("sign-ins")).unwrap();
    let secret = kept.trim_end().rsplit('=').next().unwrap();
    assert!(!file.contains(secret), "it holds hashes alone");
    daemon.stop();
    let changed = guarded("another", "").replace("127.0.0.1:0", &address.to_string());
    let mut daemon = start(&changed);
    assert_eq!(session(address, &kept).0, 401, "a password changed while it was stopped");
    daemon.stop();
    let off =
        guarded(PASSWORD, "login: { keep: false }\n").replace("127.0.0.1:0", &address.to_string());
    let mut daemon = start(&off);
    signed_in(address, "alice");
    assert!(!run.path().join("sign-ins").exists());
    daemon.stop();
}
