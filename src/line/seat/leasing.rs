//! What a seat does with the lease; and, where everyone may write, about who only watches.

use std::time::SystemTime;

use super::Seat;
use crate::{
    config::Share,
    line::{NoLease, Reason},
};

impl Seat {
    /// Whether everyone may write here: then there is no lease, only some who want to watch.
    pub(super) fn is_open_to_all(&self) -> bool {
        self.shared.board.borrow().share == Share::Everyone
    }

    /// The client has sent something for the first time: its seat counts from now on. Where one
    /// session is there at a time, those that are silent give way; false: another one came first.
    pub(crate) fn speak(&mut self) -> bool {
        if !self.stance.set_silent(false) {
            return true;
        }
        let board = self.shared.board.borrow().clone();
        if board.share != Share::Exclusive {
            return true;
        }
        let other = |seat| seat == self.id || board.ghosts.contains(&seat);
        let to = self.who.principal.to_string();
        let Some(gave) = self.shared.callers.make_way(other, &to, true) else { return false };
        self.shared.board.send_modify(|board| board.ghosts.extend(gave));
        true
    }

    /// The client will send no more, and only reads: its seat keeps nobody out.
    pub(crate) fn hush(&mut self) {
        self.stance.set_silent(true);
    }

    /// Takes the lease if it is free.
    pub(crate) fn claim(&mut self) -> Result<(), NoLease> {
        if self.is_open_to_all() {
            self.stance.set_observes(false);
            return Ok(());
        }
        let now = SystemTime::now();
        self.shared.lease(|lease| lease.claim(self.id, &self.who.principal, now)).unwrap_or(Ok(()))
    }

    /// Takes the lease, even from a holder, whose waiting tasks are then not done.
    pub(crate) fn take(&mut self) {
        if self.is_open_to_all() {
            self.stance.set_observes(false);
            return;
        }
        let now = SystemTime::now();
        let former =
            self.shared.lease(|lease| lease.take(self.id, &self.who.principal, now)).flatten();
        if let Some(former) = former {
            self.shared.cut(former);
        }
    }

    /// Takes the lease if it is free, and otherwise requests it from its holder.
    pub(crate) fn request(&mut self) -> Result<(), NoLease> {
        if self.is_open_to_all() {
            return self.claim();
        }
        let now = SystemTime::now();
        self.shared.lease(|lease| lease.ask(self.id, &self.who.principal, now)).unwrap_or(Ok(()))
    }

    /// Withdraws the request.
    pub(crate) fn withdraw(&self) {
        self.shared.lease(|lease| lease.withdraw(self.id));
    }

    /// Whether this seat requests the lease.
    pub(crate) fn is_asking(&self) -> bool {
        let board = self.shared.board.borrow();
        board.lease.request().is_some_and(|asker| asker.seat == self.id)
    }

    /// Answers a request for the lease.
    pub(crate) fn answer(&self, grant: bool) -> Result<(), NoLease> {
        let now = SystemTime::now();
        self.shared.lease(|lease| lease.answer(self.id, grant, now)).unwrap_or(Ok(()))
    }

    /// Gives the lease back. Returns whether this seat held it.
    pub(crate) fn release(&mut self, reason: Reason) -> bool {
        if self.is_open_to_all() {
            return self.stance.set_observes(true);
        }
        let now = SystemTime::now();
        self.shared.lease(|lease| lease.release(self.id, reason, now)).unwrap_or(false)
    }

    /// Tells everyone that the holder's socket is lost, or back.
    pub(crate) fn set_away(&self, away: bool) {
        self.stance.set_away(away);
        self.shared.lease(|lease| lease.set_away(self.id, away));
    }
}
