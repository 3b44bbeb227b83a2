//! wsbridge: authenticated WebSocket endpoints for serial lines and raw TCP ports.
//!
//! The modules stand on floors and import only downward; `tests/it/floors.rs` holds them to it. Read them in this
//! order: `lib -> daemon -> listen -> http/upgrade -> session -> line -> target`.
//!
//! * Ground, the nouns of a port: [`settings`]; above it `sys`, the calls of the kernel that no safe crate has.
//! * Floor 0, words: [`config`], [`wire`], [`metrics`]. Pure: no socket, file, clock or task.
//! * Between them, [`stream`]: one byte stream, whatever carries it.
//! * Floor 1, the world: [`target`], [`auth`], [`tls`], [`systemd`], [`logging`], [`announce`],
//!   [`process`]. One outside thing each.
//! * Between them, [`event`]: what happens, told once to the log and the counters.
//! * Floor 2, the [`line`](mod@line): a live target, its tape, its lease, its seats.
//! * Floor 3, the [`session`]: one WebSocket on one seat; it says why it ended. Beside it its other end, the
//!   [`client`] of `wsbridge.v1`, which knows nothing of the gateway but [`wire`].
//! * Floor 4, [`http`]: routes, upgrade, tickets, API, metrics, health.
//! * Floor 5, [`listen`]: bind, accept, TLS handshake, peer address.
//! * Floor 6, [`daemon`] owns everything: start, reload, shutdown; [`cli`] has one file a sub-command.

pub mod settings;
mod sys;

pub mod config;
pub mod metrics;
pub mod wire;

mod regular_file;
pub mod stream;

pub mod announce;
pub mod auth;
pub mod logging;
pub mod process;
pub mod systemd;
pub mod target;
pub mod tls;

pub mod event;

pub mod line;

pub mod client;
pub mod session;

pub mod http;

pub mod listen;

pub mod cli;
pub mod daemon;
