//! The far side of a session: a dedicated connection or a seat on a line, in one shape for plain
//! mode.

mod dedicated;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::Instant,
};

pub(crate) use self::dedicated::Dedicated;
use super::{drain::Left, order::Restraints};
use crate::{
    config::Rights,
    line::{Board, Gone, LineNews, Loss, NoLease, Reason, Seat, SeatEvent, Unsent, held},
    stream::{Life, Liveness, NextHop as _, Outstanding, Stream},
    wire::close::Ended,
};

/// The far side of a session. One task polls both directions, and they never wait for each other.
pub(crate) trait Far {
    /// Whether it is a connection, which has an end of its own and answers a half-close; a line has
    /// neither.
    const IS_CONNECTION: bool;

    /// Reads into `buf`, at most its length.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<SeatEvent>;

    /// Takes bytes; pending is back-pressure. An error ends only this direction: the last words of
    /// the far side have yet to be read.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// The client will send no more: passes the half-close on, and drains what was taken.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The client will send no more: takes the rest of what is held, however much, and gives back
    /// what others wait for. Not asked of a connection.
    fn take_rest(&mut self, _rest: &[Vec<u8>]) {}

    /// The client sent this many bytes that cannot be taken: they are lost.
    fn skip(&mut self, _bytes: usize) {}

    /// Bytes taken that have not reached the device: the next hop's kernel has not acknowledged
    /// them, or they are not on the wire.
    fn left(&self) -> Left;

    /// Bytes taken that will not get there: dropped, or lost with the device.
    fn lost(&self) -> u64;

    /// The state of the connection to the next hop; [`Life::Idle`] where a lost device shows in
    /// another way.
    fn life(&self, _liveness: &mut Liveness, _now: Instant) -> Life {
        Life::Idle
    }

    /// Whether bytes can be handed on without asking for the right to write.
    fn writes(&self) -> bool {
        true
    }

    /// Ready when bytes can be handed on, or with why they may not.
    fn poll_claim(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        Poll::Ready(Ok(()))
    }

    /// The client has sent something for the first time; false: there is no place for it.
    fn speak(&mut self) -> bool {
        true
    }

    /// The client will send no more.
    fn hush(&mut self) {}

    /// The line's notice board; a connection has none.
    fn board(&self) -> Option<watch::Receiver<Board>> {
        None
    }

    /// Bytes of the device that the client has not heard and cannot hear any more.
    fn missed(&self) -> u64 {
        0
    }

    /// What the line has to say to this session.
    fn poll_word(&mut self, _cx: &mut Context<'_>) -> Poll<LineNews> {
        Poll::Pending
    }

    /// The session is held read-only by these from now on, or by nobody; false: it cannot go on with them.
    fn restrain(&mut self, by: Restraints) -> bool {
        by.limit().allows(Rights::WRITE)
    }

    /// The line loses its writer by the way this session ends, if this is it.
    fn bereave(&mut self, _loss: Loss) {}

    /// Discards what has not reached the device, and lets go of it.
    fn cut(&mut self);
}

impl Far for Stream {
    const IS_CONNECTION: bool = true;

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<SeatEvent> {
        let mut buf = ReadBuf::new(buf);
        Pin::new(self).poll_read(cx, &mut buf).map(|read| match read {
            Ok(()) if buf.filled().is_empty() => SeatEvent::Ended(Gone::Ended),
            Ok(()) => SeatEvent::Bytes(buf.filled().len()),
            Err(error) => SeatEvent::Ended(Gone::by(&error)),
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }

    fn left(&self) -> Left {
        let Outstanding { bytes, exact } = self.outstanding();
        Left { bytes, exact, answers: self.sample().is_some_and(|now| now.answers()) }
    }

    fn lost(&self) -> u64 {
        0
    }

    fn life(&self, liveness: &mut Liveness, now: Instant) -> Life {
        liveness.look(self, now)
    }

    fn cut(&mut self) {
        // Closed in this way, the kernel also discards what it holds (socket(7), SO_LINGER).
        if let Some(socket) = self.tcp() {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Far for Seat {
    const IS_CONNECTION: bool = false;

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<SeatEvent> {
        Self::poll_read(self, cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // Plain mode has no words for a lease: to write is to ask for it. What an observer sends
        // anyway is dropped, and counted.
        if !self.is_writer() && !ready!(self.poll_claim(cx)) {
            self.ignore(bytes.len());
            return Poll::Ready(Ok(bytes.len()));
        }
        let taken = ready!(Self::poll_write(self, cx, bytes));
        // Whoever waits for the device goes on when it is back: what was under way is lost.
        if taken.is_err() && self.is_patient() {
            self.ignore(bytes.len());
            return Poll::Ready(Ok(bytes.len()));
        }
        Poll::Ready(taken)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx).map(Ok)
    }

    fn take_rest(&mut self, rest: &[Vec<u8>]) {
        if self.is_writer() {
            for bytes in rest {
                self.push_rest(bytes);
            }
            self.release(Reason::Released);
        } else {
            self.ignore(rest.iter().map(Vec::len).sum());
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.ignore(bytes);
    }

    fn left(&self) -> Left {
        let Unsent { bytes, exact, answers } = self.pending();
        Left { bytes, exact, answers }
    }

    fn lost(&self) -> u64 {
        Self::lost(self)
    }

    fn writes(&self) -> bool {
        self.is_writer()
    }

    fn poll_claim(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if !self.who().rights.allows(Rights::WRITE) {
            return Poll::Ready(Err(Ended::Withdrawn));
        }
        if self.is_writer() || ready!(Self::poll_claim(self, cx)) {
            return Poll::Ready(Ok(()));
        }
        let holder = Self::board(self).borrow().lease.holder().cloned();
        let busy =
            holder.map_or_else(|| "somebody".into(), |it| held(&NoLease::Held(it), self.who()));
        Poll::Ready(Err(Ended::Busy(busy)))
    }

    fn speak(&mut self) -> bool {
        Self::speak(self)
    }

    fn hush(&mut self) {
        Self::hush(self);
    }

    fn restrain(&mut self, by: Restraints) -> bool {
        Self::restrain(self, by.limit(), by.label());
        true
    }

    fn bereave(&mut self, loss: Loss) {
        Self::bereave(self, loss);
    }

    fn board(&self) -> Option<watch::Receiver<Board>> {
        Some(Self::board(self))
    }

    fn missed(&self) -> u64 {
        Self::missed(self)
    }

    fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<LineNews> {
        Self::poll_word(self, cx)
    }

    fn cut(&mut self) {
        self.leave();
    }
}
