//! What is counted. Nothing on the path of a byte looks anything up: whoever counts holds its
//! endpoint's [`EndpointMetrics`].

mod format;
mod page;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    },
};

// 32-bit MIPS has no 64-bit atomics of its own.
use portable_atomic::AtomicU64;

pub(crate) use self::{
    format::ExpositionFormat,
    page::{Observed, ProcessUsage, render},
};
use crate::settings::ErrorCounts;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub(crate) fn inc(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicU64>);

impl Gauge {
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Adds one until the guard is dropped.
    #[must_use = "the gauge falls again when this is dropped"]
    pub(crate) fn hold(&self) -> GaugeUnit {
        self.0.fetch_add(1, Relaxed);
        GaugeUnit(Arc::clone(&self.0))
    }
}

/// One unit of a gauge, given back when dropped.
#[derive(Debug)]
pub(crate) struct GaugeUnit(Arc<AtomicU64>);

impl Drop for GaugeUnit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The gateway's counters and gauges.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// When the daemon started, in seconds since 1970.
    pub started: Gauge,
    /// Connections accepted.
    pub connections: Counter,
    /// Connections open now.
    pub connections_open: Gauge,
    /// Reloads that took effect.
    pub reloads: Counter,
    /// Reloads whose file was invalid.
    pub reloads_failed: Counter,
    /// Events that were to be recorded and could not be.
    pub audit_lost: Counter,
    /// Lines of the record that the newest checkpoint has.
    pub audit_signed: Gauge,
    /// Lines of the newest checkpoint that the witness has.
    pub audit_witnessed: Gauge,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    endings: Mutex<BTreeMap<&'static str, u64>>,
    /// Whether a key switch is off.
    switch_off: AtomicBool,
    endpoints: Mutex<BTreeMap<String, Arc<EndpointMetrics>>>,
}

/// What is counted for one endpoint.
#[derive(Debug, Default)]
pub(crate) struct EndpointMetrics {
    /// Sessions begun.
    pub sessions: Counter,
    /// Sessions running now.
    pub sessions_open: Gauge,
    /// Bytes given to clients.
    pub to_client: Counter,
    /// Bytes given to the target.
    pub to_target: Counter,
    /// Bytes taken from a client or the target that could not be delivered.
    pub undelivered: Counter,
    /// Bytes of ours that came back and were taken out.
    pub echo_removed: Counter,
    /// Bytes of ours that were to come back and did not.
    pub echo_missing: Counter,
    /// Telnet of RFC 2217 clients that made no sense.
    pub telnet_broken: Counter,
    /// Commands of RFC 2217 clients that nobody knows.
    pub telnet_unknown: Counter,
    /// Heartbeats of a device that connects to us, dropped.
    pub heartbeats: Counter,
    /// Bytes that were to be recorded and could not be.
    pub record_lost: Counter,
    /// Bytes waiting for the target.
    pub queue: Gauge,
    errors: [Counter; 6],
    /// A `TargetState` plus one, or 0 while nothing is known.
    state: AtomicU8,
}

/// The state of a target, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetState {
    /// Nobody needs it.
    Closed,
    /// Being opened.
    Opening,
    /// Open, or reached at the last attempt.
    Up,
    /// Not there.
    Down,
}

const STATES: [(TargetState, &str); 4] = [
    (TargetState::Closed, "closed"),
    (TargetState::Opening, "opening"),
    (TargetState::Up, "up"),
    (TargetState::Down, "down"),
];
const ERROR_KINDS: [&str; 6] =
    ["break", "parity", "framing", "overrun", "buffer_overrun", "telnet"];

impl EndpointMetrics {
    /// Counts errors of the line: those that are new since the last call.
    pub(crate) fn line_errors(&self, new: ErrorCounts) {
        let new = [new.brk, new.parity, new.framing, new.overrun, new.buffer_overrun, new.telnet];
        for (counter, count) in self.errors.iter().zip(new) {
            counter.add(u64::from(count));
        }
    }

    /// Sets the state of the target.
    pub(crate) fn target(&self, state: TargetState) {
        self.state.store(state as u8 + 1, Relaxed);
    }
}

impl Metrics {
    /// The counters of one endpoint; made when first asked for.
    pub(crate) fn endpoint(&self, name: &str) -> Arc<EndpointMetrics> {
        let mut endpoints = lock(&self.endpoints);
        if let Some(known) = endpoints.get(name) {
            return Arc::clone(known);
        }
        Arc::clone(endpoints.entry(name.to_owned()).or_default())
    }

    /// Drops the endpoints that `keep` does not want.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        lock(&self.endpoints).retain(|name, _| keep(name));
    }

    /// Notes where the key switch stands; `None` without one.
    pub(crate) fn switch(&self, on: Option<bool>) {
        self.switch_off.store(on == Some(false), Relaxed);
    }

    /// Counts a refusal, by `Refusal::label`.
    pub(crate) fn refused(&self, label: &'static str) {
        *lock(&self.refusals).entry(label).or_default() += 1;
    }

    /// Counts the end of a session, by `Ended::label`.
    pub(crate) fn ended(&self, label: &'static str) {
        *lock(&self.endings).entry(label).or_default() += 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_falls_when_its_guard_is_dropped() {
        let gauge = Gauge::default();
        let guards = (gauge.hold(), gauge.hold());
        drop(guards.0);
        assert_eq!(gauge.get(), 1);
    }
}
