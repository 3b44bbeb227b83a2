//! Each endpoint's bytes per second, for a bus whose client watches them.

use std::{
    collections::BTreeMap,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::wire::control::Rate;

/// How often they are reported.
const RATES_INTERVAL: Duration = Duration::from_secs(1);

/// What was counted for an endpoint since the gateway began it: bytes from its device and to it,
/// and line errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Bytes from the device.
    pub rx: u64,
    /// Bytes to the device.
    pub tx: u64,
    /// Line errors: parity, framing, overrun.
    pub errors: u64,
}

/// What a watching client was told last.
#[derive(Debug)]
pub(super) struct Rates {
    ticks: Interval,
    counts: BTreeMap<String, Counts>,
    since: Instant,
    told: BTreeMap<String, Rate>,
}

impl Rates {
    /// Begins with these counts.
    pub(super) fn new(counts: BTreeMap<String, Counts>) -> Self {
        let since = Instant::now();
        let mut ticks = interval_at(since + RATES_INTERVAL, RATES_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, counts, since, told: BTreeMap::new() }
    }

    /// Ready when the next second is over.
    pub(super) fn poll_second(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.ticks.poll_tick(cx).map(drop)
    }

    /// All rates, if any differs from what was told; a new endpoint has none yet.
    pub(super) fn news(
        &mut self,
        counts: BTreeMap<String, Counts>,
    ) -> Option<BTreeMap<String, Rate>> {
        let now = Instant::now();
        let millis = u64::try_from((now - self.since).as_millis()).unwrap_or(u64::MAX).max(1);
        let per_second = |now: Counts, before: Counts| {
            // Rounded up: a single byte is not rest.
            let rate = |now: u64, before: u64| {
                now.saturating_sub(before).saturating_mul(1000).div_ceil(millis)
            };
            Rate { rx: rate(now.rx, before.rx), tx: rate(now.tx, before.tx), errors: now.errors }
        };
        let rates: BTreeMap<_, _> = counts
            .iter()
            .map(|(name, now)| {
                let before = self.counts.get(name).copied().unwrap_or(*now);
                (name.clone(), per_second(*now, before))
            })
            .collect();
        (self.counts, self.since) = (counts, now);
        let calm = rates
            .iter()
            .all(|(name, rate)| self.told.get(name).copied().unwrap_or_default() == *rate);
        if calm {
            return None;
        }
        self.told.clone_from(&rates);
        Some(rates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rx: u64, tx: u64) -> BTreeMap<String, Counts> {
        let calm = Counts { rx: 5, tx: 5, errors: 0 };
        [("calm".to_owned(), calm), ("modem".to_owned(), Counts { rx, tx, errors: 0 })].into()
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_told_when_one_changes() {
        let mut rates = Rates::new(counts(100, 0));
        let mut next = async |rx, tx| {
            tokio::time::advance(RATES_INTERVAL).await;
            rates
                .news(counts(rx, tx))
                .map(|rates| (rates["modem"].rx, rates["modem"].tx, rates.len()))
        };
        assert_eq!(next(100, 0).await, None);
        assert_eq!(next(1100, 7).await, Some((1000, 7, 2)));
        assert_eq!(next(2100, 14).await, None);
        assert_eq!(next(2100, 14).await, Some((0, 0, 2)));
        assert_eq!(next(2100, 14).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn errors_are_told_as_their_number_so_far() {
        let counts =
            |errors| BTreeMap::from([("far".to_owned(), Counts { errors, ..Counts::default() })]);
        let mut rates = Rates::new(counts(0));
        let mut next = |errors| rates.news(counts(errors)).map(|rates| rates["far"].errors);
        assert_eq!([next(0), next(2), next(2), next(3)], [None, Some(2), None, Some(3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_comes_or_begins_anew_has_no_rate_yet() {
        let mut rates = Rates::new(BTreeMap::new());
        tokio::time::advance(RATES_INTERVAL).await;
        assert_eq!(rates.news(counts(1 << 40, 0)), None);
        tokio::time::advance(RATES_INTERVAL).await;
        assert_eq!(rates.news(counts(3, 0)), None);
    }
}
