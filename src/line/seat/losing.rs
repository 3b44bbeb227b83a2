//! What a seat loses with the right to write, while its session goes on.

use std::sync::Arc;

use super::Seat;
use crate::{
    config::Rights,
    line::{
        Reason, Shared, controls,
        input::CutPoint,
        output::SeatId,
        task::{Action, Task},
    },
};

impl Seat {
    /// Notes what its principal may do here now, of what was granted. A seat that may no longer
    /// write loses what it has queued, and gives the lease back.
    pub(crate) fn set_rights(&mut self, granted: Rights, rights: Rights) {
        let wrote = self.who.rights.allows(Rights::WRITE);
        (self.who.granted, self.who.rights) = (granted, rights);
        self.stance.set_rights(rights);
        if wrote && !rights.allows(Rights::WRITE) {
            self.withdraw();
            let bytes = cut(&self.shared, self.id);
            if bytes > 0 {
                tracing::info!(
                    endpoint = self.shared.name,
                    bytes,
                    "discarded what a session had queued that may not write any more"
                );
            }
            // Where everyone may write it is the right alone that counts.
            if !self.is_open_to_all() {
                self.release(Reason::Released);
            }
        }
    }

    /// Only these of what was granted count from now on.
    pub(crate) fn restrain(&mut self, limit: Rights) {
        self.set_rights(self.who.granted, self.who.granted.only(limit));
    }
}

/// Discards what a seat has in the queue and with the driver, and ends its break: nothing of it
/// leaves together with what others send from now on. The seat hears of it as lost. Returns how many
/// bytes that makes, at most.
pub(super) fn cut(shared: &Arc<Shared>, seat: SeatId) -> usize {
    let held = shared.port().map_or(0, |port| port.held().bytes);
    let bytes = shared.input.cut(seat, CutPoint::All) + shared.input.lose_driven(seat, held);
    shared.input.hold();
    let line = Arc::clone(shared);
    shared.tasks.spawn(async move { controls::discard(&line, seat).await });
    if shared.board.borrow().breaks(seat) {
        shared.input.push_task(Task::unasked(Action::EndBreak(seat)));
    }
    shared.metrics.undelivered.add(bytes as u64);
    bytes
}
