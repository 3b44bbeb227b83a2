//! Recordings and live captures (docs/recording.md): what is in the files, that other people's
//! programs read them, and that they survive what happens to gateways and disks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{
        Daemon, Pty, Raw, Target, Wire, access::tokens, client::status, small::Small, until,
    },
    packing::{message, modbus},
    signing::ask,
};

/// The files of an endpoint, the oldest first.
fn files(folder: &Path, endpoint: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder.join(endpoint)) else { return Vec::new() };
    let mut all: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// What a program says; `None`, with the reason, if it is not here.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(program).args(args).stdin(Stdio::null()).output() else {
        eprintln!("skipped: {program} is not here");
        return None;
    };
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if told.contains("No module named") {
        eprintln!("skipped: {told}");
        return None;
    }
    assert!(output.status.success(), "{program} {args:?}: {told}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// A recording as lines for people.
fn text(file: &Path) -> String {
    let command = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(["record", "export", "--format", "text"])
        .arg(file)
        .output()
        .unwrap();
    assert!(command.status.success(), "{}", String::from_utf8_lossy(&command.stderr));
    String::from_utf8(command.stdout).unwrap()
}

#[test]
fn modbus_that_was_polled_is_told_apart_by_wireshark_without_any_setting() {
    let place = TempDir::new().unwrap();
    let record = format!("record: {{ directory: \"{}\" }}", place.path().display());
    let mut daemon = Daemon::open(&format!(
        "  plc:\n    sim: modbus-rtu\n    packing: {{ modbus-rtu: true }}\n    {record}\n"
    ));
    daemon.wait_for("device open");
    let mut client = Raw::upgrade(daemon.address(), "plc");
    // The answer to function 6 is its request.
    for request in [modbus(&[1, 3, 0, 2, 0, 1]), modbus(&[1, 6, 0, 2, 0, 9])] {
        client.frame(2, &request);
        message(&mut client);
    }
    assert!(daemon.stop().success());
    let [file] = files(place.path(), "plc").try_into().unwrap();
    assert_eq!(file.extension().unwrap(), "pcapng");
    let file = file.to_str().unwrap();
    let Some(list) = said("tshark", &["-r", file, "-Y", "mbtcp"]) else { return };
    let lines: Vec<_> = list.lines().collect();
    for (line, (way, function)) in
        lines.iter().zip([("Query", 3), ("Response", 3), ("Query", 6), ("Response", 6)])
    {
        assert!(line.contains(way) && line.contains(&format!("Func:   {function}")), "{list}");
    }
    assert_eq!(lines.len(), 4, "{list}");
    if let Some(told) = said("capinfos", &["-M", file]) {
        assert!(told.contains("Strict time order:   True"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_recording_has_both_directions_who_writes_settings_signals_and_the_devices_life() {
    let (place, mut pty) = (TempDir::new().unwrap(), Pty::new());
    let access = tokens(&[("anna", "read, write, signals, settings")]);
    let mut daemon = Daemon::start(&format!(
        "{access}  e:\n    serial: {{ port: {} }}\n    record: {{ directory: \"{}\" }}\n",
        pty.path().display(),
        place.path().display()
    ));
    // Before anybody is there.
    daemon.wait_for("device open");
    pty.send(b"hello\r\n");
    until("the line is heard", || {
        let bearer = "Authorization: Bearer wsb_anna\r\n";
        let log = ask(daemon.address(), "GET", "/api/endpoints/e/log", bearer, "");
        log.contains("hello").then_some(())
    });
    let (mut anna, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    anna.send(b"over\x00").await;
    assert_eq!(pty.receive(5), b"over\x00");
    anna.ask("config", json!({ "baud": 19200 })).await;
    assert!(daemon.stop().success());
    let [file] = files(place.path(), "e").try_into().unwrap();
    let lines = text(&file);
    let order = [
        "- device: open",
        "< hello\\r\\n",
        "- writer: anna",
        "> over\\x00",
        "settings: 19200 8N1 none by anna",
    ];
    let mut rest = lines.as_str();
    for part in order {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} in: {lines}"));
        rest = &rest[at..];
    }
}

#[test]
fn sessions_with_connections_of_their_own_are_tcp_streams_that_others_follow() {
    let place = TempDir::new().unwrap();
    let target = Target::echo();
    let mut daemon = Daemon::open(&format!(
        "{}    record: {{ directory: \"{}\" }}\n",
        target.endpoint("echo"),
        place.path().display()
    ));
    let sent = [&b"first session"[..], b"second one"];
    for bytes in sent {
        let mut client = Raw::upgrade(daemon.address(), "echo");
        client.frame(2, bytes);
        assert_eq!(message(&mut client), bytes);
    }
    assert!(daemon.stop().success());
    let [file] = files(place.path(), "echo").try_into().unwrap();
    let file = file.to_str().unwrap();
    for (stream, bytes) in sent.iter().enumerate() {
        let follow = format!("follow,tcp,ascii,{stream}");
        let Some(told) = said("tshark", &["-r", file, "-q", "-z", &follow]) else { return };
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(told.matches(&*text).count(), 2, "{told}");
    }
}

#[test]
fn the_list_and_the_files_are_for_those_with_the_right() {
    let place = TempDir::new().unwrap();
    let access = tokens(&[("anna", "read, recordings"), ("bob", "read, write")]);
    let pty = &mut Pty::new();
    let daemon = Daemon::start(&format!(
        "{access}  e:\n    serial: {{ port: {} }}\n    record: {{ directory: \"{}\", max_file: 64KiB, max_total: 128KiB }}\n",
        pty.path().display(),
        place.path().display()
    ));
    daemon.wait_for("device open");
    // More than the buffer has: it is written now.
    for _ in 0..80 {
        pty.send(&[b'x'; 1000]);
    }
    daemon.wait_for("recording ");
    let get = |name: &str, path: &str| {
        let bearer = format!("Authorization: Bearer wsb_{name}\r\n");
        ask(daemon.address(), "GET", path, &bearer, "")
    };
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let list = |name: &str| {
        let list: Value = serde_json::from_str(&body(&get(name, "/api/recordings"))).unwrap();
        list["recordings"].as_array().unwrap().clone()
    };
    let one = until("a file is listed", || list("anna").first().cloned());
    assert_eq!((&one["endpoint"], &one["format"]), (&json!("e"), &json!("pcapng")), "{one}");
    assert!(list("bob").is_empty());
    let name = one["name"].as_str().unwrap();
    let path = format!("/api/recordings/e/{name}");
    assert_eq!(status(&get("bob", &path)), 403);
    for wrong in ["/api/recordings/e/..%2fwsbridge.yaml", "/api/recordings/f/2Z.raw"] {
        assert!(matches!(status(&get("anna", wrong)), 403 | 404), "{wrong}");
    }
    let cast = get("anna", &format!("{path}?format=cast"));
    assert_eq!(status(&cast), 200);
    let disposition = format!("filename=\"e-{}.cast\"", name.trim_end_matches(".pcapng"));
    assert!(cast.contains(&disposition), "{cast}");
    assert!(cast.contains("\"version\":3") && cast.contains("xxxxxxx"), "{cast}");
    assert_eq!(status(&get("anna", &format!("{path}?format=avi"))), 400);
}

/// What went to the device, by a recording.
fn sent(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    let (mut at, mut found) = (0, Vec::new());
    let word = |at: usize| -> usize {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()).try_into().unwrap()
    };
    while at + 12 <= bytes.len() && at + word(at + 4) <= bytes.len() {
        // An enhanced packet of the line, and in its RTAC header: data to the device.
        if word(at) == 6 && word(at + 8) == 0 && bytes[at + 28 + 8] == 1 {
            found.extend_from_slice(&bytes[at + 28 + 12..at + 28 + word(at + 20)]);
        }
        at += word(at + 4);
    }
    found
}

#[test]
fn under_required_no_byte_is_at_the_device_that_is_not_in_the_file_whenever_the_gateway_is_killed()
{
    let kills = std::env::var("WSBRIDGE_KILLS").map_or(8, |it| it.parse().unwrap());
    for kill in 0..kills {
        let (place, mut pty) = (TempDir::new().unwrap(), Pty::new());
        let daemon = Daemon::open(&format!(
            "  e:\n    serial: {{ port: {} }}\n    record: {{ directory: \"{}\", required: true }}\n",
            pty.path().display(),
            place.path().display()
        ));
        daemon.wait_for("device open");
        let mut client = Raw::upgrade(daemon.address(), "e");
        let mut got = Vec::new();
        for number in 0..=kill * 7 % 40 {
            client.frame(2, format!("{number} and some more of it;").as_bytes());
            got.extend(pty.receive(1));
        }
        // In the middle of what is under way.
        client.frame(2, &[b'x'; 3000]);
        daemon.signal(Signal::KILL);
        drop(daemon);
        while pty.has_input() {
            got.extend(pty.receive(1));
        }
        let [file] = files(place.path(), "e").try_into().unwrap();
        assert_eq!(file.extension().unwrap(), "part", "{file:?}");
        let recorded = sent(&file);
        assert!(recorded.starts_with(&got), "{} of {}", recorded.len(), got.len());
        assert!(got.len() > 2, "nothing was sent");
    }
}

#[test]
fn a_gateway_that_was_killed_leaves_a_readable_file_which_the_next_start_closes() {
    let (place, mut pty) = (TempDir::new().unwrap(), Pty::new());
    let config = format!(
        "{}  e:\n    serial: {{ port: {} }}\n    record: {{ directory: \"{}\" }}\n",
        crate::harness::daemon::OPEN,
        pty.path().display(),
        place.path().display()
    );
    let daemon = Daemon::start(&config);
    daemon.wait_for("device open");
    for _ in 0..100 {
        pty.send(&[b'x'; 1000]);
    }
    daemon.wait_for("recording ");
    daemon.signal(Signal::KILL);
    drop(daemon);
    let [part] = files(place.path(), "e").try_into().unwrap();
    // As if it had been in the middle of a write.
    let torn = [fs::read(&part).unwrap(), vec![6, 0, 0, 0, 200, 0, 0, 0, 1]].concat();
    fs::write(&part, &torn).unwrap();
    assert!(text(&part).contains("< xxxx"));
    let mut daemon = Daemon::start(&config);
    let whole = part.with_extension("");
    until("the file is closed", || whole.exists().then_some(()));
    assert!(daemon.stop().success());
    assert_eq!(fs::metadata(&whole).unwrap().len(), torn.len() as u64 - 9);
    if let Some(told) = said("capinfos", &["-c", whole.to_str().unwrap()]) {
        assert!(told.contains("Number of packets"), "{told}");
    }
}

#[test]
fn traffic_goes_on_when_the_disk_is_full_and_what_is_missing_is_told() {
    let Some(disk) = Small::mount() else { return };
    let mut pty = Pty::new();
    let mut daemon = Daemon::open(&format!(
        "  e:\n    serial: {{ port: {} }}\n    record: {{ directory: \"{}\" }}\n",
        pty.path().display(),
        disk.path().display()
    ));
    daemon.wait_for("device open");
    for _ in 0..2000 {
        pty.send(&[b'x'; 1000]);
    }
    daemon.wait_for("nothing can be recorded");
    let mut client = Raw::upgrade(daemon.address(), "e");
    client.frame(2, b"still here");
    assert_eq!(pty.receive(10), b"still here");
    let metrics = ask(daemon.address(), "GET", "/metrics", "", "");
    let lost = "wsbridge_record_lost_bytes_total{endpoint=\"e\"} ";
    let lost: u64 =
        metrics.lines().find_map(|line| line.strip_prefix(lost)).unwrap().parse().unwrap();
    assert!(lost > 0, "{metrics}");
    assert!(daemon.stop().success());
    for file in files(disk.path(), "e") {
        assert!(text(&file).contains("< xxx"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn under_required_nobody_writes_while_nothing_can_be_recorded() {
    let place = TempDir::new().unwrap();
    // A file where the folder would be.
    fs::write(place.path().join("e"), "").unwrap();
    let pty = Pty::new();
    let daemon = Daemon::open(&format!(
        "  e:\n    serial: {{ port: {} }}\n    record: {{ directory: \"{}\", required: true }}\n",
        pty.path().display(),
        place.path().display()
    ));
    daemon.wait_for("nothing can be recorded");
    let mut wire = Wire::connect(&daemon, "e").await;
    let told = wire.until(|told| told["type"] == "rights").await;
    assert_eq!(told["rights"], json!(["read"]), "{told}");
    assert!(told["why"].as_str().unwrap().contains("cannot be recorded"), "{told}");
    let mut plain = Raw::upgrade(daemon.address(), "e");
    plain.frame(2, b"no");
    until("they are dropped", || {
        let metrics = ask(daemon.address(), "GET", "/metrics", "", "");
        metrics.contains("wsbridge_undelivered_bytes_total{endpoint=\"e\"} 2").then_some(())
    });
    assert!(!pty.has_input());
}

#[test]
fn a_live_capture_is_read_by_tshark_from_a_pipe_packet_by_packet() {
    let daemon = Daemon::open("  plc:\n    sim: modbus-rtu\n    packing: { modbus-rtu: true }\n");
    daemon.wait_for("device open");
    let host = format!("http://{}", daemon.address());
    let mut capture = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(["capture", "plc", "--host", &host])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let tshark = Command::new("tshark")
        .args(["-i", "-", "-l", "-Y", "mbtcp", "-c", "8"])
        .stdin(capture.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(tshark) = tshark else {
        capture.kill().unwrap();
        capture.wait().unwrap();
        eprintln!("skipped: tshark is not here");
        return;
    };
    let mut client = Raw::upgrade(daemon.address(), "plc");
    let mut polled = 0;
    // Until somebody listens, nothing is shown.
    let mut tshark = Some(tshark);
    let output = until("tshark has seen enough", || {
        client.frame(2, &modbus(&[1, 3, 0, 2, 0, 1]));
        message(&mut client);
        polled += 1;
        let done = tshark.as_mut().unwrap().try_wait().unwrap().is_some();
        done.then(|| tshark.take().unwrap().wait_with_output().unwrap())
    });
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("Query: Trans:") && told.contains("Response: Trans:"), "{told}");
    capture.kill().unwrap();
    capture.wait().unwrap();
}

#[test]
fn the_lines_of_a_gateway_are_interfaces_in_wireshark() {
    let daemon = Daemon::open("  plc:\n    sim: modbus-rtu\n    packing: { modbus-rtu: true }\n");
    daemon.wait_for("device open");
    let home = tempfile::tempdir().unwrap();
    let at_home = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
        command.env_remove("XDG_CACHE_HOME").stderr(Stdio::piped()).stdout(Stdio::piped());
        command
    };
    let host = format!("http://{}", daemon.address());
    let binary = env!("CARGO_BIN_EXE_wsbridge");
    let wrong = at_home(binary, &["extcap"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(64));
    let done = at_home(binary, &["extcap", "--install", "--host", &host]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.starts_with("1 line"), "{done:?}");
    let link = home.path().join(".config/wireshark/extcap/wsbridge-extcap");
    let link = link.to_str().unwrap();
    let shown = at_home(link, &["--extcap-interfaces", "--extcap-version=4.0"]).output().unwrap();
    let name = format!("wsbridge:plc@{}", daemon.address());
    let told = String::from_utf8(shown.stdout).unwrap();
    assert!(told.contains(&format!("interface {{value={name}}}")), "{told}");
    assert!(told.contains(" ago)"), "{told}");
    let strange = at_home(link, &["--capture"]).output().unwrap();
    assert_eq!(strange.status.code(), Some(64));
    // Wireshark's own programs find it.
    let Ok(listed) = at_home("tshark", &["-D"]).output() else {
        eprintln!("skipped: tshark is not here");
        return;
    };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains(&name), "{listed}");
    let args = ["-i", &name, "-l", "-Y", "mbtcp", "-c", "40"];
    let mut tshark = Some(at_home("tshark", &args).spawn().unwrap());
    let mut client = Raw::upgrade(daemon.address(), "plc");
    let output = until("tshark has seen enough", || {
        client.frame(2, &modbus(&[1, 3, 0, 2, 0, 1]));
        message(&mut client);
        let done = tshark.as_mut().unwrap().try_wait().unwrap().is_some();
        done.then(|| tshark.take().unwrap().wait_with_output().unwrap())
    });
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("Query: Trans:") && told.contains("Response: Trans:"), "{output:?}");
}
