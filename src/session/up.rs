//! Client to target: a read of many frames, one write of their payloads.

use std::{
    io,
    ops::Range,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Far, Socket, encoding::Base64In, rate::Rate};
use crate::wire::{
    close::Ended,
    frame::{self, Item},
};

/// Bytes of one read, frame headers included.
const READ: usize = 64 * 1024;

/// The client's direction of a plain session.
#[derive(Debug)]
pub(super) struct Up {
    phase: Phase,
    /// Payload the target has not taken yet, from `sent` on; the client is not read while there is any.
    held: Vec<u8>,
    sent: usize,
    ping: Option<Vec<u8>>,
    /// How the client said it closes, once it did.
    close: Option<Ended>,
    base64: Option<Base64>,
    rate: Option<Rate>,
    /// The target takes no more; what still comes is lost, and counted.
    deaf: bool,
    /// The client broke the protocol.
    fault: bool,
    count: u64,
    lost: usize,
}

/// Moves a piece behind what is kept; the first stays where it is.
fn gather(input: &mut [u8], piece: Range<usize>, kept: &mut Range<usize>) {
    if Range::is_empty(kept) {
        *kept = piece;
    } else {
        let end = kept.end;
        kept.end += piece.len();
        input.copy_within(piece, end);
    }
}

/// The decoder of a base64 session, and what it has decoded of the read at hand.
#[derive(Debug, Default)]
struct Base64 {
    decoder: Base64In,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The client will send no more; the rest goes to the target, then the half-close.
    Finishing,
    /// The client broke the protocol: what it still sends is thrown away, for a socket closed with unread bytes is
    /// reset, and the reset would overtake our Close.
    Draining,
    Done,
}

/// What one step did.
#[derive(Debug)]
pub(super) enum Taken {
    /// Data moved.
    Moved,
    /// Only control frames or parts of them came.
    Control,
    /// The client's Close came.
    Closed,
    /// The connection broke without one.
    Lost(String),
    /// The client broke the protocol.
    Fault(Ended),
    /// The half-close is with the target.
    Finished,
}

impl Up {
    pub(super) fn new(rate: Option<u64>, base64: bool) -> Self {
        Self {
            phase: Phase::Open,
            held: Vec::new(),
            sent: 0,
            ping: None,
            close: None,
            base64: base64.then(Base64::default),
            rate: rate.map(Rate::new),
            deaf: false,
            fault: false,
            count: 0,
            lost: 0,
        }
    }

    /// Moves one read's worth.
    pub(super) fn poll<S, F>(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        socket: &mut Socket<S>,
        far: &mut F,
    ) -> Poll<Taken>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        F: Far,
    {
        if self.phase == Phase::Done {
            return Poll::Pending;
        }
        if self.is_blocked() {
            return self.poll_held(cx, far).map(|()| Taken::Moved);
        }
        if self.phase == Phase::Finishing {
            // A target that is gone already cannot be told; its reading side says why.
            ready!(far.poll_finish(cx)).ok();
            self.phase = if self.fault { Phase::Draining } else { Phase::Done };
            return Poll::Ready(Taken::Finished);
        }
        if self.phase == Phase::Draining {
            if !matches!(ready!(socket.poll_read(cx, buf)), Ok(1..)) {
                self.phase = Phase::Done;
            }
            return Poll::Ready(Taken::Finished);
        }
        let most = match &mut self.rate {
            Some(rate) => ready!(rate.poll(cx)).clamp(64, READ),
            None => READ,
        };
        let space = buf.get_mut(..most).unwrap_or_default();
        let n = match ready!(socket.poll_read(cx, space)) {
            Ok(0) => return Poll::Ready(self.broken("end of stream without Close")),
            Ok(n) => n,
            Err(error) => return Poll::Ready(self.broken(&error.to_string())),
        };
        let (kept, end) = self.decode(socket, space.get_mut(..n).unwrap_or_default());
        let decoded = self.base64.as_mut().map(|base64| std::mem::take(&mut base64.bytes));
        let bytes = decoded.as_deref().unwrap_or(space.get(kept).unwrap_or_default());
        let kept = bytes.len();
        if let Some(rate) = &mut self.rate {
            rate.take(kept);
        }
        self.hand_on(cx, bytes, far);
        Poll::Ready(match end {
            Some(end) => end,
            None if kept > 0 => Taken::Moved,
            None => Taken::Control,
        })
    }

    /// Takes frames apart in place: payloads are moved together behind the first; returns where they are, and the end
    /// if one came.
    fn decode<S>(&mut self, socket: &mut Socket<S>, input: &mut [u8]) -> (Range<usize>, Option<Taken>) {
        let (mut at, mut kept) = (0, 0..0);
        loop {
            if self.base64.is_none() {
                at = socket.decoder.gather(input, at, &mut kept);
            }
            let Some(rest) = input.get_mut(at..).filter(|rest| !rest.is_empty()) else { break };
            let (used, item) = match socket.decoder.next(rest) {
                Ok(next) => next,
                Err(error) => return (kept, Some(self.fault(error.into()))),
            };
            match item {
                Item::Data { range, last, .. } => {
                    let Some(base64) = &mut self.base64 else {
                        gather(input, at + range.start..at + range.end, &mut kept);
                        at += used;
                        continue;
                    };
                    let text = rest.get(range).unwrap_or_default();
                    if let Err(why) = base64.decoder.decode(text, last, &mut base64.bytes) {
                        return (kept, Some(self.fault(Ended::BadFrame(why))));
                    }
                }
                // RFC 6455 section 5.5.3: only the latest ping needs an answer, so a flood of them takes no memory.
                Item::Ping => self.ping = Some(socket.decoder.control().to_vec()),
                Item::More | Item::Pong => {}
                Item::Close => return (kept, Some(self.closed(socket.decoder.control()))),
            }
            at += used;
        }
        (kept, None)
    }

    fn closed(&mut self, payload: &[u8]) -> Taken {
        match frame::parse_close(payload) {
            Ok(close) => {
                self.close = Some(Ended::ClientClosed(close.map(|(code, _)| code)));
                self.phase = Phase::Finishing;
                Taken::Closed
            }
            Err(error) => self.fault(error.into()),
        }
    }

    fn fault(&mut self, ended: Ended) -> Taken {
        self.fault = true;
        self.phase = Phase::Finishing;
        Taken::Fault(ended)
    }

    fn broken(&mut self, why: &str) -> Taken {
        self.phase = Phase::Finishing;
        Taken::Lost(why.to_owned())
    }

    /// Writes to the target and holds what it did not take.
    fn hand_on<F: Far>(&mut self, cx: &mut Context<'_>, bytes: &[u8], far: &mut F) {
        self.count += bytes.len() as u64;
        if bytes.is_empty() {
            return;
        }
        if self.deaf {
            self.lost += bytes.len();
            return;
        }
        let taken = match far.poll_write(cx, bytes) {
            Poll::Ready(Ok(n)) => n,
            Poll::Ready(Err(error)) => return self.refused(bytes.len(), &error),
            Poll::Pending => 0,
        };
        self.held.extend_from_slice(bytes.get(taken..).unwrap_or_default());
    }

    /// Goes on writing what is held.
    fn poll_held<F: Far>(&mut self, cx: &mut Context<'_>, far: &mut F) -> Poll<()> {
        let rest = self.held.get(self.sent..).unwrap_or_default();
        match ready!(far.poll_write(cx, rest)) {
            Ok(n) if n < rest.len() => self.sent += n,
            // An idle connection keeps no buffer.
            Ok(_) => (self.held, self.sent) = (Vec::new(), 0),
            Err(error) => {
                let rest = rest.len();
                (self.held, self.sent) = (Vec::new(), 0);
                self.refused(rest, &error);
            }
        }
        Poll::Ready(())
    }

    /// The target takes no more: its reading side says why, and the client is read on to learn of its Close.
    fn refused(&mut self, bytes: usize, error: &io::Error) {
        tracing::debug!(%error, bytes, "the target takes no more");
        self.deaf = true;
        self.lost += bytes;
    }

    /// Whether the client is not read because the target does not take what it sent.
    pub(super) fn is_blocked(&self) -> bool {
        self.sent < self.held.len()
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// The client's Close, once it came.
    pub(super) fn client_close(&self) -> Option<Ended> {
        self.close.clone()
    }

    /// The ping that waits for its pong.
    pub(super) fn take_ping(&mut self) -> Option<Vec<u8>> {
        self.ping.take()
    }

    /// The client is gone: it is not read any more, only what is held goes on.
    pub(super) fn lost(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Finishing;
        }
    }

    /// Stops at once; what is held is lost, and counted.
    pub(super) fn abandon(&mut self) {
        if self.phase != Phase::Done {
            self.lost += self.held.len() - self.sent;
            self.phase = Phase::Done;
        }
    }

    /// Bytes taken since the last call.
    pub(super) fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.count)
    }

    /// Bytes that were taken and not delivered.
    pub(super) fn lost_bytes(&self) -> usize {
        self.lost
    }
}
