//! The words on the wire: request heads, subprotocols, frames, close codes.

pub mod close;
pub mod control;
pub mod frame;
pub mod head;
pub mod modbus;
pub mod subprotocol;
