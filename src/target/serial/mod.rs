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

pub(crate) use console::warning;
pub(crate) use holders::{Process, holders};
pub(crate) use hotplug::appeared;
pub(crate) use identity::{FoundPort, Roots, Usb, find, resolve, usb_of};
pub(crate) use lock::locked_by;
pub(crate) use open::{is_pty, open};
pub(crate) use port::SerialPort;
