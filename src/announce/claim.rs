//! Whose a name is: probed for, announced, held, and given up when others will not have it (RFC
//! 6762 section 8).
//!
//! No socket and no clock: whoever drives it says what time it is and sends what it asks for.

use std::time::{Duration, Instant};

/// Pause between two probes.
const PROBE: Duration = Duration::from_millis(250);
/// Pause between two announcements, and before we try again after losing a tie.
const ANNOUNCEMENT_PAUSE: Duration = Duration::from_secs(1);
/// Probes sent before a name is ours.
const PROBES: u8 = 3;
/// Announcements sent of a name that is ours.
const ANNOUNCEMENTS: u8 = 2;
/// After this many conflicts within [`CALM`], nothing is announced for that long: somebody answers
/// for every name we try.
const CONFLICTS: u32 = 10;
/// The time over which conflicts are counted, and the silence after too many of them.
const CALM: Duration = Duration::from_secs(3600);

/// What has to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToSend {
    /// A probe for every name.
    Probe,
    /// All records.
    Announce,
}

/// What a conflict led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The names are probed for again.
    Probed,
    /// Another machine holds the names: new ones have to be tried.
    Renamed,
    /// There were too many: nothing is announced for an hour.
    Silenced,
    /// Nothing was claimed.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClaimPhase {
    Probing(u8),
    Announcing(u8),
    Held,
    Silent,
}

/// The state of all names together: a conflict about one changes them all.
#[derive(Debug)]
pub(super) struct Claim {
    phase: ClaimPhase,
    due: Option<Instant>,
    conflicts: u32,
    first: Instant,
}

impl Claim {
    /// Starts probing after `delay`, a random one, so that machines that start together do not
    /// speak together.
    pub(super) fn new(now: Instant, delay: Duration) -> Self {
        Self { phase: ClaimPhase::Probing(0), due: Some(now + delay), conflicts: 0, first: now }
    }

    /// When [`Self::step`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the names are ours, so that questions about them are answered.
    pub(super) fn holds(&self) -> bool {
        matches!(self.phase, ClaimPhase::Announcing(_) | ClaimPhase::Held)
    }

    /// Whether it is still open whose names they are.
    pub(super) fn probes(&self) -> bool {
        matches!(self.phase, ClaimPhase::Probing(_))
    }

    /// Advances if it is time to.
    pub(super) fn step(&mut self, now: Instant) -> Option<ToSend> {
        self.due.filter(|due| *due <= now)?;
        let (phase, due, step) = match self.phase {
            ClaimPhase::Probing(sent) if sent < PROBES => {
                (ClaimPhase::Probing(sent + 1), Some(PROBE), Some(ToSend::Probe))
            }
            ClaimPhase::Probing(_) => {
                (ClaimPhase::Announcing(1), Some(ANNOUNCEMENT_PAUSE), Some(ToSend::Announce))
            }
            ClaimPhase::Announcing(sent) if sent < ANNOUNCEMENTS => {
                (ClaimPhase::Held, None, Some(ToSend::Announce))
            }
            ClaimPhase::Announcing(_) | ClaimPhase::Held => (ClaimPhase::Held, None, None),
            ClaimPhase::Silent => {
                (self.conflicts, self.first) = (0, now);
                (ClaimPhase::Probing(1), Some(PROBE), Some(ToSend::Probe))
            }
        };
        self.phase = phase;
        self.due = due.map(|after| now + after);
        step
    }

    /// Probes again, since the addresses have changed.
    pub(super) fn again(&mut self, now: Instant) {
        if self.phase != ClaimPhase::Silent {
            (self.phase, self.due) = (ClaimPhase::Probing(0), Some(now));
        }
    }

    /// Another machine is probing for the same names, and its records sort after ours: it goes
    /// first.
    pub(super) fn defer(&mut self, now: Instant) -> Loss {
        if self.counts(now) {
            return self.silence(now);
        }
        (self.phase, self.due) = (ClaimPhase::Probing(0), Some(now + ANNOUNCEMENT_PAUSE));
        Loss::Probed
    }

    /// Another machine says that one of the names is its own.
    pub(super) fn conflict(&mut self, now: Instant) -> Loss {
        let lost = match self.phase {
            // Before the first probe, an answer is to somebody else's question.
            ClaimPhase::Silent | ClaimPhase::Probing(0) => return Loss::None,
            ClaimPhase::Probing(_) => Loss::Renamed,
            ClaimPhase::Announcing(_) | ClaimPhase::Held => Loss::Probed,
        };
        if self.counts(now) {
            return self.silence(now);
        }
        (self.phase, self.due) = (ClaimPhase::Probing(0), Some(now));
        lost
    }

    /// Counts a conflict; returns whether it is one too many.
    fn counts(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.first) > CALM {
            (self.conflicts, self.first) = (0, now);
        }
        self.conflicts += 1;
        self.conflicts > CONFLICTS
    }

    fn silence(&mut self, now: Instant) -> Loss {
        (self.phase, self.due) = (ClaimPhase::Silent, Some(now + CALM));
        Loss::Silenced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps until nothing is due, with the time that passed before each.
    fn run(claim: &mut Claim, now: &mut Instant) -> Vec<(u128, ToSend)> {
        let mut steps = Vec::new();
        while let Some(due) = claim.due() {
            let waited = due.saturating_duration_since(*now).as_millis();
            *now = due;
            steps.extend(claim.step(*now).map(|step| (waited, step)));
        }
        steps
    }

    #[test]
    fn a_name_is_probed_for_three_times_and_announced_twice() {
        let mut now = Instant::now();
        let mut claim = Claim::new(now, Duration::from_millis(100));
        let steps = run(&mut claim, &mut now);
        let probe = ToSend::Probe;
        assert_eq!(
            steps,
            [
                (100, probe),
                (250, probe),
                (250, probe),
                (250, ToSend::Announce),
                (1000, ToSend::Announce)
            ]
        );
        assert!(claim.holds() && !claim.probes());
    }

    #[test]
    fn another_one_of_the_name_is_asked_again_and_then_has_it() {
        let mut now = Instant::now();
        let mut claim = Claim::new(now, Duration::ZERO);
        assert_eq!(claim.conflict(now), Loss::None, "nothing was asked yet");
        run(&mut claim, &mut now);
        assert_eq!(claim.conflict(now), Loss::Probed);
        assert!(!claim.holds());
        assert_eq!(claim.step(now), Some(ToSend::Probe));
        assert_eq!(claim.conflict(now), Loss::Renamed);
        run(&mut claim, &mut now);
        assert!(claim.holds());
    }

    #[test]
    fn a_war_about_names_ends_and_may_begin_again_an_hour_later() {
        let start = Instant::now();
        let mut now = start;
        let mut claim = Claim::new(now, Duration::ZERO);
        let mut renamed = 0;
        loop {
            now = claim.due().unwrap();
            claim.step(now);
            match claim.conflict(now) {
                Loss::Renamed => renamed += 1,
                Loss::Silenced => break,
                Loss::Probed | Loss::None => unreachable!(),
            }
        }
        assert_eq!(renamed, CONFLICTS);
        assert_eq!((claim.conflict(now), claim.holds()), (Loss::None, false));
        assert_eq!(claim.step(now + Duration::from_secs(60)), None);
        assert_eq!(claim.step(now + CALM), Some(ToSend::Probe));
    }

    #[test]
    fn a_lost_tie_waits_a_second_and_does_not_wait_for_ever() {
        let mut now = Instant::now();
        let mut claim = Claim::new(now, Duration::ZERO);
        claim.step(now);
        assert_eq!(claim.defer(now), Loss::Probed);
        assert_eq!(claim.due(), Some(now + ANNOUNCEMENT_PAUSE));
        for _ in 1..CONFLICTS {
            now += ANNOUNCEMENT_PAUSE;
            claim.step(now);
            assert_eq!(claim.defer(now), Loss::Probed);
        }
        assert_eq!(claim.defer(now), Loss::Silenced);
    }
}
