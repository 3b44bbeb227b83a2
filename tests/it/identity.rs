//! A principal is a kind and a name: a user and a token may share a name and are still two
//! principals.

use serde_json::{Value, json};

use crate::harness::{Daemon, Pty, Wire, access::tokens};

const ALL: &str = "read, write, signals, settings, takeover";

/// The password of the user is `hunter2-hunter2`.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$C3AX62ivLGi//DaEX3CvTA$SSnzz7y4BtH8yPBeaY/oRbJcuJujGKLJLoFgx/+YsPg";

fn config(pty: &Pty, token: Option<&str>) -> String {
    let user =
        format!("users:\n  ci: {{ password: \"{HASH}\", rights: {{ \"*\": [ {ALL} ] }} }}\n");
    let access = match token {
        Some(token) => tokens(&[(token, ALL)]).replace(&format!("  {token}: "), "  ci: "),
        None => tokens(&[("other", ALL)]),
    };
    let access = access.replace("tokens:\n", &format!("{user}tokens:\n"));
    format!("{access}  e:\n    serial: {{ port: {} }}\n", pty.path().display())
}

async fn as_user(daemon: &Daemon, open: Value) -> (Wire, Value) {
    // Basic of `ci:hunter2-hunter2`.
    let basic = [("authorization", "Basic Y2k6aHVudGVyMi1odW50ZXIy")];
    let mut wire = Wire::try_connect(daemon, "e", &basic).await.unwrap();
    let opened = wire.open(open).await;
    (wire, opened)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_new_token_of_the_same_name_does_not_end_the_users_session() {
    let pty = Pty::new();
    let daemon = Daemon::start(&config(&pty, Some("first")));
    daemon.wait_for("device open");
    let (mut user, opened) = as_user(&daemon, json!({})).await;
    assert_eq!(opened["role"], "writer");
    let (mut token, _) =
        Wire::open_as(&daemon, "e", "wsb_first", json!({"role": "observer"})).await;
    daemon.reload(&config(&pty, Some("second")));
    assert_eq!(token.closed().await.0, 4401);
    assert_eq!(user.ask("get", json!({})).await["type"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_removed_tokens_parked_session_gives_the_lease_back_though_a_user_has_its_name() {
    let pty = Pty::new();
    let daemon = Daemon::start(&config(&pty, Some("first")));
    daemon.wait_for("device open");
    let (token, opened) = Wire::open_as(&daemon, "e", "wsb_first", json!({})).await;
    assert_eq!(opened["role"], "writer");
    let (mut user, _) = as_user(&daemon, json!({"role": "observer"})).await;
    drop(token);
    user.until(|told| told["type"] == "lease" && told["holder"]["away"] == true).await;
    daemon.reload(&config(&pty, None));
    user.until(|told| told["type"] == "lease" && told["holder"] == Value::Null).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_cannot_resume_the_session_of_a_user_of_its_name() {
    let pty = Pty::new();
    let daemon = Daemon::start(&config(&pty, Some("first")));
    daemon.wait_for("device open");
    let (user, opened) = as_user(&daemon, json!({})).await;
    let (mut token, _) =
        Wire::open_as(&daemon, "e", "wsb_first", json!({"role": "observer"})).await;
    drop(user);
    token.until(|told| told["type"] == "lease" && told["holder"]["away"] == true).await;
    let resume = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
    assert_eq!(token.ask("resume", resume).await["code"], "session_gone");
}
