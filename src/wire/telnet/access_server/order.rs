//! What a client asks of the port: one thing to do, and what is answered to it.

use crate::{
    settings::{Inputs, Levels, Settings},
    wire::{
        control::SettingsChange,
        telnet::comport::{self, ComPortCommand, ControlValue, Purge},
    },
};

/// The values in force, for answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortValues {
    /// How the port is set.
    pub settings: Settings,
    /// DTR, RTS and break as they are driven. One that nobody has moved is as Linux leaves it when
    /// a port is opened: DTR and RTS up.
    pub outputs: Levels,
    /// The modem lines.
    pub inputs: Inputs,
    /// Whether everything that was sent has left the port.
    pub idle: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PortDeed {
    /// Nothing: the client asks for a value, or for one that does not exist.
    Tell,
    /// Settings change together, behind the data before them.
    Configure(SettingsChange),
    /// DTR and RTS move in one step, or a break begins or ends.
    Move(Levels),
    /// A break of the usual length, by telnet's own command. It has no answer.
    Break,
    /// Discard.
    Purge(Purge),
}

/// Something that is asked of the port.
#[derive(Clone, Debug, PartialEq)]
pub struct PortOrder {
    /// What is to be done.
    pub deed: PortDeed,
    /// What is answered, a value each.
    answered: Vec<AnsweredValue>,
}

/// A value that is answered; of a line, where it was told to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnsweredValue {
    Baud,
    Data,
    Parity,
    Stop,
    Flow,
    Inbound,
    Break(Option<bool>),
    Dtr(Option<bool>),
    Rts(Option<bool>),
    Purge(Purge),
    LineState,
    ModemState,
}

/// What a sub-negotiation means to us.
pub(super) enum Meaning {
    /// It is the port's.
    Order(PortOrder),
    /// It is the connection's.
    Said(ComPortCommand),
    /// Nobody's.
    Nothing,
}

/// Codes of NOTIFY-LINESTATE and NOTIFY-MODEMSTATE as a client sends them, to ask for the state;
/// pyserial does that without a value.
const ASK_LINE_STATE: u8 = 6;
const ASK_MODEM_STATE: u8 = 7;

pub(super) fn meaning(content: &[u8]) -> Meaning {
    match content {
        [ASK_LINE_STATE] => return Meaning::Order(PortOrder::ask(AnsweredValue::LineState)),
        [ASK_MODEM_STATE] => return Meaning::Order(PortOrder::ask(AnsweredValue::ModemState)),
        _ => {}
    }
    let Some(command) = ComPortCommand::decode(content) else { return Meaning::Nothing };
    let none = SettingsChange::default();
    let set = |change: SettingsChange, value| {
        // Nothing is left of a change whose value asks, or does not exist.
        let deed = if change == none { PortDeed::Tell } else { PortDeed::Configure(change) };
        Meaning::Order(PortOrder { deed, answered: vec![value] })
    };
    match command {
        ComPortCommand::Baud(baud) => set(
            SettingsChange { baud: Some(baud).filter(|baud| *baud > 0), ..none },
            AnsweredValue::Baud,
        ),
        ComPortCommand::DataSize(bits) => {
            set(SettingsChange { data: comport::data(bits), ..none }, AnsweredValue::Data)
        }
        ComPortCommand::Parity(code) => {
            set(SettingsChange { parity: comport::parity(code), ..none }, AnsweredValue::Parity)
        }
        ComPortCommand::StopSize(code) => {
            set(SettingsChange { stop: comport::stop(code), ..none }, AnsweredValue::Stop)
        }
        ComPortCommand::Control(ControlValue::Flow(flow)) => {
            set(SettingsChange { flow: Some(flow), ..none }, AnsweredValue::Flow)
        }
        ComPortCommand::Control(control) => Meaning::Order(controlled(control)),
        ComPortCommand::Purge(purge) => Meaning::Order(PortOrder {
            deed: PortDeed::Purge(purge),
            answered: vec![AnsweredValue::Purge(purge)],
        }),
        ComPortCommand::LineState(_) => Meaning::Order(PortOrder::ask(AnsweredValue::LineState)),
        ComPortCommand::ModemState(_) => Meaning::Order(PortOrder::ask(AnsweredValue::ModemState)),
        ComPortCommand::Signature(_)
        | ComPortCommand::Suspend
        | ComPortCommand::Resume
        | ComPortCommand::LineMask(_)
        | ComPortCommand::ModemMask(_) => Meaning::Said(command),
    }
}

/// Orders of SET-CONTROL but that of the flow control. Flow control is one for both directions
/// here: who sets the inbound one apart, or one by DCD, DSR or DTR, gets told what is in force.
fn controlled(control: ControlValue) -> PortOrder {
    let (none, moves) = (Levels::default(), |levels, value| PortOrder {
        deed: PortDeed::Move(levels),
        answered: vec![value],
    });
    match control {
        ControlValue::AskFlow
        | ControlValue::Flow(_)
        | ControlValue::FlowDcd
        | ControlValue::FlowDsr => PortOrder::ask(AnsweredValue::Flow),
        ControlValue::AskInbound | ControlValue::Inbound(_) | ControlValue::InboundDtr => {
            PortOrder::ask(AnsweredValue::Inbound)
        }
        ControlValue::AskBreak => PortOrder::ask(AnsweredValue::Break(None)),
        ControlValue::AskDtr => PortOrder::ask(AnsweredValue::Dtr(None)),
        ControlValue::AskRts => PortOrder::ask(AnsweredValue::Rts(None)),
        ControlValue::Break(on) => {
            moves(Levels { brk: Some(on), ..none }, AnsweredValue::Break(Some(on)))
        }
        ControlValue::Dtr(on) => {
            moves(Levels { dtr: Some(on), ..none }, AnsweredValue::Dtr(Some(on)))
        }
        ControlValue::Rts(on) => {
            moves(Levels { rts: Some(on), ..none }, AnsweredValue::Rts(Some(on)))
        }
    }
}

impl PortOrder {
    fn ask(value: AnsweredValue) -> Self {
        Self { deed: PortDeed::Tell, answered: vec![value] }
    }

    pub(super) fn telnet_break() -> Self {
        Self { deed: PortDeed::Break, answered: Vec::new() }
    }

    /// Puts an order behind those of the same read, or makes it one with the last of them.
    pub(super) fn put(self, at: usize, orders: &mut Vec<(usize, Self)>) {
        if let Some((last_at, last)) = orders.last_mut()
            && *last_at == at
            && let Some(deed) = together(last.deed, self.deed)
        {
            last.deed = deed;
            last.answered.extend(self.answered);
        } else {
            orders.push((at, self));
        }
    }

    /// The answers.
    pub(super) fn answers(
        &self,
        done: bool,
        now: &PortValues,
        modem_mask: u8,
    ) -> impl Iterator<Item = ComPortCommand> {
        let control = ComPortCommand::Control;
        let line = move |asked: Option<bool>, is: Option<bool>, unknown: bool| {
            asked.filter(|_| done).or(is).unwrap_or(unknown)
        };
        self.answered.iter().map(move |value| match *value {
            AnsweredValue::Baud => ComPortCommand::Baud(now.settings.baud),
            AnsweredValue::Data => ComPortCommand::DataSize(now.settings.data.into()),
            AnsweredValue::Parity => {
                ComPortCommand::Parity(comport::parity_code(now.settings.parity))
            }
            AnsweredValue::Stop => ComPortCommand::StopSize(comport::stop_code(now.settings.stop)),
            AnsweredValue::Flow => control(ControlValue::Flow(now.settings.flow)),
            AnsweredValue::Inbound => control(ControlValue::Inbound(now.settings.flow)),
            AnsweredValue::Break(on) => {
                control(ControlValue::Break(line(on, now.outputs.brk, false)))
            }
            AnsweredValue::Dtr(on) => control(ControlValue::Dtr(line(on, now.outputs.dtr, true))),
            AnsweredValue::Rts(on) => control(ControlValue::Rts(line(on, now.outputs.rts, true))),
            AnsweredValue::Purge(purge) => ComPortCommand::Purge(purge),
            AnsweredValue::LineState => {
                ComPortCommand::LineState(if now.idle { comport::EMPTY } else { 0 })
            }
            AnsweredValue::ModemState => {
                ComPortCommand::ModemState(comport::modem_state(now.inputs) & modem_mask)
            }
        })
    }
}

/// Two deeds as one, where they are next to each other and neither undoes the other.
fn together(first: PortDeed, second: PortDeed) -> Option<PortDeed> {
    match (first, second) {
        (PortDeed::Configure(first), PortDeed::Configure(second)) => {
            let both = SettingsChange {
                baud: one(first.baud, second.baud)?,
                data: one(first.data, second.data)?,
                parity: one(first.parity, second.parity)?,
                stop: one(first.stop, second.stop)?,
                flow: one(first.flow, second.flow)?,
            };
            Some(PortDeed::Configure(both))
        }
        (PortDeed::Move(first), PortDeed::Move(second))
            if first.brk.is_none() && second.brk.is_none() =>
        {
            let (dtr, rts) = (one(first.dtr, second.dtr)?, one(first.rts, second.rts)?);
            Some(PortDeed::Move(Levels { dtr, rts, brk: None }))
        }
        _ => None,
    }
}

/// One value of two, if not both are there.
#[expect(clippy::option_option, reason = "none of them, or too many")]
fn one<T>(first: Option<T>, second: Option<T>) -> Option<Option<T>> {
    match (first, second) {
        (Some(_), Some(_)) => None,
        (first, second) => Some(first.or(second)),
    }
}
