//! The equipment of the tests: the real daemon, clients, ptys and target servers. Nothing here
//! sleeps to wait.
#![expect(dead_code, reason = "a kit: not every piece has a user at every time")]

pub(crate) mod access;
pub(crate) mod client;
pub(crate) mod cutter;
pub(crate) mod daemon;
pub(crate) mod namespace;
pub(crate) mod pty;
pub(crate) mod small;
pub(crate) mod target;
pub(crate) mod technician;
pub(crate) mod tls;
pub(crate) mod wire;

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) use self::{
    client::Raw, daemon::Daemon, pty::Pty, target::Target, technician::Technician, wire::Wire,
};

/// Waits until `ask` returns something, asking again and again.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not in time");
        sleep(Duration::from_millis(10));
    }
}

/// Bytes without a pattern in which a lost, doubled or swapped piece could hide.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_ne_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A page of the daemon, head and body.
pub(crate) fn page(address: std::net::SocketAddr, path: &str) -> String {
    Raw::ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
    )
}
