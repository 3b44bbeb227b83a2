//! Whether the client behind a seat is still there: asked on behalf of whoever is the same principal and wants to write.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::output::SeatId;

/// How long a session has to take the question up; it answers within seconds, and one that does not has ended.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Questions that may wait for one session.
const QUESTIONS: usize = 8;

/// A question to a session: has its client gone?
#[derive(Debug)]
pub struct Probe(oneshot::Sender<bool>);

impl Probe {
    /// Answers it.
    pub fn answer(self, is_alive: bool) {
        // Whoever asked may have left.
        self.0.send(is_alive).ok();
    }
}

/// The sessions of a line that can be asked.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<BTreeMap<SeatId, mpsc::Sender<Probe>>>);

impl Probes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SeatId, mpsc::Sender<Probe>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat is taken; its session finds the questions here.
    pub(super) fn enter(&self, seat: SeatId) -> mpsc::Receiver<Probe> {
        let (sender, questions) = mpsc::channel(QUESTIONS);
        self.lock().insert(seat, sender);
        questions
    }

    pub(super) fn leave(&self, seat: SeatId) {
        self.lock().remove(&seat);
    }

    /// Whether the client of a seat is there.
    pub(super) async fn is_alive(&self, seat: SeatId) -> bool {
        let (reply, answer) = oneshot::channel();
        let asked = self.lock().get(&seat).map(|session| session.try_send(Probe(reply)));
        match asked {
            None | Some(Err(mpsc::error::TrySendError::Closed(_))) => false,
            // Whoever is asked so often is being asked now.
            Some(Err(mpsc::error::TrySendError::Full(_))) => true,
            Some(Ok(())) => timeout(ANSWER_WITHIN, answer).await.is_ok_and(|answer| answer.unwrap_or(false)),
        }
    }
}
