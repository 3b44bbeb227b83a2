//! A door of RFC 2217: the device's bytes, with its settings and signals by telnet's COM port
//! option.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Sleep, sleep},
};

use super::{
    Words,
    orders::{self, Outcome},
};
use crate::{
    config::{Door, KnownResets, Target},
    line::{Board, LineState, Mark, MarkKind, Seat},
    session::{Far, upstream::Upstream},
    settings::{Levels, Settings},
    wire::{
        close::Ended,
        telnet::{AccessServer, EspResets, PortDeed, PortOrder, PortValues, SUB_MAX},
    },
};

/// How long the device is not heard while the client has not said whether it takes BINARY. Clients
/// that never say so are no telnet.
const NEGOTIATION: Duration = Duration::from_millis(500);

/// How long a sub-negotiation may take from its beginning to its end.
const SUB_TIME: Duration = Duration::from_secs(5);

/// Orders that are with the line at a time; the line's own bound for a seat is twice that.
const DOING_MAX: usize = 32;

/// Bytes of answers that wait for the client: over it nothing is read.
const ANSWERS_MAX: usize = 16 * 1024;

/// How often it is looked at whether a client's last byte has left the port.
const SENT_LOOK: Duration = Duration::from_millis(20);

/// Notices of one mark: errors of a line at a wrong speed come by the thousand.
const NOTICES_MAX: u64 = 16;

/// What the client sent and the line does not have yet.
#[derive(Debug)]
enum Heard {
    Data(Vec<u8>),
    Order(PortOrder),
}

/// An order that is with the line.
struct Doing {
    order: PortOrder,
    outcome: Outcome,
}

/// What is spoken at such a door.
pub(crate) struct ComPort {
    server: AccessServer,
    /// Answers and notices that wait for the connection.
    wire: Vec<u8>,
    heard: VecDeque<Heard>,
    doing: VecDeque<Doing>,
    /// What recognises resets, where the door does.
    resets: Option<EspResets>,
    /// When a change of lines that may be part of one has waited for long enough.
    held_until: Option<Pin<Box<Sleep>>>,
    board: watch::Receiver<Board>,
    /// Resolves with the next change of the board; `None` says that it is to be looked at.
    change: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// What a line without settings was told: it takes any, and has none.
    settings: Settings,
    negotiates: Option<Pin<Box<Sleep>>>,
    /// When it is looked at next whether the last byte has left the port: the client wants to know.
    sending: Option<Pin<Box<Sleep>>>,
    /// Until when which sub-negotiation must have ended.
    unended: Option<(u64, Pin<Box<Sleep>>)>,
    /// One had not.
    cut_off: bool,
    /// Whether the client is told in text why it is parted from.
    banner: bool,
}

impl fmt::Debug for ComPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComPort").field("server", &self.server).finish_non_exhaustive()
    }
}

impl ComPort {
    /// Of a seat at this door.
    pub(crate) fn new(seat: &Seat, door: &Door) -> Self {
        let name =
            format!(concat!("wsbridge/", env!("CARGO_PKG_VERSION"), " {}"), seat.endpoint().name);
        let mut wire = Vec::new();
        Self {
            server: AccessServer::open(&name, &mut wire),
            wire,
            heard: VecDeque::new(),
            doing: VecDeque::new(),
            resets: (door.resets == KnownResets::Esp).then(EspResets::default),
            held_until: None,
            board: seat.board(),
            change: None,
            settings: Settings::default(),
            negotiates: Some(Box::pin(sleep(NEGOTIATION))),
            sending: None,
            unended: None,
            cut_off: false,
            banner: door.banner,
        }
    }

    /// The values in force.
    fn values(&self, seat: &Seat) -> PortValues {
        let board = self.board.borrow();
        let opened = match &seat.endpoint().target {
            Target::Serial(serial) => serial.on_open,
            Target::Rfc2217(remote) => remote.on_open,
            Target::Tcp(_) | Target::DialIn(_) | Target::Udp(_) | Target::Sim(_) => {
                Levels::default()
            }
        };
        let Levels { dtr, rts, brk } = board.outputs;
        PortValues {
            settings: board.settings.unwrap_or(self.settings),
            outputs: Levels { dtr: dtr.or(opened.dtr), rts: rts.or(opened.rts), brk },
            inputs: board.inputs.unwrap_or_default(),
            idle: seat.pending().bytes == 0,
        }
    }

    /// Answers what is done, in the order in which it was asked.
    fn settle(&mut self, cx: &mut Context<'_>, seat: &mut Seat) -> Poll<()> {
        let mut settled = Poll::Pending;
        while let Some(Doing { outcome, .. }) = self.doing.front_mut()
            && let Poll::Ready(done) = outcome.poll(cx)
            && let Some(Doing { order, .. }) = self.doing.pop_front()
        {
            if orders::discards_input(&order.deed) {
                seat.seek(seat.end());
            }
            let now = self.values(seat);
            self.server.answer(&order, done, &now, &mut self.wire);
            settled = Poll::Ready(());
        }
        settled
    }

    /// Passes on the next order. Ready when it did, or when the session ends.
    fn poll_order(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Upstream<Seat>,
        deed: PortDeed,
    ) -> Poll<()> {
        // What was sent before goes before.
        if self.doing.len() >= DOING_MAX || !up.is_level() {
            return Poll::Pending;
        }
        let outcome = if let Some(known) = self.without_port(&up.far, &deed) {
            known
        } else if let Some(right) = orders::needs(&deed) {
            let changes = orders::changes(&deed, &self.values(&up.far));
            let allowed = up.far.who().rights.allows(right);
            // To change something is to ask for the lease, as to write is.
            let may = allowed
                && (up.far.is_writer()
                    || changes && ready!(Far::poll_claim(&mut up.far, cx)).is_ok());
            if may { self.begin(&up.far, deed) } else { Outcome::Known(!changes) }
        } else {
            self.begin(&up.far, deed)
        };
        if let Some(Heard::Order(order)) = self.heard.pop_front() {
            self.doing.push_back(Doing { order, outcome });
        }
        Poll::Ready(())
    }

    /// A port without settings takes any, and has none.
    fn without_port(&mut self, seat: &Seat, deed: &PortDeed) -> Option<Outcome> {
        let PortDeed::Configure(change) = deed else { return None };
        let none = {
            let board = self.board.borrow();
            board.state == LineState::Up && !board.caps.settings
        };
        if !none && seat.endpoint().target.settings().is_some() {
            return None;
        }
        self.settings = change.apply(self.settings);
        Some(Outcome::Known(true))
    }

    fn begin(&mut self, seat: &Seat, deed: PortDeed) -> Outcome {
        match (deed, &mut self.resets) {
            (PortDeed::Tell, _) => Outcome::Known(true),
            (PortDeed::Move(levels), Some(resets)) if levels.brk.is_none() => {
                let moved = resets.change(levels);
                let held = resets.is_held();
                self.held_until = held.then(|| Box::pin(sleep(EspResets::PATIENCE)));
                orders::moved(seat, moved)
            }
            _ => {
                self.release(seat);
                orders::begin(seat, deed)
            }
        }
    }

    /// A change that was held is no part of a reset.
    fn release(&mut self, seat: &Seat) {
        self.held_until = None;
        if let Some(levels) = self.resets.as_mut().and_then(EspResets::release) {
            // It counts as done to the client already.
            drop(orders::begin(seat, PortDeed::Move(levels)));
        }
    }

    /// Ready when a sub-negotiation has not ended in time: it swallows what follows.
    fn poll_unended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some((number, length)) = self.server.unended().filter(|_| !self.cut_off) else {
            self.unended = None;
            return Poll::Pending;
        };
        self.unended.take_if(|(other, _)| *other != number);
        let (_, due) = self.unended.get_or_insert_with(|| (number, Box::pin(sleep(SUB_TIME))));
        ready!(due.as_mut().poll(cx));
        self.cut_off = true;
        let most = if length > SUB_MAX { ", which is too long," } else { "" };
        Poll::Ready(Ended::BadMessage(format!(
            "a telnet sub-negotiation of {length} bytes{most} has no end; bytes of 255 have to be doubled"
        )))
    }

    /// Tells when the last byte has left the port. Nothing announces that.
    fn look_at_sending(&mut self, cx: &mut Context<'_>, up: &Upstream<Seat>) {
        while let Some(due) = &mut self.sending
            && due.as_mut().poll(cx).is_ready()
        {
            let sent = up.is_level() && up.far.pending().bytes == 0;
            self.sending = (!sent).then(|| Box::pin(sleep(SENT_LOOK)));
            if sent {
                self.server.transmitter_empty(&mut self.wire);
            }
        }
    }

    /// Tells how the modem lines are, when the board has news.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(change) = &mut self.change {
            ready!(change.as_mut().poll(cx));
        }
        let inputs = self.board.borrow_and_update().inputs;
        if let Some(inputs) = inputs {
            self.server.modem_lines(inputs, &mut self.wire);
        }
        let mut board = self.board.clone();
        // The sender lives as long as the seat.
        self.change = Some(Box::pin(async move { board.changed().await.unwrap_or(()) }));
        Poll::Ready(())
    }
}

impl Words<Seat> for ComPort {
    fn heard(&mut self, _cx: &mut Context<'_>, up: &mut Upstream<Seat>, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let before = self.server.faults();
        let read = self.server.hear(&mut bytes, &mut self.wire);
        let faults = self.server.faults();
        if before != faults {
            up.far.note_ignored(faults.broken - before.broken, faults.unknown - before.unknown);
            tracing::debug!(?faults, "telnet that makes no sense was ignored");
        }
        bytes.truncate(read.data);
        let mut from = 0;
        let mut data = |to: usize| {
            let piece = bytes.get(from..to).unwrap_or_default().to_vec();
            from = to;
            Some(Heard::Data(piece)).filter(|_| to > 0).filter(not_empty)
        };
        for (at, order) in read.orders {
            self.heard.extend(data(at));
            self.heard.push_back(Heard::Order(order));
        }
        self.heard.extend(data(read.data));
    }

    fn listens(&self, up: &Upstream<Seat>) -> bool {
        self.heard.is_empty() && self.wire.len() < ANSWERS_MAX && up.has_room()
    }

    fn is_through(&self) -> bool {
        self.heard.is_empty()
    }

    fn poll_on(&mut self, cx: &mut Context<'_>, up: &mut Upstream<Seat>) -> Poll<Option<Ended>> {
        if let Poll::Ready(ended) = self.poll_unended(cx) {
            return Poll::Ready(Some(ended));
        }
        if let Some(due) = &mut self.held_until
            && due.as_mut().poll(cx).is_ready()
        {
            self.release(&up.far);
        }
        let settled = self.settle(cx, &mut up.far).map(|()| None);
        let passed = match self.heard.front() {
            None => Poll::Pending,
            Some(Heard::Order(order)) => {
                let deed = order.deed;
                self.poll_order(cx, up, deed).map(|()| None)
            }
            Some(Heard::Data(_)) => match Far::poll_claim(&mut up.far, cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(ended)) => return Poll::Ready(Some(ended)),
                Poll::Ready(Ok(())) => {
                    self.release(&up.far);
                    if let Some(Heard::Data(bytes)) = self.heard.pop_front() {
                        up.hand_on(cx, &bytes);
                        let wanted = self.server.wants_transmitter_empty();
                        self.sending = wanted.then(|| Box::pin(sleep(SENT_LOOK)));
                    }
                    Poll::Ready(None)
                }
            },
        };
        if passed.is_ready() { passed } else { settled }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.server.is_suspended() {
            return Poll::Pending;
        }
        if let Some(due) = &mut self.negotiates
            && self.server.is_negotiating()
        {
            ready!(due.as_mut().poll(cx));
        }
        self.negotiates = None;
        Poll::Ready(())
    }

    fn say(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.server.data(bytes, out);
    }

    fn mark(&mut self, mark: Mark, out: &mut Vec<u8>) {
        let MarkKind::Event(event) = mark.kind else { return };
        for _ in 0..mark.count.min(NOTICES_MAX) {
            self.server.line_events(&[event], out);
        }
    }

    fn poll_say(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Upstream<Seat>,
        out: &mut Vec<u8>,
    ) -> Poll<()> {
        let news = self.poll_news(cx);
        self.look_at_sending(cx, up);
        if self.wire.is_empty() {
            return news;
        }
        out.append(&mut self.wire);
        Poll::Ready(())
    }

    fn farewell(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        out.append(&mut self.wire);
        if self.banner && matches!(ended, Ended::Busy(_) | Ended::Withdrawn | Ended::NoRoom(_)) {
            self.server.data(format!("\r\n{ended}\r\n").as_bytes(), out);
        }
    }

    fn forget(&mut self) -> usize {
        let bytes = |heard: &Heard| match heard {
            Heard::Data(bytes) => bytes.len(),
            Heard::Order(_) => 0,
        };
        std::mem::take(&mut self.heard).iter().map(bytes).sum()
    }
}

fn not_empty(heard: &Heard) -> bool {
    !matches!(heard, Heard::Data(bytes) if bytes.is_empty())
}
