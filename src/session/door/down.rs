//! Target to client: what is heard goes out, and the end says whether everything arrived.

use std::{
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::io::AsyncWrite as _;

use super::{DoorSession, Far, Inbound, LAST_WORDS, READ_MAX, Words};
use crate::{
    line::SeatEvent,
    session::{
        drain::{Drain, Left},
        endings::{Farewell, Remainder, ending},
        upstream::Count,
    },
    stream::NextHop as _,
    wire::close::Ended,
};

/// Bytes of the buffer that a session keeps while nothing is under way.
const IDLE_MAX: usize = 1024;

impl<F: Far, W: Words<F>> DoorSession<'_, F, W> {
    /// Target to client.
    pub(super) fn poll_down(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        if self.over {
            return Poll::Pending;
        }
        if self.words.skips(&mut self.upstream) {
            self.out.clear();
            self.sent = 0;
        }
        self.still.untaken = self.sent < self.out.len();
        if self.still.untaken && self.poll_write(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.parting.is_some() {
            return self.poll_part(cx);
        }
        let due = match self.ended.as_ref().map(|ended| ending(ended).farewell) {
            None | Some(Farewell::None) => false,
            Some(Farewell::Close | Farewell::Shut(_)) => true,
            Some(Farewell::CloseBehind) => self.upstream.is_settled(),
            Some(Farewell::Answer) => {
                self.wound_up
                    && self.upstream.is_done()
                    && (self.upstream.has_ended()
                        || F::IS_CONNECTION
                        || self.quiet.poll(cx).is_ready())
            }
        };
        if due {
            self.part();
            return Poll::Ready(());
        }
        if self.still.untaken {
            return Poll::Pending;
        }
        if self.words.poll_say(cx, &mut self.upstream, &mut self.out).is_ready() {
            return Poll::Ready(());
        }
        if self.upstream.has_ended() {
            return Poll::Pending;
        }
        self.poll_read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (_, rest) = self.out.split_at(self.sent);
        match ready!(Pin::new(&mut self.stream).poll_write(cx, rest)) {
            Ok(n) => {
                self.vigil.wrote();
                self.sent += n;
                if self.sent == self.out.len() {
                    // An idle session keeps no large buffer.
                    self.out.clear();
                    self.out.shrink_to(IDLE_MAX);
                    self.sent = 0;
                }
            }
            Err(error) => self.break_off(&error.to_string()),
        }
        Poll::Ready(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        // TLS holds what it has not written.
        let _ = Pin::new(&mut self.stream).poll_flush(cx);
        if self.words.poll_room(cx).is_pending() {
            self.still.untaken = true;
            return Poll::Pending;
        }
        let most = ready!(self.rates.poll_down(cx, READ_MAX));
        let (space, _) = buf.split_at_mut(most);
        match ready!(self.upstream.far.poll_read(cx, space)) {
            SeatEvent::Bytes(n) => {
                self.quiet.moved();
                self.rates.sent(n);
                if self.entry.to_client.fetch_add(n as u64, Ordering::Relaxed) == 0 {
                    self.entrance.witness();
                }
                let (bytes, _) = space.split_at(n);
                self.words.say(bytes, &mut self.out);
            }
            SeatEvent::Mark(mark) => self.words.mark(mark, &mut self.out),
            SeatEvent::Gap(gap) => self.end(Ended::TooSlow(gap.to - gap.from)),
            SeatEvent::Ended(gone) => {
                let ended = self.upstream.target_ended(gone);
                if self.ended.is_some() && ended != Ended::TargetEnded {
                    self.ended = Some(ended);
                } else {
                    self.end(ended);
                }
            }
        }
        Poll::Ready(())
    }

    /// Nothing more is said: what is written has to arrive.
    fn part(&mut self) {
        if let Some(ended) = &self.ended {
            self.words.farewell(ended, &mut self.out);
        }
        let left = self.unacknowledged();
        // A stop waits for nobody longer than its own time.
        let rest = match self.ended.as_ref().map(|ended| ending(ended).rest) {
            Some(within @ Remainder::Within(_)) => within,
            Some(Remainder::Drain | Remainder::Discard) | None => Remainder::Drain,
        };
        self.parting = Some(Drain::new(self.terms.linger, rest, left));
    }

    /// Waits until the client has everything, or takes no more.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What the end says is true only when both directions are done; but a target's end is
        // passed on at once, and what the client says to that is still delivered.
        if self.unacknowledged() == 0 {
            if self.wound_up && self.upstream.is_done() {
                self.shut(cx);
                return Poll::Ready(());
            }
            if self.inbound == Inbound::Open && self.hears() {
                if !std::mem::replace(&mut self.half_closed, true) {
                    self.quiet.last_words(LAST_WORDS);
                    let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                }
                ready!(self.quiet.poll(cx));
                self.inbound = Inbound::Ended;
                return Poll::Ready(());
            }
        }
        let (stream, out) = (&self.stream, (self.out.len() - self.sent) as u64);
        let left = || {
            let outstanding = stream.outstanding();
            let answers = stream.sample().is_some_and(|now| now.answers());
            Left { bytes: out + outstanding.bytes, exact: outstanding.exact, answers }
        };
        let Some(parting) = &mut self.parting else { return Poll::Pending };
        if ready!(parting.poll(cx, left)) && self.unacknowledged() > 0 {
            self.lost_down = self.unacknowledged();
            self.reset();
        }
        Poll::Ready(())
    }

    /// The end of our side: a FIN where everything arrived both ways, else a reset.
    fn shut(&mut self, cx: &mut Context<'_>) {
        let Count { lost, unsure, .. } = self.upstream.count();
        let clean = lost == 0 && unsure == 0 && !self.is_reset();
        if !clean {
            return self.reset();
        }
        // What goes wrong here has nobody left to hear of it.
        let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.over = true;
    }

    /// Whether the target's end was a reset, or the client missed something: neither is an end of
    /// the stream.
    fn is_reset(&self) -> bool {
        matches!(self.ended, Some(Ended::TargetReset(_) | Ended::TooSlow(_)))
    }

    pub(super) fn reset(&mut self) {
        // Closed so, the kernel discards what it holds, too (socket(7), SO_LINGER). A unix socket
        // that is closed with bytes unread resets by itself.
        if let Some(socket) = self.stream.tcp() {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
        (self.broken, self.over) = (true, true);
        self.inbound = Inbound::Ended;
    }
}
