//! The words of COM-PORT-OPTION (RFC 2217 section 3): what is asked of a serial port on another
//! box, and what it reports.

use super::{KnownOption, Role};
use crate::{
    settings::{DataBits, Flow, Inputs, LineEvent, Parity, Settings, StopBits},
    wire::telnet,
};

/// A server's codes are the client's plus this.
const SERVER: u8 = 100;

/// What LINESTATE can report and we want to hear: overrun, parity, framing, break.
pub const LINE_MASK: u8 = OVERRUN | PARITY | FRAMING | BREAK;
/// Bits of LINESTATE; this one is overrun.
pub const OVERRUN: u8 = 2;
/// A frame with wrong parity.
pub const PARITY: u8 = 4;
/// A frame without a stop bit.
pub const FRAMING: u8 = 8;
/// A break condition.
pub const BREAK: u8 = 16;
/// The transmitter is empty: its holding register and its shift register.
pub const EMPTY: u8 = 0x60;
/// All four modem lines and their changes.
pub const MODEM_MASK: u8 = 0xff;

/// A command, in either direction. Values that a server may send but we would not are kept as
/// numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComPortCommand {
    /// 0: who the sender is; if empty, a question.
    Signature(Vec<u8>),
    /// 1: bits per second; 0 asks.
    Baud(u32),
    /// 2: data bits; 0 asks.
    DataSize(u8),
    /// 3: see [`parity_code`]; 0 asks.
    Parity(u8),
    /// 4: see [`stop_code`]; 0 asks.
    StopSize(u8),
    /// 5: flow control, break, DTR, RTS.
    Control(ControlValue),
    /// 6: errors and transmitter, as in a UART's LSR.
    LineState(u8),
    /// 7: modem lines, as in a UART's MSR.
    ModemState(u8),
    /// 8: send no more data.
    Suspend,
    /// 9: resume sending.
    Resume,
    /// 10: which bits of LINESTATE to report.
    LineMask(u8),
    /// 11: which bits of MODEMSTATE to report.
    ModemMask(u8),
    /// 12: discard.
    Purge(Purge),
}

/// Values of SET-CONTROL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlValue {
    /// 0
    AskFlow,
    /// 1, 2, 3: both directions, or outbound if inbound is set separately.
    Flow(Flow),
    /// 4
    AskBreak,
    /// 5, 6
    Break(bool),
    /// 7
    AskDtr,
    /// 8, 9
    Dtr(bool),
    /// 10
    AskRts,
    /// 11, 12
    Rts(bool),
    /// 13
    AskInbound,
    /// 14, 15, 16
    Inbound(Flow),
    /// 17: outbound by DCD.
    FlowDcd,
    /// 18: inbound by DTR.
    InboundDtr,
    /// 19: outbound by DSR.
    FlowDsr,
}

/// Every value of SET-CONTROL by its number.
const CONTROLS: [ControlValue; 20] = [
    ControlValue::AskFlow,
    ControlValue::Flow(Flow::None),
    ControlValue::Flow(Flow::Software),
    ControlValue::Flow(Flow::Hardware),
    ControlValue::AskBreak,
    ControlValue::Break(true),
    ControlValue::Break(false),
    ControlValue::AskDtr,
    ControlValue::Dtr(true),
    ControlValue::Dtr(false),
    ControlValue::AskRts,
    ControlValue::Rts(true),
    ControlValue::Rts(false),
    ControlValue::AskInbound,
    ControlValue::Inbound(Flow::None),
    ControlValue::Inbound(Flow::Software),
    ControlValue::Inbound(Flow::Hardware),
    ControlValue::FlowDcd,
    ControlValue::InboundDtr,
    ControlValue::FlowDsr,
];

impl ControlValue {
    fn code(self) -> u8 {
        let index = CONTROLS.iter().position(|known| *known == self);
        index.and_then(|index| u8::try_from(index).ok()).unwrap_or_default()
    }

    fn of(code: u8) -> Option<Self> {
        CONTROLS.get(usize::from(code)).copied()
    }
}

/// Values of PURGE-DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// 1: what was received.
    Input,
    /// 2: what was not sent yet.
    Output,
    /// 3
    Both,
}

impl ComPortCommand {
    /// Appends it in the form that this end sends.
    pub fn encode(&self, role: Role, wire: &mut Vec<u8>) {
        let byte = |code: u8, value: u8| vec![code, value];
        let mut content = match self {
            Self::Signature(text) => [&[0], text.as_slice()].concat(),
            Self::Baud(baud) => [&[1], baud.to_be_bytes().as_slice()].concat(),
            Self::DataSize(bits) => byte(2, *bits),
            Self::Parity(code) => byte(3, *code),
            Self::StopSize(code) => byte(4, *code),
            Self::Control(control) => byte(5, control.code()),
            Self::LineState(bits) => byte(6, *bits),
            Self::ModemState(bits) => byte(7, *bits),
            Self::Suspend => vec![8],
            Self::Resume => vec![9],
            Self::LineMask(mask) => byte(10, *mask),
            Self::ModemMask(mask) => byte(11, *mask),
            Self::Purge(Purge::Input) => byte(12, 1),
            Self::Purge(Purge::Output) => byte(12, 2),
            Self::Purge(Purge::Both) => byte(12, 3),
        };
        if let (Role::Server, Some(code)) = (role, content.first_mut()) {
            *code += SERVER;
        }
        telnet::sub(KnownOption::ComPort.code(), &content, wire);
    }

    /// Reads what a peer sent: with the server's numbers, or with the client's, which some servers
    /// use in answers. A speed may have 1 to 4 bytes (one byte is Cisco's number for it), other
    /// values may have bytes after them; `None` if there is no value, or an unknown one.
    pub fn decode(content: &[u8]) -> Option<Self> {
        let (code, value) = content.split_first()?;
        let first = value.first().copied();
        Some(match code.checked_sub(SERVER).unwrap_or(*code) {
            0 => Self::Signature(value.to_vec()),
            1 if value.len() == 1 => Self::Baud(cisco_baud(first?)),
            1 if (2..=4).contains(&value.len()) => {
                Self::Baud(value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
            }
            2 => Self::DataSize(first?),
            3 => Self::Parity(first?),
            4 => Self::StopSize(first?),
            5 => Self::Control(ControlValue::of(first?)?),
            6 => Self::LineState(first?),
            7 => Self::ModemState(first?),
            8 => Self::Suspend,
            9 => Self::Resume,
            10 => Self::LineMask(first?),
            11 => Self::ModemMask(first?),
            12 => Self::Purge(match first? {
                1 => Purge::Input,
                2 => Purge::Output,
                3 => Purge::Both,
                _ => return None,
            }),
            _ => return None,
        })
    }
}

/// The speed for a single byte, as Cisco's IOS numbers them; an unknown number is the speed itself.
fn cisco_baud(code: u8) -> u32 {
    match code {
        3 => 300,
        4 => 600,
        5 => 1200,
        6 => 2400,
        7 => 4800,
        8 => 9600,
        10 => 19_200,
        12 => 38_400,
        13 => 57_600,
        14 => 115_200,
        15 => 230_400,
        other => other.into(),
    }
}

/// Appends everything that sets a port.
pub fn encode_settings(settings: Settings, role: Role, wire: &mut Vec<u8>) {
    for command in [
        ComPortCommand::Baud(settings.baud),
        ComPortCommand::DataSize(settings.data.into()),
        ComPortCommand::Parity(parity_code(settings.parity)),
        ComPortCommand::StopSize(stop_code(settings.stop)),
        ComPortCommand::Control(ControlValue::Flow(settings.flow)),
    ] {
        command.encode(role, wire);
    }
}

/// Parity as SET-PARITY numbers it.
pub fn parity_code(parity: Parity) -> u8 {
    match parity {
        Parity::None => 1,
        Parity::Odd => 2,
        Parity::Even => 3,
        Parity::Mark => 4,
        Parity::Space => 5,
    }
}

/// The parity with this number.
pub fn parity(code: u8) -> Option<Parity> {
    [Parity::None, Parity::Odd, Parity::Even, Parity::Mark, Parity::Space]
        .into_iter()
        .find(|parity| parity_code(*parity) == code)
}

/// Stop bits as SET-STOPSIZE numbers them.
pub fn stop_code(stop: StopBits) -> u8 {
    match stop {
        StopBits::One => 1,
        StopBits::Two => 2,
        StopBits::OneAndHalf => 3,
    }
}

/// The stop bits with this number.
pub fn stop(code: u8) -> Option<StopBits> {
    [StopBits::One, StopBits::Two, StopBits::OneAndHalf]
        .into_iter()
        .find(|stop| stop_code(*stop) == code)
}

/// The data bits with this number.
pub fn data(bits: u8) -> Option<DataBits> {
    DataBits::try_from(bits).ok()
}

/// The modem lines in a MODEMSTATE.
pub fn inputs(bits: u8) -> Inputs {
    let up = |bit: u8| bits & bit != 0;
    Inputs { cts: up(0x10), dsr: up(0x20), ri: up(0x40), dcd: up(0x80) }
}

/// The MODEMSTATE of modem lines that did not change.
pub fn modem_state(inputs: Inputs) -> u8 {
    let Inputs { cts, dsr, dcd, ri } = inputs;
    u8::from(cts) << 4 | u8::from(dsr) << 5 | u8::from(ri) << 6 | u8::from(dcd) << 7
}

/// The bits of MODEMSTATE that say what changed; of RI a UART notes only that it fell.
pub fn modem_changes(before: Inputs, now: Inputs) -> u8 {
    let fell = before.ri && !now.ri;
    u8::from(before.cts != now.cts)
        | u8::from(before.dsr != now.dsr) << 1
        | u8::from(fell) << 2
        | u8::from(before.dcd != now.dcd) << 3
}

/// The bit of LINESTATE for what happened.
pub fn line_bit(event: LineEvent) -> u8 {
    match event {
        LineEvent::Break => BREAK,
        LineEvent::Parity => PARITY,
        LineEvent::Framing => FRAMING,
        LineEvent::Overrun => OVERRUN,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> Vec<ComPortCommand> {
        let purges = [Purge::Input, Purge::Output, Purge::Both].map(ComPortCommand::Purge);
        let mut all = vec![
            ComPortCommand::Signature(Vec::new()),
            ComPortCommand::Signature(b"a\xffb".to_vec()),
            ComPortCommand::Baud(0xff_ff00),
            ComPortCommand::Baud(u32::MAX),
            ComPortCommand::DataSize(8),
            ComPortCommand::Parity(5),
            ComPortCommand::StopSize(3),
            ComPortCommand::LineState(0xff),
            ComPortCommand::ModemState(0xff),
            ComPortCommand::Suspend,
            ComPortCommand::Resume,
            ComPortCommand::LineMask(0xff),
            ComPortCommand::ModemMask(0xff),
        ];
        all.extend(purges);
        all.extend(CONTROLS.map(ComPortCommand::Control));
        all
    }

    /// The contents of the sub-negotiations in a stream.
    fn contents(mut wire: Vec<u8>) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let kept = telnet::Decoder::default().decode(&mut wire, true, |_, event| {
            let telnet::Event::Sub(44, content) = event else { panic!("{event:?}") };
            found.push(content.to_vec());
            true
        });
        assert_eq!(kept, 0);
        found
    }

    #[test]
    fn every_command_comes_back_from_the_clients_number_and_the_servers() {
        for command in all() {
            let codes = [Role::Client, Role::Server].map(|role| {
                let mut wire = Vec::new();
                command.encode(role, &mut wire);
                let [content] = contents(wire).try_into().unwrap();
                assert_eq!(ComPortCommand::decode(&content), Some(command.clone()));
                content[0]
            });
            assert_eq!(codes[1], codes[0] + SERVER);
        }
    }

    #[test]
    fn a_port_is_set_by_five_commands_of_the_rfc() {
        let mut wire = Vec::new();
        let settings = Settings {
            baud: 115_200,
            data: DataBits::Seven,
            parity: Parity::Even,
            stop: StopBits::Two,
            flow: Flow::Hardware,
        };
        encode_settings(settings, Role::Client, &mut wire);
        let expected: [&[u8]; 5] = [&[1, 0, 1, 0xc2, 0], &[2, 7], &[3, 3], &[4, 2], &[5, 3]];
        assert_eq!(contents(wire), expected);
    }

    #[test]
    fn values_of_other_sizes_are_taken_as_far_as_they_mean_something() {
        assert_eq!(ComPortCommand::decode(&[101, 0x25, 0x80]), Some(ComPortCommand::Baud(9600)));
        assert_eq!(ComPortCommand::decode(&[1, 8]), Some(ComPortCommand::Baud(9600)));
        assert_eq!(ComPortCommand::decode(&[1, 110]), Some(ComPortCommand::Baud(110)));
        assert_eq!(ComPortCommand::decode(&[102, 7, 0, 0]), Some(ComPortCommand::DataSize(7)));
        for nothing in [
            &[101][..],
            &[101, 0, 0, 0, 0, 1],
            &[102],
            &[105, 20],
            &[112, 9],
            &[113, 1],
            &[77],
            &[],
        ] {
            assert_eq!(ComPortCommand::decode(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn modem_lines_have_the_places_of_a_uart() {
        let none = Inputs::default();
        assert_eq!(inputs(0x0f), none);
        assert_eq!(inputs(0x10), Inputs { cts: true, ..none });
        assert_eq!(inputs(0x20), Inputs { dsr: true, ..none });
        assert_eq!(inputs(0x40), Inputs { ri: true, ..none });
        assert_eq!(inputs(0x80), Inputs { dcd: true, ..none });
    }

    #[test]
    fn changes_of_modem_lines_have_the_places_of_a_uart() {
        let none = Inputs::default();
        let all = Inputs { cts: true, dsr: true, dcd: true, ri: true };
        assert_eq!((modem_state(none), modem_state(all)), (0, 0xf0));
        assert_eq!((modem_changes(none, all), modem_changes(all, none)), (0x0b, 0x0f));
        assert_eq!(modem_changes(all, all), 0);
        for bits in (0..=0xf0).step_by(0x10) {
            assert_eq!(modem_state(inputs(bits)), bits);
        }
    }

    proptest! {
        #[test]
        fn nothing_a_peer_sends_is_too_strange(content: Vec<u8>) {
            let _ = ComPortCommand::decode(&content);
        }
    }
}
