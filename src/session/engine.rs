//! The one loop of every session: client to target, target to client, pings, the order to end, and
//! what an ending waits for.

use std::{
    future::{Future, poll_fn},
    ops::Range,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    endings::{Farewell, Remainder},
    link::Link,
    order::{Notice, Ordered, Orders, Restraints},
};
use crate::{
    line::LineNews,
    stream::with_scratch,
    wire::{close::Ended, frame::Item},
};

/// Raw bytes in one read from the client: beyond 32 KiB a read costs more than it saves
/// (docs/performance.md).
const CLIENT_READ_MAX: usize = 32 * 1024;

/// Rounds within one poll before other tasks get their turn.
const ROUNDS: usize = 16;

/// What is spoken over a WebSocket: plain bytes, `wsbridge.v1`, the bus. One task polls both
/// directions, and neither waits for the other.
pub(super) trait Speech {
    /// Whether messages of this kind are one stream of bytes; then their payloads are handed over
    /// together, otherwise piece by piece.
    fn is_stream(&self, text: bool) -> bool;

    /// Takes bytes of such a stream, never empty.
    fn data(&mut self, link: &mut Link, cx: &mut Context<'_>, bytes: &[u8]);

    /// Takes a piece of a message that is not part of a stream.
    fn piece(&mut self, link: &mut Link, cx: &mut Context<'_>, piece: Piece<'_>);

    /// Whether the client is being read now. While it is not, it owes us no pong.
    fn listens(&self) -> bool;

    /// Whether a session without data now counts as idle.
    fn idles(&self) -> bool;

    /// Goes on with what the target has not taken, drains, waits. Ready when something has moved.
    fn poll_target(&mut self, link: &mut Link, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()>;

    /// Sends the next thing to the client; called only when there is room for it. Ready when
    /// something has moved.
    fn poll_client(&mut self, link: &mut Link, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()>;

    /// The session ends: decides what becomes of the bytes that have not reached the target. Called
    /// once, and again with a stricter rule if another order comes.
    fn wind_up(&mut self, link: &mut Link, rest: Remainder);

    /// Whether what was sent before has got as far as it can: to the target, or counted as lost.
    fn is_settled(&self) -> bool;

    /// Whether nothing is left to do for the target.
    fn is_done(&self) -> bool;

    /// Sends the last words before our Close; the ending may be amended by what is known now.
    fn last_words(&mut self, link: &mut Link);

    /// What the line has to say.
    fn poll_word(&mut self, _cx: &mut Context<'_>) -> Poll<LineNews> {
        Poll::Pending
    }

    /// The session is held read-only by these from now on, or by nobody.
    fn restrain(&mut self, _link: &mut Link, _by: Restraints) {}

    /// Its client is to show this.
    fn notice(&mut self, _notice: Arc<Notice>) {}

    /// The session continues on another socket.
    fn superseded(&mut self, _link: &mut Link) {}
}

/// A piece of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) text: bool,
    /// Whether this piece completes the message.
    pub(super) last: bool,
}

/// Runs a session to its end: until it has parted from both sides, or given them up.
pub(super) async fn run<T: Speech>(link: &mut Link, speech: &mut T, mut orders: Orders) {
    let mut engine = Engine { link, speech, wound_up: false };
    loop {
        let mut order = pin!(orders.next());
        let ordered = poll_fn(|cx| match order.as_mut().poll(cx) {
            Poll::Ready(ordered) => Poll::Ready(Some(ordered)),
            Poll::Pending => with_scratch(|buf| engine.poll(cx, buf)).map(|()| None),
        });
        match ordered.await {
            Some(Ordered::End(ended)) => engine.order(ended),
            Some(Ordered::Held(by)) => engine.speech.restrain(engine.link, by),
            Some(Ordered::Notice(notice)) => engine.speech.notice(notice),
            None => return,
        }
    }
}

struct Engine<'a, T> {
    link: &'a mut Link,
    speech: &'a mut T,
    /// The target's bytes are being wound up.
    wound_up: bool,
}

impl<T: Speech> Engine<'_, T> {
    /// An order to end came from outside. If the session is already ending, the order can still
    /// hurry it.
    fn order(&mut self, ended: Ended) {
        let superseded = ended == Ended::Superseded;
        let rest = super::endings::ending(&ended).rest;
        if self.link.ended().is_none() {
            self.link.end(ended);
        } else if rest != Remainder::Drain {
            self.link.hurry(rest);
            self.speech.wind_up(self.link, rest);
        }
        if superseded {
            self.speech.superseded(self.link);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        for _ in 0..ROUNDS {
            let moved = [self.poll_up(cx, buf), self.poll_target(cx, buf), self.poll_down(cx, buf)];
            if self.link.is_over() && self.wound_up && self.speech.is_done() {
                return self.link.poll_shutdown(cx);
            }
            // The clock is looked at when everything is at rest, and below for a session that never
            // rests.
            if moved.iter().all(Poll::is_pending) && self.poll_clock(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let _ = self.poll_clock(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.poll_probes(cx);
        self.link.poll_clock(cx, !self.speech.listens(), self.speech.idles())
    }

    fn poll_target(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        if !self.wound_up
            && let Some(ending) = self.link.ending()
        {
            self.wound_up = true;
            self.speech.wind_up(self.link, ending.rest);
        }
        while let Poll::Ready(word) = self.speech.poll_word(cx) {
            match word {
                LineNews::Probe(probe) => self.link.probe(probe),
                LineNews::GiveWay(to) => self.link.end(Ended::Busy(to)),
            }
        }
        let moved = self.speech.poll_target(self.link, cx, buf);
        if self.wound_up && self.speech.is_done() {
            self.link.part();
        }
        moved
    }

    /// Client to target: one read, taken apart into frames.
    fn poll_up(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        // What is thrown away is read in any case.
        if !self.speech.listens() && self.link.is_read() {
            return Poll::Pending;
        }
        let (space, _) = buf.split_at_mut(CLIENT_READ_MAX);
        self.link.poll_read(cx, space).map(|n| {
            let (input, _) = space.split_at_mut(n);
            self.decode(cx, input);
        })
    }

    /// Takes frames apart in place: the payloads of one stream are moved together, behind the
    /// first.
    fn decode(&mut self, cx: &mut Context<'_>, input: &mut [u8]) {
        let (mut at, mut kept) = (0, 0..0);
        while at < input.len() {
            if self.speech.is_stream(false) {
                at = self.link.socket.decoder.gather(input, at, &mut kept);
            }
            let Some(rest) = input.get_mut(at..).filter(|rest| !rest.is_empty()) else { break };
            let (used, item) = match self.link.socket.decoder.next(rest) {
                Ok(next) => next,
                Err(error) => {
                    self.hand_over(cx, input, &mut kept);
                    self.link.end(error.into());
                    return;
                }
            };
            match item {
                Item::Data { range, text, .. } if self.speech.is_stream(text) => {
                    gather(input, at + range.start..at + range.end, &mut kept);
                }
                Item::Data { range, text, last, .. } => {
                    self.hand_over(cx, input, &mut kept);
                    let piece =
                        Piece { bytes: slice(input, at + range.start..at + range.end), text, last };
                    self.speech.piece(self.link, cx, piece);
                }
                Item::Ping => self.link.ping(),
                Item::Pong => self.link.pong(),
                Item::More => {}
                Item::Close => {
                    self.hand_over(cx, input, &mut kept);
                    return self.link.closed();
                }
            }
            at += used;
            if !self.speech.listens() || !self.link.is_read() {
                break;
            }
        }
        self.hand_over(cx, input, &mut kept);
        // The rest is read when the speech listens again.
        if at < input.len() && self.link.is_read() {
            let rest = slice(input, at..input.len());
            self.link.socket.unread(rest);
        }
    }

    fn hand_over(&mut self, cx: &mut Context<'_>, input: &[u8], kept: &mut Range<usize>) {
        let bytes = slice(input, std::mem::take(kept));
        if !bytes.is_empty() {
            self.link.rates.took(bytes.len());
            self.speech.data(self.link, cx, bytes);
        }
    }

    /// Target to client: all sending is in one place, so that no frame cuts another.
    fn poll_down(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        match self.link.poll_flush(cx) {
            Poll::Ready(true) => {}
            Poll::Ready(false) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
        if self.link.is_mute() {
            return Poll::Pending;
        }
        let due = match self.link.ending().map(|ending| ending.farewell) {
            None | Some(Farewell::None) => false,
            Some(Farewell::Close | Farewell::Shut(_)) => true,
            Some(Farewell::CloseBehind) => self.speech.is_settled(),
            Some(Farewell::Answer) => self.wound_up && self.speech.is_done(),
        };
        if due {
            self.speech.last_words(self.link);
            self.link.close();
            return Poll::Ready(());
        }
        self.speech.poll_client(self.link, cx, buf)
    }
}

/// Moves a piece behind what is kept; the first one stays where it is.
fn gather(input: &mut [u8], piece: Range<usize>, kept: &mut Range<usize>) {
    if Range::is_empty(kept) {
        *kept = piece;
    } else {
        let end = kept.end;
        kept.end += piece.len();
        input.copy_within(piece, end);
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "ranges of this input; a wrong one ends this session, and says so"
)]
fn slice(input: &[u8], range: Range<usize>) -> &[u8] {
    &input[range]
}
