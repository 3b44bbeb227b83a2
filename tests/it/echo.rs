//! A two-wire bus that lets us hear ourselves: `echo: remove` over a pty, whose far end plays the
//! bus. The line is slow, so that a busy machine is no late echo.

use std::{
    io::{Read as _, Write as _},
    thread,
    time::Duration,
};

use crate::harness::{Daemon, Pty, Raw, page};

/// Write register 17 of unit 1: the answer is the same again.
const REQUEST: [u8; 8] = [1, 6, 0, 17, 0, 3, 0x98, 0x0E];

/// 27 ms a byte: the request takes 213 ms.
const BAUD: u32 = 375;

/// A request and what comes behind its last stop bit.
const ON_THE_WIRE: Duration = Duration::from_millis(300);

fn bus(pty: &Pty) -> Daemon {
    let path = pty.path().display();
    let daemon = Daemon::open(&format!(
        "  bus: {{ serial: {{ port: \"{path}\", baud: {BAUD}, echo: remove }} }}\n"
    ));
    daemon.wait_for("device open");
    daemon
}

/// The bytes of the next frames, that many.
fn heard(client: &mut Raw, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        let frame = client.next().expect("a frame");
        if frame.opcode == 2 {
            all.extend(frame.payload);
        }
    }
    all
}

fn counted(daemon: &Daemon, result: &str) -> u64 {
    let name = format!("wsbridge_echo_bytes_total{{endpoint=\"bus\",result=\"{result}\"}} ");
    let text = page(daemon.address(), "/metrics");
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

#[test]
fn an_answer_that_equals_its_request_stays_with_an_echo_and_without() {
    let pty = Pty::new();
    let daemon = bus(&pty);
    let mut device = pty.device();
    let mut client = Raw::upgrade(daemon.address(), "bus");
    let mut request = [0; 8];
    // With an echo, which comes as the bus carries it; the answer is behind it.
    client.frame(2, &REQUEST);
    device.read_exact(&mut request).unwrap();
    assert_eq!(request, REQUEST);
    device.write_all(&request[..3]).unwrap();
    device.write_all(&request[3..]).unwrap();
    thread::sleep(ON_THE_WIRE);
    device.write_all(&REQUEST).unwrap();
    assert_eq!(heard(&mut client, 8), REQUEST);
    assert_eq!((counted(&daemon, "removed"), counted(&daemon, "missing")), (8, 0));
    // Without one: a slave answers when the request has been on the wire.
    client.frame(2, &REQUEST);
    device.read_exact(&mut request).unwrap();
    thread::sleep(ON_THE_WIRE);
    device.write_all(&REQUEST).unwrap();
    assert_eq!(heard(&mut client, 8), REQUEST);
    assert_eq!((counted(&daemon, "removed"), counted(&daemon, "missing")), (8, 8));
}

#[test]
fn at_one_flipped_byte_everything_is_passed_on_and_the_next_echo_goes_again() {
    let pty = Pty::new();
    let daemon = bus(&pty);
    let mut device = pty.device();
    let mut client = Raw::upgrade(daemon.address(), "bus");
    let mut request = [0; 8];
    client.frame(2, &REQUEST);
    device.read_exact(&mut request).unwrap();
    request[5] ^= 0x10;
    device.write_all(&request).unwrap();
    assert_eq!(heard(&mut client, 8), request);
    // Half an echo is passed on by itself, when its time is over.
    thread::sleep(ON_THE_WIRE);
    client.frame(2, &REQUEST);
    device.read_exact(&mut request).unwrap();
    device.write_all(&request[..4]).unwrap();
    assert_eq!(heard(&mut client, 4), REQUEST[..4]);
    client.frame(2, &REQUEST);
    device.read_exact(&mut request).unwrap();
    device.write_all(&request).unwrap();
    device.write_all(b"!").unwrap();
    assert_eq!(heard(&mut client, 1), b"!");
    assert_eq!(counted(&daemon, "removed"), 8);
}
