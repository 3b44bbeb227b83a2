//! Plain mode: frames are bytes, nothing else.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    Far, Restraints, RunningSession, Session, SessionReport, Socket,
    clock::Rules,
    drain::Linger,
    encoding::{ClientEncoding, Outgoing},
    endings::{Parting, Remainder, loss},
    engine::{Piece, Speech, run},
    link::Link,
    message::{Message, Whole},
    upstream::{Count, Upstream},
};
use crate::{
    config::{PACKET_MOST, Packing},
    line::{DATAGRAM_READ, LineNews, Mark, MarkKind, SeatEvent},
    wire::{close::Ended, control::DATAGRAM_MOST, frame::HEADER_MAX},
};

/// Line bytes in one read: with its 4-byte header the frame fills two TLS records of 16 KiB.
const TARGET_READ_MAX: usize = PACKET_MOST;

/// The rules for a plain session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Silence after which the client counts as dead.
    pub dead_after: Duration,
    /// Time without data in either direction after which the session ends.
    pub idle: Option<Duration>,
    /// How long bytes for the target may go without progress once the session ends, and how long a
    /// target may go on sending after the client's Close.
    pub linger: Linger,
    /// Bytes per second and direction.
    pub rate: Option<u64>,
    /// Which of the target's bytes make one message.
    pub packing: Packing,
    /// Messages are datagrams on both sides, and stay whole.
    pub datagrams: bool,
}

/// Runs a plain session to its end: everything read is delivered while it moves, the Close frame is
/// sent, the socket is shut.
///
/// A client's Close is its half-close: the target gets the end of the stream (or the line is
/// drained) and may go on for at most `linger`; the answer says what arrived. A target's end
/// becomes our Close, and what the client still sends before its own Close is delivered.
pub(crate) async fn plain<F: Far>(
    socket: Socket,
    far: F,
    terms: Terms,
    session: &Session,
) -> SessionReport {
    let rules = Rules {
        dead_after: terms.dead_after,
        ping_after: terms.dead_after * 2 / 3,
        idle: terms.idle,
        rate: terms.rate,
    };
    if !F::IS_CONNECTION {
        socket.bound_unread();
    }
    let mut plain = Plain {
        upstream: Upstream::new(far, terms.linger, terms.dead_after, terms.datagrams),
        incoming: ClientEncoding::new(socket.payload, socket.eol, terms.datagrams),
        outgoing: Outgoing::new(socket.payload, terms.packing, TARGET_READ_MAX, terms.datagrams),
        message: terms.datagrams.then(Message::default),
        entry: Arc::clone(&session.entry),
    };
    let mut link = Link::new(socket, rules);
    run(&mut link, &mut plain, session.orders()).await;
    let Count { taken, lost, unsure } = plain.upstream.count();
    let to_client = session.entry.to_client.load(Ordering::Relaxed);
    SessionReport {
        ended: link.ended().cloned().unwrap_or(Ended::ClientClosed(None)),
        taken,
        lost_up: lost + unsure,
        lost_down: link.lost().min(to_client) + plain.outgoing.held() as u64,
    }
}

/// A plain session, apart from its socket.
struct Plain<F> {
    upstream: Upstream<F>,
    incoming: ClientEncoding,
    outgoing: Outgoing,
    /// The client's message as far as it has arrived, where each is a datagram.
    message: Option<Message>,
    entry: Arc<RunningSession>,
}

impl<F: Far> Plain<F> {
    /// Takes a piece of a message that becomes one datagram.
    fn gather(&mut self, link: &mut Link, cx: &mut Context<'_>, bytes: &[u8], last: bool) {
        let Some(message) = &mut self.message else { return };
        link.rates.took(bytes.len());
        let whole = message.take(bytes, last);
        if let Some(Whole::Datagram(bytes)) = whole {
            return self.data(link, cx, &bytes);
        }
        // One that is too long gains nothing from being complete.
        let length = match whole {
            Some(Whole::TooLong(length)) => length,
            Some(Whole::Datagram(_)) | None => message.len(),
        };
        if length > DATAGRAM_MOST {
            *message = Message::default();
            self.upstream.skip(length);
            link.end(Ended::TooBig);
        }
    }
}

impl<F: Far> Speech for Plain<F> {
    fn is_stream(&self, _text: bool) -> bool {
        self.incoming.is_stream()
    }

    fn data(&mut self, link: &mut Link, cx: &mut Context<'_>, bytes: &[u8]) {
        link.clock.moved();
        self.entry.to_target.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.upstream.hand_on(cx, bytes);
    }

    fn piece(&mut self, link: &mut Link, cx: &mut Context<'_>, piece: Piece<'_>) {
        match self.incoming.decode(piece.bytes, piece.last) {
            Ok(bytes) if self.message.is_some() => self.gather(link, cx, &bytes, piece.last),
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => {
                link.rates.took(bytes.len());
                self.data(link, cx, &bytes);
            }
            Err(why) => link.end(Ended::BadFrame(why)),
        }
    }

    fn listens(&self) -> bool {
        self.upstream.has_room()
    }

    fn idles(&self) -> bool {
        true
    }

    fn poll_target(&mut self, link: &mut Link, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        let heard = if link.is_mute() { Some(buf) } else { None };
        if let Some(ended) = ready!(self.upstream.poll(cx, link.is_read(), heard)) {
            link.end(ended);
        }
        Poll::Ready(())
    }

    fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<LineNews> {
        self.upstream.far.poll_word(cx)
    }

    fn poll_client(&mut self, link: &mut Link, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        if self.upstream.has_ended() {
            return Poll::Pending;
        }
        let most = if self.message.is_some() {
            ready!(link.rates.poll_next(cx));
            DATAGRAM_READ
        } else {
            ready!(link.rates.poll_down(cx, self.outgoing.room(TARGET_READ_MAX)))
        };
        let (_, space) = buf.split_at_mut(HEADER_MAX);
        let (space, _) = space.split_at_mut(most);
        let Poll::Ready(heard) = self.upstream.far.poll_read(cx, space) else {
            return self.outgoing.poll_due(cx, &mut link.socket);
        };
        match heard {
            SeatEvent::Bytes(n) => {
                link.clock.moved();
                link.rates.sent(n);
                self.entry.to_client.fetch_add(n as u64, Ordering::Relaxed);
                let wrote = self.outgoing.send(cx, buf, n, &mut link.socket);
                link.wrote(wrote);
            }
            SeatEvent::Mark(Mark { kind: MarkKind::Pause(pause), .. }) => {
                self.outgoing.pause(pause, &mut link.socket);
            }
            // Plain mode asks for no other marks.
            SeatEvent::Mark(_) => {}
            // Datagrams get lost anywhere on the way; the line has counted these.
            SeatEvent::Gap(_) if self.message.is_some() => {}
            SeatEvent::Gap(gap) => link.end(Ended::TooSlow(gap.to - gap.from)),
            SeatEvent::Ended(gone) => {
                let ended = self.upstream.target_ended(gone);
                // A reset is the better reason.
                if link.ended().is_some() && ended != Ended::TargetEnded {
                    link.amend(ended);
                } else {
                    link.end(ended);
                }
            }
        }
        Poll::Ready(())
    }

    fn wind_up(&mut self, link: &mut Link, rest: Remainder) {
        let parting = Parting { queued: self.upstream.is_under_way(), has_word: false };
        if let Some(loss) = link.ended().and_then(|ended| loss(ended, parting)) {
            self.upstream.far.bereave(loss);
        }
        self.upstream.wind_up(rest);
    }

    fn restrain(&mut self, link: &mut Link, by: Restraints) {
        if !self.upstream.far.restrain(by) {
            link.end(Ended::Withdrawn);
        }
    }

    fn is_settled(&self) -> bool {
        self.upstream.is_settled()
    }

    fn is_done(&self) -> bool {
        self.upstream.is_done()
    }

    fn last_words(&mut self, link: &mut Link) {
        self.outgoing.finish(&mut link.socket);
        let Count { taken, lost, unsure } = self.upstream.count();
        match link.ended() {
            Some(Ended::ClientClosed(_)) if lost > 0 => {
                return link.amend(Ended::Undelivered { delivered: taken - lost, of: taken });
            }
            Some(Ended::TargetEnded) if lost > 0 => {
                link.amend(Ended::TargetReset("the device closed the connection".into()));
            }
            Some(_) | None => {}
        }
        link.note(if lost > 0 {
            Some(format!("at least {lost} of {taken} bytes not delivered"))
        } else {
            (unsure > 0).then(|| format!("up to {unsure} of {taken} bytes not read by the device"))
        });
    }
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
