//! RFC 2217 on the technician's computer: pyserial, as esptool and others use it.

use std::process::Command;

use super::url;
use crate::{
    harness::{Daemon, Pty, Technician},
    peers::works,
};

const TALK: &str = r"
import sys, serial
port = serial.serial_for_url('rfc2217://127.0.0.1:' + sys.argv[1] + '?timeout=10', baudrate=57600, timeout=10)
port.write(b'AT\xff\r')
assert port.read(6) == b'OK\xff\r\n\x00', 'another answer'
port.baudrate = 9600
assert port.baudrate == 9600
try:
    port.dtr = False
    raise SystemExit('a pty has no DTR')
except ValueError:
    pass # It is told that the line stays as it is.
port.reset_input_buffer()
port.close()
print('done')
";

#[test]
fn pyserial_sets_moves_writes_and_reads_over_rfc_2217() {
    if !works("python3", &["-c", "import serial"]) {
        eprintln!("skipped: no pyserial");
        return;
    }
    let mut device = Pty::new();
    let daemon =
        Daemon::open(&format!("  e:\n    serial: {{ port: {} }}\n", device.path().display()));
    daemon.wait_for("device open");
    let connect = Technician::connect(&[&url(&daemon, "e"), "--rfc2217", "127.0.0.1:0"]);
    let port = connect.address().port().to_string();
    let talk = std::thread::scope(|scope| {
        let talk = scope.spawn(move || Command::new("python3").args(["-c", TALK, &port]).output());
        assert_eq!(device.receive(4), b"AT\xff\r");
        device.send(b"OK\xff\r\n\x00");
        talk.join().unwrap().unwrap()
    });
    let said = String::from_utf8_lossy(&talk.stderr).into_owned();
    assert!(talk.status.success(), "{said}");
    assert_eq!(talk.stdout, b"done\n");
}
