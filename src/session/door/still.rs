//! A door that stands still: what nothing announces is looked for. A client leaves behind bytes that
//! are not read; a line passes a client that does not read.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use super::{DoorSession, Far, Words};
use crate::{
    session::{
        drain::{Drain, Left},
        endings::Remainder,
    },
    stream::PeerSide,
    wire::close::Ended,
};

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// Which directions stand still, and since when.
#[derive(Debug, Default)]
pub(super) struct Still {
    /// The client is not read.
    pub(super) unread: bool,
    /// The client does not take what it was sent.
    pub(super) untaken: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// What the client has left behind is read to be counted, and goes nowhere.
    pub(super) left_behind: bool,
    /// The client has left, and its bytes wait for a target that takes nothing.
    leaving: Option<Drain>,
}

impl Still {
    /// A poll begins: whatever stands still says so anew.
    pub(super) fn begin(&mut self) {
        (self.unread, self.untaken) = (false, false);
    }

    /// The client was read.
    pub(super) fn read(&mut self) {
        self.leaving = None;
    }

    /// Ready each time it is worth looking; never while both directions move.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.unread && !self.untaken {
            self.timer = None;
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(INTERVAL)));
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        Poll::Ready(())
    }
}

impl<F: Far, W: Words<F>> DoorSession<'_, F, W> {
    /// Looks at what stands still; ready when it is worth polling again.
    pub(super) fn poll_still(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.still.poll(cx));
        if self.still.untaken && self.ended.is_none() {
            let missed = self.upstream.far.missed();
            if missed > 0 {
                self.end(Ended::TooSlow(missed));
                self.lost_down = self.unacknowledged();
                self.reset();
            }
        }
        if self.still.unread {
            self.look_for_client(cx);
        }
        Poll::Ready(())
    }

    /// Ready when the device is there. A client that has left meanwhile is found first.
    pub(super) fn poll_device(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let was_away = self.presence.is_away();
        ready!(self.presence.poll(cx));
        if was_away && self.stream.peer_side() != PeerSide::Open {
            self.leave_behind();
        }
        Poll::Ready(())
    }

    fn look_for_client(&mut self, cx: &mut Context<'_>) {
        if self.stream.peer_side() == PeerSide::Open {
            return;
        }
        if self.presence.is_away() {
            return self.leave_behind();
        }
        // Its bytes are delivered as long as the target takes some.
        let far = &self.upstream.far;
        let waits = u64::MAX - self.upstream.arrived();
        let left = Left { bytes: waits, exact: true, answers: far.left().answers };
        let linger = self.terms.linger;
        let leaving =
            self.still.leaving.get_or_insert_with(|| Drain::new(linger, Remainder::Drain, waits));
        if leaving.poll(cx, || left) == Poll::Ready(true) {
            self.leave_behind();
        }
    }

    /// The client has left, and what it had sent is not delivered any more: counted, and dropped.
    /// It sends no more, so there is no more of it than fits the kernel's buffer.
    fn leave_behind(&mut self) {
        self.still.left_behind = true;
        self.screen = None;
        let held = self.words.forget() + std::mem::take(&mut self.early).len();
        self.upstream.skip(held);
        if self.presence.is_away() {
            // There is nobody to hear.
            self.last_words = Duration::ZERO;
        }
    }
}
