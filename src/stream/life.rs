//! Whether a connection's next hop is dead: a rule applied to what the kernel says about it.
//!
//! The kernel has two rules of its own. Keepalive sends no probe while data is outstanding, so it
//! does not find a peer that dies then. `TCP_USER_TIMEOUT` does, but it also cuts off a printer
//! that is out of paper: it counts the time behind a closed window, whether probes are answered or
//! not, and partial progress does not restart it.

use std::time::Duration;

use tokio::time::Instant;

use super::sample::{NextHop, Outstanding, Sample, UNANSWERED_PROBES};

/// What is added to two round trips before a segment counts as unanswered: a peer may delay its
/// acknowledgement (RFC 1122 section 4.2.3.2 allows half a second, systems take 40 to 200 ms).
const ANSWER: Duration = Duration::from_millis(250);

/// How many times at least a connection is looked at within its time, while something is
/// outstanding.
const LOOKS: u32 = 8;

/// The longest time between two such looks.
const SAMPLE_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Everything has arrived. Look again when something was written, or soon after.
    Idle,
    /// Something is on its way. Look again then, whatever happens.
    Waiting(Instant),
    /// Nobody is there any more. This much had not arrived.
    Dead(Outstanding),
}

/// Looks out for the death of a next hop. It has no timer: its owner looks when told to.
#[derive(Debug)]
pub(crate) struct Liveness {
    dead_after: Duration,
    looked: Instant,
    pending: Option<LastLook>,
}

/// The bytes that were outstanding at the last look.
#[derive(Clone, Copy, Debug)]
struct LastLook {
    since: Instant,
    /// All bytes written up to then.
    written: u64,
}

impl Liveness {
    /// A peer that acknowledges nothing for this long is dead. Nothing is outstanding yet.
    pub(crate) fn new(dead_after: Duration) -> Self {
        Self { dead_after, looked: Instant::now(), pending: None }
    }

    /// Looks at a connection.
    pub(crate) fn look(&mut self, hop: &impl NextHop, now: Instant) -> Life {
        match hop.sample().map(|sample| self.judge(&sample, now)) {
            None | Some(LifeCheck::Idle) => Life::Idle,
            Some(LifeCheck::Alive(again)) => Life::Waiting(again),
            Some(LifeCheck::Dead) => Life::Dead(hop.outstanding()),
        }
    }

    /// The rule. Time runs from the last acknowledgement or from the moment something became
    /// outstanding, whichever is later: after an idle hour the last acknowledgement is an hour old.
    fn judge(&mut self, sample: &Sample, now: Instant) -> LifeCheck {
        let looked = std::mem::replace(&mut self.looked, now);
        if sample.unacknowledged == 0 {
            self.pending = None;
            return LifeCheck::Idle;
        }
        let since = self.since(sample, looked, now);
        let quiet_since = back(now, sample.last_ack).map_or(since, |ack| since.max(ack));
        let over = quiet_since + self.dead_after;
        let again = now + (self.dead_after / LOOKS).min(SAMPLE_INTERVAL_MAX);
        if now < over {
            return LifeCheck::Alive(over.min(again));
        }
        if !sample.in_flight {
            return if sample.probes >= UNANSWERED_PROBES {
                LifeCheck::Dead
            } else {
                LifeCheck::Alive(again)
            };
        }
        if sample.rto < self.dead_after {
            return LifeCheck::Dead;
        }
        // Segments that the peer answers but does not take are sent again ever more rarely, up to
        // every two minutes: it is dead when one sent since its last answer has had time to be
        // answered.
        let answer = 2 * sample.rtt + ANSWER;
        if sample.last_sent >= sample.last_ack {
            LifeCheck::Alive(again)
        } else if sample.last_sent < answer {
            LifeCheck::Alive(now + answer.saturating_sub(sample.last_sent))
        } else {
            LifeCheck::Dead
        }
    }

    /// Since when something has been outstanding without a break. Bytes that became outstanding
    /// between two looks did so after the first look, and before they were sent.
    fn since(&mut self, sample: &Sample, looked: Instant, now: Instant) -> Instant {
        if let Some(LastLook { since, written }) = self.pending
            && sample.acknowledged < written
        {
            return since;
        }
        let sent = if sample.in_flight { back(now, sample.first_sent) } else { None };
        let since = sent.unwrap_or(now).max(looked);
        let written = sample.acknowledged + sample.unacknowledged;
        self.pending = Some(LastLook { since, written });
        since
    }
}

/// The rule's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LifeCheck {
    Idle,
    Alive(Instant),
    Dead,
}

/// The moment `ago` before `now`, if the clock goes back that far.
fn back(now: Instant, ago: Duration) -> Option<Instant> {
    now.checked_sub(ago)
}

#[cfg(test)]
mod tests;
