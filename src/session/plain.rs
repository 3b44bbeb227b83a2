//! Plain mode: frames are bytes, nothing else.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use super::{
    Entry, Far, Report, Session, Socket,
    drain::{Drain, Left, Linger},
    encoding::{Incoming, Outgoing},
    endings::Rest,
    engine::{Piece, Speech, run},
    link::{Link, Rules},
};
use crate::{
    config::{PACKET_MOST, Packing},
    line::{Gone, Heard, Kind, Mark},
    wire::{close::Ended, frame::HEADER_MAX},
};

/// Line bytes of one read: with its 4-byte header the frame fills two TLS records of 16 KiB.
const TARGET_READ_MAX: usize = PACKET_MOST;

/// Bytes of the client that are held for a line that takes nothing, so that its Close behind them is seen. A
/// connection of one's own is not read ahead for: its client feels the back-pressure.
const AHEAD_MAX: usize = 128 * 1024;

/// The rules a plain session runs under.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Silence after which the client counts as dead.
    pub dead_after: Duration,
    /// Silence of both sides after which the session ends.
    pub idle: Option<Duration>,
    /// How long bytes for the target may stand still once the session ends, and how long a target may go on sending
    /// after the client's Close.
    pub linger: Linger,
    /// Bytes per second and direction.
    pub rate: Option<u64>,
    /// Which bytes of the target make one message.
    pub packing: Packing,
}

/// Runs a plain session to its end: everything read is delivered as long as it moves, the Close frame is sent, the
/// socket is shut.
///
/// A client's Close is its half-close: the target gets the end of the stream (or the line is drained) and goes on for
/// at most `linger`; the answer says what arrived. A target's end becomes our Close, and what the client still sends
/// before its own Close is delivered.
pub async fn plain<F: Far>(socket: Socket, far: F, terms: Terms, session: &Session) -> Report {
    let rules = Rules {
        dead_after: terms.dead_after,
        ping_after: terms.dead_after * 2 / 3,
        idle: terms.idle,
        rate: terms.rate,
    };
    let mut plain = Plain::new(far, &socket, &terms, Arc::clone(&session.entry));
    let mut link = Link::new(socket, rules);
    run(&mut link, &mut plain, session.order.clone()).await;
    let to_client = session.entry.to_client.load(Ordering::Relaxed);
    Report {
        ended: link.ended().cloned().unwrap_or(Ended::ClientClosed(None)),
        taken: plain.taken,
        lost_up: plain.lost(),
        lost_down: link.lost().min(to_client) + plain.outgoing.held() as u64,
    }
}

/// What the client's direction is at.
#[derive(Debug)]
enum Upstream {
    /// The client may send more.
    Open,
    /// It will not: what is held goes to the target, then the half-close.
    Finishing,
    /// That is out, and not yet acknowledged.
    Settling,
    /// It is, and the target may still answer, or end.
    Answering(Pin<Box<Sleep>>),
    Done,
}

/// A plain session beside its socket.
struct Plain<F> {
    far: F,
    linger: Linger,
    upstream: Upstream,
    /// Payload the target has not taken yet, from `sent` on.
    held: Vec<u8>,
    sent: usize,
    incoming: Incoming,
    outgoing: Outgoing,
    drain: Option<Drain>,
    /// Bytes of the client.
    taken: u64,
    /// Of these, those that were given up here.
    lost: u64,
    /// How many had been taken when the target ended its side.
    mark: u64,
    /// Why the target takes no more.
    refused: Option<Gone>,
    /// The target has said its last.
    ended: bool,
    entry: Arc<Entry>,
}

impl<F: Far> Plain<F> {
    fn new(far: F, socket: &Socket, terms: &Terms, entry: Arc<Entry>) -> Self {
        Self {
            far,
            linger: terms.linger,
            upstream: Upstream::Open,
            held: Vec::new(),
            sent: 0,
            incoming: Incoming::new(socket.payload),
            outgoing: Outgoing::new(socket.payload, terms.packing, TARGET_READ_MAX),
            drain: None,
            taken: 0,
            lost: 0,
            mark: 0,
            refused: None,
            ended: false,
            entry,
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.upstream, Upstream::Done)
    }

    /// Bytes held here.
    fn waiting(&self) -> usize {
        self.held.len() - self.sent
    }

    /// Bytes on their way to the target.
    fn left(&self) -> Left {
        let left = self.far.left();
        Left { bytes: left.bytes + self.waiting() as u64, ..left }
    }

    /// Bytes that the target does not get, as far as that is decided.
    fn lost(&self) -> u64 {
        (self.lost + self.far.lost()).min(self.taken)
    }

    /// Writes to the target and holds what it did not take.
    fn hand_on(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        self.taken += bytes.len() as u64;
        self.entry.to_target.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if self.refused.is_some() || self.is_done() {
            self.lost += bytes.len() as u64;
            return;
        }
        if self.waiting() > 0 {
            return self.held.extend_from_slice(bytes);
        }
        let taken = match self.far.poll_write(cx, bytes) {
            Poll::Ready(Ok(n)) => n,
            Poll::Ready(Err(error)) => {
                self.held.extend_from_slice(bytes);
                return self.refuse(Gone::by(&error));
            }
            Poll::Pending => 0,
        };
        let (_, rest) = bytes.split_at(taken);
        self.held.extend_from_slice(rest);
    }

    /// Goes on writing what is held.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (_, rest) = self.held.split_at(self.sent);
        if rest.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.far.poll_write(cx, rest)) {
            Ok(n) if n < rest.len() => self.sent += n,
            // An idle connection keeps no buffer.
            Ok(_) => (self.held, self.sent) = (Vec::new(), 0),
            Err(error) => self.refuse(Gone::by(&error)),
        }
        Poll::Ready(())
    }

    /// The target takes no more: that is the reason of the ending. Its last words are still to be read.
    fn refuse(&mut self, why: Gone) {
        if self.refused.is_none() {
            self.lost += self.left().bytes;
            self.refused = Some(why);
        }
        (self.held, self.sent) = (Vec::new(), 0);
        self.upstream = Upstream::Done;
    }

    /// Nothing is waited for any more: what is not there is lost.
    fn give_up(&mut self) {
        if !self.is_done() {
            self.lost += self.left().bytes;
            (self.held, self.sent) = (Vec::new(), 0);
            self.upstream = Upstream::Done;
            self.far.cut();
        }
    }

    /// The target has said its last. Returns why the session ends, if it has not ended before.
    fn target_ended(&mut self, gone: Gone) -> Ended {
        self.ended = true;
        if gone != Gone::Ended {
            self.refuse(gone.clone());
        }
        match self.refused.clone().unwrap_or(gone) {
            // A line has no end of its own.
            gone @ Gone::Ended if !F::IS_CONNECTION => Ended::TargetFailed(gone.to_string()),
            Gone::Ended => Ended::TargetEnded,
            Gone::Failed(why) => Ended::TargetFailed(why),
            Gone::Reset(why) => Ended::TargetReset(why),
        }
    }

    /// One step of what the client's direction is at.
    fn poll_upstream(&mut self, link: &Link, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_held(cx).is_ready() {
            return Poll::Ready(());
        }
        let held = self.waiting() > 0;
        match &mut self.upstream {
            Upstream::Open if !link.is_read() => self.upstream = Upstream::Finishing,
            Upstream::Finishing if !held => match ready!(self.far.poll_finish(cx)) {
                Ok(()) => self.upstream = Upstream::Settling,
                Err(error) => self.refuse(Gone::by(&error)),
            },
            Upstream::Settling if self.far.left().bytes == 0 => {
                self.upstream = if F::IS_CONNECTION && !self.ended {
                    Upstream::Answering(Box::pin(sleep(self.linger.still)))
                } else {
                    Upstream::Done
                };
            }
            Upstream::Answering(timer) => {
                if !self.ended {
                    ready!(timer.as_mut().poll(cx));
                }
                self.upstream = Upstream::Done;
            }
            Upstream::Open | Upstream::Finishing | Upstream::Settling | Upstream::Done => {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Reads on for nobody: a connection closed with bytes unread is reset, and the reset may overtake what was sent.
    fn poll_forget(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        match ready!(self.far.poll_read(cx, buf)) {
            Heard::Ended(gone) => drop(self.target_ended(gone)),
            Heard::Bytes(_) | Heard::Mark(_) | Heard::Gap(_) => {}
        }
        Poll::Ready(())
    }

    /// What the client is told of its bytes beside the reason.
    fn account(&self) -> Option<String> {
        let (lost, taken) = (self.lost(), self.taken);
        (lost > 0).then(|| format!("at least {lost} of {taken} bytes not delivered"))
    }
}

impl<F: Far> Speech for Plain<F> {
    fn is_stream(&self, _text: bool) -> bool {
        self.incoming.is_stream()
    }

    fn data(&mut self, link: &mut Link, cx: &mut Context<'_>, bytes: &[u8]) {
        link.clock.moved();
        self.hand_on(cx, bytes);
    }

    fn piece(&mut self, link: &mut Link, cx: &mut Context<'_>, piece: Piece<'_>) {
        match self.incoming.decode(piece.bytes, piece.last) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => {
                link.took(bytes.len());
                self.data(link, cx, &bytes);
            }
            Err(why) => link.end(Ended::BadFrame(why)),
        }
    }

    fn listens(&self) -> bool {
        self.waiting() == 0 || !F::IS_CONNECTION && self.waiting() < AHEAD_MAX
    }

    fn idles(&self) -> bool {
        true
    }

    fn poll_target(&mut self, link: &mut Link, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        if self.poll_upstream(link, cx).is_ready() {
            return Poll::Ready(());
        }
        if link.is_mute() && !self.ended && !self.is_done() && self.poll_forget(cx, buf).is_ready() {
            return Poll::Ready(());
        }
        if self.is_done() {
            return Poll::Pending;
        }
        let (held, far) = (self.waiting() as u64, &self.far);
        let Some(drain) = &mut self.drain else { return Poll::Pending };
        let left = || Left { bytes: far.left().bytes + held, ..far.left() };
        if ready!(drain.poll(cx, left)) {
            self.give_up();
        }
        Poll::Ready(())
    }

    fn poll_client(&mut self, link: &mut Link, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        if self.ended {
            return Poll::Pending;
        }
        let most = ready!(link.poll_rate(cx, self.outgoing.room(TARGET_READ_MAX)));
        let (_, space) = buf.split_at_mut(HEADER_MAX);
        let (space, _) = space.split_at_mut(most);
        let Poll::Ready(heard) = self.far.poll_read(cx, space) else {
            return self.outgoing.poll_due(cx, &mut link.socket);
        };
        match heard {
            Heard::Bytes(n) => {
                link.sent(n);
                self.entry.to_client.fetch_add(n as u64, Ordering::Relaxed);
                let wrote = self.outgoing.send(cx, buf, n, &mut link.socket);
                link.wrote(wrote);
            }
            Heard::Mark(Mark { kind: Kind::Pause(pause), .. }) => {
                self.outgoing.pause(pause, &mut link.socket);
            }
            // Plain mode asks for no other marks.
            Heard::Mark(_) => {}
            Heard::Gap(gap) => link.end(Ended::TooSlow(gap.to - gap.from)),
            Heard::Ended(gone) => {
                let ended = self.target_ended(gone);
                // A reset is the better reason.
                if link.ended().is_some() && ended != Ended::TargetEnded {
                    link.amend(ended);
                } else {
                    link.end(ended);
                }
            }
        }
        Poll::Ready(())
    }

    fn wind_up(&mut self, _link: &mut Link, rest: Rest) {
        self.mark = self.taken;
        match &mut self.drain {
            _ if rest == Rest::Discard => self.give_up(),
            Some(drain) => drain.hurry(rest),
            None => self.drain = Some(Drain::new(self.linger, rest, self.left().bytes)),
        }
    }

    fn is_settled(&self) -> bool {
        self.is_done() || self.taken - self.left().bytes >= self.mark
    }

    fn is_done(&self) -> bool {
        self.is_done()
    }

    fn last_words(&mut self, link: &mut Link) {
        self.outgoing.finish(&mut link.socket);
        let (lost, taken) = (self.lost(), self.taken);
        match link.ended() {
            Some(Ended::ClientClosed(_)) if lost > 0 => {
                link.amend(Ended::Undelivered { delivered: taken - lost, of: taken });
            }
            Some(Ended::TargetEnded) if lost > 0 => {
                link.amend(Ended::TargetReset("the device closed the connection".into()));
                link.note(self.account());
            }
            Some(Ended::Undelivered { .. }) | None => {}
            Some(_) => link.note(self.account()),
        }
    }
}

#[cfg(test)]
mod tests;
