//! Serial ports of this machine, through tokio-serial.

mod console;
mod holders;
mod hotplug;
mod identity;
mod inputs;
mod lock;
mod marked;
mod open;
mod port;
mod rs485;
mod transmitter;
#[cfg(test)]
pub(crate) mod tree;
mod tty;
mod unmark;
mod waiting;

pub use console::{Occupied, warning};
pub use holders::{Process, holders};
pub use hotplug::appeared;
pub use identity::{FoundPort, Roots, Usb, find, resolve, usb_of};
pub use lock::locked_by;
pub use open::{is_pty, open};
pub use port::Port;
