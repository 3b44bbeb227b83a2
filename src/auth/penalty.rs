//! Sources that keep sending wrong credentials: refused for a while without evaluation, longer each time.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::Source;

/// Wrong credentials within [`WINDOW`] that bring a penalty.
const TRIES: usize = 20;
/// The time they are counted over.
const WINDOW: Duration = Duration::from_secs(60);
/// The first penalty; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(60);
/// The longest penalty.
const LONGEST: Duration = Duration::from_secs(600);
/// Calm after which the next penalty is a first one again.
const FORGIVEN: Duration = Duration::from_secs(3600);
/// Sources remembered; when full, the one that was calm longest is forgotten, those under penalty last.
const SOURCES: usize = 4096;

/// Who sent wrong credentials, and when.
#[derive(Debug, Default)]
pub(super) struct Penalties {
    sources: HashMap<Source, Record>,
}

#[derive(Debug)]
struct Record {
    tries: VecDeque<Instant>,
    until: Option<Instant>,
    length: Duration,
    last: Instant,
}

impl Penalties {
    /// How long `source` is still refused, if it is.
    pub(super) fn left(&self, source: Source, now: Instant) -> Option<Duration> {
        let until = self.sources.get(&source)?.until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Notes wrong credentials; true when this one brought a penalty.
    pub(super) fn failed(&mut self, source: Source, now: Instant) -> bool {
        self.make_room(source, now);
        let record = self.sources.entry(source).or_insert_with(|| Record {
            tries: VecDeque::new(),
            until: None,
            length: Duration::ZERO,
            last: now,
        });
        if now.duration_since(record.last) > FORGIVEN {
            record.length = Duration::ZERO;
        }
        record.last = now;
        while record.tries.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            record.tries.pop_front();
        }
        record.tries.push_back(now);
        if record.tries.len() < TRIES {
            return false;
        }
        record.tries.clear();
        record.length = (record.length * 2).clamp(FIRST, LONGEST);
        record.until = Some(now + record.length);
        true
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
        assert_eq!(penalties.left(NOISY, Instant::now()), Some(FIRST));
        assert_eq!(penalties.left(CALM, Instant::now()), None);
        tokio::time::advance(FIRST).await;
        assert_eq!(penalties.left(NOISY, Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_mistakes_are_no_attack() {
        let mut penalties = Penalties::default();
        for _ in 0..100 {
            assert!(!penalties.failed(NOISY, Instant::now()));
            tokio::time::advance(Duration::from_secs(4)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn penalties_grow_to_ten_minutes_and_are_forgiven_after_an_hour() {
        let mut penalties = Penalties::default();
        let mut lengths = Vec::new();
        for _ in 0..6 {
            fail(&mut penalties, TRIES);
            let left = penalties.left(NOISY, Instant::now()).unwrap();
            lengths.push(left.as_secs());
            tokio::time::advance(left).await;
        }
        assert_eq!(lengths, [60, 120, 240, 480, 600, 600]);
        tokio::time::advance(FORGIVEN + Duration::from_secs(1)).await;
        fail(&mut penalties, TRIES);
        assert_eq!(penalties.left(NOISY, Instant::now()), Some(FIRST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_sources_neither_fills_memory_nor_frees_a_punished_one() {
        let mut penalties = Penalties::default();
        fail(&mut penalties, TRIES);
        tokio::time::advance(Duration::from_millis(1)).await;
        for n in 0..10_000_u32 {
            penalties.failed(Source::V4(Ipv4Addr::from(0x0a00_0000 + n)), Instant::now());
        }
        assert_eq!(penalties.sources.len(), SOURCES);
        assert!(penalties.left(NOISY, Instant::now()).is_some());
    }
}
