//! Telnet (RFC 854), both ends of it: its codes, its stream, its options, and the control of a
//! serial port (RFC 2217).

mod access_server;
pub mod comport;
mod decoder;
mod encoder;
mod options;
mod resets;

pub use access_server::{AccessServer, ClientRead, PortDeed, PortOrder, PortValues, TelnetFaults};
pub use decoder::{Decoder, Event, Fault, SUB_MAX};
pub use encoder::Encoder;
pub use options::{KnownOption, Options, Role, Side, Sides};
pub use resets::{EspResets, ResetMove};

const SE: u8 = 240;
/// No operation; one that comes from us says that we are there.
const NOP: u8 = 241;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
/// Interpret as command; within data it is sent twice.
pub const IAC: u8 = 255;

/// What a side says about an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It does it, or offers to.
    Will,
    /// It does not.
    Wont,
    /// The other side should do it.
    Do,
    /// The other side should not do it.
    Dont,
}

impl Verb {
    /// The word about our part in an option (`ours`), or about the other end's, on or off.
    fn about(ours: bool, on: bool) -> Self {
        match (ours, on) {
            (true, true) => Self::Will,
            (true, false) => Self::Wont,
            (false, true) => Self::Do,
            (false, false) => Self::Dont,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Will => WILL,
            Self::Wont => WONT,
            Self::Do => DO,
            Self::Dont => DONT,
        }
    }

    fn of(code: u8) -> Option<Self> {
        match code {
            WILL => Some(Self::Will),
            WONT => Some(Self::Wont),
            DO => Some(Self::Do),
            DONT => Some(Self::Dont),
            _ => None,
        }
    }
}

/// Appends a sub-negotiation.
pub fn sub(option: u8, content: &[u8], wire: &mut Vec<u8>) {
    wire.extend([IAC, SB, option]);
    for byte in content {
        wire.push(*byte);
        wire.extend((*byte == IAC).then_some(IAC));
    }
    wire.extend([IAC, SE]);
}
