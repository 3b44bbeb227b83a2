//! A principal's own session that is no longer there passes the lease to the next one.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::Seat;
use crate::{
    config::Rights,
    line::{
        Board, Ghosts, Holder, NoLease, Participant, Shared, callers::LineNews, output::SeatId,
    },
};

/// How long we trust the answer that the holder is still there.
const PRESENCE_VALID: Duration = Duration::from_secs(1);

/// The lease is being taken from a session that may be gone.
pub(super) struct Claiming(Pin<Box<dyn Future<Output = bool> + Send + Sync>>);

impl fmt::Debug for Claiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claiming")
    }
}

/// The holder of a lease, if it is one of this participant's own sessions, which it may replace.
pub(in crate::line) fn replaceable<'a>(board: &'a Board, who: &Participant) -> Option<&'a Holder> {
    let holder = board.lease.holder()?;
    let may = match who.ghosts {
        Ghosts::Never => false,
        Ghosts::Away => holder.away,
        Ghosts::Silent => true,
    };
    (may && holder.principal == who.principal).then_some(holder)
}

/// Takes the lease from its holder, if that is a session of this participant whose client is gone:
/// away, or silent and not answering. What that session had queued is discarded. Returns whether
/// the lease is free now.
pub(in crate::line) async fn exorcise(shared: Arc<Shared>, who: Participant) -> bool {
    let (seat, away) = match replaceable(&shared.board.borrow(), &who) {
        Some(holder) => (holder.seat, holder.away),
        None => return false,
    };
    if !away && shared.callers.is_alive(seat).await {
        return false;
    }
    let gave = shared.lease(|lease| lease.take_from(seat)).unwrap_or(false);
    if gave {
        discard(&shared, seat);
    }
    gave
}

/// So that a stale command never leaves together with the next session's bytes.
fn discard(shared: &Arc<Shared>, seat: SeatId) {
    shared.board.send_modify(|board| {
        board.ghosts.insert(seat);
    });
    let bytes = shared.cut_all(seat);
    if bytes > 0 {
        tracing::info!(
            endpoint = shared.name,
            bytes,
            "discarded what a session that is gone had queued"
        );
    }
}

impl Seat {
    /// Takes the lease in order to write: if it is free, or held by a session of the same principal
    /// that is gone. Ready with whether this seat may write now.
    pub(crate) fn poll_claim(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // Who only reads keeps the lease from nobody.
        if !self.who.rights.allows(Rights::WRITE) {
            return Poll::Ready(false);
        }
        if self.stance.observes() || self.claim().is_ok() {
            self.claiming = None;
            return Poll::Ready(self.is_writer());
        }
        if self.denied.is_some_and(|at| at.elapsed() < PRESENCE_VALID) {
            return Poll::Ready(false);
        }
        let free = self.claiming.get_or_insert_with(|| {
            Claiming(Box::pin(exorcise(Arc::clone(&self.shared), self.who.clone())))
        });
        let free = ready!(free.0.as_mut().poll(cx));
        self.claiming = None;
        if free && self.claim().is_ok() {
            return Poll::Ready(self.is_writer());
        }
        self.denied = Some(Instant::now());
        Poll::Ready(false)
    }

    /// Takes the lease if it is free by then, or held by a session of the same principal that is
    /// gone. The seat may be left meanwhile.
    pub(crate) fn supersede(&self) -> impl Future<Output = Result<(), NoLease>> + Send + use<> {
        let (shared, who, id) = (Arc::clone(&self.shared), self.who.clone(), self.id);
        async move {
            exorcise(Arc::clone(&shared), who.clone()).await;
            let now = SystemTime::now();
            shared.lease(|lease| lease.claim(id, &who.principal, now)).unwrap_or(Ok(()))
        }
    }

    /// What the line tells this seat's session.
    pub(crate) fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<LineNews> {
        match ready!(self.words.poll_recv(cx)) {
            Some(word) => Poll::Ready(word),
            None => Poll::Pending,
        }
    }

    /// Whether the lease is held by another session of the same principal.
    pub(crate) fn is_held_by_own(&self) -> bool {
        let board = self.shared.board.borrow();
        replaceable(&board, &self.who).is_some_and(|holder| holder.seat != self.id)
    }
}
