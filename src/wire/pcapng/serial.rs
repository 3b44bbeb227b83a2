//! Packets of a serial line (link type RTAC_SERIAL): what happened, the modem lines, the bytes.

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
    let ([a, b, c, d], [e, f, g, h]) = (seconds, micros);
    [a, b, c, d, e, f, g, h, event.number(), lines, 0, 0]
}

/// What happened, the modem lines and the bytes of a packet; `None` if it is none of ours.
pub(crate) fn serial_parts(packet: &[u8]) -> Option<(SerialEvent, u8, &[u8])> {
    let (header, bytes) = packet.split_at_checked(HEADER)?;
    let [.., event, lines, _, _] = header else { return None };
    Some((SerialEvent::of(*event)?, *lines, bytes))
}
