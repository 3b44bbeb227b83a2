//! The suite for the whole: the real binary against real sockets and real ptys.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod add;
mod admin;
mod announce;
mod apps;
mod audit;
mod authority;
mod certificates;
mod circles;
mod client_certificates;
mod commands;
mod connect;
mod crowd;
mod deadman;
mod delivery;
mod dial_in;
mod docs;
mod docs_api;
mod docs_protocol;
mod doctor;
mod doors;
mod echo;
mod embed;
mod endurance;
mod fleet;
mod floors;
mod frames;
mod ghosts;
mod guesses;
mod guide;
mod harness;
mod identity;
mod identity_forged;
mod identity_reauth;
mod identity_tokens;
mod import;
mod journal;
mod kick;
mod lease;
mod lending;
mod lending_kills;
mod let_in;
mod life;
mod local_files;
mod login;
mod multicast;
mod neighbours;
mod network;
mod no_page;
mod overview;
mod packing;
mod page;
mod peers;
mod places;
mod proxies;
mod pump;
mod record;
mod resume;
mod rfc2217;
mod second_factor;
mod serial;
mod siege;
mod signing;
mod slow_devices;
mod switch;
mod takeover;
mod targets;
mod udp;
mod v1;
mod walls;
mod windows;
