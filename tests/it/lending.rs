//! Access lent for a time (docs/lending.md): given, used, ended, taken back; asked for and decided.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    harness::{Daemon, Pty, Raw, Wire, access::tokens, client::status, until},
    signing::ask,
};

/// `boss` may lend and approve, `deputy` approves, `tech` reads; `e` and `f` are serial lines.
fn config(ptys: [&Pty; 2], boss: &str, more: &str) -> String {
    let access = tokens(&[("boss", boss), ("deputy", "read, write, approve"), ("tech", "read")]);
    format!(
        "state_directory: \"{{dir}}/state\"\naudit: {{}}\n{more}{access}  e:\n    serial: {{ port: {} }}\n  f:\n    serial: {{ port: {} }}\n",
        ptys[0].path().display(),
        ptys[1].path().display(),
    )
}

const BOSS: &str = "read, write, signals, grant, approve";

fn bearer(name: &str) -> String {
    format!("Authorization: Bearer {name}\r\n")
}

fn get(daemon: &Daemon, path: &str, token: &str) -> Value {
    let answer = ask(daemon.address(), "GET", path, &bearer(token), "");
    assert_eq!(status(&answer), 200, "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The status of a POST, and its answer: JSON, or why not.
fn post(daemon: &Daemon, path: &str, fields: &str, body: &Value) -> (u16, Value) {
    let fields = format!("{fields}Content-Type: application/json\r\n");
    let answer = ask(daemon.address(), "POST", path, &fields, &body.to_string());
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let told = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
    (status(&answer), told)
}

fn give(daemon: &Daemon, more: &Value) -> (u16, Value) {
    let mut loan =
        json!({"endpoint": "e", "rights": ["write"], "seconds": 3600, "reason": "firmware"});
    for (key, value) in more.as_object().unwrap() {
        loan[key] = value.clone();
    }
    post(daemon, "/api/grants", &bearer("wsb_boss"), &loan)
}

/// Exchanges a grant for a program's token.
fn exchange(daemon: &Daemon, grant: &Value) -> (u16, Value) {
    post(daemon, "/api/grant", "", &json!({"grant": grant, "program": "laptop"}))
}

fn token(daemon: &Daemon, grant: &Value) -> String {
    let (code, told) = exchange(daemon, grant);
    assert_eq!(code, 200, "{told}");
    told["token"].as_str().unwrap().to_owned()
}

fn events(daemon: &Daemon) -> Vec<Value> {
    let folder = std::fs::read_dir(daemon.folder().join("state/audit")).unwrap();
    let mut files = folder.map(|it| it.unwrap().path());
    let file = files.find(|it| it.extension().is_some_and(|end| end == "jsonl"));
    let text = std::fs::read_to_string(file.unwrap()).unwrap();
    text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_grant_opens_its_line_as_often_as_wanted_and_ends_at_the_second() {
    let (e, f) = (Pty::new(), Pty::new());
    let daemon = Daemon::start(&config([&e, &f], BOSS, ""));
    let began = Instant::now();
    let (code, grant) = give(&daemon, &json!({"seconds": 3}));
    assert_eq!(code, 200, "{grant}");
    let link = grant["link"].as_str().unwrap();
    let address = daemon.address();
    assert!(link.starts_with(&format!("http://{address}/#grant=wsg_")), "{link}");
    let name = token(&daemon, &grant["token"]);
    let (code, again) = exchange(&daemon, &grant["token"]);
    assert!(code == 403 && again.as_str().unwrap().contains("as often as it may"), "{again}");

    for _ in 0..2 {
        let (mut vendor, opened) = Wire::open_as(&daemon, "e", &name, json!({})).await;
        assert_eq!(opened["role"], "writer");
        vendor.close(1000).await;
    }
    let other = ask(address, "GET", "/ws/f", &bearer(&name), "");
    assert_eq!(status(&other), 403, "{other}");
    let (mut vendor, opened) = Wire::open_as(&daemon, "e", &name, json!({})).await;
    assert_eq!(opened["role"], "writer");
    let (code, why) = vendor.closed().await;
    let warned =
        |told: &Value| told["type"] == "notice" && told["text"].to_string().contains("ends in");
    assert!(vendor.passed.iter().any(warned), "{:?}", vendor.passed);
    // Not at the next of the looks that come every ten seconds.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!((code, why.as_str()), (4403, "the access that was lent to you is over"));
    // The line is free for the next.
    let (_boss, opened) = Wire::open_as(&daemon, "e", "wsb_boss", json!({})).await;
    assert_eq!(opened["role"], "writer");
    let after = ask(address, "GET", "/api/endpoints", &bearer(&name), "");
    assert_eq!(status(&after), 401, "its token is worth nothing any more");
    let listed = until("its end in the list", || {
        let list = get(&daemon, "/api/grants", "wsb_boss");
        Some(list["grants"][0].clone()).filter(|grant| grant["state"] == "ended")
    });
    assert_eq!(listed["used"][0]["program"], "laptop");
    let log = daemon.log();
    assert!(!log.contains("wsg_") && log.contains("access lent"), "{log}");
    let told: Vec<_> = events(&daemon);
    let of =
        |what: &str| told.iter().find(|event| event["ev"] == what).cloned().unwrap_or_default();
    assert_eq!(of("grant_given")["who"], "token:boss", "{told:?}");
    assert_eq!(of("grant_used")["detail"]["grant"], grant["id"], "{told:?}");
    let opened = told.iter().find(|event| event["ev"] == "open").unwrap();
    assert_eq!(opened["who"], format!("grant:{}", grant["id"].as_str().unwrap()));
}

#[test]
fn who_was_lent_access_signs_out_and_nobody_elses_sign_in_ends_with_it() {
    let (e, f) = (Pty::new(), Pty::new());
    let daemon = Daemon::start(&config([&e, &f], BOSS, ""));
    let (_, grant) = give(&daemon, &json!({"uses": 2}));
    let names = [token(&daemon, &grant["token"]), token(&daemon, &grant["token"])];
    let numbers = names.each_ref().map(|name| {
        let list = get(&daemon, "/api/logins", name);
        assert_eq!(list["logins"].as_array().unwrap().len(), 1, "{list}");
        assert_eq!(list["logins"][0]["current"], true);
        list["logins"][0]["id"].as_u64().unwrap()
    });
    let end = |number: u64| {
        let fields = bearer(&names[0]);
        post(&daemon, &format!("/api/logins/{number}/end"), &fields, &json!({})).0
    };
    assert_eq!((end(numbers[1]), end(1), end(numbers[0])), (404, 404, 204));
    let code =
        |name: &str| status(&ask(daemon.address(), "GET", "/api/endpoints", &bearer(name), ""));
    assert_eq!((code(&names[0]), code(&names[1])), (401, 200));
}

#[test]
fn nobody_lends_what_is_not_his_to_lend() {
    let (e, f) = (Pty::new(), Pty::new());
    let daemon = Daemon::start(&config([&e, &f], BOSS, "lending: { longest: 2h }\n"));
    for (more, code, word) in [
        (json!({"rights": ["takeover"]}), 403, "takeover"),
        (json!({"rights": ["write", "approve"]}), 400, "never grant"),
        (json!({"rights": []}), 400, "rights"),
        (json!({"rights": ["raed"]}), 400, "rights"),
        (json!({"endpoint": "nothing"}), 403, "nothing"),
        (json!({"seconds": 7201}), 403, "2 h at most"),
        (json!({"seconds": 0}), 403, "at most"),
        (json!({"reason": " "}), 400, "reason"),
        (json!({"reason": "a\nb"}), 400, "reason"),
        (json!({"reason": "a \u{202e}exe.txt"}), 400, "reason"),
        (json!({"uses": 0}), 400, "uses"),
        (json!({"at": "tomorrow"}), 400, "with its zone (RFC 3339)"),
        (json!({"networks": ["plant"]}), 403, "not a network"),
    ] {
        let (got, told) = give(&daemon, &more);
        assert!(got == code && told.to_string().contains(word), "{more}: {got} {told}");
    }
    let loan = json!({"endpoint": "e", "rights": ["read"], "seconds": 60, "reason": "x"});
    let (code, told) = post(&daemon, "/api/grants", &bearer("wsb_tech"), &loan);
    assert!(code == 403 && told.to_string().contains("grant"), "{told}");
    let (code, _) = post(&daemon, "/api/grants", "", &loan);
    assert_eq!(code, 401);
    // A pattern is what it stands for, and somebody who was lent access lends none.
    let (code, all) = give(&daemon, &json!({"endpoint": "*", "rights": ["read"]}));
    assert_eq!(code, 200, "{all}");
    let vendor = token(&daemon, &all["token"]);
    let seen = get(&daemon, "/api/endpoints", &vendor);
    assert_eq!(seen["endpoints"].as_array().unwrap().len(), 2);
    let (code, _) = post(&daemon, "/api/grants", &bearer(&vendor), &loan);
    assert_eq!(code, 403);
}

#[test]
fn a_wrong_link_counts_as_a_guess_and_another_page_exchanges_none() {
    let (e, f) = (Pty::new(), Pty::new());
    let daemon = Daemon::start(&config([&e, &f], BOSS, ""));
    let (_, grant) = give(&daemon, &json!({"uses": 3, "networks": ["192.0.2.0/24"]}));
    let (code, told) = exchange(&daemon, &grant["token"]);
    assert!(code == 403 && told.to_string().contains("network"), "{told}");
    let (_, grant) = give(&daemon, &json!({"uses": 3}));
    let body = json!({"grant": grant["token"]});
    let evil = "Origin: http://attacker.example\r\n";
    assert_eq!(post(&daemon, "/api/grant", evil, &body).0, 403);
    assert_eq!(post(&daemon, "/api/grant", "", &body).0, 403, "a browser says Origin");
    let own = format!("Origin: http://{}\r\n", daemon.address());
    let answer = Raw::ask(
        daemon.address(),
        &format!(
            "POST /api/grant HTTP/1.1\r\nHost: {}\r\n{own}Connection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            daemon.address(),
            body.to_string().len()
        ),
    );
    assert_eq!(status(&answer), 200);
    let cookie = answer.lines().find(|line| line.to_lowercase().starts_with("set-cookie")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split_once(": ").unwrap().1.split(';').next().unwrap();
    let session =
        ask(daemon.address(), "GET", "/api/session", &format!("Cookie: {cookie}\r\n"), "");
    assert!(session.contains("\"kind\":\"grant\""), "{session}");
    // Signed out, it is worth nothing, and the use is used.
    let fields = format!("{own}Cookie: {cookie}\r\n");
    assert_eq!(post(&daemon, "/api/logout", &fields, &json!({})).0, 204);
    let after = ask(daemon.address(), "GET", "/api/session", &format!("Cookie: {cookie}\r\n"), "");
    assert_eq!(status(&after), 401);
    let list = get(&daemon, "/api/grants", "wsb_boss");
    let mine = list["grants"].as_array().unwrap().iter().find(|one| one["id"] == grant["id"]);
    assert_eq!(mine.unwrap()["uses_left"], 2);
    // Guesses are slowed down as wrong passwords are.
    let guess = json!(format!("wsg_{}", "A".repeat(43)));
    let codes: Vec<_> = (0..25).map(|_| exchange(&daemon, &guess).0).collect();
    assert!(codes[0] == 401 && codes.contains(&429), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_taken_back_or_lost_by_its_giver_ends_at_once() {
    let (e, f) = (Pty::new(), Pty::new());
    let daemon = Daemon::start(&config([&e, &f], BOSS, ""));
    let (_, grant) = give(&daemon, &json!({}));
    let name = token(&daemon, &grant["token"]);
    let (mut vendor, _) = Wire::open_as(&daemon, "e", &name, json!({})).await;
    let revoke = |grant: &Value, who: &str| {
        let path = format!("/api/grants/{}/revoke", grant["id"].as_str().unwrap());
        post(&daemon, &path, &bearer(who), &json!({})).0
    };
    assert_eq!(revoke(&grant, "wsb_tech"), 404, "he does not even see it");
    assert_eq!(revoke(&grant, "wsb_boss"), 200);
    assert_eq!(vendor.closed().await.0, 4403);
    assert_eq!(revoke(&grant, "wsb_boss"), 404, "it is over");

    let (_, grant) = give(&daemon, &json!({"uses": 2}));
    let name = token(&daemon, &grant["token"]);
    let (mut vendor, _) = Wire::open_as(&daemon, "e", &name, json!({})).await;
    daemon.reload(&config([&e, &f], "read, write", ""));
    assert_eq!(vendor.closed().await.0, 4403);
    daemon.wait_for("giver_lost_right");
    // The right comes back; what was lent does not.
    daemon.reload(&config([&e, &f], BOSS, ""));
    assert_eq!(exchange(&daemon, &grant["token"]).0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn uses_and_sign_ins_outlive_kill_9() {
    let (e, f) = (Pty::new(), Pty::new());
    let mut daemon = Daemon::start(&config([&e, &f], BOSS, ""));
    let (_, grant) = give(&daemon, &json!({}));
    let name = token(&daemon, &grant["token"]);
    daemon.signal(Signal::KILL);
    daemon.exit();
    let folder = daemon.folder().to_string_lossy().into_owned();
    let again = Daemon::start(&config([&e, &f], BOSS, "").replace("{dir}", &folder));
    let (mut vendor, opened) = Wire::open_as(&again, "e", &name, json!({})).await;
    assert_eq!(opened["role"], "writer");
    vendor.close(1000).await;
    assert_eq!(exchange(&again, &grant["token"]).0, 403, "it was used before");
}

/// Types a command; returns its exit code and what it said.
fn typed(daemon: &Daemon, args: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(args)
        .env("XDG_CONFIG_HOME", daemon.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that asks for nothing may be gone.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn the_commands_lend_use_and_take_back() {
    let (e, f) = (Pty::new(), Pty::new());
    let more = "admin: { socket: \"{dir}/admin.sock\" }\n";
    let daemon = Daemon::start(&config([&e, &f], BOSS, more));
    let socket = daemon.folder().join("admin.sock").to_string_lossy().into_owned();
    let here = |args: &[&str]| typed(&daemon, &[args, &["--socket", &socket]].concat(), "");
    let wrong = here(&["grant", "e", "--for", "2hours", "--reason", "x"]);
    assert!(wrong.0 == 64 && wrong.1.contains("not a duration"), "{wrong:?}");
    let wrong = here(&["grant", "ee", "--for", "2h", "--reason", "x"]);
    assert!(wrong.0 == 1 && wrong.1.contains("no endpoint is called `ee`"), "{wrong:?}");
    let rights = ["grant", "e", "--rights", "write,signals", "--for", "2h", "--reason", "firmware"];
    let (code, said) = here(&rights);
    let link = said.lines().find(|line| line.contains("#grant=")).unwrap_or_default();
    assert!(code == 0 && link.starts_with("http://localhost:"), "{said}");
    let id = said.split(' ').next().unwrap().to_owned();
    let url = format!("http://{}", daemon.address());
    let login = typed(&daemon, &["login", &url, "--grant"], &format!("{link}\n"));
    assert_eq!(login.0, 0, "{login:?}");
    let lines = typed(&daemon, &["connect", &url], "");
    assert!(lines.0 == 0 && !lines.1.contains("\nf "), "{lines:?}");
    let login = typed(&daemon, &["login", &url, "--grant"], &format!("{link}\n"));
    assert!(login.0 == 1 && login.1.contains("as often as it may"), "{login:?}");
    let login = typed(&daemon, &["login", &url, "--grant"], "hello\n");
    assert!(login.0 == 64 && login.1.contains("no link"), "{login:?}");
    let (code, listed) = here(&["grants"]);
    assert!(code == 0 && listed.contains(&id) && listed.contains("firmware"), "{listed}");
    assert_eq!(here(&["revoke", &id]), (0, format!("{id} is over.\n")));
    let again = here(&["revoke", &id]);
    assert!(again.0 == 1 && again.1.contains("lists them"), "{again:?}");
    let lines = typed(&daemon, &["connect", &url], "");
    assert_eq!(lines.0, 1, "{lines:?}");
    let (code, said) = here(&["grants", "--accept-clock"]);
    assert!(code == 0 && said.contains("did not go back"), "{said}");
    let wish = json!({"endpoint": "e", "rights": ["write"], "seconds": 60, "reason": "pump"});
    let (_, asked) = post(&daemon, "/api/requests", &bearer("wsb_tech"), &wish);
    let request = asked["id"].as_str().unwrap();
    let (code, listed) = here(&["requests"]);
    assert!(code == 0 && listed.contains(request) && listed.contains("1 min"), "{listed}");
    let (code, said) = here(&["approve", request, "--for", "30s"]);
    assert!(code == 0 && said.contains("is approved: read,write on e for 30 s (g_"), "{said}");
    // The same from a shell, which waits for the answer.
    let token = daemon.folder().join("tech");
    std::fs::write(&token, "wsb_tech").unwrap();
    let address = format!("{url}/e");
    let ask = ["request", &address, "--for", "5m", "--reason", "valve", "--token-file"];
    let ask = [&ask[..], &[token.to_str().unwrap()]].concat();
    let waits = std::thread::scope(|scope| {
        let waits = scope.spawn(|| typed(&daemon, &ask, ""));
        let id = until("the request", || {
            let list = get(&daemon, "/api/requests", "wsb_boss");
            let open =
                list["requests"].as_array().unwrap().iter().find(|one| one["state"] == "pending");
            open.map(|one| one["id"].as_str().unwrap().to_owned())
        });
        assert_eq!(here(&["deny", &id, "--reason", "after the shift"]).0, 0);
        waits.join().unwrap()
    });
    assert!(waits.0 == 1 && waits.1.contains("denied: after the shift"), "{waits:?}");
    let denied = here(&["deny", request]);
    assert!(denied.0 == 1 && denied.1.contains("no request"), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_is_decided_by_another_and_the_bus_tells_both() {
    let (e, f) = (Pty::new(), Pty::new());
    let daemon = Daemon::start(&config([&e, &f], BOSS, "lending: { approvals: 2 }\n"));
    let mut bus = Wire::bus_as(&daemon, "wsb_deputy").await;
    let wish = json!({"endpoint": "e", "rights": ["write"], "seconds": 60, "reason": "pump"});
    let tech = bearer("wsb_tech");
    let (code, asked) = post(&daemon, "/api/requests", &tech, &wish);
    assert_eq!(code, 200, "{asked}");
    bus.until(|told| told["type"] == "lending" && told["pending"] == 1).await;
    let (code, told) = post(&daemon, "/api/requests", &tech, &wish);
    assert!(code == 403 && told.to_string().contains("already"), "{told}");
    let id = asked["id"].as_str().unwrap().to_owned();
    let decide = |who: &str, what: &str, body: &Value| {
        post(&daemon, &format!("/api/requests/{id}/{what}"), &bearer(who), body)
    };
    assert_eq!(decide("wsb_tech", "approve", &json!({})).0, 403, "nobody approves his own");
    let (code, told) = decide("wsb_boss", "approve", &json!({"seconds": 2}));
    assert!(code == 200 && told["state"] == "pending", "{told}");
    assert_eq!(decide("wsb_boss", "approve", &json!({})).0, 403, "nor twice");
    let seen = get(&daemon, "/api/endpoints", "wsb_tech");
    assert_eq!(seen["endpoints"][0]["rights"], json!(["read"]), "one of two is none");

    let mut own = Wire::bus_as(&daemon, "wsb_tech").await;
    let (code, told) = decide("wsb_deputy", "approve", &json!({}));
    assert!(code == 200 && told["state"] == "approved" && told["seconds"] == 2, "{told}");
    let hello = own.until(|told| told["type"] == "hello").await;
    assert_eq!(hello["endpoints"][0]["rights"], json!(["read", "write"]));
    let (mut wire, opened) = Wire::open_as(&daemon, "e", "wsb_tech", json!({})).await;
    assert_eq!(opened["role"], "writer");
    assert_eq!(wire.closed().await.0, 4403);
    own.until(|told| told["type"] == "hello" && told["endpoints"][0]["rights"] == json!(["read"]))
        .await;
    let states: Vec<_> = events(&daemon)
        .iter()
        .filter(|event| event["ev"] == "request")
        .map(|event| event["detail"]["state"].clone())
        .collect();
    assert_eq!(states, ["pending", "pending", "approved"]);
}
