//! Pieces as the bytes of a file, or of a live capture.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use super::piece::{Kind, Piece};
use crate::{
    config::{RecordFormat, Target},
    settings::LineEvent,
    wire::{
        cast::{Cast, Code},
        pcapng::{self, Flow, Link, Packet, SerialEvent, Towards, Transactions, serial_header},
    },
};

/// Where Modbus/TCP is.
const MODBUS_PORT: u16 = 502;
/// The port of a device that has none: a unix socket, or one that connects to us.
const NO_PORT: u16 = 49_151;
/// The first port of ours.
const OURS: u16 = 49_152;
/// The interface of what was on the line, and that of its messages.
const LINE: u32 = 0;
const MESSAGES: u32 = 1;

/// What a device is to a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A serial line.
    Serial,
    /// A TCP port.
    Stream(Option<Ipv4Addr>, u16),
    /// A UDP port.
    Datagrams(Option<Ipv4Addr>, u16),
}

impl Shape {
    /// That of a target.
    pub(super) fn of(target: &Target) -> Self {
        let parts = |address: &str| {
            let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
            (host.parse().ok(), port.parse().unwrap_or(NO_PORT))
        };
        match target {
            Target::Serial(_) | Target::Rfc2217(_) | Target::Sim(_) => Self::Serial,
            Target::Tcp(tcp) => {
                let (host, port) = parts(&tcp.address.to_string());
                Self::Stream(host, port)
            }
            Target::DialIn(_) => Self::Stream(None, NO_PORT),
            Target::Udp(udp) => Self::Datagrams(udp.host.parse().ok(), udp.port),
        }
    }
}

/// What is encoded, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) name: String,
    pub(crate) format: RecordFormat,
    pub(crate) shape: Shape,
    /// Whether what clients send is kept.
    pub(crate) input: bool,
    /// Modbus is told apart; the silence that ends a frame of unknown length.
    pub(crate) modbus: Option<Duration>,
}

/// Pieces to bytes.
#[derive(Debug)]
pub(crate) struct Encoder {
    manner: Manner,
    lines: u8,
    settings: String,
    user: String,
    flows: BTreeMap<u32, Flow>,
    /// How many flows there were.
    begun: u16,
    transactions: Option<Transactions>,
    cast: Option<Cast>,
}

impl Encoder {
    pub(crate) fn new(manner: Manner) -> Self {
        let serial = manner.shape == Shape::Serial;
        let transactions = manner.modbus.filter(|_| serial).map(Transactions::new);
        Self {
            manner,
            lines: 0,
            settings: String::new(),
            user: String::new(),
            flows: BTreeMap::new(),
            begun: 0,
            transactions,
            cast: None,
        }
    }

    /// Begins a file, with what is so at this time.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>, at: u64) {
        let name = self.manner.name.clone();
        match self.manner.format {
            RecordFormat::Pcapng => {
                pcapng::section(out, concat!("wsbridge ", env!("CARGO_PKG_VERSION")));
                let link = if self.manner.shape == Shape::Serial { Link::Serial } else { Link::Ip };
                pcapng::interface(out, link, &name, &self.settings);
                if self.transactions.is_some() {
                    let messages = format!("{name} (Modbus)");
                    pcapng::interface(out, Link::UpperPdu, &messages, "messages of the line");
                }
            }
            RecordFormat::Cast => self.cast = Some(Cast::begin(out, at, &name)),
            RecordFormat::Raw => {}
        }
        for (kind, text) in
            [(Kind::Settings, self.settings.clone()), (Kind::User, self.user.clone())]
        {
            if !text.is_empty() {
                self.told(out, (at, 0), kind, &text);
            }
        }
    }

    /// Adds a piece.
    pub(crate) fn piece(&mut self, out: &mut Vec<u8>, piece: &Piece, bytes: &[u8]) {
        let place = (piece.at, piece.stream);
        match piece.kind {
            Kind::FromDevice => self.data(out, place, (Towards::Client, bytes)),
            Kind::ToDevice if !self.manner.input => {}
            Kind::ToDevice => self.data(out, place, (Towards::Device, bytes)),
            Kind::Line(_)
            | Kind::Signals(_)
            | Kind::Settings
            | Kind::User
            | Kind::Note
            | Kind::Lost(_)
            | Kind::Opened
            | Kind::Closed => {
                let (kind, text) = (piece.kind, String::from_utf8_lossy(bytes));
                match kind {
                    Kind::Signals(lines) => self.lines = lines,
                    Kind::Settings => self.settings = text.clone().into_owned(),
                    Kind::User => self.user = text.clone().into_owned(),
                    Kind::Opened => self.opened(out, place),
                    Kind::Closed => self.closed(out, place),
                    Kind::FromDevice
                    | Kind::ToDevice
                    | Kind::Line(_)
                    | Kind::Note
                    | Kind::Lost(_) => {}
                }
                self.told(out, place, kind, &text);
            }
        }
    }

    fn data(&mut self, out: &mut Vec<u8>, place: (u64, u32), (towards, bytes): (Towards, &[u8])) {
        let (at, stream) = place;
        match self.manner.format {
            RecordFormat::Raw if towards == Towards::Client => out.extend_from_slice(bytes),
            RecordFormat::Raw => {}
            RecordFormat::Cast => {
                if let Some(cast) = &mut self.cast {
                    cast.bytes(out, at, (bytes, towards == Towards::Device));
                }
            }
            RecordFormat::Pcapng => {
                let inbound = Some(towards == Towards::Client);
                let packet = Packet { interface: LINE, at, inbound, ..Packet::default() };
                if self.manner.shape != Shape::Serial {
                    for bytes in bytes.chunks(4096.max(bytes.len().min(0x8000))) {
                        let ip = self.flow(stream).data(towards, bytes);
                        pcapng::packet(out, &packet, &[&ip]);
                    }
                    return;
                }
                let event = match towards {
                    Towards::Device => SerialEvent::ToDevice,
                    Towards::Client => SerialEvent::FromDevice,
                };
                let header = serial_header(at, event, self.lines);
                pcapng::packet(out, &packet, &[&header, bytes]);
                if let Some(transactions) = &mut self.transactions {
                    let message = Packet { interface: MESSAGES, ..packet };
                    transactions.push((at, towards), bytes, |pdu| {
                        pcapng::packet(out, &message, &[pdu]);
                    });
                }
            }
        }
    }

    /// What is said beside the bytes.
    fn told(&mut self, out: &mut Vec<u8>, (at, stream): (u64, u32), kind: Kind, text: &str) {
        let word = words(kind, text);
        let code = match kind {
            Kind::FromDevice | Kind::ToDevice => return,
            Kind::Signals(_) => Code::Signals,
            Kind::Settings => Code::Settings,
            Kind::User => Code::User,
            Kind::Line(_) | Kind::Note | Kind::Lost(_) | Kind::Opened | Kind::Closed => {
                Code::Marker
            }
        };
        match self.manner.format {
            RecordFormat::Raw => {}
            RecordFormat::Cast => {
                let (_, bare) = word.split_once(": ").unwrap_or_default();
                let text = if code == Code::Marker { word.as_str() } else { bare };
                if let Some(cast) = &mut self.cast {
                    cast.event(out, at, (code, text));
                }
            }
            RecordFormat::Pcapng => {
                let dropped = if let Kind::Lost(bytes) = kind { bytes } else { 0 };
                let packet = Packet { at, comment: Some(&word), dropped, ..Packet::default() };
                if self.manner.shape == Shape::Serial {
                    let event = match kind {
                        Kind::Line(event) => SerialEvent::Line(event),
                        Kind::Lost(_) => SerialEvent::Lost,
                        Kind::FromDevice
                        | Kind::ToDevice
                        | Kind::Signals(_)
                        | Kind::Settings
                        | Kind::User
                        | Kind::Note
                        | Kind::Opened
                        | Kind::Closed => SerialEvent::Status,
                    };
                    pcapng::packet(out, &packet, &[&serial_header(at, event, self.lines)]);
                } else if !matches!(kind, Kind::Opened | Kind::Closed) {
                    // The connection says that itself; the rest stands beside an empty packet.
                    let ip = self.flow(stream).data(Towards::Device, &[]);
                    pcapng::packet(out, &packet, &[&ip]);
                }
            }
        }
    }

    fn flow(&mut self, stream: u32) -> &mut Flow {
        let (shape, modbus) = (self.manner.shape, self.manner.modbus.is_some());
        let begun = &mut self.begun;
        self.flows.entry(stream).or_insert_with(|| {
            let ours = OURS + *begun % (u16::MAX - OURS);
            *begun = begun.wrapping_add(1);
            let port = |port| if modbus { MODBUS_PORT } else { port };
            match shape {
                Shape::Serial => Flow::new(ours, (None, NO_PORT), false),
                Shape::Stream(host, its) => Flow::new(ours, (host, port(its)), false),
                Shape::Datagrams(host, its) => Flow::new(ours, (host, its), true),
            }
        })
    }

    fn opened(&mut self, out: &mut Vec<u8>, (at, stream): (u64, u32)) {
        if self.manner.shape == Shape::Serial || self.manner.format != RecordFormat::Pcapng {
            return;
        }
        self.flows.remove(&stream);
        self.flow(stream).open(|towards, ip| synthetic(out, at, (towards, ip)));
    }

    fn closed(&mut self, out: &mut Vec<u8>, (at, stream): (u64, u32)) {
        if let Some(mut flow) = self.flows.remove(&stream) {
            flow.close(|towards, ip| synthetic(out, at, (towards, ip)));
        }
    }
}

fn synthetic(out: &mut Vec<u8>, at: u64, (towards, ip): (Towards, &[u8])) {
    let inbound = Some(towards == Towards::Client);
    pcapng::packet(out, &Packet { interface: LINE, at, inbound, ..Packet::default() }, &[ip]);
}

/// What is said of what is not bytes.
pub(crate) fn words(kind: Kind, text: &str) -> String {
    match kind {
        Kind::FromDevice | Kind::ToDevice => String::new(),
        Kind::Line(event) => line_word(event).to_owned(),
        Kind::Signals(lines) => format!("signals: {}", shown(lines)),
        Kind::Settings => format!("settings: {text}"),
        Kind::User if text.is_empty() => "writer: nobody".to_owned(),
        Kind::User => format!("writer: {text}"),
        Kind::Note => text.to_owned(),
        Kind::Lost(bytes) => format!("gap: {bytes} bytes were not recorded"),
        Kind::Opened => "device: open".to_owned(),
        Kind::Closed => "device: closed".to_owned(),
    }
}

fn line_word(event: LineEvent) -> &'static str {
    match event {
        LineEvent::Break => "break",
        LineEvent::Parity => "parity error",
        LineEvent::Framing => "framing error",
        LineEvent::Overrun => "overrun",
    }
}

/// The modem lines that are on, by name.
fn shown(lines: u8) -> String {
    let names = [(0x10, "DTR"), (0x08, "RTS"), (1, "CTS"), (4, "DSR"), (2, "DCD"), (0x20, "RI")];
    let on = names.iter().filter(|(bit, _)| lines & bit != 0).map(|(_, name)| *name);
    let on: Vec<_> = on.collect();
    if on.is_empty() { "none".to_owned() } else { on.join(" ") }
}
