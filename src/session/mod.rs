//! One WebSocket on one seat: bytes both ways, pings, limits; it says why it ended.

mod bus;
mod clock;
mod control;
mod describe;
mod down;
mod encoding;
mod far;
mod live;
mod packing;
mod parking;
mod plain;
mod rate;
mod rates;
mod sessions;
mod socket;
mod up;

pub use bus::{Bus, bus};
pub use control::{Setup, control};
pub use far::{Far, Input};
pub use parking::Parking;
pub use plain::{Report, Terms, plain};
pub use rates::Counts;
pub use sessions::{Entry, Session, Sessions};
pub use socket::{Payload, Socket};
