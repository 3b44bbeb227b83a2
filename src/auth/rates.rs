//! How often one client may ask: the cost of answers is bounded, whoever they are for.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Source;

/// Requests that a client may make in one burst.
const BURST: u32 = 1000;
/// The time that earns it one more.
const EACH: Duration = Duration::from_millis(5);
/// Clients remembered. If there are more, those that have not asked for a while are forgotten; if
/// that is not enough, all are.
const CLIENTS: usize = 4096;

/// When each client will have its whole burst again.
#[derive(Debug, Default)]
pub(crate) struct RequestRates {
    full_at: Mutex<HashMap<Source, Instant>>,
}

impl RequestRates {
    /// Counts a request; false if there were too many.
    pub(crate) fn take(&self, source: Source, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= CLIENTS && !full_at.contains_key(&source) {
            full_at.retain(|_, full_at| *full_at > now);
            if full_at.len() >= CLIENTS {
                full_at.clear();
            }
        }
        let used = full_at.entry(source).or_insert(now);
        let next = (*used).max(now) + EACH;
        let allowed = next <= now + EACH * BURST;
        if allowed {
            *used = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn source(n: u32) -> Source {
        Source::V4(Ipv4Addr::from(n))
    }

    #[test]
    fn a_client_has_a_burst_and_a_rate_and_takes_nothing_from_others() {
        let (rates, now) = (RequestRates::default(), Instant::now());
        let count =
            |n: u32, now: Instant| (0..5000).take_while(|_| rates.take(source(n), now)).count();
        assert_eq!(count(1, now), 1000);
        assert_eq!(count(2, now), 1000);
        assert_eq!(count(1, now + Duration::from_secs(1)), 200);
        assert_eq!(count(1, now + Duration::from_secs(60)), 1000);
    }

    #[test]
    fn many_clients_do_not_fill_memory() {
        let (rates, now) = (RequestRates::default(), Instant::now());
        for n in 0..20_000 {
            assert!(rates.take(source(n), now));
        }
        assert!(rates.full_at.lock().unwrap().len() <= CLIENTS);
    }
}
