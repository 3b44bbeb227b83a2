//! One WebSocket on one seat: bytes both ways, pings, limits; it says why it ended.

mod bus;
mod clock;
mod control;
mod crowd;
mod describe;
mod drain;
mod encoding;
mod endings;
mod engine;
mod eol;
mod far;
mod link;
mod live;
mod packing;
mod parking;
mod plain;
mod pulse;
mod rate;
mod rates;
mod report;
mod sessions;
mod socket;
mod upstream;

pub use bus::{Bus, bus};
pub use control::{Setup, control};
pub use crowd::Crowd;
pub use drain::Linger;
pub use eol::Eol;
pub use far::Far;
pub use parking::Parking;
pub use plain::{Terms, plain};
pub use rates::Counts;
pub use report::Report;
pub use sessions::{Entry, Session, Sessions, Standing};
pub use socket::{Payload, Socket};
