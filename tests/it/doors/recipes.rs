//! The recipes of docs/doors.md, run as they are printed: only the ports are filled in.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use crate::{
    harness::{Daemon, until},
    peers::works,
};

/// A simulated bus behind such a door.
fn bus(door: &str) -> Daemon {
    let daemon = Daemon::open(&format!(
        "  bus1:\n    sim: modbus-rtu\n    packing: {{ modbus-rtu: true }}\n    doors: [ {{ {door} }} ]\n"
    ));
    daemon.wait_for("device open");
    daemon
}

/// The page.
fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doors.md")).unwrap()
}

/// Whether Python has these modules.
fn has(modules: &str) -> bool {
    let has = works("python3", &["-c", &format!("import {modules}")]);
    if !has {
        eprintln!("skipped: python3 without {modules}");
    }
    has
}

/// The block of the page that contains this text.
pub(super) fn recipe(with: &str) -> String {
    let page = page();
    let mut blocks = page.split("\n```").skip(1).step_by(2).filter(|block| block.contains(with));
    let block = blocks.next().unwrap_or_else(|| panic!("no block with `{with}`"));
    block.split_once('\n').unwrap().1.to_owned()
}

/// Runs a recipe against a simulated bus; what it prints.
fn run(library: &str, port: &str, door: &str) -> Option<String> {
    if !has(library) {
        return None;
    }
    let daemon = bus(door);
    let filled = port.trim_end_matches(|c: char| c.is_ascii_digit());
    let program =
        recipe(library).replace(port, &format!("{filled}{}", super::door(&daemon).port()));
    let output = Command::new("python3").args(["-c", &program]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}

/// Three registers of the simulated PLC; the last of them is its setpoint.
pub(super) fn are_registers(said: &str) {
    assert!(said.starts_with('[') && said.trim_end().ends_with(", 200]"), "{said}");
}

#[test]
fn pymodbus_reads_a_bus_through_a_raw_door() {
    if let Some(said) = run("pymodbus", "port=2001", "tcp: \"127.0.0.1:0\"") {
        are_registers(&said);
    }
}

#[test]
fn minimalmodbus_reads_a_bus_through_an_rfc2217_door() {
    let door = "rfc2217: \"127.0.0.1:0\", rights: [ read, write, settings ]";
    if let Some(said) = run("minimalmodbus", ":2217", door) {
        are_registers(&said);
    }
}

/// What Home Assistant's libraries make of something; it is on their standard input.
fn home_assistant(args: &[&str], input: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/home_assistant.py");
    let mut command = Command::new("python3");
    command.arg(script).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn home_assistants_modbus_hub_reads_a_bus_through_a_raw_door() {
    if !has("pymodbus, yaml") {
        return;
    }
    let daemon = bus("tcp: \"127.0.0.1:0\"");
    let port = format!("port: {}", super::door(&daemon).port());
    let hub = recipe("rtuovertcp").replace("port: 2001", &port);
    assert_eq!(home_assistant(&["modbus"], &hub), "Setpoint 200\n");
}

#[test]
fn the_paths_of_zha_and_zigbee2mqtt_open_a_coordinator_through_a_raw_door() {
    if !has("zigpy.serial") {
        return;
    }
    let daemon = Daemon::open(
        "  zigbee: { sim: echo, share: exclusive, doors: [ { tcp: \"127.0.0.1:0\" } ] }\n",
    );
    let port = super::door(&daemon).port().to_string();
    for path in ["socket://127.0.0.1:6638", "tcp://127.0.0.1:6638"] {
        assert!(page().contains(path), "{path}");
        let path = path.replace("6638", &port);
        assert_eq!(home_assistant(&["zigbee", &path], ""), "1ac038bc7e\n");
    }
}

#[test]
fn platformios_monitor_talks_through_an_rfc2217_door() {
    if !works("pio", &["--version"]) {
        eprintln!("skipped: pip install platformio");
        return;
    }
    let daemon = Daemon::open(
        "  board1:\n    sim: modem\n    doors: [ { rfc2217: \"127.0.0.1:0\", rights: [ read, write, settings, signals ] } ]\n",
    );
    let project =
        recipe("[env:board1]").replace(":2217", &format!(":{}", super::door(&daemon).port()));
    fs::write(daemon.folder().join("platformio.ini"), project).unwrap();
    // It wants a terminal.
    let mut command = Command::new("script");
    command.args(["-qfec", "pio device monitor", "/dev/null"]).current_dir(daemon.folder());
    command.env("PLATFORMIO_CORE_DIR", daemon.folder().join("core"));
    command.env("PLATFORMIO_SETTING_ENABLE_TELEMETRY", "no");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    daemon.wait_for("settings=\"115200 8N1 none\"");
    let answered = thread::spawn(move || {
        let mut shown = String::new();
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = screen.read(&mut bytes) {
            shown += &String::from_utf8_lossy(&bytes[..read]);
            if shown.contains("wsbridge simulated modem") {
                break;
            }
        }
        (shown, screen)
    });
    until("an answer", || {
        keys.write_all(b"ATI\r").unwrap();
        answered.is_finished().then_some(())
    });
    // It quits with Ctrl-C.
    keys.write_all(b"\x03").unwrap();
    let (shown, mut screen) = answered.join().unwrap();
    assert!(shown.contains("115200 8-N-1") && shown.contains("simulated modem"), "{shown}");
    // Its last words have a reader.
    screen.read_to_end(&mut Vec::new()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn platformio_takes_an_address_with_options_as_it_is() {
    if has("platformio.device.finder") {
        let address = "rfc2217://127.0.0.1:2217?timeout=10";
        let ask = format!(
            "from platformio.device.finder import SerialPortFinder; print(SerialPortFinder().find('{address}'))"
        );
        let output = Command::new("python3").args(["-c", &ask]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), address);
    }
}
