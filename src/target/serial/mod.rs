//! Serial ports of this machine, through tokio-serial.

mod console;
mod frame;
mod holders;
mod identity;
mod ioctl;
mod lock;
mod open;
mod port;
mod rs485;
mod tty;

pub use console::warning;
pub use holders::{Process, holders};
#[cfg(test)]
pub(crate) use identity::tree;
pub use identity::{FoundPort, Roots, Usb, find, resolve};
pub use open::open;
pub use port::Port;
