//! `reauth`: whoever wants to write has signed in a short while ago.

use std::net::SocketAddr;

use serde_json::json;
use sha2::Digest as _;

use crate::{
    harness::{Daemon, Wire, client::status, daemon::OPEN},
    signing::{PASSWORD, ask, cookie, own},
};

fn guarded(reauth: &str) -> String {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "users:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write, takeover ] }} }}\n\
         tokens:\n  ci: {{ sha256: \"{}\", rights: {{ \"*\": [ read, write ] }} }}\n",
        sha2::Sha256::digest(TOKEN)
            .iter()
            .fold(String::new(), |all, byte| format!("{all}{byte:02x}")),
    );
    OPEN.replace("auth: none\n", &access)
        + &format!("  echo:\n    sim: echo\n    reauth: {reauth}\n")
}

const TOKEN: &str = "wsb_00112233445566778899aabbccddeeff";

fn login(address: SocketAddr, more: &str) -> String {
    let body = format!("{{\"user\": \"alice\", \"password\": \"{PASSWORD}\"}}");
    let answer = ask(address, "POST", "/api/login", &format!("{}{more}", own(address)), &body);
    assert_eq!(status(&answer), 200, "{answer}");
    cookie(&answer)
}

async fn open(daemon: &Daemon, cookie: &str) -> (Wire, serde_json::Value) {
    let origin = format!("http://{}", daemon.address());
    let cookie = cookie.trim_end().trim_start_matches("Cookie: ").to_owned();
    let heads = [("origin", origin.as_str()), ("cookie", cookie.as_str())];
    let mut wire = Wire::try_connect(daemon, "echo", &heads).await.unwrap();
    let opened = wire.open(json!({})).await;
    (wire, opened)
}

#[tokio::test]
async fn a_session_reads_only_when_its_sign_in_is_old_and_writes_again_after_another() {
    let daemon = Daemon::start(&guarded("2s"));
    let address = daemon.address();
    let first = login(address, "");
    let (mut wire, opened) = open(&daemon, &first).await;
    assert_eq!(opened["role"], "writer", "{opened}");
    // Whoever holds the lease keeps it, however long ago that was; then it is given back.
    let answer = wire.ask("lease", json!({ "op": "release" })).await;
    assert_ne!(answer["type"], "error", "{answer}");
    let told = wire.told("rights").await;
    assert_eq!(told["rights"], json!(["read"]), "{told}");
    assert!(told["why"].as_str().unwrap().contains("sign in again"), "{told}");
    let refused = wire.ask("lease", json!({ "op": "claim" })).await;
    assert_eq!(
        (&refused["type"], &refused["code"]),
        (&json!("error"), &json!("denied")),
        "{refused}"
    );

    login(address, &first);
    let told = wire.told("rights").await;
    assert_eq!(told["rights"], json!(["read", "write", "takeover"]), "{told}");
    let answer = wire.ask("lease", json!({ "op": "claim" })).await;
    assert_ne!(answer["type"], "error", "{answer}");
    wire.send(b"on").await;
    assert_eq!(wire.receive(2).await, b"on");
}

#[tokio::test]
async fn a_token_only_reads_where_somebody_has_to_have_signed_in() {
    let daemon = Daemon::start(&guarded("15m"));
    let (_, opened) = Wire::open_as(&daemon, "echo", TOKEN, json!({ "role": "writer" })).await;
    assert_eq!((&opened["type"], &opened["code"]), (&json!("error"), &json!("denied")), "{opened}");
    let (_, opened) = open(&daemon, &login(daemon.address(), "")).await;
    assert_eq!(opened["role"], "writer", "{opened}");
}
