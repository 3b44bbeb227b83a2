//! The words on the wire: request heads, subprotocols, frames, close codes.

pub mod close;
pub mod frame;
pub mod head;
pub mod subprotocol;
