//! The words on the wire: request heads, subprotocols, frames, close codes, telnet, Modbus.

pub mod close;
pub mod control;
pub mod frame;
pub mod frames;
pub mod head;
pub(crate) mod modbus;
pub(crate) mod opening;
pub mod proxy;
pub(crate) mod registration;
pub mod subprotocol;
pub mod telnet;
