//! Client to line: frames taken apart, data to the seat, messages to what they ask.

use std::{
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{CLOSE_WAIT, Closing, Control, READ};
use crate::wire::{
    close::Ended,
    control::{Code, TEXT_MAX, Tell},
    frame::{Item, Opcode, parse_close},
};

/// Bytes waiting for the client above which it is not read: its requests would only make more.
const WAITING: usize = 64 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Control<'_, S> {
    /// Client to line.
    pub(super) fn poll_up(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        let deaf = self.busy.is_some() || self.socket.waiting() > WAITING;
        if deaf || self.closing == Closing::Done {
            return Poll::Pending;
        }
        let most = match self.rates.as_deref_mut() {
            Some([up, _]) if self.closing == Closing::Open => ready!(up.poll(cx)).clamp(64, READ),
            Some(_) | None => READ,
        };
        let space = buf.get_mut(..most).unwrap_or_default();
        let n = match ready!(self.socket.poll_read(cx, space)) {
            Ok(n) if n > 0 => n,
            Ok(_) => {
                self.lost("end of stream without Close");
                return Poll::Ready(());
            }
            Err(error) => {
                self.lost(&error.to_string());
                return Poll::Ready(());
            }
        };
        self.clock.heard();
        if self.closing == Closing::Open {
            self.decode(cx, space.get_mut(..n).unwrap_or_default());
        } else {
            self.await_close(cx, space.get_mut(..n).unwrap_or_default());
        }
        Poll::Ready(())
    }

    fn decode(&mut self, cx: &mut Context<'_>, input: &mut [u8]) {
        let mut at = 0;
        while let Some(rest) = input.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let (used, item) = match self.socket.decoder.next(rest) {
                Ok(next) => next,
                Err(error) => return self.end(error.into()),
            };
            match item {
                Item::Data { range, text: false, .. } => {
                    self.clock.moved();
                    let bytes = rest.get(range).unwrap_or_default();
                    self.take(cx, bytes);
                }
                Item::Data { range, text: true, last, .. } => {
                    self.text.extend_from_slice(rest.get(range).unwrap_or_default());
                    if self.text.len() > TEXT_MAX {
                        return self.end(Ended::TooBig);
                    }
                    if last {
                        let text = std::mem::take(&mut self.text);
                        self.message(&text);
                    }
                }
                Item::Ping => {
                    let pong = self.socket.decoder.control().to_vec();
                    self.socket.queue(Opcode::Pong, &pong);
                }
                Item::More | Item::Pong => {}
                Item::Close => {
                    let code = parse_close(self.socket.decoder.control()).ok().flatten();
                    return self.end(Ended::ClientClosed(code.map(|(code, _)| code)));
                }
            }
            at += used;
            if self.ended.is_some() {
                return;
            }
            if self.busy.is_some() {
                // Read when that is done: what follows belongs to the session that begins or has ended.
                let rest = input.get(at..).unwrap_or_default();
                return self.socket.unread(rest);
            }
        }
    }

    /// Behind our Close, only the client's is of interest, and what it sent to a target that has ended its own side alone.
    fn await_close(&mut self, cx: &mut Context<'_>, input: &mut [u8]) {
        let half_closed = self.ended == Some(Ended::TargetEnded);
        let mut at = 0;
        while let Some(rest) = input.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match self.socket.decoder.next(rest) {
                Ok((_, Item::Close)) => {
                    self.answered = true;
                    return self.closing = Closing::Done;
                }
                Ok((used, item)) => {
                    if let Item::Data { range, text: false, .. } = item
                        && half_closed
                    {
                        self.take_late(cx, rest.get(range).unwrap_or_default());
                    }
                    at += used;
                }
                // It broke the protocol before: it is read on only so that our Close is not lost to a reset.
                Err(_) => return,
            }
        }
    }

    /// Line bytes that were under way when the target ended its side.
    fn take_late(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        let Some(live) = self.live.as_mut().filter(|live| live.seat.is_writer() && !bytes.is_empty()) else {
            return;
        };
        self.session.entry.to_target.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        match live.seat.poll_write(cx, bytes) {
            // No more can come than the window that is not acknowledged any more.
            Poll::Ready(Ok(n)) if n == bytes.len() => self.clock.extend(CLOSE_WAIT),
            Poll::Ready(_) | Poll::Pending => self.closing = Closing::Done,
        }
    }

    /// Line bytes from the client.
    fn take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        let Some(live) = &mut self.live else {
            return self.end(Ended::BadMessage("data before `opened`".into()));
        };
        if bytes.is_empty() {
            return;
        }
        if let Some([up, _]) = self.rates.as_deref_mut() {
            up.take(bytes.len());
        }
        if !live.seat.is_writer() {
            // Counted and done with: the client's count of its bytes and ours stay one.
            live.seat.ignore(bytes.len());
            let message = format!("{} bytes were not sent: you do not hold the lease", bytes.len());
            let bytes = Some(bytes.len() as u64);
            return self.tell(&Tell::Error { re: None, code: Code::NotWriter, message, bytes });
        }
        live.used = Instant::now();
        self.session.entry.to_target.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        match live.seat.poll_write(cx, bytes) {
            Poll::Ready(Ok(n)) if n == bytes.len() => {}
            Poll::Ready(_) | Poll::Pending => {
                self.end(Ended::BadMessage("more data than the window".into()));
            }
        }
    }
}
