//! Packets of a serial line (link type `RTAC_SERIAL`): what happened, the modem lines, the bytes.

use crate::settings::{Inputs, Levels, LineEvent};

/// Bytes of the header.
const HEADER: usize = 12;

/// What happened on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SerialEvent {
    /// Modem lines, settings or whoever writes changed.
    Status,
    /// Bytes went to the device.
    ToDevice,
    /// Bytes came from the device.
    FromDevice,
    /// Something was not recorded.
    Lost,
    /// A line event.
    Line(LineEvent),
}

impl SerialEvent {
    fn number(self) -> u8 {
        match self {
            Self::Status => 0,
            Self::ToDevice => 1,
            Self::FromDevice => 2,
            Self::Lost => 5,
            Self::Line(LineEvent::Framing) => 7,
            Self::Line(LineEvent::Parity) => 8,
            Self::Line(LineEvent::Break) => 9,
            Self::Line(LineEvent::Overrun) => 10,
        }
    }

    fn of(number: u8) -> Option<Self> {
        let line = [LineEvent::Framing, LineEvent::Parity, LineEvent::Break, LineEvent::Overrun];
        let all = [Self::Status, Self::ToDevice, Self::FromDevice, Self::Lost];
        all.into_iter().chain(line.map(Self::Line)).find(|event| event.number() == number)
    }
}

/// The modem lines in one byte: those that are on.
pub(crate) fn lines(inputs: Inputs, outputs: Levels) -> u8 {
    let on = [
        (inputs.cts, 0x01),
        (inputs.dcd, 0x02),
        (inputs.dsr, 0x04),
        (outputs.rts == Some(true), 0x08),
        (outputs.dtr == Some(true), 0x10),
        (inputs.ri, 0x20),
    ];
    on.into_iter().filter(|(is_on, _)| *is_on).map(|(_, bit)| bit).sum()
}

/// The header of something that happened at this time (nanoseconds since 1970).
pub(crate) fn serial_header(at: u64, event: SerialEvent, lines: u8) -> [u8; HEADER] {
    // The field has room until 2106.
    let seconds = u32::try_from(at / 1_000_000_000).unwrap_or(u32::MAX).to_be_bytes();
    let micros = u32::try_from(at % 1_000_000_000 / 1000).unwrap_or_default().to_be_bytes();
    let parts = seconds.into_iter().chain(micros).chain([event.number(), lines]);
    let mut header = [0; HEADER];
    for (place, byte) in header.iter_mut().zip(parts) {
        *place = byte;
    }
    header
}

/// What happened, the modem lines and the bytes of a packet; `None` if it is none of ours.
pub(crate) fn serial_parts(packet: &[u8]) -> Option<(SerialEvent, u8, &[u8])> {
    let (header, bytes) = packet.split_at_checked(HEADER)?;
    let [.., event, lines, _, _] = header else { return None };
    Some((SerialEvent::of(*event)?, *lines, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modem_lines_have_the_places_of_the_link_type() {
        let inputs = Inputs { cts: true, dsr: false, dcd: true, ri: false };
        let outputs = Levels { dtr: Some(true), rts: Some(false), brk: Some(true) };
        assert_eq!(lines(inputs, outputs), 0x13);
        let header = serial_header(3_000_000_000, SerialEvent::Status, 0x13);
        assert_eq!(header, [0, 0, 0, 3, 0, 0, 0, 0, 0, 0x13, 0, 0]);
        assert_eq!(serial_parts(&header), Some((SerialEvent::Status, 0x13, &[][..])));
    }
}
