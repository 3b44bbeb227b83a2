//! Where one session is there at a time: a tool that has sent nothing has no place.

use super::{Tool, gateway};
use crate::harness::{Pty, Raw, until};

const EXCLUSIVE: &str = "    share: exclusive\n";

#[test]
fn the_first_who_writes_has_the_line_and_the_silent_give_way() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", EXCLUSIVE);
    let mut silent = [Tool::new(&daemon), Tool::new(&daemon)];
    for tool in &mut silent {
        tool.seated(&mut pty);
    }
    let heard = |tool: &mut Tool| while tool.receive(1) != b"|" {};
    heard(&mut silent[0]);
    let mut tool = Tool::new(&daemon);
    tool.send(b"AT\r");
    assert_eq!(pty.receive(3), b"AT\r");
    for tool in &mut silent {
        let (_, end) = tool.end();
        assert_eq!(end, Ok(()), "it had sent nothing, so nothing is lost");
    }
    // Taken: whoever comes now is disconnected at once.
    Tool::new(&daemon).is_reset();
    pty.send(b"OK");
    assert_eq!(tool.receive(2), b"OK");
    // The next one has it as soon as this one has ended its side.
    tool.finish();
    until("the line is free", || {
        Tool::new(&daemon).send(b"next");
        pty.has_input().then_some(())
    });
    assert_eq!(pty.receive(4), b"next");
}

#[test]
fn a_browser_takes_the_place_of_the_silent() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", EXCLUSIVE);
    let mut silent = Tool::new(&daemon);
    silent.seated(&mut pty);
    let mut client = Raw::upgrade(daemon.address(), "e");
    let _ = silent.end();
    pty.send(b"hello");
    assert_eq!(client.data(5), b"hello");
}
