//! Modbus RTU as messages that Wireshark takes for Modbus/TCP, so that it tells requests and
//! responses apart and needs no setting.

use std::time::Duration;

use bytes::BufMut as _;

use super::{
    Towards,
    ip::{ITS, OURS},
};
use crate::wire::{
    frames::{Framer, Packing},
    modbus::{FRAME_MOST, crc16},
};

/// Where Wireshark looks for Modbus/TCP.
const PORT: u32 = 502;
/// The other end's.
const CLIENT_PORT: u32 = 49_152;

/// Tags of an Upper PDU (Wireshark's `exported_pdu.h`); numbers in it are big endian.
const DISSECTOR: u16 = 12;
const SOURCE: u16 = 20;
const DESTINATION: u16 = 21;
const PORT_KIND: u16 = 24;
const SOURCE_PORT: u16 = 25;
const DESTINATION_PORT: u16 = 26;
/// The kind of ports: TCP's.
const OF_TCP: u32 = 2;

/// The frames in both directions of a line, and which response belongs to which request.
#[derive(Debug)]
pub(crate) struct Transactions {
    to: Direction,
    from: Direction,
    /// Number of the last request.
    number: u16,
}

#[derive(Debug)]
struct Direction {
    framer: Framer,
    last: u64,
}

impl Transactions {
    /// On a line where this much silence ends what cannot be told by its length.
    pub(crate) fn new(silence: Duration) -> Self {
        let direction = || Direction {
            framer: Framer::new(Packing::ModbusRtu { silence }, FRAME_MOST),
            last: 0,
        };
        Self { to: direction(), from: direction(), number: 0 }
    }

    /// Takes bytes that passed at this time (nanoseconds) and passes on the messages they complete.
    /// What has no right checksum is not one.
    pub(crate) fn push(
        &mut self,
        (at, towards): (u64, Towards),
        bytes: &[u8],
        mut message: impl FnMut(&[u8]),
    ) {
        let direction = match towards {
            Towards::Device => &mut self.to,
            Towards::Client => &mut self.from,
        };
        let number = &mut self.number;
        let mut frame = |frame: &[u8]| {
            if let Some(pdu) = upper(frame, towards, number) {
                message(&pdu);
            }
        };
        let since = Duration::from_nanos(at.saturating_sub(direction.last));
        if direction.framer.silence().is_some_and(|silence| since >= silence) {
            direction.framer.end(&mut frame);
        }
        direction.framer.push(bytes, &mut frame);
        direction.last = at;
    }
}

/// A frame as an Upper PDU, if it is one.
fn upper(frame: &[u8], towards: Towards, number: &mut u16) -> Option<Vec<u8>> {
    let (message, sum) = frame.split_last_chunk::<2>()?;
    let (unit, pdu) = message.split_first()?;
    if pdu.is_empty() || crc16(message) != u16::from_le_bytes(*sum) {
        return None;
    }
    let (ends, ports) = match towards {
        Towards::Device => {
            *number = number.wrapping_add(1);
            ([OURS, ITS], [CLIENT_PORT, PORT])
        }
        Towards::Client => ([ITS, OURS], [PORT, CLIENT_PORT]),
    };
    let mut out = Vec::with_capacity(72 + message.len());
    let ([source, destination], [source_port, destination_port]) = (ends, ports);
    tag(&mut out, DISSECTOR, b"mbtcp\0\0\0");
    tag(&mut out, SOURCE, &source.octets());
    tag(&mut out, DESTINATION, &destination.octets());
    tag(&mut out, PORT_KIND, &OF_TCP.to_be_bytes());
    tag(&mut out, SOURCE_PORT, &source_port.to_be_bytes());
    tag(&mut out, DESTINATION_PORT, &destination_port.to_be_bytes());
    tag(&mut out, 0, &[]);
    out.put_u16(*number);
    out.put_u16(0);
    out.put_u16(u16::try_from(message.len()).ok()?);
    out.put_u8(*unit);
    out.extend_from_slice(pdu);
    Some(out)
}

/// Adds a tag; its value is as long as a multiple of 4.
fn tag(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    out.put_u16(tag);
    out.put_u16(u16::try_from(value.len()).unwrap_or_default());
    out.extend_from_slice(value);
}
