//! Who has room on an endpoint, and who gives way: half of it for one user, an administrator
//! always, on an exclusive line whoever writes.

use serde_json::json;

use crate::{
    harness::{
        Daemon, Pty, Raw, Wire,
        access::tokens,
        client::{status, upgrade_head},
        until,
    },
    signing::ask,
};

/// A daemon with one line `e`: anna, bob and carol write, `boss` may take over, `guest` reads.
fn line(more: &str) -> (Daemon, Pty) {
    let pty = Pty::new();
    let access = tokens(&[
        ("anna", "read, write"),
        ("bob", "read, write"),
        ("carol", "read, write"),
        ("boss", "read, write, takeover"),
        ("guest", "read"),
    ]);
    let serial = format!("  e:\n    serial: {{ port: {} }}\n{more}", pty.path().display());
    let daemon = Daemon::start(&format!("{access}{serial}"));
    daemon.wait_for("device open");
    (daemon, pty)
}

async fn enter(daemon: &Daemon, user: &str, role: &str) -> Wire {
    let (wire, opened) =
        Wire::open_as(daemon, "e", &format!("wsb_{user}"), json!({ "role": role })).await;
    assert_eq!(opened["role"], role, "{user}: {opened}");
    wire
}

/// The answer to a handshake of this user, as a whole.
fn refused(daemon: &Daemon, user: &str) -> String {
    let mut raw = Raw::connect(daemon.address());
    let bearer = format!("Authorization: Bearer wsb_{user}\r\nConnection: close\r\n");
    raw.send(upgrade_head(daemon.address(), "e", &bearer).as_bytes());
    let head = raw.head();
    assert_eq!(status(&head), 429, "{head}");
    assert!(head.to_ascii_lowercase().contains("retry-after: 10\r\n"), "{head}");
    head
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_user_has_at_most_half_of_an_endpoints_sessions() {
    let (daemon, _pty) = line("    limits: { sessions: 3 }\n");
    let _held = (enter(&daemon, "anna", "writer").await, enter(&daemon, "anna", "observer").await);
    refused(&daemon, "anna");
    let _bob = enter(&daemon, "bob", "observer").await;
    refused(&daemon, "carol");
    // A page is told what a program can read in the answer.
    for (user, why) in [("anna", "half"), ("carol", "as many sessions as it may")] {
        let more =
            format!("Authorization: Bearer wsb_{user}\r\nOrigin: http://{}\r\n", daemon.address());
        let mut page = Raw::connect(daemon.address());
        page.send(upgrade_head(daemon.address(), "e", &more).as_bytes());
        assert_eq!(status(&page.head()), 101);
        let (code, reason) = page.closed().unwrap();
        assert!(
            code == 4429 && reason.contains(why) && reason.contains("in 10 s"),
            "{code} {reason}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn in_a_full_endpoint_the_oldest_observer_of_who_has_most_gives_way_to_an_administrator() {
    let (daemon, _pty) = line("    limits: { sessions: 5 }\n");
    let mut anna = enter(&daemon, "anna", "writer").await;
    let mut oldest = enter(&daemon, "anna", "observer").await;
    let mut bob = Vec::new();
    for _ in 0..3 {
        bob.push(enter(&daemon, "bob", "observer").await);
    }
    refused(&daemon, "carol");
    let _boss = enter(&daemon, "boss", "observer").await;
    let (code, reason) = bob[0].closed().await;
    assert!(
        code == 4429 && reason.contains("administrator") && reason.contains("in 10 s"),
        "{code} {reason}"
    );
    let [_, second, third] = &mut bob[..] else { panic!("three") };
    for wire in [&mut anna, &mut oldest, second, third] {
        assert_eq!(wire.ask("ping", json!({})).await["type"], "pong");
    }
    // Of two users with equally many sessions, it is the other's and not the administrator's own,
    // and never the writer.
    let _second = enter(&daemon, "boss", "observer").await;
    assert_eq!(oldest.closed().await.0, 4429);
    assert_eq!(anna.ask("ping", json!({})).await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_all_write_nobody_gives_way_to_an_administrator() {
    let (daemon, _pty) = line("    share: everyone\n    limits: { sessions: 2 }\n");
    let mut anna = enter(&daemon, "anna", "writer").await;
    let mut bob = enter(&daemon, "bob", "writer").await;
    refused(&daemon, "boss");
    assert_eq!(bob.ask("lease", json!({"op": "release"})).await["type"], "ok");
    let _boss = enter(&daemon, "boss", "writer").await;
    assert_eq!(bob.closed().await.0, 4429);
    assert_eq!(anna.ask("ping", json!({})).await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_that_is_ending_for_another_reason_is_not_told_to_give_way() {
    let (daemon, _pty) = line("    limits: { sessions: 2 }\n");
    let _bob = enter(&daemon, "bob", "writer").await;
    let mut anna = enter(&daemon, "anna", "observer").await;
    let boss = "Authorization: Bearer wsb_boss\r\n";
    let list = ask(daemon.address(), "GET", "/api/sessions", boss, "");
    let list: serde_json::Value =
        serde_json::from_str(list.split_once("\r\n\r\n").unwrap().1).unwrap();
    let hers = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|session| session["user"] == "anna")
        .unwrap();
    let head = format!("{boss}Content-Type: application/json\r\n");
    let ended =
        ask(daemon.address(), "POST", &format!("/api/sessions/{}/end", hers["id"]), &head, "{}");
    assert_eq!(status(&ended), 204);
    // She has not answered our Close yet: her place is still hers.
    refused(&daemon, "boss");
    assert_eq!(anna.closed().await.0, 4412);
    drop(anna);
    until("her place", || {
        let raw = Raw::handshake(daemon.address(), "e", boss);
        (status(&raw.1) == 101).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_observer_that_waits_to_be_resumed_gives_way_to_an_administrator_too() {
    let (daemon, _pty) = line("    limits: { sessions: 2 }\n");
    let mut bob = enter(&daemon, "bob", "writer").await;
    let (anna, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({"role": "observer"})).await;
    bob.until(|told| told["type"] == "lease" && told["observers"] == 1).await;
    drop(anna);
    // Its socket is gone, and its session is parked: only an administrator has room.
    let limited = async |user: &str| loop {
        match Wire::try_connect(&daemon, "e", &[("authorization", user)]).await {
            Ok(mut wire) => break wire.open(json!({"role": "observer"})).await,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(limited("Bearer wsb_carol").await["code"], "limit");
    assert_eq!(limited("Bearer wsb_boss").await["type"], "opened");
    assert_eq!(bob.ask("ping", json!({})).await["type"], "pong");
    let back = async || loop {
        let bearer = [("authorization", "Bearer wsb_anna")];
        match Wire::try_connect(&daemon, "e", &bearer).await {
            Ok(wire) => break wire,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let resume = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
    assert_eq!(back().await.ask("resume", resume).await["code"], "session_gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn on_an_exclusive_line_who_may_not_write_gives_way_to_the_first_that_does() {
    let (daemon, mut pty) = line("    share: exclusive\n");
    let mut guest = enter(&daemon, "guest", "observer").await;
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_guest", json!({"role": "observer"})).await;
    assert_eq!(refused["code"], "busy");
    let (_, refused) = Wire::open_as(&daemon, "e", "wsb_bob", json!({"role": "observer"})).await;
    assert_eq!(refused["code"], "busy", "who only looks on has no better right");
    let mut bob = enter(&daemon, "bob", "writer").await;
    let (code, reason) = guest.closed().await;
    assert!(code == 4409 && reason.contains("bob"), "{code} {reason}");
    bob.send(b"bob").await;
    assert_eq!(pty.receive(3), b"bob");
    for user in ["anna", "guest"] {
        let (_, refused) =
            Wire::open_as(&daemon, "e", &format!("wsb_{user}"), json!({"role": "auto"})).await;
        assert_eq!(refused["code"], "busy");
    }
}

#[test]
fn on_an_exclusive_line_a_plain_client_that_may_not_write_gives_way_too() {
    let (daemon, mut pty) = line("    share: exclusive\n");
    let as_user = |user: &str| {
        Raw::handshake(daemon.address(), "e", &format!("Authorization: Bearer wsb_{user}\r\n"))
    };
    let (mut guest, head) = as_user("guest");
    assert_eq!(status(&head), 101);
    let (mut bob, head) = as_user("bob");
    assert_eq!(status(&head), 101, "{head}");
    assert_eq!(guest.closed().unwrap().0, 4409);
    bob.frame(2, b"bob");
    assert_eq!(pty.receive(3), b"bob");
}
