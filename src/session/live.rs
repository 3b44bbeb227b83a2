//! A `wsbridge.v1` session: the part that outlives its socket.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{sync::watch, time::Instant};

use super::{
    drain::{Drain, Left, Linger},
    endings::Remainder,
};
use crate::{
    auth::PrincipalId,
    config::Endpoint,
    line::{Board, LineState, Reason, Seat, Unsent},
    session::describe::{holder, status},
    wire::control::{Asker, LeaseNews, Opened, Role, Status, Tell},
};

/// A session between `open` and `close`, whichever socket it is on.
#[derive(Debug)]
pub(in crate::session) struct Live {
    /// What a client shows to resume.
    pub(super) secret: String,
    pub(super) seat: Seat,
    pub(super) endpoint: Arc<Endpoint>,
    /// Bytes that the client accepts unacknowledged.
    pub(super) window: u64,
    /// Offset of the next byte for the client.
    pub(super) at: u64,
    /// Offset below which the client has consumed everything.
    pub(super) acked: u64,
    /// How many of its bytes the client was told have left the queue.
    pub(super) told: u64,
    /// How many bytes the client was told were lost.
    pub(super) told_lost: u64,
    /// Of these, how many were in datagrams that the network refused because of their length.
    pub(super) told_too_long: u64,
    pub(super) board: watch::Receiver<Board>,
    /// The board as the client knows it.
    pub(super) seen: Seen,
    /// Whether a moderator held it read-only when its last socket was lost.
    pub(super) held: bool,
    /// When this session requested the lease.
    pub(super) asked: Option<Instant>,
    /// When it last used the lease.
    pub(super) used: Instant,
}

/// What a client was told of a board.
#[derive(Debug, Default)]
pub(super) struct Seen {
    board: Option<Board>,
    writer: bool,
}

impl Live {
    /// Whose session it is.
    pub(in crate::session) fn principal(&self) -> &PrincipalId {
        &self.seat.who().principal
    }

    /// Its endpoint.
    pub(in crate::session) fn endpoint(&self) -> &str {
        &self.endpoint.name
    }

    /// What a client shows to resume.
    pub(in crate::session) fn secret(&self) -> &str {
        &self.secret
    }

    /// The seat.
    pub(in crate::session) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The same, to change it.
    pub(in crate::session) fn seat_mut(&mut self) -> &mut Seat {
        &mut self.seat
    }

    /// Bytes that may still be sent to the client.
    pub(super) fn room(&self) -> usize {
        let sent = self.at.saturating_sub(self.acked);
        usize::try_from(self.window.saturating_sub(sent)).unwrap_or(usize::MAX)
    }

    /// Whether this session holds the lease, rather than writing where everyone may.
    pub(super) fn holds(&self) -> bool {
        self.seat.is_writer() && self.board.borrow().lease.holder().is_some()
    }

    /// Discards what was not sent, including what the driver holds.
    pub(super) fn discard(mut self) {
        self.seat.leave();
    }

    pub(super) fn role(&self) -> Role {
        if self.seat.is_writer() { Role::Writer } else { Role::Observer }
    }

    /// The members of `opened` and `resumed`.
    pub(super) fn opened(&self, re: Option<u64>) -> Opened {
        let board = self.board.borrow();
        Opened {
            re,
            session: self.secret.clone(),
            epoch: self.seat.epoch().to_owned(),
            rx: self.at,
            live: None,
            tx: self.seat.progress().taken,
            window: u32::try_from(crate::line::WINDOW).unwrap_or(u32::MAX),
            role: self.role(),
            config: board.settings,
            signals: board.inputs,
        }
    }

    /// What has changed on the board since the client was last told.
    pub(super) fn news(&mut self) -> Vec<Tell> {
        let board = self.board.borrow_and_update().clone();
        let writer = self.seat.is_writer();
        if writer && !self.seen.writer {
            // A session that was just given the lease has not been idle with it.
            self.used = Instant::now();
        }
        let mut news = Vec::new();
        let old = self.seen.board.as_ref();
        if old.is_none_or(|old| !same_device(old, &board)) {
            news.push(Tell::Status(Status { at: Some(board.at), ..status(&board) }));
        }
        if old.is_none_or(|old| old.settings != board.settings)
            && let Some(settings) = board.settings
            && old.is_some()
        {
            news.push(Tell::Config { settings, by: board.settings_by.clone() });
        }
        if old.is_none_or(|old| old.inputs != board.inputs)
            && let Some(inputs) = board.inputs
        {
            news.push(Tell::Signals(inputs));
        }
        let lease = old.is_none_or(|old| old.lease != board.lease);
        if lease || writer != self.seen.writer || old.is_none_or(|old| old.seats != board.seats) {
            news.push(Tell::Lease(self.lease_news(&board, lease)));
        }
        self.seen = Seen { board: Some(board), writer };
        news
    }

    /// The client was just told everything in an `opened` or `resumed`, except for the device and
    /// the lease.
    pub(super) fn forget(&mut self) {
        self.seen = Seen::default();
    }

    fn lease_news(&self, board: &Board, changed: bool) -> LeaseNews {
        let you = self.role();
        LeaseNews {
            you,
            reason: board.lease.reason().filter(|_| changed).map(|reason| reason.word().to_owned()),
            holder: board.lease.holder().map(holder),
            observers: board.observers(),
            request: board
                .lease
                .request()
                .filter(|_| you == Role::Writer)
                .map(|asker| Asker { user: asker.principal.name.clone() }),
        }
    }
}

/// A session that is over, but whose last bytes still go to the line, without the lease: they come
/// before whatever the next session writes.
#[derive(Debug)]
pub(super) struct Leaving {
    live: Live,
    drain: Drain,
    gave_up: bool,
}

impl Leaving {
    pub(super) fn new(mut live: Live, linger: Linger, rest: Remainder) -> Self {
        live.seat.release(Reason::Released);
        let drain = Drain::new(linger, rest, live.seat.pending().bytes);
        Self { live, drain, gave_up: false }
    }

    /// Applies a stricter rule from now on.
    pub(super) fn hurry(&mut self, rest: Remainder) {
        self.drain.hurry(rest);
    }

    /// Whether bytes were discarded because they did not move.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Ready when everything is on the wire or lost; returns how many lost bytes the client was not
    /// told about.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<u64> {
        let told = self.live.told_lost;
        let (seat, drain) = (&mut self.live.seat, &mut self.drain);
        let gone = |seat: &Seat| seat.progress().lost - told;
        loop {
            if seat.poll_drained(cx).is_ready() && seat.pending().bytes == 0 {
                return Poll::Ready(gone(seat));
            }
            let left = |seat: &Seat| {
                let Unsent { bytes, exact, answers } = seat.pending();
                Left { bytes, exact, answers }
            };
            if ready!(drain.poll(cx, || left(seat))) {
                let lost = gone(seat) + seat.pending().bytes;
                self.gave_up = true;
                seat.leave();
                return Poll::Ready(lost);
            }
        }
    }
}

/// Whether there is nothing to tell about the device. What it can do is known a moment before it is
/// up, and told then.
fn same_device(old: &Board, new: &Board) -> bool {
    let able = |board: &Board| (board.state == LineState::Up).then_some((board.caps, board.usb));
    old.state == new.state && able(old) == able(new)
}
