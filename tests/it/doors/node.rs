//! Device nodes: tools that open a serial port come and go, and reach the same line.

mod speed;
mod tools;

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::Signal,
    termios::{QueueSelector, tcflush},
};

use crate::harness::{Daemon, Pty, Raw, Target, daemon::OPEN, noise, until};

/// A serial endpoint `e` on this pty, whose node is `node` in the daemon's folder.
fn serial(pty: &Pty, door: &str, rest: &str) -> String {
    let path = pty.path().display();
    format!(
        "  e:\n    serial: {{ port: \"{path}\" }}\n    doors: [ {{ pty: \"{{dir}}/node\"{door} }} ]\n{rest}"
    )
}

fn gateway(pty: &Pty, door: &str, rest: &str) -> Daemon {
    let daemon = Daemon::open(&serial(pty, door, rest));
    daemon.wait_for("device open");
    daemon
}

/// A tool that has opened the node.
struct Tool(File);

impl Tool {
    fn new(daemon: &Daemon) -> Self {
        Self::at(&daemon.folder().join("node"))
    }

    fn at(path: &Path) -> Self {
        Self(File::options().read(true).write(true).open(path).unwrap())
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Whether something can be read, or the end has come, within this time.
    fn ready(&self, within: u64) -> bool {
        let within = Timespec { tv_sec: 0, tv_nsec: (within * 1_000_000).try_into().unwrap() };
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&within)).unwrap() > 0
    }

    fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            until("bytes at the node", || self.ready(100).then_some(()));
            let read = self.0.read(&mut bytes[filled..]).unwrap();
            assert!(read > 0, "hung up on after {:?}", &bytes[..filled]);
            filled += read;
        }
        bytes
    }

    /// It hears the device from here on.
    fn seated(&mut self, pty: &mut Pty) {
        until("it hears the device", || {
            pty.send(b".");
            self.ready(20).then_some(())
        });
        pty.send(b"|");
        while self.receive(1) != b"|" {}
    }

    /// Its terminal is gone: what a program sees of an adapter that is pulled.
    fn is_hung_up_on(&mut self) {
        until("the hang-up", || {
            if !self.ready(100) {
                return None;
            }
            matches!(self.0.read(&mut [0; 4096]), Ok(0) | Err(_)).then_some(())
        });
        assert!(self.0.write(b"x").is_err(), "it can still write");
    }
}

fn slave(daemon: &Daemon) -> PathBuf {
    fs::read_link(daemon.folder().join("node")).unwrap()
}

#[test]
fn a_node_is_there_from_the_start_and_open_to_its_group() {
    let mut pty = Pty::new();
    let mut daemon = gateway(&pty, "", "");
    let node = daemon.folder().join("node");
    let found = fs::metadata(&node).unwrap();
    assert!(found.file_type().is_char_device());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    let mut tool = Tool::new(&daemon);
    let all: Vec<u8> = (0..=255).collect();
    tool.send(&all);
    assert_eq!(pty.receive(256), all);
    pty.send(&all);
    assert_eq!(tool.receive(256), all);
    drop(tool);
    let closed = daemon.wait_for("session closed");
    for part in ["to_client=256", "to_target=256", "lost_to_client=0", "lost_to_target=0"] {
        assert!(closed.contains(part), "{part}: {closed}");
    }
    // A tool is hung up on at the end, and nothing stays behind.
    let mut last = Tool::new(&daemon);
    last.send(b"last");
    assert_eq!(pty.receive(4), b"last");
    daemon.signal(Signal::TERM);
    last.is_hung_up_on();
    assert!(daemon.exit().success());
    assert!(fs::symlink_metadata(node).is_err(), "the link is left behind");
}

#[test]
fn what_a_tool_left_unread_is_counted_and_not_the_next_ones() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    tool.send(b"AT\r");
    assert_eq!(pty.receive(3), b"AT\r");
    pty.send(b"unread");
    until("it can be read", || tool.ready(100).then_some(()));
    drop(tool);
    let closed = daemon.wait_for("session closed");
    assert!(closed.contains("lost_to_client=6"), "{closed}");
    // Nothing is written while no tool has the node open.
    let mut watcher = Raw::upgrade(daemon.address(), "e?role=observer");
    pty.send(b"meanwhile");
    assert!(watcher.data(9).ends_with(b"meanwhile"));
    let mut next = Tool::new(&daemon);
    next.send(b"next");
    assert_eq!(pty.receive(4), b"next");
    pty.send(b"fresh");
    assert_eq!(next.receive(5), b"fresh");
    // It writes and leaves at once.
    next.send(b"bye");
    drop(next);
    assert_eq!(pty.receive(3), b"bye");
    let mut third = Tool::new(&daemon);
    third.send(b"third");
    assert_eq!(pty.receive(5), b"third");
}

#[test]
fn a_tool_that_has_written_nothing_keeps_nobody_out() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "    share: exclusive\n");
    let mut silent = Tool::new(&daemon);
    silent.seated(&mut pty);
    let before = slave(&daemon);
    let mut client = Raw::upgrade(daemon.address(), "e");
    silent.is_hung_up_on();
    until("another node", || (slave(&daemon) != before).then_some(()));
    client.send(&crate::harness::client::masked(0x82, b"AT\r"));
    assert_eq!(pty.receive(3), b"AT\r");
    // The place is taken now: what a tool writes goes nowhere, and it can tell.
    let mut tool = Tool::new(&daemon);
    let _ = tool.0.write(b"reboot");
    tool.is_hung_up_on();
    assert!(!pty.has_input());
    drop(client);
    daemon.wait_for("code=");
    until("the line is free", || {
        let _ = Tool::new(&daemon).0.write(b"now");
        pty.has_input().then_some(())
    });
}

#[test]
fn a_browser_and_a_tool_share_one_lease() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    tool.seated(&mut pty);
    let mut client = Raw::upgrade(daemon.address(), "e?role=writer");
    pty.send(b"boot\r\n");
    assert_eq!(tool.receive(6), b"boot\r\n");
    assert_eq!(client.data(6), b"boot\r\n");
    tool.send(b"reboot\r");
    tool.is_hung_up_on();
    assert!(!pty.has_input());
    let closed = daemon.wait_for("session closed");
    assert!(closed.contains("in use by") && closed.contains("lost_to_target=7"), "{closed}");
    drop(client);
    daemon.wait_for("code=");
    // The lease is a tool's until the last program has closed the node.
    let mut tool = Tool::new(&daemon);
    let other = Tool::new(&daemon);
    tool.send(b"AT\r");
    assert_eq!(pty.receive(3), b"AT\r");
    let asks = || Raw::status(daemon.address(), "/ws/e?role=writer", "");
    assert_eq!(asks(), 409);
    drop(tool);
    assert_eq!(asks(), 409);
    drop(other);
    until("the lease is free", || (asks() == 101).then_some(()));
}

#[test]
fn a_tool_that_does_not_read_stops_nobody_and_is_hung_up_on_once_it_is_passed() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "    history: 1MiB\n");
    let mut slow = Tool::new(&daemon);
    slow.seated(&mut pty);
    let mut client = Raw::upgrade(daemon.address(), "e");
    let bytes = noise(2 << 20);
    let mut device = pty.device();
    // Whoever reads is not passed, however slow this machine is.
    for piece in bytes.chunks(128 << 10) {
        device.write_all(piece).unwrap();
        assert!(client.data(piece.len()) == piece);
    }
    let closed = daemon.wait_for("bytes missed");
    assert!(closed.contains("code=4413"), "{closed}");
    slow.is_hung_up_on();
    let mut next = Tool::new(&daemon);
    next.seated(&mut pty);
}

#[test]
fn a_reload_keeps_a_node_changes_it_and_takes_it_away() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let text = |door: &str, rest: &str| {
        let all = format!("{OPEN}{}", serial(&pty, door, rest));
        all.replace("{dir}", daemon.folder().to_str().unwrap())
    };
    let same = text("", "    title: other\n");
    let changed = text(", rights: [ read ]", "    title: other\n");
    let none = same.replace("    doors", "    #");
    let mut tool = Tool::new(&daemon);
    tool.send(b"one");
    assert_eq!(pty.receive(3), b"one");
    daemon.reload(&same);
    tool.send(b"two");
    assert_eq!(pty.receive(3), b"two");
    daemon.reload(&changed);
    tool.is_hung_up_on();
    let mut reader = until("a new node", || {
        let mut tool = Tool::new(&daemon);
        pty.send(b".");
        tool.ready(100).then(|| tool.receive(1)).map(|_| tool)
    });
    daemon.reload(&none);
    reader.is_hung_up_on();
    assert!(fs::symlink_metadata(daemon.folder().join("node")).is_err());
}

#[test]
fn a_crash_leaves_a_link_that_the_next_gateway_takes_and_no_other_is_taken() {
    let pty = Pty::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plc1");
    let door = serial(&pty, "", "").replace("{dir}/node", path.to_str().unwrap());
    let mut first = Daemon::open(&door);
    first.wait_for("door open on pty ");
    let found = fs::read_link(&path).unwrap();
    // A second gateway leaves a live one's node alone, and says so.
    let second = Daemon::open(&door);
    let told = second.wait_for("door not open");
    assert!(told.contains("another program's device node is there"), "{told}");
    assert_eq!(fs::read_link(&path).unwrap(), found);
    first.signal(Signal::KILL);
    first.exit();
    assert!(fs::symlink_metadata(&path).is_ok(), "nobody was there to remove it");
    second.wait_for("door open on pty ");
    assert!(fs::metadata(&path).unwrap().file_type().is_char_device());
}

#[test]
fn what_is_in_the_way_is_named() {
    let pty = Pty::new();
    for (path, part) in [
        ("{dir}/wsbridge.yaml", "something that is no device node of ours is there"),
        ("{dir}/no/node", "there is no folder "),
    ] {
        let door = serial(&pty, "", "").replace("{dir}/node", path);
        let daemon = Daemon::open(&door);
        let told = daemon.wait_for("door not open: cannot make the device node ");
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_device_that_goes_hangs_up_and_with_hold_it_does_not() {
    for hold in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("port");
        let mut first = Pty::new();
        std::os::unix::fs::symlink(first.path(), &link).unwrap();
        let daemon = Daemon::open(&format!(
            "  e:\n    serial: {{ port: \"{}\" }}\n    doors: [ {{ pty: \"{{dir}}/node\", hold: {hold} }} ]\n",
            link.display()
        ));
        daemon.wait_for("device open");
        let mut tool = Tool::new(&daemon);
        tool.send(b"one");
        assert_eq!(first.receive(3), b"one");
        fs::remove_file(&link).unwrap();
        drop(first);
        daemon.wait_for("device not there");
        if hold {
            tool.send(b"two");
        } else {
            tool.is_hung_up_on();
            // It is there, as a port without a device is not; who opens it is hung up on.
            Tool::new(&daemon).is_hung_up_on();
        }
        let mut second = Pty::new();
        std::os::unix::fs::symlink(second.path(), &link).unwrap();
        if hold {
            assert_eq!(second.receive(3), b"two");
            second.send(b"back");
            assert_eq!(tool.receive(4), b"back");
        } else {
            until("the device is back", || {
                let _ = Tool::new(&daemon).0.write(b"now");
                second.has_input().then_some(())
            });
        }
    }
}

#[test]
fn a_tool_that_leaves_while_the_device_is_away_holds_nothing_and_sends_nothing_late() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("port");
    let mut first = Pty::new();
    std::os::unix::fs::symlink(first.path(), &link).unwrap();
    let daemon = Daemon::open(&format!(
        "  e:\n    serial: {{ port: \"{}\" }}\n    doors: [ {{ pty: \"{{dir}}/node\", hold: true }} ]\n",
        link.display()
    ));
    daemon.wait_for("device open");
    let mut tool = Tool::new(&daemon);
    tool.send(b"one");
    assert_eq!(first.receive(3), b"one");
    fs::remove_file(&link).unwrap();
    drop(first);
    daemon.wait_for("device not there");
    tool.send(b"too late");
    drop(tool);
    let closed = daemon.wait_for("session closed");
    assert!(closed.contains("of 11 bytes"), "{closed}");
    let mut next = Tool::new(&daemon);
    next.send(b"in time");
    let mut second = Pty::new();
    std::os::unix::fs::symlink(second.path(), &link).unwrap();
    assert_eq!(second.receive(7), b"in time");
}

#[test]
fn check_and_doctor_say_who_may_open_a_node() {
    let pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let run = |command: &str| {
        let config = daemon.config();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_wsbridge"))
            .args([command, config.to_str().unwrap()])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let node = daemon.folder().join("node");
    for command in ["check", "doctor"] {
        let told = run(command);
        assert!(told.contains(&format!("pty {}", node.display())), "{told}");
        assert!(told.contains("the group of the gateway's process (0660)"), "{told}");
    }
    let text = fs::read_to_string(daemon.config()).unwrap();
    fs::write(daemon.config(), text.replace("/node", "/no/node")).unwrap();
    let told = run("doctor");
    assert!(told.contains("there is no folder "), "{told}");
}

#[test]
fn a_tool_that_discards_what_it_has_not_read_reads_nothing_of_it() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    tool.seated(&mut pty);
    // More than the kernel discards by itself.
    let mut watcher = Raw::upgrade(daemon.address(), "e?role=observer");
    let stale = vec![b's'; 60_000];
    let (mut device, sent) = (pty.device(), stale.clone());
    let sender = std::thread::spawn(move || device.write_all(&sent).unwrap());
    watcher.data(stale.len());
    sender.join().unwrap();
    tcflush(&tool.0, QueueSelector::IFlush).unwrap();
    tool.send(b"?");
    assert_eq!(pty.receive(1), b"?");
    pty.send(b"answer");
    assert_eq!(tool.receive(6), b"answer");
}

#[test]
fn each_tool_at_a_dedicated_target_has_its_own_connection() {
    let echo = Target::echo();
    let daemon = Daemon::open(&format!(
        "  e:\n    tcp: {{ address: \"{}\" }}\n    doors: [ {{ pty: \"{{dir}}/node\" }} ]\n",
        echo.address()
    ));
    daemon.wait_for("door open on pty ");
    for count in 1..=3 {
        let mut tool = Tool::new(&daemon);
        let bytes = noise(100_000);
        let (mut writer, sent) = (tool.0.try_clone().unwrap(), bytes.clone());
        let sender = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        assert!(tool.receive(bytes.len()) == bytes);
        sender.join().unwrap();
        drop(tool);
        until("its end", || {
            (daemon.log().matches("session closed").count() == count).then_some(())
        });
    }
}

#[test]
fn a_tool_that_opens_and_closes_for_each_request_loses_none() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    for round in 0..200_u32 {
        let mut tool = Tool::new(&daemon);
        tool.send(&round.to_be_bytes());
        assert_eq!(pty.receive(4), round.to_be_bytes());
        pty.send(&(!round).to_be_bytes());
        assert_eq!(tool.receive(4), (!round).to_be_bytes());
    }
}
