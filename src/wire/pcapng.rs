//! pcapng, as far as recordings need it: sections, interfaces and packets, written and read.
//!
//! Only what this module wrote is read back: little endian, times in nanoseconds.

mod ip;
mod modbus;
mod serial;

pub(crate) use self::{
    ip::{Flow, Towards},
    modbus::Transactions,
    serial::{SerialEvent, lines, serial_header, serial_parts},
};

/// Section header.
const SECTION: u32 = 0x0A0D_0D0A;
/// Interface description.
const INTERFACE: u32 = 1;
/// Enhanced packet.
const PACKET: u32 = 6;
/// Says by its order that the section is little endian.
const ORDER: u32 = 0x1A2B_3C4D;
/// Bytes of a block's type and of its two lengths.
const FRAME: usize = 12;
/// The longest block that is read, in bytes: ours are far shorter.
const BLOCK_MAX: usize = 1 << 20;

const COMMENT: u16 = 1;
const OS: u16 = 3;
const APPLICATION: u16 = 4;
const NAME: u16 = 2;
const DESCRIPTION: u16 = 3;
const RESOLUTION: u16 = 9;
const FLAGS: u16 = 2;
const DROPPED: u16 = 4;

/// What an interface's packets are (tcpdump.org's list of link types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// IP packets.
    Ip,
    /// A serial line: [`serial_header`] before the bytes.
    Serial,
    /// A message of an upper protocol, whose name is in the packet.
    UpperPdu,
}

impl Link {
    fn number(self) -> u16 {
        match self {
            Self::Ip => 101,
            Self::Serial => 250,
            Self::UpperPdu => 252,
        }
    }

    fn of(number: u16) -> Option<Self> {
        [Self::Ip, Self::Serial, Self::UpperPdu].into_iter().find(|link| link.number() == number)
    }
}

/// A packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// Number of its interface in the section.
    pub interface: u32,
    /// Nanoseconds since 1970.
    pub at: u64,
    /// Whether it came from the device; `None` if it went neither way.
    pub inbound: Option<bool>,
    /// What there is to say about it.
    pub comment: Option<&'a str>,
    /// Bytes that were lost before it.
    pub dropped: u64,
}

/// Begins a file.
pub(crate) fn section(out: &mut Vec<u8>, application: &str) {
    block(out, SECTION, |out| {
        out.extend(ORDER.to_le_bytes());
        out.extend(1_u16.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        // A section of unknown length.
        out.extend(u64::MAX.to_le_bytes());
        option(out, OS, std::env::consts::OS.as_bytes());
        option(out, APPLICATION, application.as_bytes());
        option(out, 0, &[]);
    });
}

/// Adds an interface; they are numbered from 0.
pub(crate) fn interface(out: &mut Vec<u8>, link: Link, name: &str, description: &str) {
    block(out, INTERFACE, |out| {
        out.extend(link.number().to_le_bytes());
        out.extend([0; 2]);
        // No limit to a packet's length.
        out.extend(0_u32.to_le_bytes());
        option(out, NAME, name.as_bytes());
        if !description.is_empty() {
            option(out, DESCRIPTION, description.as_bytes());
        }
        option(out, RESOLUTION, &[9]);
        option(out, 0, &[]);
    });
}

/// Adds a packet, whose bytes are in parts.
pub(crate) fn packet(out: &mut Vec<u8>, packet: &Packet<'_>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    block(out, PACKET, |out| {
        out.extend(packet.interface.to_le_bytes());
        for half in [packet.at >> 32, packet.at & u64::from(u32::MAX)] {
            out.extend(u32::try_from(half).unwrap_or_default().to_le_bytes());
        }
        out.extend(length.to_le_bytes());
        out.extend(length.to_le_bytes());
        for part in parts {
            out.extend_from_slice(part);
        }
        pad(out);
        if let Some(comment) = packet.comment {
            option(out, COMMENT, comment.as_bytes());
        }
        if let Some(inbound) = packet.inbound {
            option(out, FLAGS, &if inbound { 1_u32 } else { 2 }.to_le_bytes());
        }
        if packet.dropped > 0 {
            option(out, DROPPED, &packet.dropped.to_le_bytes());
        }
        if packet.comment.is_some() || packet.inbound.is_some() || packet.dropped > 0 {
            option(out, 0, &[]);
        }
    });
}

/// Writes a block around its body. `out` has whole blocks, so that its length is a multiple of 4.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let length = u32::try_from(out.len() - start + 4).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&length);
    }
    out.extend(length);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let (value, _) = value.split_at(value.len().min(usize::from(u16::MAX)));
    out.extend(code.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(value);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A block that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block<'a> {
    /// A file, or another one appended to it, begins.
    Section,
    /// An interface; `None`: of a kind that recordings do not have.
    Interface(Option<Link>),
    /// A packet and its bytes.
    Packet(Packet<'a>, &'a [u8]),
    /// Something else.
    Other,
}

/// What was read is not pcapng, or not as we write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pcapng file of this program")]
pub(crate) struct NotOurs;

/// Reads the first block and its length in bytes; `None` while it is not whole.
///
/// # Errors
/// These bytes do not begin a block.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(Block<'_>, usize)>, NotOurs> {
    let (Some(kind), Some(length)) = (u32_at(bytes, 0), u32_at(bytes, 4)) else { return Ok(None) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(FRAME..=BLOCK_MAX).contains(&length) || !length.is_multiple_of(4) {
        return Err(NotOurs);
    }
    let Some(whole) = bytes.get(..length) else { return Ok(None) };
    let (Some(body), Some(again)) = (whole.get(8..length - 4), u32_at(whole, length - 4)) else {
        return Err(NotOurs);
    };
    if usize::try_from(again) != Ok(length) {
        return Err(NotOurs);
    }
    let block = match kind {
        SECTION if u32_at(body, 0) == Some(ORDER) => Block::Section,
        SECTION => return Err(NotOurs),
        INTERFACE => Block::Interface(Link::of(u16_at(body, 0).ok_or(NotOurs)?)),
        PACKET => read_packet(body).ok_or(NotOurs)?,
        _ => Block::Other,
    };
    Ok(Some((block, length)))
}

fn read_packet(body: &[u8]) -> Option<Block<'_>> {
    let high = u64::from(u32_at(body, 4)?) << 32;
    let mut packet = Packet {
        interface: u32_at(body, 0)?,
        at: high | u64::from(u32_at(body, 8)?),
        ..Packet::default()
    };
    let length = usize::try_from(u32_at(body, 12)?).ok()?;
    let (_, rest) = body.split_at_checked(20)?;
    let (data, _) = rest.split_at_checked(length)?;
    let (_, mut options) = rest.split_at_checked(length.next_multiple_of(4))?;
    while let (Some(code @ 1..), Some(length)) = (u16_at(options, 0), u16_at(options, 2)) {
        let length = usize::from(length);
        let value = options.get(4..4 + length)?;
        match code {
            COMMENT => packet.comment = std::str::from_utf8(value).ok(),
            FLAGS => packet.inbound = u32_at(value, 0).map(|flags| flags & 3 == 1),
            DROPPED => packet.dropped = u64::from_le_bytes(value.try_into().ok()?),
            _ => {}
        }
        options = options.get(4 + length.next_multiple_of(4)..)?;
    }
    Some(Block::Packet(packet, data))
}

/// How many of these bytes are whole blocks. What comes after was cut off while it was written.
#[cfg(test)]
pub(crate) fn whole(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Ok(Some((_, length))) = read(bytes.split_at(at).1) {
        at += length;
    }
    at
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
