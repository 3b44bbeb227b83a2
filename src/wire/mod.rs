//! The words on the wire: request heads, subprotocols, frames, close codes, telnet, Modbus, files of
//! recordings, what hubs and gateways say to each other.

#[cfg(unix)]
pub(crate) mod assertion;
#[cfg(unix)]
pub(crate) mod cast;
pub mod close;
pub mod control;
pub mod frame;
pub mod frames;
pub mod head;
pub(crate) mod home;
#[cfg(unix)]
pub(crate) mod jws;
pub(crate) mod modbus;
pub(crate) mod opening;
#[cfg(unix)]
pub(crate) mod pcapng;
pub mod proxy;
pub(crate) mod registration;
pub(crate) mod second_factor;
pub mod subprotocol;
pub mod telnet;
