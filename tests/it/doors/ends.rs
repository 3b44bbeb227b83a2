//! How a door's session ends: a FIN says that everything arrived, a reset that it did not.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

use super::{Tool, door, gateway, serial};
use crate::harness::{Daemon, Pty, Target, noise};

#[test]
fn a_targets_end_is_passed_on_as_what_it_is() {
    let source = Target::source(b"all there is".to_vec());
    let daemon = Daemon::open(&format!(
        "  e:\n    tcp: {{ address: \"{}\" }}\n    doors: [ {{ tcp: \"127.0.0.1:0\" }} ]\n",
        source.address()
    ));
    let mut tool = Tool::new(&daemon);
    tool.send(b"go");
    assert_eq!(tool.end(), (b"all there is".to_vec(), Ok(())));
    let reset = Target::reset(2);
    let daemon = Daemon::open(&format!(
        "  e:\n    tcp: {{ address: \"{}\" }}\n    doors: [ {{ tcp: \"127.0.0.1:0\" }} ]\n",
        reset.address()
    ));
    let mut tool = Tool::new(&daemon);
    tool.send(b"go");
    tool.is_reset();
}

#[test]
fn a_device_that_is_away_disconnects_at_once_and_the_door_stays() {
    let refuse = Target::refuse();
    let daemon = Daemon::open(&format!(
        "  e:\n    tcp: {{ address: \"{}\" }}\n    doors: [ {{ tcp: \"127.0.0.1:0\" }} ]\n",
        refuse.address()
    ));
    for _ in 0..3 {
        let mut tool = Tool::new(&daemon);
        tool.send(b"hello");
        tool.is_reset();
    }
    let daemon = Daemon::open(
        "  e:\n    serial: { port: /dev/ttyDoesNotExist }\n    doors: [ { tcp: \"127.0.0.1:0\" } ]\n",
    );
    Tool::new(&daemon).is_reset();
    let closed = daemon.wait_for("session closed");
    assert!(closed.contains("cannot be reached"), "{closed}");
}

/// A door that holds its clients, on a device that can be taken away, and a tool at work there.
fn holding(link: &Path) -> (Pty, Daemon, Tool) {
    let mut device = Pty::new();
    std::os::unix::fs::symlink(device.path(), link).unwrap();
    let daemon = Daemon::open(&format!(
        "  e:\n    serial: {{ port: \"{}\" }}\n    doors: [ {{ tcp: \"127.0.0.1:0\", hold: true }} ]\n",
        link.display()
    ));
    daemon.wait_for("device open");
    let mut tool = Tool::new(&daemon);
    tool.send(b"one");
    assert_eq!(device.receive(3), b"one");
    (device, daemon, tool)
}

#[test]
fn who_holds_stays_while_the_device_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("port");
    let (first, daemon, mut tool) = holding(&link);
    std::fs::remove_file(&link).unwrap();
    drop(first);
    daemon.wait_for("device not there");
    // Nobody reads the tool meanwhile.
    tool.send(b"two");
    let mut second = Pty::new();
    std::os::unix::fs::symlink(second.path(), &link).unwrap();
    assert_eq!(second.receive(3), b"two");
    second.send(b"back");
    assert_eq!(tool.receive(4), b"back");
}

#[test]
fn a_tool_that_the_ring_has_passed_is_reset() {
    let pty = Pty::new();
    let daemon = gateway(&pty, "", "    history: 1MiB\n");
    let mut slow = Tool::new(&daemon);
    let mut quick = Tool::new(&daemon);
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        while all.len() < 20 << 20 {
            match Read::read(&mut quick.0, &mut [0; 8192]) {
                Ok(n @ 1..) => all.resize(all.len() + n, 0),
                _ => break,
            }
        }
    });
    let mut device = pty.device();
    // It ends with the test's process: a pty that nobody reads takes no more.
    thread::spawn(move || {
        let noise = noise(64 * 1024);
        // The quick one reads; the pty ends with it.
        for _ in 0..400 {
            if device.write_all(&noise).is_err() {
                break;
            }
        }
    });
    reader.join().unwrap();
    // What it finds of it is in order, as far as it goes.
    let (_, end) = slow.end();
    assert!(end.is_err(), "a reset, not an end");
    let closed = daemon.wait_for("bytes missed");
    assert!(closed.contains("code=4413"), "{closed}");
}

#[test]
fn a_stop_lets_what_is_under_way_arrive() {
    let mut pty = Pty::new();
    let mut daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    tool.send(b"last");
    assert_eq!(pty.receive(4), b"last");
    pty.send(b"words");
    assert_eq!(tool.receive(5), b"words");
    assert!(daemon.stop().success());
    assert_eq!(tool.end(), (Vec::new(), Ok(())));
}

#[test]
fn a_taken_address_keeps_nobody_else_out_and_is_tried_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut pty = Pty::new();
    let text = serial(&pty, "", "").replace("127.0.0.1:0", &address.to_string());
    let daemon = Daemon::open(&text);
    let told = daemon.wait_for("door not open");
    assert!(told.contains("in use"), "{told}");
    drop(taken);
    let mut tool = Tool::at(door(&daemon));
    tool.send(b"AT\r");
    assert_eq!(pty.receive(3), b"AT\r");
}

#[test]
fn who_leaves_while_the_device_is_away_leaves_nothing_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("port");
    let (first, daemon, mut tool) = holding(&link);
    let newcomer = Tool::new(&daemon);
    std::fs::remove_file(&link).unwrap();
    drop(first);
    daemon.wait_for("device not there");
    // One that was at work, one that sends its first bytes now.
    tool.send(b"too late");
    drop(tool);
    let closed = daemon.wait_for("of 11 bytes");
    assert!(closed.contains("session closed"), "{closed}");
    let mut newcomer = newcomer;
    newcomer.send(b"late, too");
    newcomer.finish();
    newcomer.is_reset();
    let mut third = Tool::new(&daemon);
    let mut second = Pty::new();
    std::os::unix::fs::symlink(second.path(), &link).unwrap();
    third.send(b"in time");
    assert_eq!(second.receive(7), b"in time");
}

#[test]
fn who_leaves_a_target_that_takes_nothing_holds_nothing_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door");
    let deaf = Target::narrow(|stream| stream);
    let daemon = Daemon::open(&format!(
        "  e:\n    tcp: {{ address: \"{}\" }}\n    limits: {{ linger: 1s, linger_max: 1s }}\n    doors: [ {{ unix: \"{}\" }} ]\n",
        deaf.address(),
        path.display()
    ));
    daemon.wait_for("door open on ");
    let mut tool = UnixStream::connect(&path).unwrap();
    tool.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // Until neither the target's buffers nor ours take any more.
    while tool.write(&vec![b'x'; 64 * 1024]).is_ok() {}
    drop(tool);
    let closed = daemon.wait_for("session closed");
    assert!(!closed.contains("lost_to_target=0"), "{closed}");
}

#[test]
fn who_never_reads_is_found_when_the_line_has_passed_it() {
    let pty = Pty::new();
    // More than the kernel holds for a client: it stands still long before it is passed.
    let daemon = gateway(&pty, "", "    history: 8MiB\n");
    let slow = Tool::new(&daemon);
    socket2::SockRef::from(&slow.0).set_recv_buffer_size(4096).unwrap();
    let mut quick = Tool::new(&daemon);
    let reader = thread::spawn(move || while matches!(quick.0.read(&mut [0; 8192]), Ok(1..)) {});
    let mut device = pty.device();
    let noise = noise(64 * 1024);
    // It ends with the test's process: a pty that nobody reads takes no more.
    thread::spawn(move || while device.write_all(&noise).is_ok() {});
    let closed = daemon.wait_for("bytes missed");
    assert!(closed.contains("code=4413"), "{closed}");
    drop((slow, daemon));
    reader.join().unwrap();
}
