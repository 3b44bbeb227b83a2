//! The speed that a tool sets at a node.

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::{Tool, gateway};
use crate::harness::{Daemon, Pty, Raw, until};

const LENDS: &str = ", rights: [ read, write, settings ]";

impl Tool {
    fn set_speed(&self, speed: u32) {
        let mut modes = tcgetattr(&self.0).unwrap();
        modes.set_speed(speed).unwrap();
        tcsetattr(&self.0, OptionalActions::Now, &modes).unwrap();
    }

    fn speed(&self) -> u32 {
        tcgetattr(&self.0).unwrap().output_speed()
    }
}

/// The line has this speed now.
fn runs_at(pty: &Pty, speed: u32) {
    until("the line's speed", || {
        (tcgetattr(pty.device()).unwrap().output_speed() == speed).then_some(())
    });
}

#[test]
fn a_tools_speed_is_the_lines_where_the_door_lends_settings() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, LENDS, "");
    let mut tool = Tool::new(&daemon);
    assert_eq!(tool.speed(), 9600, "it finds the line's");
    tool.set_speed(57600);
    tool.send(b"fast");
    assert_eq!(pty.receive(4), b"fast");
    runs_at(&pty, 57600);
    // Any speed there is, also for a tool of which the kernel reports nothing any more.
    let mut modes = tcgetattr(&tool.0).unwrap();
    modes.local_modes = LocalModes::empty();
    tcsetattr(&tool.0, OptionalActions::Now, &modes).unwrap();
    tool.set_speed(74880);
    runs_at(&pty, 74880);
    drop(tool);
    daemon.wait_for("session closed");
    // The line is as configured when the last has left, and so is the node.
    runs_at(&pty, 9600);
    until("the node's speed", || (Tool::new(&daemon).speed() == 9600).then_some(()));
}

#[test]
fn a_speed_that_may_not_be_set_is_ignored_and_told_once() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut tool = Tool::new(&daemon);
    for speed in [57600, 115_200] {
        tool.set_speed(speed);
        tool.send(b"x");
        assert_eq!(pty.receive(1), b"x");
    }
    daemon.wait_for("the door does not lend `settings`: ignored");
    assert_eq!(daemon.log().matches("device node: ").count(), 1);
    runs_at(&pty, 9600);
}

#[test]
fn whoever_comes_second_sets_no_speed_and_reads_on() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, LENDS, "");
    let _client = Raw::upgrade(daemon.address(), "e?role=writer");
    let mut tool = Tool::new(&daemon);
    tool.set_speed(57600);
    daemon.wait_for("the tool sets the speed, and may not: ");
    tool.seated(&mut pty);
    runs_at(&pty, 9600);
}

#[test]
fn a_speed_that_is_set_elsewhere_is_seen_at_the_node() {
    let pty = Pty::new();
    let (path, door) = (pty.path().display(), "pty: \"{dir}/node\"");
    let rights = "rights: [ read, write, settings ]";
    let daemon = Daemon::open(&format!(
        "  e:\n    serial: {{ port: \"{path}\" }}\n    share: everyone\n\
         \x20   doors: [ {{ {door}, {rights} }}, {{ pty: \"{{dir}}/other\", {rights} }} ]\n"
    ));
    daemon.wait_for("device open");
    let (one, two) = (Tool::new(&daemon), Tool::at(&daemon.folder().join("other")));
    one.set_speed(19200);
    runs_at(&pty, 19200);
    until("the other node's speed", || (two.speed() == 19200).then_some(()));
}
