//! One WebSocket on one seat: bytes both ways, pings, limits; it says why it ended.

mod clock;
mod down;
mod encoding;
mod far;
mod plain;
mod rate;
mod sessions;
mod socket;
mod up;

pub use far::{Far, Input};
pub use plain::{Report, Terms, plain};
pub use sessions::{Entry, Session, Sessions};
pub use socket::{Payload, Socket};
