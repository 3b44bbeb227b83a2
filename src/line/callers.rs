//! How a line reaches the sessions on its seats: is your client still there? give way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    board::Board,
    output::SeatId,
    request::{SeatRequest, WriteIntent},
};
use crate::config::{Rights, Share};

/// How long a session has to answer such a question; it does so within seconds, and one that does
/// not has ended.
const NEWS_ANSWER_TIME: Duration = Duration::from_secs(10);

/// Messages that may wait for one session.
const NEWS_MAX: usize = 8;

/// What a line tells a session.
#[derive(Debug)]
pub(crate) enum LineNews {
    /// Has its client gone?
    Probe(Probe),
    /// Its place now belongs to somebody else; to whom.
    GiveWay(String),
}

/// A question to a session: has its client gone?
#[derive(Debug)]
pub(crate) struct Probe(oneshot::Sender<bool>);

impl Probe {
    /// Answers the question.
    pub(crate) fn answer(self, is_alive: bool) {
        // The asker may have left.
        self.0.send(is_alive).ok();
    }
}

/// What a seat may do, and wants to.
#[derive(Debug)]
pub(super) struct Stance {
    may_write: AtomicBool,
    /// On a line where everyone may write: it came only to watch.
    observes: AtomicBool,
    /// Its client's connection is lost.
    away: AtomicBool,
    /// Its client has sent nothing yet, or will send nothing more.
    silent: AtomicBool,
}

impl Stance {
    pub(super) fn new(rights: Rights, ask: &SeatRequest) -> Self {
        Self {
            may_write: rights.allows(Rights::WRITE).into(),
            away: false.into(),
            observes: (ask.intent == WriteIntent::Observer).into(),
            silent: ask.silent.into(),
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Returns whether that is a change.
    pub(super) fn set_silent(&self, silent: bool) -> bool {
        self.silent.swap(silent, Ordering::Relaxed) != silent
    }

    pub(super) fn set_rights(&self, rights: Rights) {
        self.may_write.store(rights.allows(Rights::WRITE), Ordering::Relaxed);
    }

    pub(super) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    pub(super) fn observes(&self) -> bool {
        self.observes.load(Ordering::Relaxed)
    }

    /// Returns whether that is a change.
    pub(super) fn set_observes(&self, observes: bool) -> bool {
        self.observes.swap(observes, Ordering::Relaxed) != observes
    }

    /// Whether this seat of the line may write now.
    pub(super) fn writes(&self, seat: SeatId, board: &Board) -> bool {
        let part = match board.share {
            Share::Everyone => !self.observes() && !self.is_silent(),
            Share::Exclusive | Share::OneWriter => board.lease.is_holder(seat),
        };
        part && self.may_write.load(Ordering::Relaxed)
    }
}

/// The sessions of a line that can be reached.
#[derive(Debug, Default)]
pub(super) struct Callers(Mutex<BTreeMap<SeatId, Caller>>);

#[derive(Debug)]
struct Caller {
    name: String,
    words: mpsc::Sender<LineNews>,
    stance: Arc<Stance>,
}

impl Callers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SeatId, Caller>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a seat is taken; its session receives its messages here.
    pub(super) fn enter(
        &self,
        seat: SeatId,
        (name, stance): (String, Arc<Stance>),
    ) -> mpsc::Receiver<LineNews> {
        let (words, receiver) = mpsc::channel(NEWS_MAX);
        self.lock().insert(seat, Caller { name, words, stance });
        receiver
    }

    /// Who is on a seat.
    pub(super) fn name(&self, seat: SeatId) -> Option<String> {
        self.lock().get(&seat).map(|caller| caller.name.clone())
    }

    pub(super) fn leave(&self, seat: SeatId) {
        self.lock().remove(&seat);
    }

    /// Whether a seat's client is still there.
    pub(super) async fn is_alive(&self, seat: SeatId) -> bool {
        let (reply, answer) = oneshot::channel();
        let asked = self
            .lock()
            .get(&seat)
            .map(|caller| caller.words.try_send(LineNews::Probe(Probe(reply))));
        match asked {
            None | Some(Err(mpsc::error::TrySendError::Closed(_))) => false,
            // A session with so many questions waiting is being asked already.
            Some(Err(mpsc::error::TrySendError::Full(_))) => true,
            Some(Ok(())) => {
                timeout(NEWS_ANSWER_TIME, answer).await.is_ok_and(|answer| answer.unwrap_or(false))
            }
        }
    }

    /// Whether a seat may write now.
    pub(super) fn writes(&self, seat: SeatId, board: &Board) -> bool {
        self.lock().get(&seat).is_some_and(|caller| caller.stance.writes(seat, board))
    }

    /// Whether another seat than this may write now, and its client is there.
    pub(super) fn others_write(&self, than: SeatId, board: &Board) -> bool {
        let callers = self.lock();
        let mut others = callers.iter().filter(|(seat, _)| **seat != than);
        others.any(|(seat, caller)| {
            !caller.stance.away.load(Ordering::Relaxed) && caller.stance.writes(*seat, board)
        })
    }

    /// Whether every session on the line, except those on seats that are given up, is silent.
    pub(super) fn are_silent(&self, given_up: impl Fn(SeatId) -> bool) -> bool {
        let callers = self.lock();
        let mut here = callers.iter().filter(|(seat, _)| !given_up(**seat));
        here.all(|(_, caller)| caller.stance.is_silent())
    }

    /// Tells every session on the line, except those on seats that are given up, to make way for
    /// somebody who `writes`, or only reads. Those who may write keep their places, and so does
    /// everybody where the newcomer only reads; the silent never do. Returns their seats, and
    /// nothing where one of them stays.
    pub(super) fn make_way(
        &self,
        given_up: impl Fn(SeatId) -> bool,
        to: &str,
        writes: bool,
    ) -> Option<Vec<SeatId>> {
        let callers = self.lock();
        let here: Vec<_> = callers.iter().filter(|(seat, _)| !given_up(**seat)).collect();
        let stays = |caller: &Caller| {
            let may_write = caller.stance.may_write.load(Ordering::Relaxed);
            !caller.stance.is_silent() && (may_write || !writes)
        };
        // One that does not take its words up is not told: it keeps its place.
        if here.iter().any(|(_, caller)| stays(caller) || caller.words.capacity() == 0) {
            return None;
        }
        for (_, caller) in &here {
            caller.words.try_send(LineNews::GiveWay(to.to_owned())).ok();
        }
        Some(here.into_iter().map(|(seat, _)| *seat).collect())
    }
}
