//! Sources that keep sending wrong credentials: refused for a while without evaluation, longer each
//! time.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{ClientAddress, Source, links::network};
use crate::{span::readable, wire::close::Refusal};

/// Wrong credentials within [`COUNTED_OVER`] that bring a penalty.
const WRONG_TRIES: usize = 20;
/// Wrong credentials from all neighbours on one link together that bring a penalty for those that
/// never signed in.
const OF_LINK: usize = 200;
/// The time over which they are counted.
const COUNTED_OVER: Duration = Duration::from_secs(60);
/// The first penalty; each further one is twice as long.
const PENALTY_FIRST: Duration = Duration::from_secs(60);
/// The longest penalty.
const PENALTY_LONGEST: Duration = Duration::from_secs(600);
/// Time without a wrong one after which the next penalty is a first one again.
const FORGIVEN: Duration = Duration::from_secs(3600);
/// Sources remembered; when full, the one that has been calm longest is forgotten, and those under
/// a penalty last.
const SOURCES: usize = 4096;

/// Neighbours remembered to have signed in; when full, the one that did so longest ago is
/// forgotten.
const NEIGHBOURS_MAX: usize = 1024;
/// When to try again, in seconds, for a source all of whose tries are still being checked.
const PENDING_RETRY_AFTER: u32 = 2;

/// Who sent wrong credentials, and when.
#[derive(Debug, Default)]
pub(super) struct Penalties {
    sources: HashMap<Source, TryHistory>,
    /// Neighbours that have signed in, and when they last did: what others on their link do is not
    /// held against them.
    known: HashMap<Source, Instant>,
}

/// A try at a password whose outcome is not known yet. It is charged before the password is
/// checked, so that hanging up gains nothing: unless refunded, it counts as wrong and is logged
/// when dropped.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    penalties: &'a Mutex<Penalties>,
    source: Source,
    /// Whose sign-in it is, for the log.
    user: &'a str,
    client: ClientAddress,
    refunded: bool,
}

impl<'a> Charge<'a> {
    /// Charges a source, unless it is under a penalty, or would be if all its tries that are being
    /// checked were wrong.
    pub(super) fn take(
        penalties: &'a Mutex<Penalties>,
        source: Source,
        (user, client): (&'a str, ClientAddress),
    ) -> Result<Self, Refusal> {
        lock(penalties).charge(source, Instant::now())?;
        Ok(Self { penalties, source, user, client, refunded: false })
    }

    /// The try was right, or was not checked: it costs nothing.
    pub(super) fn refund(mut self) {
        self.refunded = true;
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        let mut penalties = lock(self.penalties);
        penalties.settle(self.source);
        if !self.refunded {
            tracing::warn!(user = self.user, peer = %self.client, "failed sign-in");
            penalties.failed(self.source, Instant::now());
        }
    }
}

fn lock(penalties: &Mutex<Penalties>) -> MutexGuard<'_, Penalties> {
    penalties.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct TryHistory {
    tries: VecDeque<Instant>,
    /// Tries that are being checked.
    open: usize,
    until: Option<Instant>,
    length: Duration,
    last: Instant,
}

impl Penalties {
    /// How long `source` is still refused, if at all.
    pub(super) fn left(&self, source: Source, now: Instant) -> Option<Duration> {
        let left = |(source, _)| {
            let until = self.sources.get(&source)?.until?;
            until.checked_duration_since(now).filter(|left| !left.is_zero())
        };
        self.counts(source).filter_map(left).max()
    }

    /// Notes wrong credentials; the one too many brings a penalty and a log line.
    pub(super) fn failed(&mut self, source: Source, now: Instant) {
        for (source, tries) in [Some((source, WRONG_TRIES)), link(source)].into_iter().flatten() {
            self.record(source, now).failed((source, tries), now);
        }
    }

    /// Whether this neighbour has signed in.
    pub(super) fn knows(&self, source: Source) -> bool {
        self.known.contains_key(&source)
    }

    /// Notes that a neighbour has signed in.
    pub(super) fn signed_in(&mut self, source: Source, now: Instant) {
        if link(source).is_none() {
            return;
        }
        if self.known.len() >= NEIGHBOURS_MAX && !self.known.contains_key(&source) {
            let oldest =
                self.known.iter().min_by_key(|(_, last)| **last).map(|(source, _)| *source);
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        self.known.insert(source, now);
    }

    fn charge(&mut self, source: Source, now: Instant) -> Result<(), Refusal> {
        if let Some(left) = self.left(source, now) {
            return Err(Refusal::TooMany(u32::try_from(left.as_secs() + 1).unwrap_or(u32::MAX)));
        }
        let counts: Vec<_> = self.counts(source).collect();
        for (source, tries) in &counts {
            let record = self.record(*source, now);
            if record.tries.len() + record.open >= *tries {
                return Err(Refusal::TooMany(PENDING_RETRY_AFTER));
            }
        }
        for (source, _) in [Some((source, WRONG_TRIES)), link(source)].into_iter().flatten() {
            self.record(source, now).open += 1;
        }
        Ok(())
    }

    /// A charged try is no longer being checked.
    fn settle(&mut self, source: Source) {
        for (source, _) in [Some((source, WRONG_TRIES)), link(source)].into_iter().flatten() {
            if let Some(record) = self.sources.get_mut(&source) {
                record.open = record.open.saturating_sub(1);
            }
        }
    }

    /// The counts that apply to a source, with the limit of each: its own, and its link's if it
    /// never signed in.
    fn counts(&self, source: Source) -> impl Iterator<Item = (Source, usize)> {
        let stranger = !self.known.contains_key(&source);
        [Some((source, WRONG_TRIES)), link(source).filter(|_| stranger)].into_iter().flatten()
    }

    /// What is known about a source, as of now.
    fn record(&mut self, source: Source, now: Instant) -> &mut TryHistory {
        self.make_room(source, now);
        let record = self.sources.entry(source).or_insert_with(|| TryHistory {
            tries: VecDeque::new(),
            open: 0,
            until: None,
            length: Duration::ZERO,
            last: now,
        });
        if now.duration_since(record.last) > FORGIVEN {
            record.length = Duration::ZERO;
        }
        record.last = now;
        while record.tries.front().is_some_and(|first| now.duration_since(*first) >= COUNTED_OVER) {
            record.tries.pop_front();
        }
        record
    }

    fn make_room(&mut self, source: Source, now: Instant) {
        if self.sources.len() < SOURCES || self.sources.contains_key(&source) {
            return;
        }
        let calmest = self
            .sources
            .iter()
            .min_by_key(|(_, record)| (record.until.is_some_and(|until| until > now), record.last))
            .map(|(source, _)| *source);
        if let Some(calmest) = calmest {
            self.sources.remove(&calmest);
        }
    }
}

impl TryHistory {
    /// Adds a wrong try to this source, which is allowed so many.
    fn failed(&mut self, (source, tries): (Source, usize), now: Instant) {
        self.tries.push_back(now);
        if self.tries.len() < tries {
            return;
        }
        self.tries.clear();
        self.length = (self.length * 2).clamp(PENALTY_FIRST, PENALTY_LONGEST);
        self.until = Some(now + self.length);
        let refused_for = readable(self.length);
        tracing::warn!(%source, refused_for, "too many wrong credentials from this source: refused for a while");
    }
}

/// A neighbour's link, which is counted beside it.
fn link(source: Source) -> Option<(Source, usize)> {
    let Source::Neighbour(address) = source else { return None };
    Some((Source::V6(network(address)), OF_LINK))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const NOISY: Source = Source::V4(Ipv4Addr::new(192, 0, 2, 1));
    const CALM: Source = Source::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn fail(penalties: &mut Penalties, times: usize) {
        for _ in 0..times {
            penalties.failed(NOISY, Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_twentieth_wrong_credential_in_a_minute_brings_a_penalty_for_its_source_alone() {
        let mut penalties = Penalties::default();
        fail(&mut penalties, 19);
        assert_eq!(penalties.left(NOISY, Instant::now()), None);
        fail(&mut penalties, 1);
        assert_eq!(penalties.left(NOISY, Instant::now()), Some(PENALTY_FIRST));
        assert_eq!(penalties.left(CALM, Instant::now()), None);
        tokio::time::advance(PENALTY_FIRST).await;
        assert_eq!(penalties.left(NOISY, Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_is_charged_before_it_is_looked_at_and_refunded_when_right() {
        let (penalties, told) = (Mutex::default(), ("alice", ClientAddress::Local));
        let take = || Charge::take(&penalties, NOISY, told);
        let open: Vec<_> = (0..WRONG_TRIES).map(|_| take().unwrap()).collect();
        assert_eq!(
            take().unwrap_err(),
            Refusal::TooMany(PENDING_RETRY_AFTER),
            "no more than could be wrong"
        );
        assert!(Charge::take(&penalties, CALM, told).is_ok());
        open.into_iter().for_each(Charge::refund);
        let mut open: Vec<_> = (0..WRONG_TRIES).map(|_| take().unwrap()).collect();
        open.pop().unwrap().refund();
        drop(open);
        assert_eq!(penalties.lock().unwrap().left(NOISY, Instant::now()), None);
        drop(take().unwrap());
        assert_eq!(take().unwrap_err(), Refusal::TooMany(61), "whoever hangs up has tried");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_mistakes_are_no_attack() {
        let mut penalties = Penalties::default();
        for _ in 0..100 {
            penalties.failed(NOISY, Instant::now());
            assert_eq!(penalties.left(NOISY, Instant::now()), None);
            tokio::time::advance(Duration::from_secs(4)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn penalties_grow_to_ten_minutes_and_are_forgiven_after_an_hour() {
        let mut penalties = Penalties::default();
        let mut lengths = Vec::new();
        for _ in 0..6 {
            fail(&mut penalties, WRONG_TRIES);
            let left = penalties.left(NOISY, Instant::now()).unwrap();
            lengths.push(left.as_secs());
            tokio::time::advance(left).await;
        }
        assert_eq!(lengths, [60, 120, 240, 480, 600, 600]);
        tokio::time::advance(FORGIVEN + Duration::from_secs(1)).await;
        fail(&mut penalties, WRONG_TRIES);
        assert_eq!(penalties.left(NOISY, Instant::now()), Some(PENALTY_FIRST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_sources_neither_fills_memory_nor_frees_a_punished_one() {
        let mut penalties = Penalties::default();
        fail(&mut penalties, WRONG_TRIES);
        tokio::time::advance(Duration::from_millis(1)).await;
        for n in 0..10_000_u32 {
            penalties.failed(Source::V4(Ipv4Addr::from(0x0a00_0000 + n)), Instant::now());
        }
        assert_eq!(penalties.sources.len(), SOURCES);
        assert!(penalties.left(NOISY, Instant::now()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn on_our_own_link_a_neighbour_locks_out_itself_and_many_lock_out_who_never_signed_in() {
        let neighbour = |n: u16| Source::Neighbour(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n));
        let mut penalties = Penalties::default();
        let left = |penalties: &Penalties, n| penalties.left(neighbour(n), Instant::now());
        penalties.signed_in(neighbour(1), Instant::now());
        for _ in 0..WRONG_TRIES {
            penalties.failed(neighbour(2), Instant::now());
        }
        assert_eq!(left(&penalties, 2), Some(PENALTY_FIRST));
        assert_eq!((left(&penalties, 1), left(&penalties, 3)), (None, None));
        for n in 100..280 {
            penalties.failed(neighbour(n), Instant::now());
        }
        assert_eq!(
            (left(&penalties, 1), left(&penalties, 3)),
            (None, Some(PENALTY_FIRST)),
            "200 in all"
        );
        assert_eq!(penalties.left(CALM, Instant::now()), None);
        assert_eq!(penalties.charge(neighbour(1), Instant::now()), Ok(()));
        assert!(penalties.charge(neighbour(3), Instant::now()).is_err());
        penalties.signed_in(neighbour(3), Instant::now());
        assert_eq!(left(&penalties, 3), None);
    }

    #[tokio::test(start_paused = true)]
    async fn neighbours_who_signed_in_are_remembered_in_bounds() {
        let mut penalties = Penalties::default();
        for n in 0..=u16::try_from(NEIGHBOURS_MAX).unwrap() {
            let source = Source::Neighbour(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n));
            penalties.signed_in(source, Instant::now());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(penalties.known.len(), NEIGHBOURS_MAX);
        assert!(
            !penalties
                .known
                .contains_key(&Source::Neighbour(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)))
        );
    }
}
