//! Sessions ended by an administrator: who sees them, who may end them, and what their clients are
//! told.

use serde_json::{Value, json};

use crate::{
    harness::{
        Daemon, Pty, Raw, Target, Wire,
        access::tokens,
        client::{connect_with, status},
        until,
    },
    signing::ask,
};

const BOSS: &str = "Authorization: Bearer wsb_boss\r\n";
const ANNA: &str = "Authorization: Bearer wsb_anna\r\n";

/// `boss` has every right and `anna` all but `takeover`; `e` is a serial line, `plc` dedicated TCP.
fn config(pty: &Pty, target: &Target) -> String {
    let access = tokens(&[("boss", "read, write, takeover"), ("anna", "read, write")]);
    format!(
        "{access}  e:\n    serial: {{ port: {} }}\n{}",
        pty.path().display(),
        target.endpoint("plc")
    )
}

fn sessions(daemon: &Daemon, who: &str) -> Vec<Value> {
    let answer = ask(daemon.address(), "GET", "/api/sessions", who, "");
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["sessions"].as_array().unwrap().clone()
}

fn end(daemon: &Daemon, id: &Value, who: &str) -> u16 {
    let head = format!("{who}Content-Type: application/json\r\n");
    status(&ask(daemon.address(), "POST", &format!("/api/sessions/{id}/end"), &head, "{}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_administrator_sees_the_sessions_of_others_and_ends_one() {
    let (pty, echo) = (Pty::new(), Target::echo());
    let daemon = Daemon::start(&config(&pty, &echo));
    let (mut anna, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    let bearer = [("authorization", "Bearer wsb_anna")];
    let _plain = connect_with(&daemon.url("plc"), &bearer).await.unwrap();
    let _bus =
        connect_with(&daemon.url(""), &[bearer[0], ("sec-websocket-protocol", "wsbridge.v1")])
            .await;
    let seen =
        until("both sessions", || Some(sessions(&daemon, BOSS)).filter(|seen| seen.len() == 2));
    let of = |name: &str| seen.iter().find(|session| session["endpoint"] == name).unwrap().clone();
    let (line, dedicated) = (of("e"), of("plc"));
    assert_eq!(
        (&line["user"], &line["kind"], &line["parked"]),
        (&json!("anna"), &json!("token"), &json!(false))
    );
    assert!(line["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert_ne!(line["id"], dedicated["id"]);
    let secret = opened["session"].as_str().unwrap();
    assert!(
        !serde_json::to_string(&seen).unwrap().contains(secret),
        "the resume secret is nobody else's"
    );

    // Without `takeover` nothing is seen and nothing ended, and a number reveals nothing.
    assert!(sessions(&daemon, ANNA).is_empty());
    assert_eq!(end(&daemon, &line["id"], ANNA), 404);
    assert_eq!(end(&daemon, &json!(99_999), BOSS), 404);
    assert_eq!(status(&ask(daemon.address(), "GET", "/api/sessions", "", "")), 401);

    assert_eq!(end(&daemon, &line["id"], BOSS), 204);
    assert_eq!(anna.closed().await.0, 4412);
    drop(anna);
    let log = daemon.wait_for("session ended by an administrator");
    assert!(
        log.contains("by=boss") && log.contains("principal=anna") && log.contains("endpoint=e"),
        "{log}"
    );
    until("the end of it", || (sessions(&daemon, BOSS).len() == 1).then_some(()));
    // Its secret does not help either: what was ended is not resumed.
    let (mut again, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({"role": "observer"})).await;
    let resume = json!({"session": secret, "epoch": opened["epoch"], "rx": 0});
    assert_eq!(again.ask("resume", resume).await["code"], "session_gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_that_waits_for_its_client_is_listed_and_its_end_frees_the_lease() {
    let (pty, echo) = (Pty::new(), Target::echo());
    let daemon = Daemon::start(&config(&pty, &echo));
    let (anna, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(opened["role"], "writer");
    let (mut boss, _) = Wire::open_as(&daemon, "e", "wsb_boss", json!({"role": "observer"})).await;
    drop(anna);
    boss.until(|told| told["type"] == "lease" && told["holder"]["away"] == true).await;
    let all = sessions(&daemon, BOSS);
    let parked: Vec<_> = all.iter().filter(|session| session["parked"] == true).collect();
    assert_eq!((parked.len(), &parked[0]["user"]), (1, &json!("anna")), "{all:?}");
    assert_eq!(end(&daemon, &parked[0]["id"], BOSS), 204);
    boss.until(|told| told["type"] == "lease" && told["holder"] == Value::Null).await;
    assert_eq!(end(&daemon, &parked[0]["id"], BOSS), 404, "it is gone");
    let (mut anna, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({"role": "observer"})).await;
    let resume = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
    assert_eq!(anna.ask("resume", resume).await["code"], "session_gone");
}

#[test]
fn another_sites_page_cannot_end_a_session() {
    let (pty, echo) = (Pty::new(), Target::echo());
    let daemon = Daemon::start(&config(&pty, &echo));
    let address = daemon.address();
    let (_held, head) = Raw::handshake(address, "plc", ANNA);
    assert_eq!(status(&head), 101);
    let id = sessions(&daemon, BOSS)[0]["id"].clone();
    let path = format!("/api/sessions/{id}/end");
    let post = |more: &str| status(&ask(address, "POST", &path, &format!("{BOSS}{more}"), "{}"));
    let json = "Content-Type: application/json\r\n";
    assert_eq!(post(&format!("{json}Origin: http://attacker.example\r\n")), 403);
    assert_eq!(post(&format!("{json}Sec-Fetch-Site: cross-site\r\n")), 403);
    assert_eq!(post("Content-Type: text/plain\r\n"), 415);
    assert_eq!(status(&ask(address, "GET", &path, BOSS, "")), 405);
    assert_eq!(sessions(&daemon, BOSS).len(), 1);
    assert_eq!(post(&format!("{json}Origin: http://{address}\r\n")), 204);
}
