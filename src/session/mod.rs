//! One WebSocket on one seat: bytes both ways, pings, limits; it says why it ended.

mod bus;
mod clock;
mod control;
mod crowd;
mod describe;
mod door;
mod drain;
mod encoding;
mod endings;
mod engine;
mod eol;
mod far;
mod held;
mod link;
mod live;
mod message;
mod order;
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

pub(crate) use bus::{BusView, bus};
pub(crate) use control::{Setup, control};
pub(crate) use crowd::Crowd;
pub(crate) use door::{
    Beginning, ComPort, DeviceNode, DoorTerms, Entrance, First, LeftDoor, Raw, Words, door,
    first_bytes,
};
pub(crate) use drain::Linger;
pub(crate) use eol::Eol;
pub(crate) use far::{Dedicated, Far};
pub(crate) use order::{Notice, Restraint, Restraints};
pub(crate) use parking::Parking;
pub(crate) use plain::{Terms, plain};
pub(crate) use rates::Counts;
pub(crate) use report::SessionReport;
pub(crate) use sessions::{RunningSession, Session, Sessions, Standing};
pub(crate) use socket::{Payload, Socket};
