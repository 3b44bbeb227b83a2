//! Doors over a reload.

use super::{Tool, door, gateway, serial};
use crate::harness::{Pty, daemon::OPEN};

#[test]
fn a_door_that_stays_keeps_its_tools_and_one_that_changes_does_not() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    tool.send(b"one");
    assert_eq!(pty.receive(3), b"one");
    let same = serial(&pty, "", "    title: other\n");
    daemon.reload(&format!("{OPEN}{same}"));
    tool.send(b"two");
    assert_eq!(pty.receive(3), b"two");
    let before = door(&daemon);
    daemon.reload(&format!("{OPEN}{}", serial(&pty, ", rights: [ read ]", "    title: other\n")));
    assert_eq!(tool.end().0, b"");
    let mut reader = Tool::at(before);
    reader.seated(&mut pty);
    reader.send(b"AT");
    reader.is_reset();
    // Gone.
    let none = serial(&pty, "", "").replace("    doors", "    #");
    let mut reader = Tool::at(before);
    reader.seated(&mut pty);
    daemon.reload(&format!("{OPEN}{none}"));
    let _ = reader.end();
    assert!(std::net::TcpStream::connect(before).is_err());
}
