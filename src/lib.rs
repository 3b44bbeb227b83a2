//! wsbridge: authenticated WebSocket endpoints for serial lines and raw TCP ports.
//!
//! The modules stand on floors and import only downward; `tests/it/floors.rs` holds them to it.
//! Read them in this order: `lib -> daemon -> listen -> http/upgrade -> session -> line -> target`.
//!
//! * Ground, the nouns of a port: `settings`; times as people read them: `span`; above them
//!   `sys`, the calls of the kernel that no safe crate has.
//! * Floor 0, words: `config`, `wire`, `metrics`. Pure: no socket, file, clock or task.
//! * Between them, `pty`: pseudo terminals of ours; and `stream`: one byte stream, whatever carries
//!   it.
//! * Above it `dial`, the one way out to an HTTP server.
//! * Floor 1, the world: `audit`, `target`, `auth`, `tls`, `systemd`, `logging`, `announce`,
//!   `process`. One outside thing each.
//! * Between them, `event`: what happens, told once to the log and the counters.
//! * Floor 2, the `line`: a live target, its tape, its lease, its seats.
//! * Floor 3, the `session`: one WebSocket on one seat; it says why it ended. Beside it the other
//!   end, the [`client`] of `wsbridge.v1`, which knows nothing of the gateway but `wire`.
//! * Floor 4, `http`: routes, upgrade, tickets, API, metrics, health.
//! * Floor 5, `listen`: bind, accept, TLS handshake, peer address.
//! * Floor 6, `daemon` owns everything: start, reload, shutdown; [`cli`] has one file for each
//!   sub-command.

mod settings;
mod span;
mod sys;

mod config;
mod metrics;
mod wire;

mod pty;
mod regular_file;
mod stream;

mod dial;

mod announce;
mod audit;
mod auth;
mod logging;
mod process;
mod systemd;
mod target;
mod tls;

mod event;

mod line;

pub mod client;
mod session;

mod http;

mod listen;

pub mod cli;
mod daemon;

/// What this repository's tests and fuzz targets reach into; nobody else should use it.
#[doc(hidden)]
pub mod testing {
    pub use crate::auth::{hash_password, own_name};
    pub use crate::config::{Import, ImportKind, Imported, import, parse, parse_uci, uci_as_yaml};

    /// Targets, opened without a gateway.
    pub mod target {
        pub use crate::config::{
            CarrierRules, PortControl, Rfc2217Target, Target, TcpAddress, TcpTarget,
        };
        pub use crate::target::{Device, OpenError, PortError, Source, appeared, open};
    }

    /// The words on the wire, and their readers.
    pub mod wire {
        pub use crate::wire::{close, control, frame, frames, head, proxy, subprotocol, telnet};
    }
}
