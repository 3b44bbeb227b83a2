//! The client's direction of a plain session: what the target has not taken yet, and what becomes
//! of that at the end.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use super::{
    Far,
    drain::{Drain, Left, Linger},
    endings::Remainder,
    held::Held,
};
use crate::{
    line::{Gone, SeatEvent},
    stream::Vigil,
    wire::close::Ended,
};

/// Bytes from the client that are held for a line that takes nothing, so that a Close behind them
/// is noticed. A dedicated connection is not read ahead for: its client feels the back-pressure.
const AHEAD_MAX: usize = 128 * 1024;

/// Which phase it is in.
#[derive(Debug)]
enum UpstreamPhase {
    /// The client may send more.
    Open,
    /// It will not: what is held goes to the target, then the half-close.
    Finishing,
    /// The half-close is out, and not yet acknowledged.
    Settling,
    /// It is acknowledged, and the target may still answer, or end.
    Answering(Pin<Box<Sleep>>),
    Done,
}

/// What became of the client's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// Bytes taken from the client.
    pub(super) taken: u64,
    /// Of these, how many the target did not get.
    pub(super) lost: u64,
    /// Of these, how many it may not have read: a unix socket cannot tell once its peer has left.
    pub(super) unsure: u64,
}

/// The client's direction.
#[derive(Debug)]
pub(crate) struct Upstream<F> {
    pub(super) far: F,
    linger: Linger,
    phase: UpstreamPhase,
    /// Payload that the target has not taken yet.
    held: Held,
    drain: Option<Drain>,
    vigil: Vigil,
    count: Count,
    /// How many bytes had been taken when the session began to end.
    mark: u64,
    /// Why the target takes no more.
    refused: Option<Gone>,
    /// The target has said its last words.
    ended: bool,
}

impl<F: Far> Upstream<F> {
    /// `whole` says that the target takes the client's messages whole.
    pub(super) fn new(far: F, linger: Linger, dead_after: Duration, whole: bool) -> Self {
        Self {
            far,
            linger,
            phase: UpstreamPhase::Open,
            held: Held::new(whole),
            drain: None,
            vigil: Vigil::new(dead_after),
            count: Count { taken: 0, lost: 0, unsure: 0 },
            mark: 0,
            refused: None,
            ended: false,
        }
    }

    /// Bytes held here.
    fn waiting(&self) -> usize {
        self.held.len()
    }

    /// Whether more may come from the client.
    pub(super) fn has_room(&self) -> bool {
        let ahead = !F::IS_CONNECTION && self.waiting() < AHEAD_MAX && !self.held.is_full();
        self.held.is_empty() || ahead
    }

    /// Whether the far side has everything that was handed on.
    pub(super) fn is_level(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether the target has said its last words.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.phase, UpstreamPhase::Done)
    }

    /// Bytes that have arrived at the target, or are lost.
    pub(super) fn arrived(&self) -> u64 {
        self.count.taken - self.left().bytes.min(self.count.taken)
    }

    /// Bytes on their way to the target.
    fn left(&self) -> Left {
        let left = self.far.left();
        Left { bytes: left.bytes + self.waiting() as u64, ..left }
    }

    /// Whether bytes are on their way to the target.
    pub(super) fn is_under_way(&self) -> bool {
        self.left().bytes > 0
    }

    /// Whether nobody will ever know how much the target has read.
    fn is_unsure(&self) -> bool {
        self.ended && self.waiting() == 0 && !self.far.left().exact
    }

    /// Whether what had been taken when the session began to end has arrived, or is lost.
    pub(super) fn is_settled(&self) -> bool {
        self.is_done() || self.is_unsure() || self.count.taken - self.left().bytes >= self.mark
    }

    /// What became of the client's bytes, as far as that is known.
    pub(super) fn count(&self) -> Count {
        let lost = (self.count.lost + self.far.lost()).min(self.count.taken);
        let unsure = if self.is_unsure() { self.far.left().bytes } else { self.count.unsure };
        Count { lost, unsure: unsure.min(self.count.taken - lost), ..self.count }
    }

    /// Writes to the target and holds what it did not take.
    pub(super) fn hand_on(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        self.count.taken += bytes.len() as u64;
        if self.refused.is_some() || self.is_done() {
            self.count.lost += bytes.len() as u64;
            return;
        }
        if !self.held.is_empty() {
            return self.held.push(bytes);
        }
        self.vigil.wrote();
        let taken = match self.far.poll_write(cx, bytes) {
            Poll::Ready(Ok(n)) => n,
            Poll::Ready(Err(error)) => {
                self.held.push(bytes);
                return self.refuse(Gone::by(&error));
            }
            Poll::Pending => return self.held.push(bytes),
        };
        let (_, rest) = bytes.split_at(taken);
        if !rest.is_empty() {
            self.held.push(rest);
        }
    }

    /// Notes bytes from the client that the target cannot take.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.count.taken += bytes as u64;
        self.far.skip(bytes);
    }

    /// Goes on writing what is held.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.held.is_empty() {
            return Poll::Pending;
        }
        self.vigil.wrote();
        match ready!(self.far.poll_write(cx, self.held.front())) {
            Ok(n) => self.held.took(n),
            Err(error) => self.refuse(Gone::by(&error)),
        }
        Poll::Ready(())
    }

    /// The target takes no more: that is the reason for the ending. Its last words have yet to be
    /// read.
    fn refuse(&mut self, why: Gone) {
        if self.refused.is_none() {
            self.refused = Some(why);
            self.abandon();
        }
    }

    /// Waits for nothing more: what has not arrived is lost.
    fn abandon(&mut self) {
        if !self.is_done() {
            self.count.lost += self.left().bytes;
            self.held.clear();
            self.phase = UpstreamPhase::Done;
        }
    }

    /// The same, and lets go of the target.
    fn give_up(&mut self) {
        if !self.is_done() {
            self.abandon();
            self.far.cut();
        }
    }

    /// The target has said its last words; returns why the session ends, unless it has already
    /// ended.
    pub(super) fn target_ended(&mut self, gone: Gone) -> Ended {
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
            Gone::Carrier => Ended::CarrierLost,
        }
    }

    /// The session ends: what is on its way goes on for as long as `rest` allows.
    pub(super) fn wind_up(&mut self, rest: Remainder) {
        self.mark = self.count.taken;
        match &mut self.drain {
            _ if rest == Remainder::Discard => self.give_up(),
            Some(drain) => drain.hurry(rest),
            None => self.drain = Some(Drain::new(self.linger, rest, self.left().bytes)),
        }
    }

    /// Makes progress. `is_read` says that the client may send more. With `forget` nobody listens
    /// to the target any more, and what it says is read into that and dropped. Ready when something
    /// has moved, with why the session ends if it does.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        is_read: bool,
        forget: Option<&mut [u8]>,
    ) -> Poll<Option<Ended>> {
        if self.poll_held(cx).is_ready() || self.poll_phase(cx, is_read).is_ready() {
            return Poll::Ready(None);
        }
        if self.is_done() {
            return Poll::Pending;
        }
        // A connection closed with unread bytes is reset, and the reset may overtake what was sent.
        if let Some(buf) = forget
            && !self.ended
            && let Poll::Ready(heard) = self.far.poll_read(cx, buf)
        {
            if let SeatEvent::Ended(gone) = heard {
                self.target_ended(gone);
            }
            return Poll::Ready(None);
        }
        let far = &self.far;
        if let Poll::Ready(Some(why)) = self.vigil.poll(cx, |liveness, now| far.life(liveness, now))
        {
            let ended =
                self.target_ended(Gone::Failed(format!("the device does not answer: {why}")));
            self.far.cut();
            return Poll::Ready(Some(ended));
        }
        let (held, far) = (self.waiting() as u64, &self.far);
        let Some(drain) = &mut self.drain else { return Poll::Pending };
        let left = || Left { bytes: far.left().bytes + held, ..far.left() };
        if ready!(drain.poll(cx, left)) {
            self.give_up();
        }
        Poll::Ready(None)
    }

    /// Takes one step in the current phase.
    fn poll_phase(&mut self, cx: &mut Context<'_>, is_read: bool) -> Poll<()> {
        let (holds, unsure) = (!self.held.is_empty(), self.is_unsure());
        match &mut self.phase {
            UpstreamPhase::Open if !is_read => {
                self.phase = UpstreamPhase::Finishing;
                // A line that takes nothing is free for others anyway: what they send comes after
                // this.
                if !F::IS_CONNECTION {
                    self.far.take_rest(&self.held.drain());
                }
            }
            UpstreamPhase::Finishing if !holds => match ready!(self.far.poll_finish(cx)) {
                Ok(()) => self.phase = UpstreamPhase::Settling,
                Err(error) => self.refuse(Gone::by(&error)),
            },
            UpstreamPhase::Settling if unsure => {
                self.count.unsure = self.far.left().bytes;
                self.phase = UpstreamPhase::Done;
            }
            UpstreamPhase::Settling if self.far.left().bytes == 0 => {
                self.phase = if F::IS_CONNECTION && !self.ended {
                    UpstreamPhase::Answering(Box::pin(sleep(self.linger.still)))
                } else {
                    UpstreamPhase::Done
                };
            }
            UpstreamPhase::Answering(timer) => {
                if !self.ended {
                    ready!(timer.as_mut().poll(cx));
                }
                self.phase = UpstreamPhase::Done;
            }
            UpstreamPhase::Open
            | UpstreamPhase::Finishing
            | UpstreamPhase::Settling
            | UpstreamPhase::Done => return Poll::Pending,
        }
        Poll::Ready(())
    }
}
