//! The suite of the whole: the real binary against real sockets and real ptys.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod certificates;
mod commands;
mod docs;
mod endurance;
mod floors;
mod frames;
mod harness;
mod life;
mod peers;
mod pump;
mod serial;
mod targets;
mod walls;
