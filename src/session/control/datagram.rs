//! Client to line in control mode, when each message is one datagram.

use std::task::Context;

use super::{ControlSession, tell};
use crate::{
    line::WINDOW,
    session::{
        engine::{Piece, Speech as _},
        link::Link,
        message::Whole,
    },
    wire::{
        close::Ended,
        control::{Code, DATAGRAM_MOST, Tell},
    },
};

impl ControlSession<'_> {
    /// Takes a piece of a data message. An incomplete message does not count: after a lost
    /// connection the client sends it again.
    pub(super) fn gather(&mut self, link: &mut Link, cx: &mut Context<'_>, piece: Piece<'_>) {
        let Some(message) = &mut self.datagram else { return };
        let Some(live) = &mut self.live else {
            return link.end(Ended::BadMessage("data before `opened`".into()));
        };
        link.rates.took(piece.bytes.len());
        link.clock.moved();
        if message.len() + piece.bytes.len() > WINDOW {
            return link.end(Ended::BadMessage("more data than the window".into()));
        }
        match message.take(piece.bytes, piece.last) {
            None => {}
            Some(Whole::Datagram(bytes)) => self.data(link, cx, &bytes),
            Some(Whole::TooLong(length)) => {
                // Counted as done with, so that both sides keep the same count.
                live.seat.ignore(length);
                let message =
                    format!("{length} bytes were not sent: a datagram has at most {DATAGRAM_MOST}");
                let bytes = Some(length as u64);
                tell(link, &Tell::Error { re: None, code: Code::Limit, message, bytes });
            }
        }
    }
}
