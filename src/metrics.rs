//! What is counted, and its OpenMetrics text.
//!
//! Source of the format: OpenMetrics 1.0 (now <https://prometheus.io/docs/specs/om/open_metrics_spec/>). Nothing on the
//! path of a byte looks anything up: whoever counts holds its endpoint's [`EndpointMetrics`].

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

// 32-bit MIPS has no 64-bit atomics of its own.
use portable_atomic::AtomicU64;

use crate::settings::ErrorCounts;

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// What it shows.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// One more until the guard is dropped.
    #[must_use = "the gauge falls again when this is dropped"]
    pub fn hold(&self) -> Held {
        self.0.fetch_add(1, Relaxed);
        Held(Arc::clone(&self.0))
    }
}

/// One unit of a gauge, given back when dropped.
#[derive(Debug)]
pub struct Held(Arc<AtomicU64>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The gateway's counters and gauges.
#[derive(Debug, Default)]
pub struct Metrics {
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
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    endings: Mutex<BTreeMap<&'static str, u64>>,
    endpoints: Mutex<BTreeMap<String, Arc<EndpointMetrics>>>,
}

/// What is counted for one endpoint.
#[derive(Debug, Default)]
pub struct EndpointMetrics {
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
    /// Bytes waiting for the target.
    pub queue: Gauge,
    errors: [Counter; 6],
    /// A `TargetState` and one, or 0 while nothing is known.
    state: AtomicU8,
}

/// How a target is, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
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
const ERROR_KINDS: [&str; 6] = ["break", "parity", "framing", "overrun", "buffer_overrun", "telnet"];

impl EndpointMetrics {
    /// Counts errors of the line: what came on top of the last call.
    pub fn line_errors(&self, new: ErrorCounts) {
        let new = [new.brk, new.parity, new.framing, new.overrun, new.buffer_overrun, new.telnet];
        for (counter, count) in self.errors.iter().zip(new) {
            counter.add(u64::from(count));
        }
    }

    /// Says how the target is.
    pub fn target(&self, state: TargetState) {
        self.state.store(state as u8 + 1, Relaxed);
    }
}

impl Metrics {
    /// The counters of one endpoint; made when first asked for.
    pub fn endpoint(&self, name: &str) -> Arc<EndpointMetrics> {
        let mut endpoints = lock(&self.endpoints);
        if let Some(known) = endpoints.get(name) {
            return Arc::clone(known);
        }
        Arc::clone(endpoints.entry(name.to_owned()).or_default())
    }

    /// Shows no endpoint any more that `keep` does not want.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        lock(&self.endpoints).retain(|name, _| keep(name));
    }

    /// Counts a refusal, by `Refusal::label`.
    pub fn refused(&self, label: &'static str) {
        *lock(&self.refusals).entry(label).or_default() += 1;
    }

    /// Counts the end of a session, by `Ended::label`.
    pub fn ended(&self, label: &'static str) {
        *lock(&self.endings).entry(label).or_default() += 1;
    }

    /// Everything as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut page = Page::default();
        self.gateway(&mut page);
        let endpoints = lock(&self.endpoints).clone();
        of_endpoints(&mut page, &endpoints);
        page.0.push_str("# EOF\n");
        page.0
    }

    fn gateway(&self, page: &mut Page) {
        page.family("wsbridge_build", "info", "The program.");
        page.sample("_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.family("process_start_time_seconds", "gauge", "Start of the daemon, in seconds since 1970.");
        page.sample("", &[], self.started.get());
        page.family("wsbridge_connections", "counter", "Connections accepted.");
        page.sample("_total", &[], self.connections.get());
        page.family("wsbridge_connections_open", "gauge", "Connections open now.");
        page.sample("", &[], self.connections_open.get());
        page.family("wsbridge_reloads", "counter", "Configuration files read again, by result.");
        page.sample("_total", &[("result", "applied")], self.reloads.get());
        page.sample("_total", &[("result", "invalid")], self.reloads_failed.get());
        page.family("wsbridge_refusals", "counter", "Requests refused, by reason.");
        page.by_reason(&lock(&self.refusals));
        page.family("wsbridge_session_endings", "counter", "Sessions ended, by reason.");
        page.by_reason(&lock(&self.endings));
    }
}

type Endpoints = BTreeMap<String, Arc<EndpointMetrics>>;

fn of_endpoints(page: &mut Page, all: &Endpoints) {
    page.family("wsbridge_sessions", "counter", "Sessions begun.");
    page.each(all, "_total", |endpoint| endpoint.sessions.get());
    page.family("wsbridge_sessions_open", "gauge", "Sessions running now.");
    page.each(all, "", |endpoint| endpoint.sessions_open.get());
    page.family("wsbridge_bytes", "counter", "Bytes moved, by direction.");
    for (name, endpoint) in all {
        for (direction, counter) in [("to_client", &endpoint.to_client), ("to_target", &endpoint.to_target)] {
            page.sample("_total", &[("endpoint", name), ("direction", direction)], counter.get());
        }
    }
    page.family("wsbridge_undelivered_bytes", "counter", "Bytes taken that could not be delivered.");
    page.each(all, "_total", |endpoint| endpoint.undelivered.get());
    page.family("wsbridge_queue_bytes", "gauge", "Bytes waiting for the target.");
    page.each(all, "", |endpoint| endpoint.queue.get());
    page.family("wsbridge_line_errors", "counter", "Errors on the serial line, by kind.");
    for (name, endpoint) in all {
        for (kind, counter) in ERROR_KINDS.iter().zip(&endpoint.errors) {
            page.sample("_total", &[("endpoint", name), ("kind", kind)], counter.get());
        }
    }
    page.family("wsbridge_target_state", "stateset", "How the target is; nothing before the first attempt.");
    for (name, endpoint) in all {
        let now = endpoint.state.load(Relaxed);
        for (state, word) in STATES.iter().filter(|_| now > 0) {
            let here = u64::from(*state as u8 + 1 == now);
            page.sample("", &[("endpoint", name), ("wsbridge_target_state", word)], here);
        }
    }
}

/// The text under construction, and the family its samples belong to.
#[derive(Default)]
struct Page(String, &'static str);

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.1 = name;
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: u64) {
        let _ = write!(self.0, "{}{suffix}", self.1);
        for (index, (key, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.0, "{open}{key}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn by_reason(&mut self, counts: &BTreeMap<&'static str, u64>) {
        for (reason, count) in counts {
            self.sample("_total", &[("reason", reason)], *count);
        }
    }

    fn each(&mut self, all: &Endpoints, suffix: &str, value: impl Fn(&EndpointMetrics) -> u64) {
        for (name, endpoint) in all {
            self.sample(suffix, &[("endpoint", name)], value(endpoint));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{io::Write, process};

    use super::*;

    fn used() -> Metrics {
        let metrics = Metrics::default();
        metrics.refused("origin");
        metrics.ended("target_ended");
        metrics.endpoint("quiet");
        let endpoint = metrics.endpoint("odd \"name\"\\\n");
        endpoint.to_target.add(u64::MAX);
        endpoint.target(TargetState::Down);
        endpoint.line_errors(ErrorCounts { parity: 2, ..ErrorCounts::default() });
        endpoint.line_errors(ErrorCounts { parity: 1, ..ErrorCounts::default() });
        metrics
    }

    #[test]
    fn a_gauge_falls_when_its_guard_is_dropped() {
        let metrics = Metrics::default();
        let endpoint = metrics.endpoint("plc1");
        let guards = (endpoint.sessions_open.hold(), endpoint.sessions_open.hold());
        drop(guards.0);
        assert!(metrics.render().contains("wsbridge_sessions_open{endpoint=\"plc1\"} 1\n"));
    }

    #[test]
    fn counts_add_up_and_labels_are_escaped() {
        let text = used().render();
        let name = r#"endpoint="odd \"name\"\\\n""#;
        assert!(
            text.contains(&format!("wsbridge_line_errors_total{{{name},kind=\"parity\"}} 3\n")),
            "{text}"
        );
        assert!(
            text.contains(&format!("wsbridge_target_state{{{name},wsbridge_target_state=\"down\"}} 1\n"))
        );
        assert!(!text.contains("wsbridge_target_state{endpoint=\"quiet\""));
        assert!(text.contains("wsbridge_refusals_total{reason=\"origin\"} 1\n"));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_removed_endpoint_is_shown_no_more() {
        let metrics = used();
        metrics.retain(|name| name == "quiet");
        assert!(!metrics.render().contains("odd"));
        assert!(metrics.render().contains("quiet"));
    }

    /// The reference parser; skipped where Python or its package is missing.
    #[test]
    fn the_reference_parser_takes_the_page() {
        let parse = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as f\n\
                     print(len(list(f(sys.stdin.read()))))";
        let probe = "import prometheus_client.openmetrics.parser";
        let python = |code: &str| {
            let mut python = process::Command::new("python3");
            python.args(["-c", code]).stdin(process::Stdio::piped()).stderr(process::Stdio::piped());
            python
        };
        if !python(probe).status().is_ok_and(|status| status.success()) {
            return;
        }
        let mut child = python(parse).stdout(process::Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(used().render().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "14");
    }
}
