//! Places for connections: whose they are, who waits for one, and who gives way.

use crate::harness::{Daemon, Raw, Target, daemon::OPEN};

#[test]
fn a_client_behind_a_trusted_proxy_has_its_own_address_in_every_log_line() {
    let echo = Target::echo();
    let daemon = Daemon::start(&format!("trusted_proxies: [ 127.0.0.1 ]\n{OPEN}{}", echo.endpoint("modem")));
    let address = daemon.address();
    let origin = format!("Origin: http://{address}\r\n");
    let from = |client: &str| format!("X-Forwarded-For: 203.0.113.9, {client}\r\n{origin}");
    let (raw, head) = Raw::handshake(address, "modem", &from("192.0.2.4"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(daemon.wait_for("session opened").contains("peer=192.0.2.4"));
    drop(raw);
    assert!(daemon.wait_for("session closed").contains("peer=192.0.2.4"));
    assert_eq!(Raw::status(address, "nothing", &from("2001:db8::7")), 404);
    assert!(daemon.wait_for("refused").contains("peer=2001:db8::7"));
    assert!(!daemon.log().contains("peer=127.0.0.1"), "{}", daemon.log());
}
