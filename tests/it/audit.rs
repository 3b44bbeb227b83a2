//! The record of who did what (docs/audit.md): what is in it, that a change is found, that it goes on.

mod seen;
mod witness;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{Daemon, Pty, Raw, Wire, access::tokens, client::status, page, small::Small, until},
    rfc2217::Peer,
    signing::ask,
};

/// `anna` may write on `e`, a serial line; what happens is recorded in `folder`.
fn config(folder: &Path, pty: &Pty) -> String {
    let access = tokens(&[("anna", "read, write")]);
    format!(
        "audit: {{ directory: \"{}\" }}\n{access}  e:\n    serial: {{ port: {} }}\n",
        folder.display(),
        pty.path().display()
    )
}

/// Every event of the record.
fn events(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "jsonl"));
    files.sort();
    let lines = files.iter().flat_map(|file| {
        let text = fs::read_to_string(file).unwrap();
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    });
    lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
}

fn words(folder: &Path) -> Vec<String> {
    events(folder).iter().map(|event| event["ev"].as_str().unwrap().to_owned()).collect()
}

fn audit(args: &[&str], place: &Path) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
    let Output { status, stdout, stderr } =
        command.arg("audit").args(args).arg(place).output().unwrap();
    let told = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(told).unwrap())
}

/// A session that anna opens and closes, and a stranger's knock.
async fn happens(daemon: &Daemon) {
    let wrong = "Authorization: Bearer wsb_wrong\r\n";
    assert_eq!(status(&ask(daemon.address(), "GET", "/api/endpoints", wrong, "")), 401);
    let (mut anna, _) = Wire::open_as(daemon, "e", "wsb_anna", json!({})).await;
    anna.close(1000).await;
    daemon.wait_for("session closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_did_what_is_recorded_and_whole_and_other_peoples_programs_say_so() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let folder = place.path().join("audit");
    let mut daemon = Daemon::start(&config(&folder, &pty));
    happens(&daemon).await;
    assert!(daemon.stop().success());
    let all = events(&folder);
    let of = |word: &str| all.iter().find(|event| event["ev"] == word).unwrap_or(&Value::Null);
    assert_eq!((&all[0]["ev"], &all[0]["n"]), (&json!("start"), &json!(0)), "{all:?}");
    assert_eq!(of("refused")["detail"]["status"], 401, "{all:?}");
    let open = of("open");
    assert_eq!((&open["who"], &open["ep"]), (&json!("token:anna"), &json!("e")), "{open}");
    assert!(open["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{open}");
    assert_eq!(of("close")["sid"], open["sid"]);
    assert!(of("close")["detail"]["code"].is_u64(), "{all:?}");
    assert_eq!(all.last().unwrap()["ev"], "stop");

    let (code, told) = audit(&["verify"], &folder);
    assert!(code == 0 && told.contains("signed to its end"), "{told}");
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/audit_judge.py");
    let found = Command::new("python3").arg(judge).arg(&folder).output().unwrap();
    if String::from_utf8_lossy(&found.stderr).contains("No module named 'cryptography'") {
        eprintln!("skipped: python3 with cryptography is not here");
        return;
    }
    let said = String::from_utf8(found.stdout).unwrap();
    assert_eq!(said.trim(), format!("{} 1", all.len()), "{:?}", String::from_utf8(found.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_change_is_named_and_a_single_line_is_proved() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let folder = place.path().join("audit");
    let mut daemon = Daemon::start(&config(&folder, &pty));
    happens(&daemon).await;
    assert!(daemon.stop().success());
    let (_, key) = audit(&["key"], &folder);
    let (code, proof) = audit(&["prove", "1"], &folder);
    assert_eq!(code, 0, "{proof}");
    let kept = place.path().join("proof.json");
    fs::write(&kept, &proof).unwrap();
    let (code, told) = audit(&["verify", "--key", key.trim(), "--proof"], &kept);
    assert!(code == 0 && told.contains("proved: line 1 of"), "{told}");
    fs::write(&kept, proof.replace("401", "200")).unwrap();
    let (code, told) = audit(&["verify", "--key", key.trim(), "--proof"], &kept);
    assert!(code == 1 && told.contains("does not hold"), "{told}");

    let file = folder.join("000000000000.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("token:anna", "token:anne")).unwrap();
    let (code, told) = audit(&["verify"], &folder);
    assert!(code == 1 && told.contains("000000000000.jsonl, line "), "{told}");
    let (code, told) = audit(&["verify"], &place.path().join("nowhere"));
    assert!(code == 2 && told.contains("nowhere"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_killed_gateway_goes_on_with_its_record() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let folder = place.path().join("audit");
    let mut daemon = Daemon::start(&config(&folder, &pty));
    happens(&daemon).await;
    until("the end is recorded", || words(&folder).contains(&"close".to_owned()).then_some(()));
    daemon.signal(Signal::KILL);
    daemon.exit();
    let mut daemon = Daemon::start(&config(&folder, &pty));
    assert!(daemon.stop().success());
    let all = words(&folder);
    assert_eq!(all.iter().filter(|word| *word == "start").count(), 2, "{all:?}");
    assert_eq!(audit(&["verify"], &folder).0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reload_begins_and_ends_a_record() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let folder = place.path().join("audit");
    let with = config(&folder, &pty);
    let (_, without) = with.split_once('\n').unwrap();
    let daemon = Daemon::start(without);
    assert!(!folder.exists());
    assert!(daemon.reload(&with).contains("audit"));
    until("it is recorded", || words(&folder).contains(&"reload".to_owned()).then_some(()));
    daemon.reload(without);
    assert_eq!(words(&folder).last().unwrap(), "stop");
    assert_eq!(audit(&["verify"], &folder).0, 0);
}

#[test]
fn a_gateway_that_cannot_record_does_not_start() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let folder = place.path().join("audit");
    fs::write(&folder, "a file").unwrap();
    let (code, told) = Daemon::fails(&config(&folder, &pty));
    assert_eq!(code, 69);
    assert!(told.contains("cannot record what happens in ") && told.contains("audit"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_changed_the_port_and_what_the_configuration_was_is_recorded() {
    let Some(peer) = Peer::start() else { return };
    let place = TempDir::new().unwrap();
    let folder = place.path().join("audit");
    let written = format!(
        "audit: {{ directory: \"{}\" }}\n{}  e:\n    rfc2217: {{ address: \"127.0.0.1:{}\", macros: {{ wake: [ {{ break: true }}, {{ wait_ms: 1 }}, {{ break: false }} ] }} }}\n",
        folder.display(),
        tokens(&[("anna", "read, write, signals, settings")]),
        peer.port
    );
    let mut daemon = Daemon::start(&written);
    daemon.wait_for("device open");
    let (mut anna, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(anna.ask("config", json!({"baud": 19200})).await["type"], "ok");
    for _ in 0..50 {
        assert_eq!(anna.ask("macro", json!({"name": "wake"})).await["type"], "ok");
    }
    let changed = format!("{written}dead_after: 20s\n");
    daemon.reload(&changed);
    anna.close(1000).await;
    daemon.wait_for("session closed");
    assert!(daemon.stop().success());
    let all = events(&folder);
    let of = |word: &str| all.iter().filter(|it| it["ev"] == word).cloned().collect::<Vec<_>>();
    let settings = of("settings");
    assert_eq!((&settings[0]["who"], &settings[0]["ep"]), (&json!("token:anna"), &json!("e")));
    assert_eq!(settings[0]["detail"]["settings"], "19200 8N1 none", "{settings:?}");
    // Fifty in a moment are a line for each second, which counts the others.
    let signals = of("signals");
    assert_eq!(signals[0]["detail"]["macro"], "wake");
    assert_eq!(signals[0]["detail"]["steps"], "break on, break off");
    assert!(signals.len() < 50, "{}", signals.len());
    let file = daemon.config().display().to_string();
    let (start, reload) = (&of("start")[0], &of("reload")[0]);
    let sum = Command::new("sha256sum").arg(daemon.config()).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert_eq!(reload["detail"]["config"][&file], sum.split(' ').next().unwrap(), "{reload}");
    assert_ne!(reload["detail"]["config"], start["detail"]["config"]);
}

#[test]
fn traffic_goes_on_when_the_record_cannot_and_what_is_missing_is_told() {
    let Some(disk) = Small::mount() else { return };
    let mut pty = Pty::new();
    let mut daemon = Daemon::open(&format!(
        "  e:\n    serial: {{ port: {} }}\n    share: everyone\naudit: {{ directory: \"{}\" }}\n",
        pty.path().display(),
        disk.path().join("audit").display()
    ));
    // The record has what is left of its last page.
    let rest = disk.path().join("rest");
    assert!(fs::write(&rest, vec![0; 1 << 20]).is_err());
    let metric = |daemon: &Daemon| {
        let all = page(daemon.address(), "/metrics");
        let name = "wsbridge_audit_lost_events_total ";
        all.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse::<u64>().unwrap()
    };
    until("the record is full", || {
        drop(Raw::upgrade(daemon.address(), "e"));
        daemon.log().contains("the record cannot be written").then_some(())
    });
    let mut client = Raw::upgrade(daemon.address(), "e");
    client.frame(2, b"still here");
    assert_eq!(pty.receive(10), b"still here");
    let lost = metric(&daemon);
    assert!(lost > 0);
    fs::remove_file(rest).unwrap();
    until("it is written again", || {
        drop(Raw::upgrade(daemon.address(), "e"));
        daemon.log().contains("the record is written again").then_some(())
    });
    drop(client);
    until("nobody is there", || {
        let all = page(daemon.address(), "/metrics");
        all.contains("wsbridge_sessions_open{endpoint=\"e\"} 0").then_some(())
    });
    let lost = metric(&daemon);
    assert!(daemon.stop().success());
    let folder = disk.path().join("audit");
    let all = events(&folder);
    let told = all.iter().find(|event| event["ev"] == "lost").unwrap();
    assert_eq!(told["detail"]["events"], lost, "{all:?}");
    let (code, told) = audit(&["verify"], &folder);
    assert!(code == 0 && told.contains("signed to its end"), "{told}");
    assert!(told.contains(&format!("{lost} events could not be recorded")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_new_key_is_taken_on_this_machine_and_the_old_one_still_verifies() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let folder = place.path().join("audit");
    let mut daemon = Daemon::start(&config(&folder, &pty));
    let socket = daemon.folder().join("admin.sock");
    let (_, old) = audit(&["key"], &folder);
    let rotate = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
        command.args(["audit", "rotate-key", "--socket"]).arg(&socket).output().unwrap()
    };
    let done = rotate();
    let new = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && new.trim() != old.trim(), "{new}");
    let bearer = "Authorization: Bearer wsb_anna\r\nContent-Type: application/json\r\n";
    assert_eq!(status(&ask(daemon.address(), "POST", "/api/audit/key", bearer, "{}")), 403);
    happens(&daemon).await;
    assert!(daemon.stop().success());
    for key in [&old, &new] {
        let (code, told) = audit(&["verify", "--key", key.trim()], &folder);
        assert!(code == 0 && told.contains("signed to its end"), "{told}");
    }
    let (_, proof) = audit(&["prove", "1"], &folder);
    let kept = place.path().join("proof.json");
    fs::write(&kept, proof).unwrap();
    assert_eq!(audit(&["verify", "--key", new.trim(), "--proof"], &kept).0, 0);
    let announced = events(&folder).into_iter().find(|event| event["ev"] == "key").unwrap();
    assert_eq!(
        (&announced["who"], &announced["detail"]["key"]),
        (&json!("local"), &json!(new.trim()))
    );
    assert_eq!(rotate().status.code(), Some(69));
}
