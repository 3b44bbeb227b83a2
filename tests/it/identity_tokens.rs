//! Tokens of issuers, signed and forged by libraries that nobody here wrote.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, process::Command};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{
    harness::{Daemon, Raw, client::status, daemon::OPEN, until},
    peers::works,
    signing::{PASSWORD, ask, session},
};

const ISSUER: &str = "https://login.example/realms/plant";

/// The tokens by name, and their keys in that file; `None`: the libraries are not there.
pub(crate) fn tokens(keys: &Path) -> Option<BTreeMap<String, String>> {
    if !works("python3", &["-W", "ignore", "-c", "import authlib.jose, jwcrypto"]) {
        eprintln!("not tried: Python has no authlib and jwcrypto");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/identity_tokens.py");
    let output = Command::new("python3").arg(script).arg(keys).arg(ISSUER).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A gateway that believes the keys of a file.
fn gateway(keys: &Path) -> String {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "users:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write, takeover ] }} }}\n\
         roles:\n  operator: {{ echo: [ read, write ] }}\n\
         issuers:\n  corp:\n    issuer: {ISSUER}\n    audience: wsbridge\n    jwks: {}\n    claims: {{ groups: {{ plc-team: [ operator ] }} }}\n",
        keys.display()
    );
    OPEN.replace("auth: none\n", &access) + "  echo:\n    sim: echo\n"
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn endpoints(address: SocketAddr, token: &str) -> serde_json::Value {
    let answer = ask(address, "GET", "/api/endpoints", &bearer(token), "");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let told: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    told["endpoints"][0].clone()
}

#[test]
fn tokens_that_others_sign_let_in_and_no_forged_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let Some(tokens) = tokens(&keys) else { return };
    let good = |tokens: &BTreeMap<String, String>| {
        let all: Vec<_> = tokens.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
        all.into_iter().filter(|(name, _)| name.starts_with("good/")).collect::<Vec<_>>()
    };
    let daemon = Daemon::start(&gateway(&keys));
    let address = daemon.address();
    assert_eq!(good(&tokens).len(), 6);
    for (name, token) in good(&tokens) {
        let (code, told) = session(address, &bearer(&token));
        assert_eq!((code, &told["user"]), (200, &json!("corp/anna")), "{name}");
        assert_eq!(told["kind"], "identity");
        let left = told["expires_in"].as_u64().unwrap();
        assert!((200..=300).contains(&left), "{name}: {left}");
        assert_eq!(endpoints(address, &token)["rights"], json!(["read", "write"]));
    }
    assert_eq!(endpoints(address, &tokens["guest"]), json!(null), "no rule for its claims");
    // A user of ours has the same name, and is somebody else.
    let (_, told) = session(address, &bearer(&tokens["namesake"]));
    assert_eq!((&told["user"], &told["administrator"]), (&json!("corp/alice"), &json!(false)));
}

/// Each forged token on a gateway that has no word against whoever shows it yet.
#[test]
fn forged_tokens_are_refused_and_count_as_wrong_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let Some(tokens) = tokens(&keys) else { return };
    let daemon = Daemon::start(&gateway(&keys));
    let address = daemon.address();
    let bad: Vec<_> = tokens.iter().filter(|(name, _)| name.starts_with("bad/")).collect();
    assert!(bad.len() > 20);
    for (name, token) in &bad {
        let answer = ask(address, "GET", "/api/session", &bearer(token), "");
        assert_eq!(status(&answer), 401, "{name}");
    }
    // After so many a password is not looked at for a while, and a token that nobody guesses is.
    let answer = ask(address, "GET", "/api/endpoints", "Authorization: Basic YTpi\r\n", "");
    assert_eq!(status(&answer), 429, "{answer}");
    assert_eq!(session(address, &bearer(&tokens["good/authlib-es256"])).0, 200);
    let log = daemon.log();
    assert!(log.contains("its head has `jku`") && log.contains("the signature is wrong"), "{log}");
    assert!(!log.contains(&tokens["bad/jku"]), "no token is logged");
}

#[test]
fn a_token_that_was_good_once_is_no_guess() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let Some(tokens) = tokens(&keys) else { return };
    let daemon = Daemon::start(&gateway(&keys));
    let address = daemon.address();
    for _ in 0..25 {
        assert_eq!(session(address, &bearer(&tokens["expired"])).0, 401);
    }
    let answer = ask(address, "GET", "/api/endpoints", "Authorization: Basic YTpi\r\n", "");
    assert_eq!(status(&answer), 401, "{answer}");
}

#[test]
fn keys_that_are_gone_from_the_file_open_nothing_and_new_ones_do() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let Some(first) = tokens(&keys) else { return };
    let daemon = Daemon::start(&gateway(&keys));
    let address = daemon.address();
    let good = "good/jwcrypto-eddsa";
    assert_eq!(session(address, &bearer(&first[good])).0, 200);
    let second = tokens(&keys).unwrap();
    let code = || session(address, &bearer(&second[good])).0;
    until("the new keys", || (code() == 200).then_some(()));
    assert_eq!(session(address, &bearer(&first[good])).0, 401);
    fs::write(&keys, "{").unwrap();
    until("no keys", || (code() == 401).then_some(()));
}

#[test]
fn what_a_token_opened_ends_at_its_second_and_with_its_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let Some(tokens) = tokens(&keys) else { return };
    let config = gateway(&keys);
    let daemon = Daemon::start(&config);
    let address = daemon.address();
    let open = |token: &str| {
        let offered = format!("wsbridge.bearer.{}", URL_SAFE_NO_PAD.encode(token));
        let more = format!("Sec-WebSocket-Protocol: binary, {offered}\r\n");
        let (raw, head) = Raw::handshake(address, "echo", &more);
        assert_eq!(status(&head), 101, "{head}");
        raw
    };
    let (mut short, mut long) = (open(&tokens["short"]), open(&tokens["good/authlib-rs256"]));
    assert_eq!(short.closed().map(|(code, _)| code), Some(4401));
    long.frame(2, b"still here");
    assert_eq!(long.data(10), b"still here");
    daemon.reload(&config.replace("plc-team", "another-team"));
    assert_eq!(long.closed().map(|(code, _)| code), Some(4403), "its claims give nothing now");
    let mut long = open_again(&daemon, &config, &open, &tokens["good/authlib-rs256"]);
    daemon.reload(&config.replace("audience: wsbridge", "audience: another"));
    assert_eq!(session(address, &bearer(&tokens["good/authlib-rs256"])).0, 401);
    daemon.reload(&config.replace(ISSUER, "https://another.example"));
    assert_eq!(long.closed().map(|(code, _)| code), Some(4401), "its issuer is gone");
}

/// A session after the first configuration is in force again.
fn open_again(daemon: &Daemon, config: &str, open: &dyn Fn(&str) -> Raw, token: &str) -> Raw {
    daemon.reload(config);
    open(token)
}
