//! Clients against the machine, byte for byte; and our own reading of what it writes.

use super::*;
use crate::{
    settings::{DataBits, Flow, Levels, Parity, Settings, StopBits},
    wire::{
        control::SettingsChange,
        telnet::{
            DO, SB, SE, SUB_MAX, WILL,
            comport::{ControlValue, Purge},
            sub,
        },
    },
};

/// What a client says with these.
fn says(commands: &[ComPortCommand]) -> Vec<u8> {
    let mut wire = Vec::new();
    for command in commands {
        command.encode(Role::Client, &mut wire);
    }
    wire
}

fn control(value: ControlValue) -> ComPortCommand {
    ComPortCommand::Control(value)
}

/// A server whose client agreed to everything, and was told nothing yet.
fn agreed() -> AccessServer {
    let mut wire = Vec::new();
    let mut server = AccessServer::open("wsbridge/1 plc", &mut wire);
    assert!(server.is_negotiating() && !server.is_controlled());
    let mut client =
        [IAC, DO, 1, IAC, DO, 3, IAC, WILL, 3, IAC, DO, 0, IAC, WILL, 0, IAC, WILL, 44];
    wire.clear();
    assert_eq!(server.hear(&mut client, &mut wire), ClientRead::default());
    assert_eq!(wire, b"", "nothing changed that was not asked");
    assert!(!server.is_negotiating() && server.is_controlled());
    server
}

/// One read; data, orders and what was answered at once.
fn hear(server: &mut AccessServer, read: &[u8]) -> (Vec<u8>, Vec<(usize, PortOrder)>, Vec<u8>) {
    let (mut read, mut wire) = (read.to_vec(), Vec::new());
    let ClientRead { data, orders } = server.hear(&mut read, &mut wire);
    read.truncate(data);
    (read, orders, wire)
}

/// What the server's bytes say, as our own client reads them: data, then commands.
fn heard(mut wire: Vec<u8>) -> (Vec<u8>, Vec<ComPortCommand>) {
    let mut commands = Vec::new();
    let kept = Decoder::default().decode(&mut wire, true, |_, event| {
        let Event::Sub(44, content) = event else { panic!("{event:?}") };
        assert!(content[0] >= 100, "a server's number: {content:?}");
        commands.push(ComPortCommand::decode(content).unwrap());
        true
    });
    wire.truncate(kept);
    (wire, commands)
}

/// What is answered to orders.
fn answers(
    server: &AccessServer,
    orders: &[(usize, PortOrder)],
    done: bool,
    now: &PortValues,
) -> Vec<ComPortCommand> {
    let mut wire = Vec::new();
    for (_, order) in orders {
        server.answer(order, done, now, &mut wire);
    }
    heard(wire).1
}

fn deeds(orders: &[(usize, PortOrder)]) -> Vec<(usize, PortDeed)> {
    orders.iter().map(|(at, order)| (*at, order.deed)).collect()
}

fn moves(dtr: Option<bool>, rts: Option<bool>) -> PortDeed {
    PortDeed::Move(Levels { dtr, rts, brk: None })
}

#[test]
fn it_asks_for_the_options_and_answers_no_word_twice() {
    let mut wire = Vec::new();
    let mut server = AccessServer::open("", &mut wire);
    assert_eq!(
        wire,
        [[IAC, WILL, 1], [IAC, WILL, 3], [IAC, DO, 3], [IAC, WILL, 0], [IAC, DO, 0], [IAC, DO, 44]]
            .concat()
    );
    // pyserial asks us for COM-PORT-OPTION as well.
    let (data, orders, wire) = hear(&mut server, &[IAC, DO, 44, IAC, DO, 44, IAC, WILL, 44]);
    assert_eq!((data.len(), orders.len(), wire), (0, 0, vec![IAC, WILL, 44]));
    // An unknown one is refused, once a read.
    let terminal = [IAC, WILL, 24, IAC, DO, 24, IAC, WILL, 24, IAC, WILL, 31].repeat(100);
    for _ in 0..2 {
        let (.., wire) = hear(&mut server, &terminal);
        assert_eq!(wire, [IAC, 254, 24, IAC, 252, 24, IAC, 254, 31]);
    }
}

#[test]
fn settings_that_come_together_are_one_change_and_each_is_answered() {
    let mut server = agreed();
    // As pyserial opens a port.
    let read = says(&[
        ComPortCommand::Baud(115_200),
        ComPortCommand::DataSize(7),
        ComPortCommand::Parity(3),
        ComPortCommand::StopSize(2),
        control(ControlValue::Flow(Flow::Hardware)),
    ]);
    let (data, orders, wire) = hear(&mut server, &read);
    let wanted = Settings {
        baud: 115_200,
        data: DataBits::Seven,
        parity: Parity::Even,
        stop: StopBits::Two,
        flow: Flow::Hardware,
    };
    assert_eq!((data, wire), (vec![], vec![]));
    assert_eq!(deeds(&orders), [(0, PortDeed::Configure(wanted.into()))]);
    let now = PortValues { settings: wanted, ..PortValues::default() };
    assert_eq!(
        answers(&server, &orders, true, &now),
        [
            ComPortCommand::Baud(115_200),
            ComPortCommand::DataSize(7),
            ComPortCommand::Parity(3),
            ComPortCommand::StopSize(2),
            control(ControlValue::Flow(Flow::Hardware)),
        ]
    );
    // Whoever changes nothing hears how it is.
    assert_eq!(
        answers(&server, &orders, false, &PortValues::default())[..2],
        [ComPortCommand::Baud(9600), ComPortCommand::DataSize(8)]
    );
    // The same twice is two changes, and data between are between.
    let read = [
        says(&[ComPortCommand::Baud(300), ComPortCommand::Baud(600)]),
        b"x".to_vec(),
        says(&[ComPortCommand::Parity(1)]),
    ]
    .concat();
    let (data, orders, _) = hear(&mut server, &read);
    let baud = |baud| SettingsChange { baud: Some(baud), ..SettingsChange::default() };
    let parity = SettingsChange { parity: Some(Parity::None), ..SettingsChange::default() };
    assert_eq!(data, b"x");
    let wanted = [(0, baud(300)), (0, baud(600)), (1, parity)]
        .map(|(at, change)| (at, PortDeed::Configure(change)));
    assert_eq!(deeds(&orders), wanted);
}

#[test]
fn invalid_values_and_questions_are_answered_with_what_is_in_force() {
    let mut server = agreed();
    let read = says(&[
        ComPortCommand::DataSize(9),
        ComPortCommand::Parity(6),
        ComPortCommand::StopSize(0),
        ComPortCommand::Baud(0),
        control(ControlValue::AskFlow),
        control(ControlValue::FlowDcd),
        control(ControlValue::Inbound(Flow::Software)),
        control(ControlValue::AskBreak),
        control(ControlValue::AskDtr),
        control(ControlValue::AskRts),
    ]);
    let (_, orders, _) = hear(&mut server, &read);
    assert!(orders.iter().all(|(_, order)| order.deed == PortDeed::Tell), "{orders:?}");
    let settings = Settings { flow: Flow::Hardware, ..Settings::default() };
    let outputs = Levels { dtr: Some(false), rts: None, brk: Some(true) };
    let now = PortValues { settings, outputs, ..PortValues::default() };
    let flow = control(ControlValue::Flow(Flow::Hardware));
    assert_eq!(
        answers(&server, &orders, true, &now),
        [
            ComPortCommand::DataSize(8),
            ComPortCommand::Parity(1),
            ComPortCommand::StopSize(1),
            ComPortCommand::Baud(9600),
            flow.clone(),
            flow,
            control(ControlValue::Inbound(Flow::Hardware)),
            control(ControlValue::Break(true)),
            control(ControlValue::Dtr(false)),
            control(ControlValue::Rts(true)),
        ]
    );
    // A speed in one byte is Cisco's number for it.
    let (_, orders, _) = hear(&mut server, &[IAC, SB, 44, 1, 14, IAC, SE]);
    let baud = SettingsChange { baud: Some(115_200), ..SettingsChange::default() };
    assert_eq!(deeds(&orders), [(0, PortDeed::Configure(baud))]);
}

#[test]
fn lines_that_come_together_are_one_step_and_a_hundred_pulses_are_a_hundred() {
    let mut server = agreed();
    let pair = says(&[control(ControlValue::Dtr(true)), control(ControlValue::Rts(false))]);
    let (_, orders, _) = hear(&mut server, &pair);
    assert_eq!(deeds(&orders), [(0, moves(Some(true), Some(false)))]);
    assert_eq!(
        answers(&server, &orders, true, &PortValues::default()),
        [control(ControlValue::Dtr(true)), control(ControlValue::Rts(false))]
    );
    let outputs = Levels { dtr: Some(false), rts: Some(true), brk: None };
    assert_eq!(
        answers(&server, &orders, false, &PortValues { outputs, ..PortValues::default() }),
        [control(ControlValue::Dtr(false)), control(ControlValue::Rts(true))]
    );
    let pulse = says(&[control(ControlValue::Dtr(true)), control(ControlValue::Dtr(false))]);
    let (_, orders, _) = hear(&mut server, &pulse.repeat(100));
    let wanted = [true, false].map(|on| (0, moves(Some(on), None)));
    assert_eq!(deeds(&orders), wanted.repeat(100));
    // Break, flow control and data end a step.
    let line = |on| control(ControlValue::Rts(on));
    let between = [
        says(&[control(ControlValue::Break(true))]),
        says(&[control(ControlValue::Flow(Flow::None))]),
        b"x".to_vec(),
        vec![IAC, 243],
    ];
    for between in between {
        let read = [says(&[control(ControlValue::Dtr(true))]), between, says(&[line(true)])];
        let (_, orders, _) = hear(&mut server, &read.concat());
        let deeds = deeds(&orders);
        assert_eq!(deeds.first().map(|deed| deed.1), Some(moves(Some(true), None)));
        assert_eq!(deeds.last().map(|deed| deed.1), Some(moves(None, Some(true))));
    }
    // And so does the end of a read.
    assert_eq!(hear(&mut server, &says(&[line(true)])).1.len(), 1);
}

#[test]
fn what_concerns_the_connection_alone_is_answered_at_once() {
    let mut server = agreed();
    let read = [
        says(&[ComPortCommand::Signature(vec![])]),
        vec![IAC, 241, IAC, 246, IAC, 246],
        says(&[ComPortCommand::Signature(b"tool".to_vec()), ComPortCommand::LineMask(0x10)]),
        says(&[ComPortCommand::Signature(vec![]), ComPortCommand::Suspend]),
    ]
    .concat();
    let (data, orders, wire) = hear(&mut server, &read);
    assert_eq!((data.len(), orders.len()), (0, 0));
    let mut wanted = Vec::new();
    ComPortCommand::Signature(b"wsbridge/1 plc".to_vec()).encode(Role::Server, &mut wanted);
    wanted.extend([IAC, NOP]);
    ComPortCommand::LineMask(0x10).encode(Role::Server, &mut wanted);
    assert_eq!(wire, wanted);
    assert_eq!(server.client(), Some(&b"tool"[..]));
    assert!(server.is_suspended());
    hear(&mut server, &says(&[ComPortCommand::Resume]));
    assert!(!server.is_suspended());
    // A person at a terminal sees an answer.
    let mut server = AccessServer::open("wsbridge/1 plc", &mut Vec::new());
    assert_eq!(hear(&mut server, &[IAC, 246]).2, b"\r\n[wsbridge/1 plc]\r\n");
}

#[test]
fn modem_lines_are_told_once_unasked_and_then_as_the_mask_says() {
    let told = |wire: &mut Vec<u8>| heard(std::mem::take(wire)).1;
    let (mut wire, none) = (Vec::new(), Inputs::default());
    let mut server = AccessServer::open("", &mut wire);
    wire.clear();
    let cts = Inputs { cts: true, ..none };
    server.modem_lines(cts, &mut wire);
    assert_eq!(wire, b"", "nobody to tell yet");
    server.hear(&mut [IAC, WILL, 44], &mut wire);
    assert_eq!(told(&mut wire), [ComPortCommand::ModemState(0x10)]);
    server.modem_lines(cts, &mut wire);
    assert_eq!(wire, b"");
    let both = Inputs { ri: true, dcd: true, ..none };
    server.modem_lines(both, &mut wire);
    assert_eq!(told(&mut wire), [ComPortCommand::ModemState(0xc9)]);
    server.modem_lines(none, &mut wire);
    assert_eq!(told(&mut wire), [ComPortCommand::ModemState(0x0c)]);
    // A mask, which is answered and then obeyed.
    let (.., mut wire) = hear(&mut server, &says(&[ComPortCommand::ModemMask(0x80)]));
    assert_eq!(told(&mut wire), [ComPortCommand::ModemMask(0x80), ComPortCommand::ModemState(0)]);
    server.modem_lines(cts, &mut wire);
    assert_eq!(wire, b"");
    server.modem_lines(Inputs { dcd: true, ..cts }, &mut wire);
    assert_eq!(told(&mut wire), [ComPortCommand::ModemState(0x80)]);
    server.modem_lines(cts, &mut wire);
    assert_eq!(told(&mut wire), [ComPortCommand::ModemState(0)]);
    let (.., mut wire) = hear(&mut server, &says(&[ComPortCommand::ModemMask(0)]));
    assert_eq!(told(&mut wire), [ComPortCommand::ModemMask(0)]);
    server.modem_lines(both, &mut wire);
    assert_eq!(wire, b"");
    // Whoever asks is told; pyserial asks without a value.
    let mut server = agreed();
    let (_, orders, _) = hear(&mut server, &[IAC, SB, 44, 7, IAC, SE, IAC, SB, 44, 6, IAC, SE]);
    let now = PortValues { inputs: both, idle: true, ..PortValues::default() };
    assert_eq!(
        answers(&server, &orders, true, &now),
        [ComPortCommand::ModemState(0xc0), ComPortCommand::LineState(0x60)]
    );
}

#[test]
fn line_events_are_told_as_the_mask_says() {
    let (mut server, mut wire) = (agreed(), Vec::new());
    server.line_events(&[LineEvent::Break, LineEvent::Parity], &mut wire);
    server.transmitter_empty(&mut wire);
    assert_eq!(wire, b"", "the mask is 0 at first");
    hear(&mut server, &says(&[ComPortCommand::LineMask(0x5c)]));
    server.line_events(&[LineEvent::Break, LineEvent::Parity], &mut wire);
    server.line_events(&[LineEvent::Overrun], &mut wire);
    server.transmitter_empty(&mut wire);
    assert_eq!(heard(wire).1, [ComPortCommand::LineState(0x14), ComPortCommand::LineState(0x40)]);
}

#[test]
fn what_makes_no_sense_is_ignored_and_counted() {
    let mut server = agreed();
    let mut read = Vec::new();
    sub(44, &[1; SUB_MAX + 1], &mut read);
    for unknown in [&[77][..], &[5, 20], &[1], &[2], &[12, 9], &[]] {
        sub(44, unknown, &mut read);
    }
    sub(24, &[0], &mut read);
    read.extend([b'a', IAC, b'b', b'c']);
    let (data, orders, wire) = hear(&mut server, &read);
    assert_eq!((data, orders.len(), wire), (b"ac".to_vec(), 0, vec![]));
    assert_eq!(server.faults(), TelnetFaults { broken: 2, unknown: 7 });
    hear(&mut server, &[IAC, SB, 44, 5]);
    let begun = server.unended().unwrap();
    assert_eq!(begun.1, 1);
    hear(&mut server, &[8, IAC, SE, IAC, SB, 44]);
    assert_eq!(server.unended(), Some((begun.0 + 1, 0)));
}

#[test]
fn data_are_binary_when_agreed_and_line_ends_are_telnets_before() {
    let (mut server, mut wire) = (AccessServer::open("", &mut Vec::new()), Vec::new());
    server.data(b"a\rb\xff", &mut wire);
    assert_eq!(wire, b"a\r\0b\xff\xff");
    assert_eq!(hear(&mut server, b"a\r\0b\r\n").0, b"a\rb\r\n");
    let (mut server, mut wire) = (agreed(), Vec::new());
    server.data(b"a\rb\xff", &mut wire);
    assert_eq!(wire, b"a\rb\xff\xff");
    assert_eq!(hear(&mut server, b"a\r\0b\xff\xff").0, b"a\r\0b\xff");
}

mod property;
