//! A device node for tools of the technician's computer.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::FileTypeExt as _,
    thread,
};

use rustix::process::Signal;

use super::{cuts, url};
use crate::harness::{Daemon, Pty, Target, Technician, cutter::Cutter, noise, until};

#[test]
fn tools_open_a_device_node_come_and_go_and_find_nothing_of_each_other() {
    let mut device = Pty::new();
    let daemon =
        Daemon::open(&format!("  e:\n    serial: {{ port: {} }}\n", device.path().display()));
    daemon.wait_for("device open");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plc1");
    let mut connect = Technician::connect(&[&url(&daemon, "e"), "--pty", path.to_str().unwrap()]);
    connect.wait_for(" is at ");
    assert!(fs::metadata(&path).unwrap().file_type().is_char_device());
    let open = || File::options().read(true).write(true).open(&path).unwrap();
    let mut tool = open();
    tool.write_all(b"AT\r").unwrap();
    assert_eq!(device.receive(3), b"AT\r");
    device.send(b"OK\r\n");
    let mut got = [0; 4];
    tool.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"OK\r\n");
    // It writes and leaves at once; what it never read is not the next one's.
    device.send(b"unread");
    tool.write_all(b"bye").unwrap();
    drop(tool);
    assert_eq!(device.receive(3), b"bye");
    until("the end of its session", || daemon.log().contains("session closed").then_some(()));
    let mut next = open();
    next.write_all(b"next").unwrap();
    assert_eq!(device.receive(4), b"next");
    device.send(b"fresh");
    let mut got = [0; 5];
    next.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"fresh");
    connect.signal(Signal::TERM);
    assert_eq!(connect.exit().code(), Some(0));
    assert!(fs::symlink_metadata(&path).is_err(), "the link is left behind");
}

#[test]
fn a_device_node_survives_a_network_that_is_cut() {
    const TOTAL: usize = 512 << 10;
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let cutter = Cutter::start(daemon.address(), cuts(TOTAL));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e");
    let url = format!("http://{}/e", cutter.address());
    let connect = Technician::connect(&[&url, "--pty", path.to_str().unwrap()]);
    connect.wait_for(" is at ");
    let tool = File::options().read(true).write(true).open(&path).unwrap();
    let bytes = noise(TOTAL);
    thread::scope(|scope| {
        let (mut sender, sent) = (&tool, &bytes);
        scope.spawn(move || sender.write_all(sent).unwrap());
        let mut got = vec![0; TOTAL];
        (&tool).read_exact(&mut got).unwrap();
        assert!(got == bytes, "bytes were lost, doubled or swapped");
    });
    assert!(cutter.cuts() >= 10, "{} cuts", cutter.cuts());
}
