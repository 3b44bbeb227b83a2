//! How a seat loses the right to write without having given the lease back.

use std::time::Duration;

use super::Seat;
use crate::{
    config::Rights,
    line::{
        Reason,
        dead_man::{self, Case, Loss, When},
    },
};

impl Seat {
    /// Notes what its principal may do here now, of what was granted; why, if that is less. A seat
    /// that may no longer write loses what it has queued, and gives the lease back.
    pub(crate) fn set_rights(&mut self, (granted, rights): (Rights, Rights), why: &'static str) {
        let loses = self.who.rights.allows(Rights::WRITE) && !rights.allows(Rights::WRITE);
        let case = if loses { self.case(why) } else { None };
        (self.who.granted, self.who.rights) = (granted, rights);
        self.stance.set_rights(rights);
        if loses {
            self.withdraw();
            self.give_up(case);
        }
    }

    /// Only these of what was granted count from now on; why, if that is less.
    pub(crate) fn restrain(&mut self, limit: Rights, why: &'static str) {
        self.set_rights((self.who.granted, self.who.granted.only(limit)), why);
    }

    /// The line loses this seat as its writer, if it is that; the endpoint may have something to be
    /// done then.
    pub(crate) fn bereave(&mut self, Loss { why, how }: Loss) {
        let Some(case) = self.case(why) else { return };
        let when = case.when(how);
        if when != When::Now {
            // While it can still come back, or until it is left, its bytes go on.
            self.bereft = true;
            return dead_man::begin(&self.shared, &self.life, case, when);
        }
        // What is still on its way to this seat must not take the lease again.
        self.who.rights = self.who.rights.without(Rights::WRITE);
        self.stance.set_rights(self.who.rights);
        self.give_up(Some(case));
    }

    /// How long the connection of this seat's session may be lost before that has to be told with
    /// [`bereave`](Self::bereave), where the session could be resumed for longer.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.endpoint().dead_man.as_ref().and_then(|rule| rule.after)
    }

    /// What the endpoint is owed when this seat is lost, if that writes.
    fn case(&self, why: &'static str) -> Option<Case> {
        let others = || {
            let board = self.shared.board.borrow();
            self.is_open_to_all() && self.shared.callers.others_write(self.id, &board)
        };
        if self.bereft || self.left || !self.is_writer() || others() {
            return None;
        }
        Case::new(&self.endpoint(), &self.who.principal, self.id, why)
    }

    /// Nothing of this seat goes to the device from now on. What is owed then comes before whatever
    /// the next writer sends.
    fn give_up(&mut self, case: Option<Case>) {
        let bytes = self.shared.cut_all(self.id);
        if bytes > 0 {
            tracing::info!(
                endpoint = self.shared.name,
                bytes,
                "discarded what a session had queued that may not write any more"
            );
        }
        if let Some(case) = case {
            dead_man::begin(&self.shared, &self.life, case, When::Now);
        }
        // Where everyone may write it is the right alone that counts.
        if !self.is_open_to_all() {
            self.release(Reason::Released);
        }
    }
}
