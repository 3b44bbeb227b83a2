//! No web page writes to a raw door: what a browser can be made to send is turned away before any of
//! it is passed on.

use super::{Tool, door, gateway, metric};
use crate::harness::{Daemon, Pty, Target, until};

fn refused(daemon: &Daemon) -> u64 {
    metric(daemon, "wsbridge_refusals_total{reason=\"opening\"}")
}

#[test]
fn http_tls_and_stun_are_turned_away_and_nothing_arrives() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut hello = vec![22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3];
    hello.extend([0x5A; 500]);
    let stun = [&[0, 1, 0, 0x58, 0x21, 0x12, 0xA4, 0x42][..], &[0x41; 100]].concat();
    let framed = [&[0, 0x6C][..], &stun].concat();
    let allocate = [&[0, 3, 0, 8, 0x21, 0x12, 0xA4, 0x42][..], b"AT+CFUN=0\r\n\r\n"].concat();
    let post =
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 8\r\n\r\nAT+X=1\r\n".to_vec();
    let options = b"OPTIONS /x HTTP/1.1\r\n\r\n".to_vec();
    for (count, bytes) in (1..).zip([post, options, hello, stun, framed, allocate]) {
        let mut page = Tool::new(&daemon);
        page.send(&bytes);
        page.is_reset();
        until("it is counted", || (refused(&daemon) == count).then_some(()));
    }
    let told = daemon.wait_for("refused");
    assert!(told.contains("opening") && told.contains("HTTP"), "{told}");
    // A tool gets in right behind.
    let mut tool = Tool::new(&daemon);
    tool.send(b"AT\r");
    assert_eq!(pty.receive(3), b"AT\r");
    assert!(!pty.has_input());
    assert!(!daemon.log().contains("session closed"), "{}", daemon.log());
}

#[test]
fn a_request_that_comes_byte_by_byte_is_turned_away_as_well() {
    let pty = Pty::new();
    let daemon = gateway(&pty, "", "");
    let mut page = Tool::new(&daemon);
    for byte in b"POST /" {
        page.send(&[*byte]);
    }
    page.is_reset();
    let mut page = Tool::new(&daemon);
    page.send(b"GE");
    page.is_reset();
    assert!(!pty.has_input());
    assert_eq!(refused(&daemon), 2);
}

#[test]
fn what_is_allowed_passes() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, ", http: allow", "");
    let mut tool = Tool::new(&daemon);
    tool.send(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(pty.receive(18), b"GET / HTTP/1.1\r\n\r\n");
}

#[test]
fn a_connection_that_has_sent_nothing_dials_nothing_and_keeps_nobody_out() {
    let target = Target::serve(|_stream| ());
    let daemon = Daemon::open(&format!(
        "  e:\n    tcp: {{ address: \"{}\" }}\n    limits: {{ sessions: 2 }}\n    doors: [ {{ tcp: \"127.0.0.1:0\" }} ]\n",
        target.address()
    ));
    // More than there may be sessions, and more than are kept.
    let silent: Vec<_> = (0..60).map(|_| Tool::new(&daemon)).collect();
    let mut tool = Tool::at(door(&daemon));
    tool.send(b"hello target");
    // It dropped the connection at once: the tool's end shows that it was reached.
    target.report();
    assert_eq!(metric(&daemon, "wsbridge_sessions_total{endpoint=\"e\"}"), 1);
    drop(silent);
}
