//! Other people's programs at a node: terminals, and the recipes of docs/doors.md.

use std::{
    path::Path,
    process::{Command, Output},
};

use super::gateway;
use crate::{
    doors::recipes::{are_registers, recipe},
    harness::{Daemon, Pty, until},
    peers::works,
};

/// A program in a terminal.
struct Tmux {
    folder: tempfile::TempDir,
}

impl Tmux {
    fn run(line: &str) -> Self {
        let tmux = Self { folder: tempfile::tempdir().unwrap() };
        let line = format!("TERM=screen {line}; echo it ended; sleep 600");
        tmux.ask(&["new-session", "-d", "-x", "80", "-y", "24", &line]);
        tmux
    }

    fn ask(&self, words: &[&str]) -> Output {
        let socket = self.folder.path().join("tmux");
        let output = Command::new("tmux")
            .arg("-S")
            .arg(socket)
            .args(["-f", "/dev/null"])
            .args(words)
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn shows(&self, text: &str) {
        until(text, || {
            let pane = self.ask(&["capture-pane", "-p"]);
            String::from_utf8_lossy(&pane.stdout).contains(text).then_some(())
        });
    }

    fn keys(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat());
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let socket = self.folder.path().join("tmux");
        let _ = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output();
    }
}

/// A terminal program at the node: it shows what the device says, sends what is typed, and leaves
/// by these keys.
fn terminal(program: &str, options: &str, leave: &[&[&str]]) {
    // minicom tells its version and fails.
    if !works("tmux", &["-V"]) || !works("sh", &["-c", &format!("command -v {program}")]) {
        eprintln!("skipped: apt install tmux {program}");
        return;
    }
    let mut pty = Pty::new();
    let daemon = gateway(&pty, ", rights: [ read, write, settings ]", "");
    for _ in 0..2 {
        let node = daemon.folder().join("node");
        let tmux = Tmux::run(&format!("{program} {options} {}", node.display()));
        until("it hears the device", || {
            pty.send(b"hello\r\n");
            let pane = tmux.ask(&["capture-pane", "-p"]);
            String::from_utf8_lossy(&pane.stdout).contains("hello").then_some(())
        });
        tmux.keys(&["-l", "reboot"]);
        assert_eq!(pty.receive(6), b"reboot");
        pty.send(b"\r\nit reboots\r\n");
        tmux.shows("it reboots");
        for keys in leave {
            tmux.keys(keys);
        }
        tmux.shows("it ended");
    }
    until("both have left", || (daemon.log().matches("session closed").count() == 2).then_some(()));
    assert!(!daemon.log().contains("device node: "), "{}", daemon.log());
}

#[test]
fn tio_is_a_terminal_at_a_node() {
    terminal("tio", "-b 9600", &[&["C-t"], &["q"]]);
}

#[test]
fn minicom_is_a_terminal_at_a_node() {
    terminal("minicom", "-o -b 9600 -D", &[&["C-a"], &["q"], &["Enter"]]);
}

/// Runs a recipe, the node filled in, against a simulated bus; what it prints.
fn run(library: &str, with: &str) {
    if !works("python3", &["-c", &format!("import {library}, serial")]) {
        eprintln!("skipped: pip install {library} pyserial");
        return;
    }
    let daemon = Daemon::open(
        "  bus1:\n    sim: modbus-rtu\n    packing: { modbus-rtu: true }\n    \
         doors: [ { pty: \"{dir}/bus1\", rights: [ read, write, settings ] } ]\n",
    );
    daemon.wait_for("device open");
    let program = recipe(with).replace("/run/wsbridge", daemon.folder().to_str().unwrap());
    for _ in 0..2 {
        let output = Command::new("python3").args(["-c", &program]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        are_registers(&said);
    }
}

#[test]
fn pymodbus_reads_a_bus_at_a_node() {
    run("pymodbus", "import ModbusSerialClient");
}

#[test]
fn minimalmodbus_reads_a_bus_at_a_node() {
    run("minimalmodbus", "bus.serial.baudrate");
}

/// What pyserial asks of a port as it opens one, and what it cannot have.
#[test]
fn pyserial_opens_a_node_as_a_port() {
    if !works("python3", &["-c", "import serial"]) {
        eprintln!("skipped: pip install pyserial");
        return;
    }
    let mut pty = Pty::new();
    let daemon = gateway(&pty, ", rights: [ read, write, settings ]", "");
    let program = "import serial, sys
with serial.Serial(sys.argv[1], 57600, timeout=20, exclusive=True) as port:
    port.reset_input_buffer()
    port.write(b'AT\\r')
    port.flush()
    assert port.read(2) == b'OK'
    port.baudrate = 115200
    port.write(b'faster')
    assert port.read(2) == b'OK'
    try:
        port.cts
        raise SystemExit('a node has no CTS')
    except OSError as error:
        assert error.errno == 25, error
";
    let node = daemon.folder().join("node");
    let python =
        |path: &Path| Command::new("python3").arg("-c").arg(program).arg(path).spawn().unwrap();
    for _ in 0..2 {
        let mut tool = python(&node);
        for (asked, speed) in [(&b"AT\r"[..], 57600), (b"faster", 115_200)] {
            assert_eq!(pty.receive(asked.len()), asked);
            let now = rustix::termios::tcgetattr(pty.device()).unwrap().output_speed();
            assert_eq!(now, speed, "what is written after a speed is sent at it");
            pty.send(b"OK");
        }
        assert!(tool.wait().unwrap().success());
    }
}
