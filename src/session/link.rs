//! A session's WebSocket: reading and writing, pings, limits, and how the two sides part.

use std::{
    io,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::time::Instant;

use super::{
    Socket,
    clock::{Clock, Due, Rules},
    endings::{Ending, Farewell, Remainder, ending},
    pulse::Pulse,
    rate::BothRates,
};
use crate::{
    line::Probe,
    wire::{
        close::Ended,
        frame::{Opcode, parse_close},
    },
};

/// While more bytes than this wait for the client it is not read: its requests would only add to
/// them.
const UNSENT_MAX: usize = 64 * 1024;

/// The client's pings that may be waiting for their pongs; of a flood, the rest go unanswered.
const PONGS: usize = 64;

/// The client's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inbound {
    /// Frames are expected.
    Open,
    /// What comes is thrown away.
    Deaf,
    /// Its Close has come, or its end.
    Over,
}

/// Our direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outbound {
    /// Frames are sent.
    Open,
    /// Our Close is waiting to be written.
    Closing,
    /// It is written, and our side of the stream is about to be shut.
    Shutting,
    /// It is written, or there is nothing to say.
    Over,
    /// There is nobody to write to.
    Broken,
}

/// A WebSocket between its handshake and its end.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: Socket,
    pub(super) clock: Clock,
    dead_after: Duration,
    pulse: Pulse,
    pub(super) rates: BothRates,
    ended: Option<Ended>,
    inbound: Inbound,
    outbound: Outbound,
    /// Pongs not yet written.
    pongs: usize,
    /// The kernel took no more for the client.
    pressed: bool,
    /// The client's Close has come.
    answered: bool,
    /// The time for parting is running.
    parting: bool,
    /// When the session is over, whatever still moves.
    until: Option<Instant>,
    /// What the reason in our Close says besides the ending.
    note: Option<String>,
    /// Line bytes that were sent but not acknowledged by the client's kernel when it was given up.
    lost: u64,
}

impl Link {
    pub(super) fn new(socket: Socket, rules: Rules) -> Self {
        // From here on a client is slow while it takes bytes, and dead when it does not answer: the
        // kernel's own rule cannot tell the two apart behind a closed window.
        if let Some(socket) = socket.stream().tcp() {
            let _ = SockRef::from(socket).set_tcp_user_timeout(None);
        }
        Self {
            socket,
            clock: Clock::new(rules.dead_after, rules.ping_after, rules.idle),
            dead_after: rules.dead_after,
            pulse: Pulse::default(),
            rates: BothRates::new(rules.rate),
            ended: None,
            inbound: Inbound::Open,
            outbound: Outbound::Open,
            pongs: 0,
            pressed: false,
            answered: false,
            parting: false,
            until: None,
            note: None,
            lost: 0,
        }
    }

    /// Why the session ends, once it does.
    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// What follows from the ending.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.ended.as_ref().map(ending)
    }

    /// Ends the session; the first reason stands.
    pub(super) fn end(&mut self, ended: Ended) {
        if self.ended.is_some() {
            return;
        }
        let Ending { farewell, rest, .. } = ending(&ended);
        self.hurry(rest);
        match farewell {
            Farewell::None => self.give_up(),
            Farewell::Shut(_) => self.inbound = Inbound::Deaf,
            Farewell::Answer | Farewell::Close | Farewell::CloseBehind => {}
        }
        self.ended = Some(ended);
    }

    /// From now on the session has only so much time.
    pub(super) fn hurry(&mut self, rest: Remainder) {
        if let Remainder::Within(within) = rest {
            let until = Instant::now() + within;
            self.until = Some(self.until.map_or(until, |set| set.min(until)));
            self.clock.end_within(within);
        }
    }

    /// Waits for the client's Close, for at most this long.
    fn await_close(&mut self, wait: Duration) {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        self.clock.extend(left.map_or(wait, |left| left.min(wait)));
    }

    /// Adds something that the reason in our Close should say.
    pub(super) fn note(&mut self, note: Option<String>) {
        self.note = note;
    }

    /// Replaces the reason: it is known better now.
    pub(super) fn amend(&mut self, ended: Ended) {
        self.ended = Some(ended);
    }

    /// Gives the socket up as useless.
    pub(super) fn give_up(&mut self) {
        if self.is_over() {
            return;
        }
        self.lost = self.unacknowledged();
        (self.inbound, self.outbound) = (Inbound::Over, Outbound::Broken);
    }

    /// Notes that the connection broke.
    pub(super) fn break_off(&mut self, why: &str) {
        self.end(Ended::ClientLost(why.to_owned()));
        self.give_up();
    }

    /// Whether both directions are over.
    pub(super) fn is_over(&self) -> bool {
        self.inbound == Inbound::Over && matches!(self.outbound, Outbound::Over | Outbound::Broken)
    }

    /// Whether what the client sends may still count.
    pub(super) fn is_read(&self) -> bool {
        self.inbound == Inbound::Open
    }

    /// Whether nothing more goes to the client.
    pub(super) fn is_mute(&self) -> bool {
        self.outbound != Outbound::Open
    }

    /// Whether the client has sent Close.
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Bytes sent, frame headers included, that the client's kernel has not acknowledged, as far as
    /// we know.
    pub(super) fn unacknowledged(&self) -> u64 {
        (self.socket.waiting() as u64).saturating_add(self.socket.stream().outstanding().bytes)
    }

    /// How many of those were given up.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Reads from the client; returns the number of raw bytes. Also pending while it should not be
    /// read.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<usize> {
        let wanted = match self.inbound {
            Inbound::Open => self.socket.waiting() <= UNSENT_MAX,
            Inbound::Deaf => true,
            Inbound::Over => false,
        };
        if !wanted {
            return Poll::Pending;
        }
        let most = if self.ended.is_some() {
            buf.len()
        } else {
            ready!(self.rates.poll_up(cx, buf.len()))
        };
        let (space, _) = buf.split_at_mut(most);
        match ready!(self.socket.poll_read(cx, space)) {
            Ok(n @ 1..) => {
                self.clock.heard();
                return Poll::Ready(if self.inbound == Inbound::Deaf { 0 } else { n });
            }
            Ok(_) => self.end_of_stream("end of stream without Close"),
            Err(error) => self.end_of_stream(&error.to_string()),
        }
        Poll::Ready(0)
    }

    /// The client's side has ended without a Close, or after ours.
    fn end_of_stream(&mut self, why: &str) {
        self.inbound = Inbound::Over;
        if self.ended.is_none() {
            self.break_off(why);
        } else if self.outbound == Outbound::Open {
            // A client that sends nothing more may still hear why.
            self.await_close(self.dead_after);
        }
    }

    /// Handles a pong from the client.
    pub(super) fn pong(&mut self) {
        self.pulse.ponged();
    }

    /// Somebody asks whether the client is there.
    pub(super) fn probe(&mut self, probe: Probe) {
        if self.ended.is_some() {
            return probe.answer(false);
        }
        if self.pulse.ask(probe, &self.clock, self.dead_after / 3, &self.socket) {
            self.send_ping();
        }
    }

    /// Answers those who ask, once it is known.
    pub(super) fn poll_probes(&mut self, cx: &mut Context<'_>) {
        self.pulse.poll(cx, &self.clock);
    }

    fn send_ping(&mut self) {
        self.pulse.pinged();
        self.socket.queue(Opcode::Ping, b"");
    }

    /// Handles a ping from the client; pings are answered in order (RFC 6455 section 5.5.3 asks
    /// only for the latest).
    pub(super) fn ping(&mut self) {
        if self.pongs < PONGS && self.outbound == Outbound::Open {
            let pong = self.socket.decoder.control().to_vec();
            self.socket.queue(Opcode::Pong, &pong);
            self.pongs += 1;
        }
    }

    /// Handles the client's Close, which the decoder has checked.
    pub(super) fn closed(&mut self) {
        let code = parse_close(self.socket.decoder.control()).ok().flatten().map(|(code, _)| code);
        self.inbound = Inbound::Over;
        self.answered = true;
        self.clock.lift();
        self.end(Ended::ClientClosed(code));
    }

    /// Writes what waits for the client. Ready when something has moved, or with `true` when there
    /// is room for the next frame.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match self.outbound {
            Outbound::Open | Outbound::Closing => {}
            Outbound::Shutting => {
                // If anything fails here, it shows as the end of the client's side.
                let _ = ready!(self.socket.poll_shutdown(cx));
                self.outbound = Outbound::Over;
                return Poll::Ready(false);
            }
            Outbound::Over | Outbound::Broken => return Poll::Pending,
        }
        match self.socket.poll_flush(cx) {
            Poll::Ready(Ok(moved)) => {
                // A client that makes room is alive, and its pong may be waiting behind the bytes.
                // If there was room all along, only the kernel took them, which proves nothing, and
                // a ping of ours moves no data.
                if moved && std::mem::take(&mut self.pressed) {
                    self.clock.heard();
                }
                if self.socket.waiting() == 0 {
                    self.pongs = 0;
                    if self.outbound == Outbound::Closing {
                        self.close_is_out();
                        return Poll::Ready(false);
                    }
                }
                Poll::Ready(!moved)
            }
            Poll::Ready(Err(error)) => {
                self.break_off(&error.to_string());
                Poll::Ready(false)
            }
            Poll::Pending => {
                self.pressed = true;
                Poll::Pending
            }
        }
    }

    /// Notes a write that failed.
    pub(super) fn wrote(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.break_off(&error.to_string());
        }
    }

    /// Nothing but the client is waited for any more: its time starts now, unless it already has.
    pub(super) fn part(&mut self) {
        if !std::mem::replace(&mut self.parting, true) {
            self.await_close(self.dead_after);
        }
    }

    /// Queues our Close after what waits.
    pub(super) fn close(&mut self) {
        self.parting = true;
        self.await_close(self.dead_after);
        let Some(ended) = self.ended.as_ref() else { return };
        match ended.code() {
            // RFC 6455 section 7.4.1: 1005 stands for no code and is never sent.
            Some(_) if matches!(ended, Ended::ClientClosed(None)) => self.socket.queue_close(None),
            Some(code) => {
                let note = self.note.as_ref().map_or_else(String::new, |note| format!("; {note}"));
                self.socket.queue_close(Some((code, &format!("{ended}{note}"))));
            }
            None => return self.give_up(),
        }
        self.outbound = Outbound::Closing;
    }

    /// Our Close is out: sets how long the client's may take.
    fn close_is_out(&mut self) {
        self.outbound = Outbound::Over;
        match self.ending().map(|ending| ending.farewell) {
            Some(Farewell::Shut(wait)) => {
                self.outbound = Outbound::Shutting;
                self.await_close(wait);
            }
            // A slow client may take as long to read what was sent before as it takes to count as
            // dead.
            _ if self.inbound != Inbound::Over => self.await_close(self.dead_after),
            _ => {}
        }
    }

    /// Handles what the clock says. `deaf`: we are not reading the client at present; `idles`: the
    /// session's silence counts.
    pub(super) fn poll_clock(&mut self, cx: &mut Context<'_>, deaf: bool, idles: bool) -> Poll<()> {
        let due = ready!(self.clock.poll(cx, deaf || self.answered));
        let takes = matches!(due, Due::Ping | Due::Silent) && self.pulse.takes(&self.socket);
        if due == Due::Silent && takes {
            self.clock.heard();
            return Poll::Ready(());
        }
        match due {
            // Behind waiting data, a ping would prove nothing that the data does not.
            Due::Ping if self.socket.waiting() == 0 && self.ended.is_none() => self.send_ping(),
            Due::Silent if self.ended.is_none() => self.end(Ended::ClientSilent),
            Due::Idle if idles => self.end(Ended::Idle),
            Due::Deadline if self.ended.is_none() => self.end(Ended::NotOpened),
            Due::Ping | Due::Idle => {}
            Due::Silent | Due::Deadline => self.give_up(),
        }
        Poll::Ready(())
    }

    /// Ends our side of the stream, for a client that reads to its end.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outbound == Outbound::Broken {
            return Poll::Ready(());
        }
        self.socket.poll_shutdown(cx).map(drop)
    }
}
