//! Plain mode: frames are bytes, nothing else. Both directions in one task, neither waits for the other.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Entry, Far, Input, Payload, Session, Socket,
    clock::{Clock, Due},
    down::Down,
    up::{Taken, Up},
};
use crate::{config::Packing, stream::with_scratch, wire::close::Ended, wire::frame::Opcode};

/// How long a client gets for the answer to our Close when the daemon stops.
const STOP_WAIT: Duration = Duration::from_secs(4);

/// How long the socket of a client that broke the protocol is drained, so that our Close is not lost to a reset.
const FAULT_WAIT: Duration = Duration::from_secs(1);

/// Rounds of one poll before other tasks get their turn.
const ROUNDS: usize = 16;

/// The rules a plain session runs under.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Silence after which the client counts as dead.
    pub dead_after: Duration,
    /// Silence of both sides after which the session ends.
    pub idle: Option<Duration>,
    /// How long the target may go on after the client's Close.
    pub linger: Duration,
    /// Bytes per second and direction.
    pub rate: Option<u64>,
    /// Which bytes of the target make one message.
    pub packing: Packing,
}

/// How a session ended, and what it could not deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Why.
    pub ended: Ended,
    /// Bytes taken from the client that the target did not get.
    pub lost_up: usize,
    /// Bytes taken from the target that the client did not get, as far as we know.
    pub lost_down: usize,
}

/// Runs a plain session to its end: everything read is delivered, the Close frame is sent, the socket is shut.
///
/// A client's Close is its half-close: the target gets the end of the stream (or the line is drained) and goes on for
/// at most `linger`. A target's end becomes our Close, and what the client still sends before its own Close is
/// delivered.
pub fn plain<S, F>(
    socket: Socket<S>,
    far: F,
    terms: Terms,
    session: &mut Session,
) -> impl Future<Output = Report> + use<'_, S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Far,
{
    // Made here, not inside: a future keeps a place for each argument beside what it becomes.
    let mut pump = Pump::new(socket, far, terms);
    async move {
        let Session { entry, order, .. } = session;
        let order = async {
            // The sender lives as long as the session's entry, so this never fails before an order came.
            let order = order.wait_for(Option::is_some).await.ok().and_then(|order| order.clone());
            order.unwrap_or(Ended::Stopping)
        };
        let mut order = pin!(order);
        let mut ordered = false;
        poll_fn(|cx| {
            if !ordered && let Poll::Ready(ended) = order.as_mut().poll(cx) {
                ordered = true;
                pump.order(ended);
            }
            let done = with_scratch(|buf| pump.poll(cx, buf));
            pump.count(entry);
            done
        })
        .await
    }
}

/// Both directions of a session and what they share.
struct Pump<S, F> {
    socket: Socket<S>,
    far: F,
    terms: Terms,
    up: Up,
    down: Down,
    clock: Clock,
    ended: Option<Ended>,
    /// The kernel took no more for the client.
    pressed: bool,
    /// The time of the ending is over: nothing is waited for any more.
    forced: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Far> Pump<S, F> {
    fn new(socket: Socket<S>, far: F, terms: Terms) -> Self {
        let up = Up::new(terms.rate, socket.payload == Payload::Base64);
        let down = Down::new(terms.rate, terms.packing);
        let clock = Clock::new(terms.dead_after, terms.dead_after * 2 / 3, terms.idle);
        Self { socket, far, terms, up, down, clock, ended: None, pressed: false, forced: false }
    }

    /// The order to end came from outside.
    fn order(&mut self, ended: Ended) {
        if self.ended.is_none() {
            self.ended = Some(ended);
            self.clock.end_within(STOP_WAIT);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Report> {
        for _ in 0..ROUNDS {
            let up = self.poll_up(cx, buf);
            let down = self.poll_down(cx, buf);
            if self.up.is_done() && self.down.is_done() {
                if !self.forced {
                    ready!(self.socket.poll_shutdown(cx)).ok();
                }
                return Poll::Ready(self.report());
            }
            // The clock is asked when all is at rest, and below by whoever never rests.
            if up.is_pending() && down.is_pending() && self.poll_clock(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let _ = self.poll_clock(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Client to target. Ready when something moved.
    fn poll_up(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        match ready!(self.up.poll(cx, buf, &mut self.socket, &mut self.far)) {
            Taken::Moved => {
                self.clock.heard();
                self.clock.moved();
            }
            Taken::Control => self.clock.heard(),
            Taken::Closed => self.clock.end_within(self.terms.linger),
            Taken::Lost(why) => {
                self.ended.get_or_insert(Ended::ClientLost(why));
                self.down.give_up(&self.socket);
                self.clock.end_within(self.terms.linger);
            }
            Taken::Fault(ended) => {
                self.ended.get_or_insert(ended);
                self.clock.end_within(self.terms.linger);
            }
            Taken::Finished => {}
        }
        Poll::Ready(())
    }

    /// Target to client. Ready when something moved.
    fn poll_down(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        if self.down.is_done() {
            return Poll::Pending;
        }
        match self.socket.poll_flush(cx) {
            Poll::Ready(Ok(false)) => {}
            Poll::Ready(Ok(true)) => {
                // A client that makes room is alive, and its pong may wait behind the bytes. Where there was room all
                // along, the kernel alone took them: that proves nothing, and a ping of ours moves no data.
                if std::mem::take(&mut self.pressed) {
                    self.clock.heard();
                }
                return Poll::Ready(());
            }
            Poll::Ready(Err(error)) => {
                self.lost(&error.to_string());
                return Poll::Ready(());
            }
            Poll::Pending => {
                self.pressed = true;
                return Poll::Pending;
            }
        }
        if self.down.is_closing() {
            self.down.closed();
            self.close_sent();
            return Poll::Ready(());
        }
        if let Some(pong) = self.up.take_ping() {
            self.socket.queue(Opcode::Pong, &pong);
            return Poll::Ready(());
        }
        if let Some(ended) = &self.ended {
            self.down.close(&mut self.socket, ended);
            return Poll::Ready(());
        }
        match ready!(self.down.poll(cx, buf, &mut self.socket, &mut self.far)) {
            Ok(Input::Bytes(_)) => self.clock.moved(),
            Ok(Input::Pause(_)) => {}
            Ok(Input::End(ended)) => {
                let ended = self.up.client_close().unwrap_or(ended);
                self.ended.get_or_insert(ended);
            }
            Err(error) => self.lost(&error.to_string()),
        }
        Poll::Ready(())
    }

    /// Our Close is out: how long the client's may take.
    fn close_sent(&mut self) {
        match &self.ended {
            // Both Close frames are there: nothing more will come.
            Some(Ended::ClientClosed(_)) => self.up.abandon(),
            Some(Ended::BadFrame(_) | Ended::BadText | Ended::TooBig | Ended::BadMessage(_)) => {
                self.clock.extend(FAULT_WAIT);
            }
            Some(Ended::Stopping | Ended::Restarting) => {}
            // Nothing goes to a device that is gone: its line is free for others.
            Some(Ended::TargetFailed(_)) => {
                self.far.release();
                self.clock.extend(self.terms.dead_after);
            }
            // What we sent may take a slow client as long to read as it likes, as long as it lives.
            _ => self.clock.extend(self.terms.dead_after),
        }
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.clock.poll(cx, self.up.is_blocked())) {
            Due::Ping if self.socket.waiting() == 0 && self.ended.is_none() => {
                self.socket.queue(Opcode::Ping, b"");
            }
            Due::Silent if self.ended.is_none() => {
                self.ended = Some(Ended::ClientSilent);
                self.up.lost();
                self.clock.end_within(FAULT_WAIT);
            }
            Due::Silent => self.force_end(),
            Due::Idle if self.ended.is_none() => {
                self.ended = Some(Ended::Idle);
                self.clock.end_within(self.terms.linger);
            }
            Due::Deadline => self.deadline(),
            // A ping behind waiting data would prove nothing that the data does not; what ends is not idle.
            Due::Ping | Due::Idle => {}
        }
        Poll::Ready(())
    }

    /// The time of an ending is over: say Close if that was not said yet, else end.
    fn deadline(&mut self) {
        match self.up.client_close() {
            Some(closed) if self.ended.is_none() => {
                self.ended = Some(closed);
                self.clock.end_within(FAULT_WAIT);
            }
            _ => self.force_end(),
        }
    }

    fn force_end(&mut self) {
        self.forced = true;
        self.up.abandon();
        self.down.give_up(&self.socket);
    }

    fn lost(&mut self, why: &str) {
        self.ended.get_or_insert_with(|| Ended::ClientLost(why.to_owned()));
        // What the client sent before may still be read; the end of it shows there.
        self.down.give_up(&self.socket);
        self.clock.end_within(self.terms.linger);
    }

    fn count(&mut self, entry: &Entry) {
        let (up, down) = (self.up.take_count(), self.down.take_count());
        if up > 0 {
            entry.to_target.fetch_add(up, Ordering::Relaxed);
        }
        if down > 0 {
            entry.to_client.fetch_add(down, Ordering::Relaxed);
        }
    }

    fn report(&self) -> Report {
        Report {
            ended: self.ended.clone().unwrap_or(Ended::ClientClosed(None)),
            lost_up: self.up.lost_bytes() + self.far.undelivered(),
            lost_down: self.down.lost_bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
