//! The recipes of docs/doors.md, run as they are printed: only the ports are filled in.

use std::{path::Path, process::Command};

use crate::{harness::Daemon, peers::works};

/// The block of the page that contains this text.
pub(super) fn recipe(with: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doors.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = page.split("\n```").skip(1).step_by(2).filter(|block| block.contains(with));
    let block = blocks.next().unwrap_or_else(|| panic!("no block with `{with}`"));
    block.split_once('\n').unwrap().1.to_owned()
}

/// Runs a recipe against a simulated bus; what it prints.
fn run(library: &str, port: &str, door: &str) -> Option<String> {
    if !works("python3", &["-c", &format!("import {library}")]) {
        eprintln!("skipped: pip install {library}");
        return None;
    }
    let daemon = Daemon::open(&format!(
        "  bus1:\n    sim: modbus-rtu\n    packing: {{ modbus-rtu: true }}\n    doors: [ {{ {door} }} ]\n"
    ));
    daemon.wait_for("device open");
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
