//! Neighbours on one IPv6 link, who share a /64: what one does is not held against the others.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use wsbridge::testing::hash_password;

use crate::harness::{Daemon, Raw, client::status, namespace};

const PASSWORD: &str = "correct horse battery";

/// The status of the answer to a request with these credentials from an address of the link.
fn ask(daemon: &Daemon, from: &str, credential: &str) -> u16 {
    let address = daemon.address();
    let mut raw = Raw::connect_from(from, address);
    let request = format!(
        "GET /api/session HTTP/1.1\r\nHost: {address}\r\nAuthorization: {credential}\r\n\r\n"
    );
    raw.send(request.as_bytes());
    status(&raw.head())
}

#[test]
fn a_neighbour_locks_out_itself_and_a_crowd_only_who_never_signed_in() {
    let addresses = "for n in 1 2 3 4 5 6 7 8 9 a b c d e f 10; do ip address add fd77::$n/64 dev lo nodad; done";
    let test = "neighbours::a_neighbour_locks_out_itself_and_a_crowd_only_who_never_signed_in";
    if !namespace::inside(test, addresses) {
        return;
    }
    let hash = hash_password(PASSWORD).unwrap();
    let daemon = Daemon::start(&format!(
        "listen: [ {{ address: \"[fd77::1]:0\", tls: none, plain: accepted }} ]\nmdns: false\n\
         users: {{ alice: {{ password: \"{hash}\", rights: {{ m1: [ read ] }} }} }}\nendpoints: {{ m1: {{ sim: echo }} }}\n"
    ));
    let right = format!("Basic {}", STANDARD.encode(format!("alice:{PASSWORD}")));
    assert_eq!(ask(&daemon, "fd77::3", &right), 200);
    for _ in 0..20 {
        assert_eq!(ask(&daemon, "fd77::2", "Bearer wsb_guess"), 401);
    }
    assert_eq!(ask(&daemon, "fd77::2", &right), 429);
    assert_eq!(ask(&daemon, "fd77::3", &right), 200);
    assert_eq!(ask(&daemon, "fd77::4", &right), 200);
    for from in ["5", "6", "7", "8", "9", "a", "b", "c", "d", "e"] {
        for _ in 0..19 {
            ask(&daemon, &format!("fd77::{from}"), "Bearer wsb_guess");
        }
    }
    assert_eq!(ask(&daemon, "fd77::f", &right), 429, "it never signed in, and its link guesses");
    assert_eq!(ask(&daemon, "fd77::3", &right), 200);
    assert_eq!(ask(&daemon, "fd77::4", &right), 200);
}
