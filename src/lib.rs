//! wsbridge: authenticated WebSocket endpoints for serial lines and raw TCP ports.
//!
//! The modules stand on floors and import only downward; `tests/it/floors.rs` holds them to it.
//! Read them in this order: `lib -> daemon -> listen -> http/upgrade -> session -> line -> target`.
//!
//! * Ground, the nouns of a port: `settings`; times as people read them: `span`; above them
//!   `sys`, the calls of the kernel that no safe crate has.
//! * Floor 0, words: `config`, `wire`, `metrics`. Pure: no socket, file, clock or task.
//! * Between them, `boot`: this boot of the machine; `pty`: pseudo terminals of ours; `screen`: whether a web page sent a connection's
//!   first bytes; and `stream`: one byte stream, whatever carries it.
//! * Above it `dial`, the one way out to an HTTP server.
//! * Floor 1, the world: `audit`, `target`, `auth`, `tls`, `systemd`, `logging`, `announce`,
//!   `process`. One outside thing each.
//! * Between them, `event`: what happens, told once to the log and the counters; and `fleet`: what a
//!   hub knows of its gateways.
//! * Floor 2, the `line`: a live target, its tape, its lease, its seats.
//! * Floor 3, the `session`: one WebSocket on one seat; it says why it ended. Beside it the other
//!   end, the [`client`] of `wsbridge.v1`, which knows nothing of the gateway but `wire`.
//! * Floor 4, `http`: routes, upgrade, tickets, API, metrics, health.
//! * Floor 5, `listen`: bind, accept, TLS handshake, peer address. Beside it `home`, which calls the
//!   hub and dials links.
//! * Floor 6, `daemon` owns everything: start, reload, shutdown; [`cli`] has one file for each
//!   sub-command.
//!
//! A gateway runs on Linux. For Windows only the commands of a gateway's users are built
//! (`connect`, `login`): modules of the gateway alone are left out here, each as a whole.

#![cfg_attr(
    not(unix),
    expect(dead_code, unused_imports, reason = "what only the gateway uses of shared modules")
)]

mod settings;
mod span;
mod sys;

mod config;
#[cfg(unix)]
mod metrics;
mod wire;

#[cfg(unix)]
mod boot;
#[cfg(unix)]
mod clock;
#[cfg(unix)]
mod pty;
mod regular_file;
mod screen;
#[cfg(unix)]
mod stream;

mod dial;

#[cfg(unix)]
mod announce;
#[cfg(unix)]
mod audit;
#[cfg(unix)]
mod auth;
#[cfg(unix)]
mod logging;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod record;
#[cfg(unix)]
mod switch;
#[cfg(unix)]
mod systemd;
#[cfg(unix)]
mod target;
#[cfg(unix)]
mod tls;

#[cfg(unix)]
mod event;
#[cfg(unix)]
mod fleet;

#[cfg(unix)]
mod line;

pub mod client;
#[cfg(unix)]
mod session;

#[cfg(unix)]
mod http;

#[cfg(unix)]
mod home;
#[cfg(unix)]
mod listen;

pub mod cli;
#[cfg(unix)]
mod daemon;

/// What this repository's tests and fuzz targets reach into; nobody else should use it.
#[doc(hidden)]
pub mod testing {
    #[cfg(unix)]
    pub use crate::auth::{hash_password, own_name};
    pub use crate::config::{Import, ImportKind, Imported, import, parse, parse_uci, uci_as_yaml};

    /// Targets, opened without a gateway.
    pub mod target {
        pub use crate::config::{
            CarrierRules, PortControl, Rfc2217Target, Target, TcpAddress, TcpTarget,
        };
        #[cfg(unix)]
        pub use crate::target::{Device, OpenError, PortError, Source, appeared, open};
    }

    /// The words on the wire, and their readers.
    pub mod wire {
        pub use crate::wire::{close, control, frame, frames, head, proxy, subprotocol, telnet};
    }
}
