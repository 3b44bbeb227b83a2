//! `wsbridge doctor` as it is typed: next to a real daemon, with real devices, as root and as
//! another user.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::harness::{Daemon, Pty, Target, daemon::OPEN};

fn doctor(file: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .arg("doctor")
        .arg(file)
        .args(more)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The findings with that name and that level.
fn found<'a>(document: &'a Value, id: &str, level: &str) -> Vec<&'a Value> {
    let all = document["findings"].as_array().unwrap();
    all.iter().filter(|finding| finding["id"] == id && finding["level"] == level).collect()
}

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("doctor.yaml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn beside_a_healthy_gateway_nothing_is_wrong_and_the_exit_code_is_0() {
    let (line, echo) = (Pty::new(), Target::echo());
    let endpoints = format!(
        "  line:\n    serial: {{ port: {} }}\n{}state_directory: {{dir}}\n",
        line.path().display(),
        echo.endpoint("echo")
    );
    let daemon = Daemon::open(&endpoints);
    let output = doctor(&daemon.config(), &["--json"]);
    let document = json(&output);
    assert_eq!((output.status.code(), &document["wrong"]), (Some(0), &0.into()), "{document:#}");
    let service = found(&document, "service", "ok");
    assert!(
        service[0]["place"].as_str().unwrap().contains(&format!("pid {}", daemon.id())),
        "{document:#}"
    );
    assert_eq!(found(&document, "port", "ok").len(), 1, "{document:#}");
    assert_eq!(found(&document, "target", "ok").len(), 1, "{document:#}");
}

#[test]
fn what_another_gateway_has_is_told_with_its_number_and_the_exit_code_is_1() {
    let line = Pty::new();
    let endpoint = format!("  line:\n    serial: {{ port: {} }}\n", line.path().display());
    let daemon = Daemon::open(&endpoint);
    daemon.wait_for("device open");
    let folder = tempfile::tempdir().unwrap();
    let port = format!("127.0.0.1:{}", daemon.address().port());
    let other = file(folder.path(), &format!("{}{endpoint}", OPEN.replace("127.0.0.1:0", &port)));
    let output = doctor(&other, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let document = json(&output);
    for id in ["listen-taken", "port-in-use"] {
        let [finding] = found(&document, id, "wrong")[..] else { panic!("{id}: {document:#}") };
        let what = finding["what"].as_str().unwrap();
        assert!(what.contains(&format!("wsbridge (pid {})", daemon.id())), "{what}");
    }
    let text = String::from_utf8(doctor(&other, &[]).stdout).unwrap();
    let both = text.contains("[listen-taken]") && text.contains("[port-in-use]");
    // Nobody is told to kill a gateway.
    assert!(both && !text.contains("kill") && !text.contains('\x1b'), "{text}");
    assert!(text.contains(&daemon.config().display().to_string()), "{text}");
    assert!(text.ends_with('\n') && text.contains("2 wrong"), "{text}");
}

/// As procd starts it; only this test uses the address.
#[test]
fn on_openwrt_the_running_gateway_is_known_and_nothing_is_said_in_yaml() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wsbridge");
    let line = Pty::new();
    let address = format!("127.7.{}.1:8443", std::process::id() % 250);
    let text = format!(
        "config wsbridge 'main'\n\toption enabled '1'\n\toption user 'root'\n\toption auth 'none'\n\
         \tlist listen '{address}'\n\toption tls 'none'\n\toption state_directory '{}'\n\n\
         config endpoint 'line'\n\toption type 'serial'\n\toption port '{}'\n",
        folder.path().display(),
        line.path().display()
    );
    fs::write(&file, text).unwrap();
    let binary = env!("CARGO_BIN_EXE_wsbridge");
    let mut gateway = Command::new(binary);
    gateway.args(["serve", "--uci"]).arg(&file).stderr(Stdio::piped());
    let mut gateway = gateway.spawn().unwrap();
    let mut log = BufReader::new(gateway.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains(" ready: ")));
    let run = |more: &[&str]| {
        Command::new(binary).args(["doctor", "--uci"]).arg(&file).args(more).output().unwrap()
    };
    let (output, text) = (run(&["--json"]), run(&[]));
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    let document = json(&output);
    assert_eq!((output.status.code(), &document["wrong"]), (Some(0), &0.into()), "{document:#}");
    let service = found(&document, "service", "ok");
    assert!(
        service[0]["place"].as_str().unwrap().contains(&format!("pid {}", gateway.id())),
        "{document:#}"
    );
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("endpoint 'line'") && !text.contains("endpoints.") && !text.contains("sudo"),
        "{text}"
    );
}

#[test]
fn a_pipe_or_a_device_in_place_of_a_file_is_told_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let line = Pty::new();
    for strange in [&pipe, &line.path().to_owned()] {
        let named = strange.display();
        let tls = format!("tls: {{ certificate: {named}, key: {named} }}");
        let secret = format!(
            "tokens: {{ t: {{ sha256: {{ file: {named} }}, rights: {{ line: [ read ] }} }} }}\n"
        );
        for text in [
            OPEN.replace("tls: none", &tls).replace("auth: none\n", &secret),
            OPEN.replace("tls: none", &tls),
        ] {
            let output = doctor(&file(folder.path(), &text), &["--no-connect"]);
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains("not a regular file"), "{text}");
        }
        let output = doctor(strange, &["--no-connect"]);
        assert!(String::from_utf8(output.stdout).unwrap().contains("not a regular file"));
    }
}

#[test]
fn a_wrong_file_and_a_missing_one_are_wrong_and_wrong_usage_is_64() {
    let folder = tempfile::tempdir().unwrap();
    let output = doctor(&file(folder.path(), "endpoint: {}\n"), &["--no-connect"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("doctor.yaml:1") && text.contains("endpoints") && text.contains("[config]"),
        "{text}"
    );
    assert_eq!(doctor(&folder.path().join("none"), &["--no-connect"]).status.code(), Some(1));
    assert_eq!(doctor(folder.path(), &["--fast"]).status.code(), Some(64));
}

#[test]
fn colour_is_for_terminals_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "endpoint: {}\n");
    let run = |no_color: &str| {
        let terminal = Pty::new();
        let out = fs::OpenOptions::new().write(true).open(terminal.path()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
            .args(["doctor", "--no-connect"])
            .arg(&file)
            .env("NO_COLOR", no_color)
            .stdout(out)
            .spawn()
            .unwrap();
        // The output ends with the line that counts.
        let mut device = BufReader::new(terminal.device());
        let mut text = String::new();
        while !text.trim_end().ends_with("sudo wsbridge doctor") && !text.contains("\n\n") {
            assert!(device.read_line(&mut text).unwrap() > 0);
        }
        child.kill().ok();
        child.wait().unwrap();
        text
    };
    assert!(run("").contains("\x1b[1;31mwrong"));
    assert!(!run("1").contains('\x1b'));
}

#[test]
fn somebody_else_is_told_what_is_not_seen_and_that_sudo_shows_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: nobody else to be");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("wsbridge");
    fs::copy(env!("CARGO_BIN_EXE_wsbridge"), &binary).unwrap();
    let config = file(folder.path(), OPEN);
    let nobody = |mode: u32| {
        fs::set_permissions(&config, fs::Permissions::from_mode(mode)).unwrap();
        let mut child = Command::new(&binary)
            .args(["doctor", "--no-connect", "--json"])
            .arg(&config)
            .uid(65534)
            .gid(65534)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let document = nobody(0o600);
    let [finding] = found(&document, "config", "unseen")[..] else { panic!("{document:#}") };
    assert_eq!(finding["fix"][0], "sudo wsbridge doctor");
    let document = nobody(0o644);
    assert_eq!(found(&document, "config", "ok").len(), 1, "{document:#}");
}
