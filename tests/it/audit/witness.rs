//! The witness: a server that is given each checkpoint (docs/audit.md).

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
};

use serde_json::json;
use tempfile::TempDir;

use super::{audit, events};
use crate::harness::{Daemon, page, tls::Authority, until};

/// The server of the manual, in Python.
struct Witness(Child);

impl Witness {
    /// `None` where there is no Python.
    fn start(place: &Path, port: u16) -> Option<Self> {
        let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md"));
        let manual = manual.unwrap();
        let (_, code) = manual.split_once("```python\n").unwrap();
        let file = place.join("witness.py");
        fs::write(&file, code.split_once("```").unwrap().0).unwrap();
        let mut python = Command::new("python3");
        python.arg(file).arg(port.to_string());
        python.args([place.join("witness.pem"), place.join("witness-key.pem")]);
        let child = python.arg(place.join("kept")).spawn();
        child.map(Self).inspect_err(|error| eprintln!("skipped: python3: {error}")).ok()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn witnessed(daemon: &Daemon) -> (u64, u64) {
    let all = page(daemon.address(), "/metrics");
    let of = |name: &str| {
        let value = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    };
    (of("wsbridge_audit_signed_lines"), of("wsbridge_audit_witnessed_lines"))
}

fn doctor(daemon: &Daemon) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
    let found = command.arg("doctor").arg(daemon.config()).arg("--json").output().unwrap();
    String::from_utf8(found.stdout).unwrap()
}

#[test]
fn a_witness_that_was_down_has_every_checkpoint_in_the_end_and_a_cut_is_found_with_it() {
    let place = TempDir::new().unwrap();
    let place = place.path();
    Authority::new(place).issue("witness");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = place.join("audit");
    let config = |ca: &str| {
        format!(
            "  e: {{ sim: echo }}\naudit: {{ directory: \"{}\", witness: \"https://localhost:{port}/gw1\"{ca} }}\n",
            folder.display()
        )
    };
    let trusting = config(&format!(", witness_ca: \"{}\"", place.join("ca.pem").display()));
    // The first life leaves a signed record that nobody has witnessed.
    let mut daemon = Daemon::open(&trusting);
    assert!(daemon.stop().success());
    let mut daemon = Daemon::open(&trusting);
    daemon.wait_for("the witness takes no checkpoint");
    let (signed, has) = witnessed(&daemon);
    assert!(signed > 0 && has == 0, "{signed} {has}");
    let told = doctor(&daemon);
    assert!(told.contains("audit-witness") && told.contains("localhost has 0 of"), "{told}");

    let Some(witness) = Witness::start(place, port) else { return };
    daemon.wait_for("the witness has every checkpoint again");
    assert_eq!(witnessed(&daemon), (signed, signed));
    assert!(doctor(&daemon).contains(&format!("localhost has all {signed} signed")));
    // What is signed at the stop is sent, too.
    assert!(daemon.stop().success());
    let kept = place.join("kept");
    let text = fs::read_to_string(&kept).unwrap();
    assert_eq!(text.matches('\u{2014}').count(), 2, "{text}");
    let news = events(&folder).into_iter().filter(|event| event["ev"] == "witness");
    let up: Vec<_> = news.map(|event| event["detail"]["up"].clone()).collect();
    assert_eq!(up, [json!(false), json!(true)]);

    let given = ["verify", "--checkpoint", kept.to_str().unwrap()];
    let (code, told) = audit(&given, &folder);
    assert!(code == 0 && told.contains("signed to its end"), "{told}");
    // Somebody takes the last line away, and the checkpoint of it.
    let file = folder.join("000000000000.jsonl");
    let lines = fs::read_to_string(&file).unwrap();
    let end = lines.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&file, &lines[..end]).unwrap();
    let notes = folder.join("checkpoints");
    let own = fs::read_to_string(&notes).unwrap();
    let first: Vec<_> = own.split("\n\n").take(2).collect();
    fs::write(&notes, first.join("\n\n") + "\n\n").unwrap();
    let (code, told) = audit(&given, &folder);
    assert!(code == 1 && told.contains("cut: a checkpoint has"), "{told}");

    // Whoever answers in its place is no witness.
    drop(witness);
    let _witness = Witness::start(place, port);
    until("it listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    fs::remove_dir_all(&folder).unwrap();
    let mut daemon = Daemon::open(&config(""));
    assert!(daemon.stop().success());
    let daemon = Daemon::open(&config(""));
    until("it is not trusted", || daemon.log().contains("is not trusted").then_some(()));
    assert_eq!(fs::read_to_string(&kept).unwrap(), text);
}
