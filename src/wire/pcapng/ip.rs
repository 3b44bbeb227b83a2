//! A connection as IP packets that nobody sent: so every reader of captures knows what to make of
//! its bytes.

use std::net::Ipv4Addr;

use bytes::BufMut as _;

/// The end of ours, which has no address of its own here (RFC 5737, for documentation).
pub(super) const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The device's, where it has no IPv4 address.
pub(super) const ITS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Bytes of an IP header and of a TCP header.
const HEADER: usize = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    Device,
    Client,
}

/// One connection, or the datagrams to and from one address.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    ours: u16,
    its: (Ipv4Addr, u16),
    /// The next sequence number of each side: ours, the device's.
    next: (u32, u32),
    datagrams: bool,
}

impl Flow {
    /// From this port of ours to an address of the device's.
    pub(crate) fn new(ours: u16, its: (Option<Ipv4Addr>, u16), datagrams: bool) -> Self {
        Self { ours, its: (its.0.unwrap_or(ITS), its.1), next: (0, 0), datagrams }
    }

    /// The packets that begin it.
    pub(crate) fn open(&mut self, mut packet: impl FnMut(Towards, &[u8])) {
        if self.datagrams {
            return;
        }
        packet(Towards::Device, &self.tcp(Towards::Device, SYN, &[]));
        packet(Towards::Client, &self.tcp(Towards::Client, SYN | ACK, &[]));
        packet(Towards::Device, &self.tcp(Towards::Device, ACK, &[]));
    }

    /// Bytes of one direction; none: only what is said about them.
    pub(crate) fn data(&mut self, towards: Towards, bytes: &[u8]) -> Vec<u8> {
        match (self.datagrams, bytes) {
            (true, bytes) => self.udp(towards, bytes),
            (false, []) => self.tcp(towards, ACK, &[]),
            (false, bytes) => self.tcp(towards, PSH | ACK, bytes),
        }
    }

    /// The packets that end it.
    pub(crate) fn close(&mut self, mut packet: impl FnMut(Towards, &[u8])) {
        if self.datagrams {
            return;
        }
        packet(Towards::Device, &self.tcp(Towards::Device, FIN | ACK, &[]));
        packet(Towards::Client, &self.tcp(Towards::Client, FIN | ACK, &[]));
        packet(Towards::Device, &self.tcp(Towards::Device, ACK, &[]));
    }

    fn ends(&self, towards: Towards) -> [(Ipv4Addr, u16); 2] {
        let ours = (OURS, self.ours);
        match towards {
            Towards::Device => [ours, self.its],
            Towards::Client => [self.its, ours],
        }
    }

    fn tcp(&mut self, towards: Towards, flags: u8, bytes: &[u8]) -> Vec<u8> {
        let [(_, from), (_, to)] = self.ends(towards);
        let (sent, heard) = match towards {
            Towards::Device => (&mut self.next.0, &mut self.next.1),
            Towards::Client => (&mut self.next.1, &mut self.next.0),
        };
        let mut tcp = Vec::with_capacity(HEADER + bytes.len());
        tcp.put_u16(from);
        tcp.put_u16(to);
        tcp.put_u32(*sent);
        tcp.put_u32(if flags & ACK == 0 { 0 } else { *heard });
        // 5 words of header.
        tcp.put_u8(5 << 4);
        tcp.put_u8(flags);
        tcp.put_u16(u16::MAX);
        tcp.put_u32(0);
        tcp.extend_from_slice(bytes);
        let took = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        *sent = sent.wrapping_add(took + u32::from(flags & (SYN | FIN) != 0));
        self.ip(towards, TCP, &mut tcp, 16)
    }

    fn udp(&self, towards: Towards, bytes: &[u8]) -> Vec<u8> {
        let [(_, from), (_, to)] = self.ends(towards);
        let mut udp = Vec::with_capacity(8 + bytes.len());
        udp.put_u16(from);
        udp.put_u16(to);
        udp.put_u16(length(8 + bytes.len()));
        udp.put_u16(0);
        udp.extend_from_slice(bytes);
        self.ip(towards, UDP, &mut udp, 6)
    }

    /// Puts an IP header before a packet, whose checksum belongs at `sum`.
    fn ip(&self, towards: Towards, protocol: u8, packet: &mut [u8], sum: usize) -> Vec<u8> {
        let [(from, _), (to, _)] = self.ends(towards);
        let mut pseudo = Vec::with_capacity(12);
        pseudo.extend(from.octets());
        pseudo.extend(to.octets());
        pseudo.put_u16(u16::from(protocol));
        pseudo.put_u16(length(packet.len()));
        let checked = checksum(&[&pseudo, packet]).to_be_bytes();
        if let Some(place) = packet.get_mut(sum..sum + 2) {
            place.copy_from_slice(&checked);
        }
        let mut all = Vec::with_capacity(HEADER + packet.len());
        all.put_u16(0x4500);
        all.put_u16(length(HEADER + packet.len()));
        // Not fragmented; 64 hops.
        all.put_u32(0x4000);
        all.put_u8(64);
        all.put_u8(protocol);
        all.put_u16(0);
        all.extend(from.octets());
        all.extend(to.octets());
        let checked = checksum(&[&all]).to_be_bytes();
        if let Some(place) = all.get_mut(10..12) {
            place.copy_from_slice(&checked);
        }
        all.extend_from_slice(packet);
        all
    }

    /// Which way a packet of [`Flow`]'s goes, and the bytes in it; `None` if it is none.
    pub(crate) fn parts(packet: &[u8]) -> Option<(Towards, &[u8])> {
        let from = packet.get(12..16)?;
        let towards = if from == OURS.octets() { Towards::Device } else { Towards::Client };
        let header = match *packet.get(9)? {
            TCP => HEADER,
            UDP => 8,
            _ => return None,
        };
        Some((towards, packet.get(HEADER + header..)?))
    }
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// The internet's checksum (RFC 1071); every part but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u64 = words
        .map(|word| match *word {
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            [high] => u64::from(high) << 8,
            _ => 0,
        })
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded & 0xffff).unwrap_or_default()
}
