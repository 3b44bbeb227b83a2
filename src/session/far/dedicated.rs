//! A connection for one session alone, and what is told of it to recordings and captures.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use super::{super::drain::Left, Far};
use crate::{
    auth::PrincipalId,
    line::SeatEvent,
    record::{Ahead, Kind, Tap},
    stream::{Life, Liveness, Stream},
};

/// A connection to a target, of one session.
#[derive(Debug)]
pub(crate) struct Dedicated {
    stream: Stream,
    tap: Arc<Tap>,
    /// Which of the endpoint's connections it is.
    number: u32,
    ahead: Ahead,
}

impl Dedicated {
    /// A connection that has just been made, for somebody.
    pub(crate) fn new(stream: Stream, tap: Arc<Tap>, principal: &PrincipalId) -> Self {
        let number = tap.stream();
        tap.tell(number, Kind::Opened, &[]);
        tap.tell(number, Kind::Note, format!("session: {principal}").as_bytes());
        Self { stream, tap, number, ahead: Ahead::default() }
    }
}

impl Far for Dedicated {
    const IS_CONNECTION: bool = true;

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<SeatEvent> {
        let event = ready!(Far::poll_read(&mut self.stream, cx, buf));
        if let SeatEvent::Bytes(length) = event {
            self.tap.tell(self.number, Kind::FromDevice, buf.split_at(length).0);
        }
        Poll::Ready(event)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tap = (&*self.tap, self.number);
        let (bytes, _) = bytes.split_at(ready!(self.ahead.poll(cx, tap, (bytes, false))));
        let wrote = ready!(Far::poll_write(&mut self.stream, cx, bytes))?;
        self.ahead.sent(tap, bytes.split_at(wrote).0);
        Poll::Ready(Ok(wrote))
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_finish(cx)
    }

    fn left(&self) -> Left {
        Far::left(&self.stream)
    }

    fn lost(&self) -> u64 {
        Far::lost(&self.stream)
    }

    fn life(&self, liveness: &mut Liveness, now: Instant) -> Life {
        Far::life(&self.stream, liveness, now)
    }

    fn cut(&mut self) {
        self.stream.cut();
    }
}

impl Drop for Dedicated {
    fn drop(&mut self) {
        self.tap.tell(self.number, Kind::Closed, &[]);
    }
}
