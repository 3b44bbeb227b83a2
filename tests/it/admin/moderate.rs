//! Sessions ended, held and spoken to by commands.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{code_and_error, command, sessions, socket};
use crate::{
    harness::{Daemon, PATIENCE, Pty, Raw, Wire, access::tokens, client::status, until},
    signing::ask,
};

const ANNA: &str = "Authorization: Bearer wsb_anna\r\n";

/// `anna` may write, `boss` may watch over sessions, `bert` may take over; `e` is a serial line with
/// a raw door.
fn config(pty: &Pty) -> String {
    let access = tokens(&[
        ("anna", "read, write"),
        ("boss", "read, write, sessions"),
        ("bert", "read, takeover"),
    ]);
    format!(
        "audit: {{ directory: \"{{dir}}/audit\" }}\n{access}  e:\n    serial: {{ port: {} }}\n    doors: [ {{ tcp: \"127.0.0.1:0\", as: anna }} ]\n",
        pty.path().display()
    )
}

fn start(pty: &Pty) -> Daemon {
    let daemon = Daemon::start(&config(pty));
    daemon.wait_for("device open");
    daemon
}

/// What a command prints that does what it should.
fn done(daemon: &Daemon, args: &[&str]) -> String {
    let output = command(&socket(daemon), args);
    assert!(output.status.success(), "{}", code_and_error(&output).1);
    String::from_utf8(output.stdout).unwrap()
}

/// The number of the session that fits, as a command takes it.
fn number(daemon: &Daemon, fits: impl Fn(&Value) -> bool) -> String {
    until("the session", || sessions(daemon).into_iter().find(&fits))["id"].to_string()
}

/// The lines of the record with this word.
fn recorded(daemon: &Daemon, word: &str) -> Vec<Value> {
    let folder = daemon.folder().join("audit");
    let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let lines =
        files.filter(|file| file.extension().is_some_and(|it| it == "jsonl")).flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
    lines
        .filter_map(|line| serde_json::from_str(&line).ok())
        .filter(|it: &Value| it["ev"] == word)
        .collect()
}

fn lost(daemon: &Daemon) -> u64 {
    let page = crate::harness::page(daemon.address(), "/metrics");
    let name = "wsbridge_undelivered_bytes_total{endpoint=\"e\"} ";
    page.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |it| it.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_kicked_client_hears_the_reason_and_the_record_has_it() {
    let pty = Pty::new();
    let daemon = start(&pty);
    let (mut anna, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    let id = number(&daemon, |one| one["user"] == "anna");
    let said = done(&daemon, &["kick", &id, "--reason", "the line is needed, sorry"]);
    assert_eq!(said, format!("session {id} has been ended\n"));
    let (code, reason) = anna.closed().await;
    assert_eq!(
        (code, reason.as_str()),
        (4412, "disconnected by an administrator: the line is needed, sorry")
    );
    drop(anna);
    until("its end", || sessions(&daemon).is_empty().then_some(()));
    let kick = until("the record", || recorded(&daemon, "kick").pop());
    assert_eq!(kick["detail"], json!({"by": "local", "reason": "the line is needed, sorry"}));
    assert_eq!((&kick["who"], kick["sid"].to_string()), (&json!("token:anna"), id.clone()));

    let (code, said) = code_and_error(&command(&socket(&daemon), &["kick", &id]));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("there is no session {id}; `wsbridge sessions`")), "{said}");
    let long = "x".repeat(81);
    for wrong in ["two\nlines", "", long.as_str()] {
        let output = command(&socket(&daemon), &["kick", "1", "--reason", wrong]);
        let (code, said) = code_and_error(&output);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("at most 80 characters"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn doors_are_listed_with_the_lease_and_a_held_one_sends_nothing_until_it_is_let_go() {
    let mut pty = Pty::new();
    let daemon = start(&pty);
    let door = daemon.wait_for("door open on ");
    let door = door.split_once("door open on ").unwrap().1.split(' ').next().unwrap();
    let mut tool = TcpStream::connect(door).unwrap();
    tool.set_read_timeout(Some(PATIENCE)).unwrap();
    tool.write_all(b"first").unwrap();
    assert_eq!(pty.receive(5), b"first");
    let by_door = |one: &Value| one["door"].as_str().is_some_and(|door| door.starts_with("tcp "));
    let id = number(&daemon, by_door);
    let of = || sessions(&daemon).into_iter().find(by_door).unwrap();
    assert_eq!((&of()["lease"], &of()["held"]), (&json!(true), &json!(false)));
    done(&daemon, &["hold", &id]);
    until("the lease given back", || {
        (of()["lease"] == false && of()["held"] == true).then_some(())
    });
    pty.send(b"hello");
    let mut heard = [0; 5];
    tool.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    done(&daemon, &["hold", &id, "--release"]);
    until("let go", || (of()["held"] == false).then_some(()));
    tool.write_all(b"after").unwrap();
    assert_eq!(pty.receive(5), b"after");
    // A door has no word for it: as without the lease, the connection is reset.
    done(&daemon, &["hold", &id]);
    until("the lease given back", || (of()["lease"] == false).then_some(()));
    tool.write_all(b"held").unwrap();
    assert_eq!(tool.read(&mut heard).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(!pty.has_input());
    let holds =
        until("all in the record", || Some(recorded(&daemon, "hold")).filter(|it| it.len() == 3));
    assert_eq!(holds[0]["detail"], json!({"by": "local", "held": true}));
    assert_eq!(holds[1]["detail"]["held"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hold_cuts_what_is_queued_for_a_stuck_device_counts_it_and_outlives_a_lost_connection() {
    let mut pty = Pty::new();
    let daemon = start(&pty);
    let (mut anna, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(opened["role"], "writer");
    let id = number(&daemon, |one| one["user"] == "anna");
    // More than a pty takes that nobody reads.
    let before = lost(&daemon);
    anna.send(&vec![b'o'; 40_000]).await;
    until("the bytes", || {
        sessions(&daemon).iter().any(|one| one["to_target"] == 40_000).then_some(())
    });
    done(&daemon, &["hold", &id]);
    let rights = anna.told("rights").await;
    assert_eq!(rights["rights"], json!(["read"]));
    assert_eq!(rights["why"], "held read-only by a moderator");
    let mut denied = 0;
    while denied == 0 {
        let told = anna.until(|told| told["type"] == "error" && told["code"] == "denied").await;
        denied += told["bytes"].as_u64().unwrap();
    }
    assert!(denied > 20_000, "{denied} of 40000");
    assert_eq!(lost(&daemon) - before, denied);
    // What was in the pty by then is all that comes.
    while pty.has_input() {
        assert_eq!(pty.receive(1), b"o");
    }
    anna.send(b"more").await;
    let told = anna.until(|told| told["type"] == "error").await;
    assert_eq!((&told["code"], &told["bytes"]), (&json!("not_writer"), &json!(4)));

    // On its next connection it is still held.
    let held = |one: &Value| one["user"] == "anna" && one["held"] == true;
    drop(anna);
    until("parked", || {
        sessions(&daemon).iter().any(|one| held(one) && one["parked"] == true).then_some(())
    });
    let bearer = [("authorization", "Bearer wsb_anna")];
    let mut anna = Wire::try_connect(&daemon, "e", &bearer).await.unwrap();
    let resume = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
    let resumed = anna.ask("resume", resume).await;
    assert_eq!((&resumed["type"], &resumed["role"]), (&json!("resumed"), &json!("observer")));
    let claimed = anna.ask("lease", json!({"op": "request"})).await;
    assert_eq!(claimed["code"], "denied", "{claimed}");
    let id = number(&daemon, held);
    done(&daemon, &["hold", &id, "--release"]);
    anna.until(|told| told["type"] == "rights" && told["rights"] == json!(["read", "write"])).await;
    anna.ask("lease", json!({"op": "request"})).await;
    anna.send(b"new").await;
    assert_eq!(pty.receive(3), b"new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_reaches_who_can_show_it_and_no_device() {
    let pty = Pty::new();
    let daemon = start(&pty);
    let (mut anna, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    let (mut bert, _) = Wire::open_as(&daemon, "e", "wsb_bert", json!({"role": "observer"})).await;
    let (_plain, head) =
        Raw::handshake(daemon.address(), "e", "Authorization: Bearer wsb_bert\r\n");
    assert_eq!(status(&head), 101);
    until("three", || (sessions(&daemon).len() == 3).then_some(()));
    let said = done(&daemon, &["say", "e", "Grüße: five minutes"]);
    assert_eq!(said, "told 2 sessions; 1 cannot show a message\n");
    for wire in [&mut anna, &mut bert] {
        let notice = wire.told("notice").await;
        assert_eq!(
            notice,
            json!({"type": "notice", "from": "local", "text": "Grüße: five minutes"})
        );
    }
    assert!(!pty.has_input());
    let say = until("the record", || recorded(&daemon, "say").pop());
    assert_eq!((&say["ep"], &say["detail"]["text"]), (&json!("e"), &json!("Grüße: five minutes")));
    let (code, said) = code_and_error(&command(&socket(&daemon), &["say", "nowhere", "x"]));
    assert_eq!((code, said.contains("there is no endpoint nowhere")), (1, true), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sessions_may_end_hold_and_say_takeover_may_see_and_end_others_nothing() {
    let pty = Pty::new();
    let daemon = start(&pty);
    let (mut anna, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    let id = number(&daemon, |one| one["user"] == "anna");
    let post = |who: &str, path: &str, body: &str| {
        let head = format!("Authorization: Bearer wsb_{who}\r\nContent-Type: application/json\r\n");
        status(&ask(daemon.address(), "POST", path, &head, body))
    };
    let (hold, say) = (format!("/api/sessions/{id}/hold"), "/api/endpoints/e/say");
    let body = r#"{"held": true}"#;
    let text = r#"{"text": "hello"}"#;
    for who in ["anna", "bert"] {
        assert_eq!((post(who, &hold, body), post(who, say, text)), (404, 403), "{who}");
    }
    assert_eq!((post("boss", &hold, body), post("boss", say, text)), (204, 200));
    assert_eq!(anna.told("notice").await["from"], "boss");
    assert_eq!(post("boss", say, r#"{"text": "a\u0007"}"#), 400);
    assert_eq!(post("boss", say, &format!(r#"{{"text": "{}"}}"#, "x".repeat(501))), 400);
    let end = format!("/api/sessions/{id}/end");
    assert_eq!(post("anna", &end, "{}"), 404);
    assert_eq!(post("bert", &end, "{}"), 204);
    assert_eq!(anna.closed().await.0, 4412);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn watch_shows_what_a_line_says_and_keeps_nobody_from_writing() {
    let mut pty = Pty::new();
    let daemon = start(&pty);
    pty.send(b"before ");
    until("it on the tape", || {
        let told = ask(daemon.address(), "GET", "/api/endpoints/e/log", ANNA, "");
        told.ends_with("before ").then_some(())
    });
    let mut watching = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(["watch", "e", "--last", "100", "--socket"])
        .arg(socket(&daemon))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = watching.stdout.take().unwrap();
    let mut heard = vec![0; 7];
    out.read_exact(&mut heard).unwrap();
    assert_eq!(heard, b"before ");
    let (mut anna, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(opened["role"], "writer");
    anna.send(b"ping").await;
    assert_eq!(pty.receive(4), b"ping");
    pty.send(b"pong\x1b[2J");
    heard = vec![0; 8];
    out.read_exact(&mut heard).unwrap();
    assert_eq!(heard, b"pong\x1b[2J");
    let seen = sessions(&daemon).into_iter().find(|one| one["kind"] == "local").unwrap();
    assert_eq!((&seen["client"], &seen["lease"]), (&json!("unix"), &json!(false)));
    done(&daemon, &["say", "e", "look here"]);
    // A reload ends no session at the socket.
    daemon.reload(&config(&pty));
    let pid = Pid::from_child(&watching);
    pty.send(b"!");
    heard = vec![0; 1];
    out.read_exact(&mut heard).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = watching.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(said.contains("message from local: look here"), "{said}");

    let (code, said) = code_and_error(&command(&socket(&daemon), &["watch", "nowhere"]));
    assert_eq!((code, said.contains("there is no endpoint nowhere")), (1, true), "{said}");
    let id = number(&daemon, |one| one["user"] == "anna");
    let shown = done(&daemon, &["sessions"]);
    let row = shown.lines().find(|row| row.starts_with(&format!("{id} "))).unwrap();
    assert!(row.ends_with("  writes"), "{shown}");
}
