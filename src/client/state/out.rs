//! What goes out next.

use super::{DATA_FRAME_MAX, OutgoingFrame, SessionState, Then};
use crate::wire::control::{Ack, Ask};

impl SessionState {
    fn sending(&mut self, id: u64) {
        let Some(one) = self.pending.get_mut(&id) else { return };
        one.sent = true;
        if one.then == Then::Close {
            self.forget("the session was closed");
        }
    }

    /// The next frame, if there is one now: first acknowledgements, then requests that take effect
    /// on receipt, then data and other requests in the order they were made.
    pub(super) fn out(&mut self) -> Option<OutgoingFrame> {
        if let Some(text) = self.first.take() {
            return Some(OutgoingFrame::Text(text));
        }
        if self.resuming.is_some() {
            return None;
        }
        if self.place.is_some()
            && self.consumed.saturating_sub(self.told) >= (self.window / 4).max(1)
        {
            self.told = self.consumed;
            return Some(OutgoingFrame::Text(Ask::Ack(Ack { rx: self.consumed }).text(None)));
        }
        if let Some((id, text)) = self.urgent.pop_front() {
            self.sending(id);
            return Some(OutgoingFrame::Text(text));
        }
        let before = self.fifo.front().map_or(u64::MAX, |(at, ..)| *at);
        if let Some(bytes) = self.resend.take(DATA_FRAME_MAX, before) {
            return Some(OutgoingFrame::Data(bytes));
        }
        if self.resend.next() >= before
            && let Some((_, id, text)) = self.fifo.pop_front()
        {
            self.sending(id);
            return Some(OutgoingFrame::Text(text));
        }
        let last = self.closing && !self.close_sent && self.resend.next() == self.resend.end();
        last.then(|| {
            self.close_sent = true;
            OutgoingFrame::Close
        })
    }
}
