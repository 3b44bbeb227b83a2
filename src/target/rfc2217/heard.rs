//! What a peer said: its answers, its modem lines, its errors.

use crate::{
    settings::{ErrorCounts, Flow, Inputs, LineEvent},
    wire::telnet::{
        Options,
        comport::{self, ComPortCommand, ControlValue, Purge},
    },
};

/// A request that a peer should answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerRequest {
    Baud,
    Data,
    Parity,
    Stop,
    Flow,
    Purge,
}

impl PeerRequest {
    /// The requests that set a port.
    pub(super) const SETTINGS: [Self; 5] =
        [Self::Baud, Self::Data, Self::Parity, Self::Stop, Self::Flow];

    /// Its name, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Baud => "baud",
            Self::Data => "data bits",
            Self::Parity => "parity",
            Self::Stop => "stop bits",
            Self::Flow => "flow control",
            Self::Purge => "purge",
        }
    }
}

/// The names of several requests, for people.
pub(super) fn names(all: &[PeerRequest]) -> String {
    all.iter().map(|asked| asked.name()).collect::<Vec<_>>().join(", ")
}

/// A peer's answers to one kind of command: the last value, and how many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told<T> {
    pub(super) value: T,
    pub(super) times: u32,
}

impl<T> Told<T> {
    fn tell(&mut self, value: T) {
        *self = Self { value, times: self.times.wrapping_add(1) };
    }
}

/// What the peer has said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerState {
    pub(super) options: Options,
    pub(super) baud: Told<u32>,
    pub(super) data: Told<u8>,
    pub(super) parity: Told<u8>,
    pub(super) stop: Told<u8>,
    pub(super) flow: Told<Option<Flow>>,
    pub(super) purge: Told<()>,
    pub(super) inputs: Inputs,
    pub(super) errors: ErrorCounts,
    /// Why the connection has ended, if it has.
    pub(super) gone: Option<String>,
}

impl PeerState {
    /// How often a request was answered.
    pub(super) fn answers(&self, asked: PeerRequest) -> u32 {
        match asked {
            PeerRequest::Baud => self.baud.times,
            PeerRequest::Data => self.data.times,
            PeerRequest::Parity => self.parity.times,
            PeerRequest::Stop => self.stop.times,
            PeerRequest::Flow => self.flow.times,
            PeerRequest::Purge => self.purge.times,
        }
    }

    /// Which of the requests in `asked` were not answered since `before`.
    pub(super) fn unanswered(&self, before: &Self, asked: &[PeerRequest]) -> Vec<PeerRequest> {
        asked
            .iter()
            .copied()
            .filter(|asked| self.answers(*asked) == before.answers(*asked))
            .collect()
    }
}

/// Notes an answer or a notification.
pub(super) fn hear(heard: &mut PeerState, command: &ComPortCommand) {
    match command {
        ComPortCommand::Baud(baud) => heard.baud.tell(*baud),
        ComPortCommand::DataSize(bits) => heard.data.tell(*bits),
        ComPortCommand::Parity(code) => heard.parity.tell(*code),
        ComPortCommand::StopSize(code) => heard.stop.tell(*code),
        ComPortCommand::Control(ControlValue::Flow(flow)) => heard.flow.tell(Some(*flow)),
        ComPortCommand::Control(ControlValue::FlowDcd | ControlValue::FlowDsr) => {
            heard.flow.tell(None);
        }
        ComPortCommand::ModemState(bits) => heard.inputs = comport::inputs(*bits),
        ComPortCommand::Purge(Purge::Input | Purge::Output | Purge::Both) => heard.purge.tell(()),
        // Answers that only repeat what we said, and commands that only a client sends.
        ComPortCommand::Control(_)
        | ComPortCommand::Signature(_)
        | ComPortCommand::LineState(_)
        | ComPortCommand::LineMask(_)
        | ComPortCommand::ModemMask(_)
        | ComPortCommand::Suspend
        | ComPortCommand::Resume => {}
    }
}

/// The events that a LINESTATE reports.
pub(super) fn line_events(bits: u8) -> Vec<LineEvent> {
    let known = [
        (comport::OVERRUN, LineEvent::Overrun),
        (comport::PARITY, LineEvent::Parity),
        (comport::FRAMING, LineEvent::Framing),
        (comport::BREAK, LineEvent::Break),
    ];
    known.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, event)| *event).collect()
}

/// Counts an event.
pub(super) fn count(errors: &mut ErrorCounts, event: LineEvent) {
    let counter = match event {
        LineEvent::Break => &mut errors.brk,
        LineEvent::Parity => &mut errors.parity,
        LineEvent::Framing => &mut errors.framing,
        LineEvent::Overrun => &mut errors.overrun,
    };
    *counter = counter.wrapping_add(1);
}
