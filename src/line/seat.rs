//! A seat: one participant's place on a line.

pub(super) mod ghosts;
mod leasing;
mod leaving;
mod losing;
mod patience;
mod port;

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use self::ghosts::Claiming;
pub(crate) use self::{leaving::Unsent, patience::Patience};
use super::{
    Action, Board, LineHold, LineState, ListedLine, Participant, Progress, SeatEvent, SeatRequest,
    Shared, Undone,
    callers::{LineNews, Stance},
    output::{Hearing, Lossless, SeatId},
    task::{Task, TaskOutcome},
};
use crate::{config::Endpoint, target::OpenError};

/// How far a leaving seat has got with its last bytes.
#[derive(Debug)]
enum Drained {
    NotAsked,
    Asked(TaskOutcome),
    Done,
}

#[expect(clippy::struct_excessive_bools, reason = "each says of another thing that it is over")]
/// One participant's place on a line. Dropping it discards what it still had queued, and gives the
/// lease back.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    id: SeatId,
    who: Participant,
    listens: bool,
    /// What it may do and wants to, for others to see.
    stance: Arc<Stance>,
    drained: Drained,
    /// It stays when the device goes.
    patient: bool,
    /// Bytes of a seat that may not write, or whose device is away; thrown away.
    ignored: u64,
    /// Bytes that were lost with the device before this seat was left.
    gone: u64,
    left: bool,
    /// What the line is owed for the loss of this seat waits already.
    bereft: bool,
    /// What the line tells its session.
    words: mpsc::Receiver<LineNews>,
    /// The lease is being taken from a session of the same principal that may be gone.
    claiming: Option<Claiming>,
    /// When that session was found to be still there.
    denied: Option<Instant>,
    /// Keeps the line alive.
    life: Arc<LineHold>,
}

impl Seat {
    /// How long a client waits for a device that is being opened.
    pub(crate) const OPENING_WAIT: Duration = Duration::from_secs(5);

    /// Takes a seat; returns it with the offset it begins at and the one where live data begins.
    pub(super) fn new(
        line: ListedLine,
        id: SeatId,
        who: Participant,
        ask: &SeatRequest,
        private: bool,
    ) -> (Self, u64, u64) {
        let ListedLine { shared, life } = line;
        let (start, end) = shared.output.bounds();
        let from = match &ask.replay {
            None => None,
            Some(super::request::ReplayFrom::Last(bytes)) => {
                Some(end.saturating_sub(*bytes).max(start))
            }
            Some(super::request::ReplayFrom::From { offset, epoch }) if *epoch == shared.epoch => {
                Some(*offset)
            }
            // Offsets of another epoch mean nothing: replay everything there is.
            Some(super::request::ReplayFrom::From { .. }) => Some(start),
        };
        let lossless = match (private, ask.patient) {
            // A sender of datagrams cannot be held back: they would only be lost elsewhere,
            // uncounted.
            _ if shared.datagrams => Lossless::Never,
            (true, _) => Lossless::Always,
            (false, true) => Lossless::Never,
            (false, false) => Lossless::Alone,
        };
        let SeatRequest { acks, events, times, pauses, patient, .. } = *ask;
        let longest = ask.longest.unwrap_or(usize::MAX);
        let hearing = Hearing { from, lossless, acks, events, times, pauses, patient, longest };
        let (at, end) = shared.output.enter(id, hearing);
        shared.input.enter(id);
        let stance = Arc::new(Stance::new(who.rights, ask));
        let words = shared.callers.enter(id, (who.principal.to_string(), Arc::clone(&stance)));
        shared.board.send_modify(|board| {
            board.seats += 1;
            board.listeners += usize::from(ask.events);
        });
        let listens = ask.events;
        (
            Self {
                shared,
                id,
                who,
                listens,
                stance,
                drained: Drained::NotAsked,
                patient: ask.patient,
                ignored: 0,
                gone: 0,
                left: false,
                bereft: false,
                words,
                claiming: None,
                denied: None,
                life,
            },
            at,
            end,
        )
    }

    /// Its number, which no other seat of the gateway has.
    pub(crate) fn id(&self) -> SeatId {
        self.id
    }

    pub(crate) fn who(&self) -> &Participant {
        &self.who
    }

    /// The endpoint's rules as they are now.
    pub(crate) fn endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.shared.endpoint.borrow())
    }

    /// The name of the tape's axis.
    pub(crate) fn epoch(&self) -> &str {
        &self.shared.epoch
    }

    /// The line's notice board.
    pub(crate) fn board(&self) -> watch::Receiver<Board> {
        self.shared.board.subscribe()
    }

    /// Ready when the device can be used, or with the reason why it cannot.
    pub(crate) async fn ready(&self) -> Result<(), OpenError> {
        let mut board = self.board();
        // The sender is in `shared`, so this cannot fail.
        let board = board.wait_for(|board| board.state.settled().is_some()).await;
        if self.endpoint().share.is_none() && board.as_ref().is_ok_and(|board| board.was_up) {
            // A connection that has ended already: what it sent, and its end, have yet to be heard.
            return Ok(());
        }
        board.ok().and_then(|board| board.state.settled()).unwrap_or(Ok(()))
    }

    /// What comes next from the line.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<SeatEvent> {
        let heard = self.shared.output.poll_read(self.id, cx, buf);
        if let Poll::Ready(SeatEvent::Gap(gap)) = &heard
            && self.shared.datagrams
        {
            self.shared.metrics.undelivered.add(gap.to - gap.from);
        }
        heard
    }

    /// Bytes that the line's history has left behind and this seat has not read.
    pub(crate) fn missed(&self) -> u64 {
        self.shared.output.missed(self.id)
    }

    /// Continues reading at another offset; returns the one it got.
    pub(crate) fn seek(&mut self, to: u64) -> u64 {
        self.shared.output.seek(self.id, to)
    }

    /// Notes telnet of its client that was ignored.
    pub(crate) fn note_ignored(&self, broken: u64, unknown: u64) {
        self.shared.metrics.telnet_broken.add(broken);
        self.shared.metrics.telnet_unknown.add(unknown);
    }

    /// Says that bytes below `offset` will not be wanted again.
    pub(crate) fn done_reading(&self, offset: u64) {
        self.shared.output.done(self.id, offset);
    }

    /// Offset of the next byte the device will send.
    pub(crate) fn end(&self) -> u64 {
        self.shared.output.bounds().1
    }

    /// Whether this seat may write now.
    pub(crate) fn is_writer(&self) -> bool {
        let board = self.shared.board.borrow();
        self.stance.writes(self.id, &board)
    }

    /// Whether it stays when the device goes.
    pub(crate) fn is_patient(&self) -> bool {
        self.patient
    }

    /// Whether the queue has as many datagrams of this seat as it may have.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.input.is_full(self.id)
    }

    /// Takes bytes for the device, or a datagram whole; pending while the seat's window of the
    /// queue is full.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.shared.datagrams {
            let taken = self.shared.input.poll_push_datagram(self.id, cx, bytes);
            let gone = || io::ErrorKind::NotConnected.into();
            return taken.map(|taken| if taken { Ok(bytes.len()) } else { Err(gone()) });
        }
        self.shared.input.poll_push(self.id, cx, bytes).map(|n| match n {
            0 if !bytes.is_empty() => Err(io::ErrorKind::NotConnected.into()),
            n => Ok(n),
        })
    }

    /// Takes the last bytes of a seat that sends no more, whether or not they fit.
    pub(crate) fn push_rest(&self, bytes: &[u8]) {
        self.shared.input.push_rest(self.id, bytes);
    }

    /// Throws away bytes of a seat that may not write; they count as taken, done with and
    /// undelivered.
    pub(crate) fn ignore(&mut self, bytes: usize) {
        self.ignored += bytes as u64;
        self.shared.input.ignore(self.id, bytes);
        self.shared.metrics.undelivered.add(bytes as u64);
    }

    /// How far this seat's bytes have come.
    pub(crate) fn progress(&self) -> Progress {
        self.shared.input.progress(self.id)
    }

    /// Ready when the number of bytes that have left the queue has grown enough beyond `seen` to be
    /// worth telling, or more than `lost` were lost.
    pub(crate) fn poll_done(&self, cx: &mut Context<'_>, seen: u64, lost: u64) -> Poll<u64> {
        self.shared.input.poll_done(self.id, cx, seen, lost)
    }

    /// Ready when everything this seat sent has left the wire, as far as can be known, or when the
    /// device is gone. A line that takes nothing keeps it pending: the caller decides for how long.
    pub(crate) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sent_nothing =
            self.progress().taken == self.ignored && !self.shared.input.has_tasks(self.id);
        loop {
            match &mut self.drained {
                // A seat that has only watched does not wait for others.
                Drained::NotAsked if sent_nothing => self.drained = Drained::Done,
                Drained::NotAsked => {
                    let (task, outcome) = Task::new(Action::Drain);
                    if self.shared.board.borrow().state == LineState::Up {
                        // Not counted as the seat's: a leaving seat may already have as many tasks
                        // in the queue as it may.
                        self.shared.input.push_task(task);
                    }
                    self.drained = Drained::Asked(outcome);
                }
                Drained::Asked(outcome) => {
                    self.drained = match ready!(Pin::new(outcome).poll(cx)) {
                        Ok(Err(Undone::Timeout)) => Drained::NotAsked,
                        // An error means that the device went and the queue was discarded.
                        Ok(_) | Err(_) => Drained::Done,
                    };
                }
                Drained::Done => return Poll::Ready(()),
            }
        }
    }

    /// Whether [`poll_drained`](Self::poll_drained) has been ready.
    pub(crate) fn is_drained(&self) -> bool {
        matches!(self.drained, Drained::Done)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}
