//! A raw door: the device's bytes as they are, and the client's as they are.

use std::task::{Context, Poll, ready};

use super::Words;
use crate::{
    session::{Far, upstream::Upstream},
    wire::close::Ended,
};

/// Bytes that wait for the right to write.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    waiting: Vec<u8>,
}

impl<F: Far> Words<F> for Raw {
    fn heard(&mut self, cx: &mut Context<'_>, up: &mut Upstream<F>, bytes: &[u8]) {
        if self.waiting.is_empty() && up.far.writes() {
            up.hand_on(cx, bytes);
        } else {
            self.waiting.extend_from_slice(bytes);
        }
    }

    fn listens(&self, up: &Upstream<F>) -> bool {
        self.waiting.is_empty() && up.has_room()
    }

    fn is_through(&self) -> bool {
        self.waiting.is_empty()
    }

    fn poll_on(&mut self, cx: &mut Context<'_>, up: &mut Upstream<F>) -> Poll<Option<Ended>> {
        if self.waiting.is_empty() {
            return Poll::Pending;
        }
        match ready!(up.far.poll_claim(cx)) {
            Ok(()) => {
                let bytes = std::mem::take(&mut self.waiting);
                up.hand_on(cx, &bytes);
                Poll::Ready(None)
            }
            Err(ended) => Poll::Ready(Some(ended)),
        }
    }

    fn say(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(bytes);
    }

    fn poll_say(
        &mut self,
        _cx: &mut Context<'_>,
        _up: &mut Upstream<F>,
        _out: &mut Vec<u8>,
    ) -> Poll<()> {
        Poll::Pending
    }

    fn farewell(&mut self, _ended: &Ended, _out: &mut Vec<u8>) {}

    fn forget(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }
}
