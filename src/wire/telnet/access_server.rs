//! The access server of RFC 2217, as a machine: bytes of a client in; data for the port, orders
//! and answers out.
//!
//! It has no socket, clock or task. Whoever drives it:
//!
//! 1. begins with [`AccessServer::open`] and sends what that puts on the wire;
//! 2. hands each read to [`hear`](AccessServer::hear). What is left in front of the buffer is data
//!    for the port; the [`PortOrder`]s beside it say where among the data they belong. Answers
//!    that need nothing of the port are on the wire already;
//! 3. does each order, or refuses it: nobody has to be let do anything. Either way it says so by
//!    [`answer`](AccessServer::answer) with the values that are in force then, in the order in
//!    which the orders came. A client that may change nothing so gets real values;
//! 4. tells of modem lines ([`modem_lines`](AccessServer::modem_lines)), of what happened on the
//!    line ([`line_events`](AccessServer::line_events)) and that the transmitter ran empty
//!    ([`transmitter_empty`](AccessServer::transmitter_empty)); the masks decide what the client
//!    hears of it;
//! 5. encodes what the port sends by [`data`](AccessServer::data), while the client has not
//!    [suspended](AccessServer::is_suspended) it, and not before the client had a moment to agree
//!    to BINARY ([`is_negotiating`](AccessServer::is_negotiating)).
//!
//! Everything appends to one `wire`, whose length the driver bounds: it reads no more while too
//! much waits there. One read makes at most as many bytes of answers as it has, and some hundred.

mod notices;
mod order;

pub use self::order::{PortDeed, PortOrder, PortValues};
use self::{
    notices::Notices,
    order::{Meaning, meaning},
};
use super::{
    Decoder, Encoder, Event, Fault, IAC, KnownOption, NOP, Options, Role, Verb,
    comport::ComPortCommand,
};
use crate::settings::{Inputs, LineEvent};

/// What a read gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientRead {
    /// How many bytes at the front of the buffer are data for the port.
    pub data: usize,
    /// What is asked of the port, each behind that many of the data.
    pub orders: Vec<(usize, PortOrder)>,
}

/// What was heard that makes no sense; it was ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TelnetFaults {
    /// What breaks telnet: a sub-negotiation that is too long or has no end, a command that does
    /// not exist.
    pub broken: u64,
    /// Sub-negotiations of no known command.
    pub unknown: u64,
}

/// One connection of a client.
#[derive(Debug)]
pub struct AccessServer {
    /// Who we are, for SIGNATURE.
    signature: String,
    options: Options,
    decoder: Decoder,
    encoder: Encoder,
    notices: Notices,
    suspended: bool,
    /// Who the client says it is.
    client: Vec<u8>,
    /// Sub-negotiations that have come to an end.
    subs: u64,
    faults: TelnetFaults,
}

impl AccessServer {
    /// The server's end of a new connection, which asks for the options. `signature` is what it
    /// says who it is.
    pub fn open(signature: &str, wire: &mut Vec<u8>) -> Self {
        Self {
            signature: signature.to_owned(),
            options: Options::open(Role::Server, wire),
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            notices: Notices::default(),
            suspended: false,
            client: Vec::new(),
            subs: 0,
            faults: TelnetFaults::default(),
        }
    }

    /// Takes a read apart. Lines that are set next to each other are one order, unless one of them
    /// is set twice; so are settings. Nothing of one read is one with something of another.
    pub fn hear(&mut self, bytes: &mut [u8], wire: &mut Vec<u8>) -> ClientRead {
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut read = ClientRead::default();
        let mut once = Once::default();
        let binary = self.options.binary.them.is_on();
        read.data = decoder.decode(bytes, binary, |at, event| {
            self.event(event, (at, &mut read.orders), &mut once, wire);
            self.options.binary.them.is_on()
        });
        self.decoder = decoder;
        self.notices.control(self.is_controlled(), wire);
        read
    }

    /// Acts on one command. What concerns the port becomes an order at its place among the bytes;
    /// a repeated question in the same read is answered once, so that no peer can make us send much.
    fn event(
        &mut self,
        event: Event<'_>,
        (at, orders): (usize, &mut Vec<(usize, PortOrder)>),
        once: &mut Once,
        wire: &mut Vec<u8>,
    ) {
        let ended = matches!(event, Event::Sub(..) | Event::Fault(Fault::Unended(_)));
        self.subs += u64::from(ended);
        match event {
            Event::Said(verb, option) => {
                if let Some(answer) = self.options.hear(verb, option)
                    && (KnownOption::is_known(option) || once.refuses(verb, option))
                {
                    wire.extend(answer);
                }
            }
            Event::Sub(option, content) if option == KnownOption::ComPort.code() => {
                match meaning(content) {
                    Meaning::Order(order) => PortOrder::put(order, at, orders),
                    Meaning::Said(command) => self.said(command, once, wire),
                    Meaning::Nothing => self.faults.unknown += 1,
                }
            }
            Event::Sub(..) => self.faults.unknown += 1,
            Event::AreYouThere => {
                if !std::mem::replace(&mut once.there, true) {
                    self.are_we_there(wire);
                }
            }
            Event::Break => PortOrder::put(PortOrder::telnet_break(), at, orders),
            Event::Fault(_) => self.faults.broken += 1,
        }
    }

    /// What concerns the connection alone, and is answered at once.
    fn said(&mut self, command: ComPortCommand, once: &mut Once, wire: &mut Vec<u8>) {
        match command {
            ComPortCommand::Signature(name) if !name.is_empty() => self.client = name,
            ComPortCommand::Signature(_) => {
                if !std::mem::replace(&mut once.signature, true) {
                    let name = self.signature.clone().into_bytes();
                    ComPortCommand::Signature(name).encode(Role::Server, wire);
                }
            }
            ComPortCommand::Suspend => self.suspended = true,
            ComPortCommand::Resume => self.suspended = false,
            ComPortCommand::LineMask(mask) => self.notices.set_line_mask(mask, wire),
            ComPortCommand::ModemMask(mask) => self.notices.set_modem_mask(mask, wire),
            ComPortCommand::Baud(_)
            | ComPortCommand::DataSize(_)
            | ComPortCommand::Parity(_)
            | ComPortCommand::StopSize(_)
            | ComPortCommand::Control(_)
            | ComPortCommand::LineState(_)
            | ComPortCommand::ModemState(_)
            | ComPortCommand::Purge(_) => {}
        }
    }

    /// The evidence that AYT asks for. To a client that controls the port it is a command, since
    /// text would be the device's to it; else it is for a person.
    fn are_we_there(&mut self, wire: &mut Vec<u8>) {
        if self.is_controlled() {
            wire.extend([IAC, NOP]);
        } else {
            let text = format!("\r\n[{}]\r\n", self.signature);
            self.data(text.as_bytes(), wire);
        }
    }

    /// An order was done, or was not: says the values in force. Lines that were moved have been
    /// where they were moved to, wherever they are by now.
    pub fn answer(&self, order: &PortOrder, done: bool, now: &PortValues, wire: &mut Vec<u8>) {
        for command in order.answers(done, now, self.notices.modem_mask()) {
            command.encode(Role::Server, wire);
        }
    }

    /// The modem lines as they are; told when they changed, and once unasked.
    pub fn modem_lines(&mut self, now: Inputs, wire: &mut Vec<u8>) {
        self.notices.modem_lines(now, wire);
    }

    /// What happened on the line at one place among the data.
    pub fn line_events(&mut self, events: &[LineEvent], wire: &mut Vec<u8>) {
        self.notices.line_events(events, wire);
    }

    /// The client wants to know when its last byte has left the port.
    pub fn wants_transmitter_empty(&self) -> bool {
        self.notices.wants_transmitter_empty()
    }

    /// The last byte that the client sent has left the port.
    pub fn transmitter_empty(&mut self, wire: &mut Vec<u8>) {
        self.notices.transmitter_empty(wire);
    }

    /// Appends data of the port as they go over the wire.
    pub fn data(&mut self, bytes: &[u8], wire: &mut Vec<u8>) {
        let binary = self.is_binary();
        if self.encoder.passes(bytes, binary) {
            wire.extend_from_slice(bytes);
            self.encoder.went(bytes, binary, bytes.len());
        } else {
            let before = wire.len();
            self.encoder.encode(bytes, binary, wire);
            self.encoder.went(bytes, binary, wire.len() - before);
        }
    }

    /// Our data are BINARY.
    pub fn is_binary(&self) -> bool {
        self.options.binary.us.is_on()
    }

    /// The client wants no data now (FLOWCONTROL-SUSPEND).
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// The client controls the port: COM-PORT-OPTION is agreed.
    pub fn is_controlled(&self) -> bool {
        self.options.control()
    }

    /// The client has not answered yet whether our data may be BINARY.
    pub fn is_negotiating(&self) -> bool {
        self.options.binary.us.is_asked()
    }

    /// The sub-negotiation that has begun and not ended, as its number and its bytes so far: one
    /// without an end would swallow all that follows.
    pub fn unended(&self) -> Option<(u64, usize)> {
        self.decoder.unended().map(|length| (self.subs, length))
    }

    /// Who the client says it is, if it does.
    pub fn client(&self) -> Option<&[u8]> {
        Some(self.client.as_slice()).filter(|name| !name.is_empty())
    }

    /// What was ignored so far.
    pub fn faults(&self) -> TelnetFaults {
        self.faults
    }
}

/// What is answered once a read, however often it was asked: a storm has small answers.
#[derive(Debug, Default)]
struct Once {
    there: bool,
    signature: bool,
    /// A bit for each unknown option that we would have to do, then for each that they would.
    refused: [u128; 4],
}

impl Once {
    /// Whether this unknown option is refused for the first time.
    fn refuses(&mut self, verb: Verb, option: u8) -> bool {
        let number = usize::from(option) + 256 * usize::from(verb == Verb::Will);
        let Some(bits) = self.refused.get_mut(number / 128) else { return false };
        let bit = 1 << (number % 128);
        let first = *bits & bit == 0;
        *bits |= bit;
        first
    }
}

#[cfg(test)]
mod tests;
