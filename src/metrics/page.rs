//! The counters as text, in the two formats that scrapers read.
//!
//! Sources: OpenMetrics 1.0 (now <https://prometheus.io/docs/specs/om/open_metrics_spec/>), and
//! Prometheus' text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//! They differ in the names of counter families, in the types they know, and in the last line.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{ERROR_KINDS, EndpointMetrics, ExpositionFormat, Metrics, STATES, lock};

/// What is not counted but looked up for the page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// What the daemon itself uses; nothing where the system does not tell.
    pub process: Option<ProcessUsage>,
    /// The last second of the certificate of each listener with TLS, since 1970.
    pub certificates: BTreeMap<String, i64>,
    /// The last second of the authority that issued the gateway's own certificate.
    pub authority: Option<i64>,
    /// Whether the hub that this gateway calls has it; `None`: it calls none.
    pub home: Option<bool>,
    /// Of a hub: how many gateways are connected, and how many are away.
    pub gateways: Option<[u64; 2]>,
}

/// What a process uses of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessUsage {
    /// Time on processors.
    pub cpu: Duration,
    /// Memory in use, in bytes.
    pub resident: u64,
    /// Address space, in bytes.
    pub virtual_memory: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// The most descriptors it may have; `None` without a limit.
    pub max_files: Option<u64>,
}

/// The whole page in that format.
pub(crate) fn render(metrics: &Metrics, format: ExpositionFormat, observed: &Observed) -> String {
    let mut page = Exposition { text: String::new(), family: "", format };
    of_process(&mut page, metrics, observed.process);
    of_gateway(&mut page, metrics);
    page.family(
        "wsbridge_certificate_expiry_timestamp_seconds",
        Type::Gauge,
        "When a listener's certificate expires, in seconds since 1970.",
    );
    for (listener, until) in &observed.certificates {
        page.sample("", &[("listener", listener)], until);
    }
    page.family(
        "wsbridge_authority_expiry_timestamp_seconds",
        Type::Gauge,
        "Last second of the authority of the gateway's own certificate, since 1970.",
    );
    if let Some(until) = observed.authority {
        page.sample("", &[], until);
    }
    of_fleet(&mut page, observed);
    let endpoints = lock(&metrics.endpoints).clone();
    of_endpoints(&mut page, &endpoints);
    page.end()
}

fn of_fleet(page: &mut Exposition, observed: &Observed) {
    page.family(
        "wsbridge_hub_connected",
        Type::Gauge,
        "1 while the hub that this gateway calls has it, otherwise 0.",
    );
    if let Some(connected) = observed.home {
        page.sample("", &[], u8::from(connected));
    }
    page.family("wsbridge_gateways", Type::Gauge, "Gateways of this hub.");
    if let Some([connected, away]) = observed.gateways {
        page.sample("", &[("state", "connected")], connected);
        page.sample("", &[("state", "away")], away);
    }
}

/// The names are those that Prometheus' client libraries use.
fn of_process(page: &mut Exposition, metrics: &Metrics, process: Option<ProcessUsage>) {
    page.family(
        "process_start_time_seconds",
        Type::Gauge,
        "Start of the daemon, in seconds since 1970.",
    );
    page.sample("", &[], metrics.started.get());
    let Some(process) = process else { return };
    page.family("process_cpu_seconds", Type::Counter, "Time on processors, in seconds.");
    page.sample("_total", &[], process.cpu.as_secs_f64());
    let gauges = [
        ("process_resident_memory_bytes", "Memory in use.", Some(process.resident)),
        ("process_virtual_memory_bytes", "Address space.", Some(process.virtual_memory)),
        ("process_threads", "Threads.", Some(process.threads)),
        ("process_open_fds", "Open file descriptors.", Some(process.open_files)),
        ("process_max_fds", "File descriptors it may open.", process.max_files),
    ];
    for (name, help, value) in gauges {
        let Some(value) = value else { continue };
        page.family(name, Type::Gauge, help);
        page.sample("", &[], value);
    }
}

fn of_gateway(page: &mut Exposition, metrics: &Metrics) {
    page.family("wsbridge_build", Type::Info, "The program.");
    page.sample("_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("wsbridge_connections", Type::Counter, "Connections accepted.");
    page.sample("_total", &[], metrics.connections.get());
    page.family("wsbridge_connections_open", Type::Gauge, "Connections open now.");
    page.sample("", &[], metrics.connections_open.get());
    page.family("wsbridge_switch_on", Type::Gauge, "Whether no key switch is off.");
    page.sample("", &[], u8::from(!metrics.switch_off.load(Relaxed)));
    page.family("wsbridge_reloads", Type::Counter, "Configuration files read again, by result.");
    page.sample("_total", &[("result", "applied")], metrics.reloads.get());
    page.sample("_total", &[("result", "invalid")], metrics.reloads_failed.get());
    let what = "Events that were to be recorded and could not be.";
    page.family("wsbridge_audit_lost_events", Type::Counter, what);
    page.sample("_total", &[], metrics.audit_lost.get());
    let what = "Lines of the record that its newest checkpoint has.";
    page.family("wsbridge_audit_signed_lines", Type::Gauge, what);
    page.sample("", &[], metrics.audit_signed.get());
    let what = "Lines of the record in the newest checkpoint that its witness has.";
    page.family("wsbridge_audit_witnessed_lines", Type::Gauge, what);
    page.sample("", &[], metrics.audit_witnessed.get());
    page.family("wsbridge_refusals", Type::Counter, "Requests refused, by reason.");
    page.by_reason(&lock(&metrics.refusals));
    page.family("wsbridge_session_endings", Type::Counter, "Sessions ended, by reason.");
    page.by_reason(&lock(&metrics.endings));
}

type EndpointRows = BTreeMap<String, Arc<EndpointMetrics>>;

fn of_endpoints(page: &mut Exposition, all: &EndpointRows) {
    page.family("wsbridge_sessions", Type::Counter, "Sessions begun.");
    page.each(all, "_total", |endpoint| endpoint.sessions.get());
    page.family("wsbridge_sessions_open", Type::Gauge, "Sessions running now.");
    page.each(all, "", |endpoint| endpoint.sessions_open.get());
    page.family("wsbridge_bytes", Type::Counter, "Bytes moved, by direction.");
    for (name, endpoint) in all {
        for (direction, counter) in
            [("to_client", &endpoint.to_client), ("to_target", &endpoint.to_target)]
        {
            page.sample("_total", &[("endpoint", name), ("direction", direction)], counter.get());
        }
    }
    page.family(
        "wsbridge_undelivered_bytes",
        Type::Counter,
        "Bytes taken that could not be delivered.",
    );
    page.each(all, "_total", |endpoint| endpoint.undelivered.get());
    let what = "Bytes that were to be recorded and could not be.";
    page.family("wsbridge_record_lost_bytes", Type::Counter, what);
    page.each(all, "_total", |endpoint| endpoint.record_lost.get());
    page.family(
        "wsbridge_echo_bytes",
        Type::Counter,
        "Bytes of ours that a bus lets us hear again, by what became of them.",
    );
    for (name, endpoint) in all {
        let counts = [("removed", &endpoint.echo_removed), ("missing", &endpoint.echo_missing)];
        page.two((name, "result"), counts);
    }
    page.family(
        "wsbridge_telnet_ignored",
        Type::Counter,
        "Telnet of clients at RFC 2217 doors that was ignored, by why.",
    );
    for (name, endpoint) in all {
        let counts = [("broken", &endpoint.telnet_broken), ("unknown", &endpoint.telnet_unknown)];
        page.two((name, "kind"), counts);
    }
    page.family(
        "wsbridge_heartbeats_ignored",
        Type::Counter,
        "Heartbeats of a device that connects to us, dropped.",
    );
    page.each(all, "_total", |endpoint| endpoint.heartbeats.get());
    page.family("wsbridge_queue_bytes", Type::Gauge, "Bytes waiting for the target.");
    page.each(all, "", |endpoint| endpoint.queue.get());
    page.family("wsbridge_line_errors", Type::Counter, "Errors on the serial line, by kind.");
    for (name, endpoint) in all {
        for (kind, counter) in ERROR_KINDS.iter().zip(&endpoint.errors) {
            page.sample("_total", &[("endpoint", name), ("kind", kind)], counter.get());
        }
    }
    page.family(
        "wsbridge_target_state",
        Type::StateSet,
        "State of the target; absent before the first attempt.",
    );
    for (name, endpoint) in all {
        let now = endpoint.state.load(Relaxed);
        for (state, word) in STATES.iter().filter(|_| now > 0) {
            let here = u64::from(*state as u8 + 1 == now);
            page.sample("", &[("endpoint", name), ("wsbridge_target_state", word)], here);
        }
    }
}

/// What a family's samples are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Counter,
    Gauge,
    Info,
    StateSet,
}

/// The text under construction, and the family that its samples belong to.
struct Exposition {
    text: String,
    family: &'static str,
    format: ExpositionFormat,
}

impl Exposition {
    fn family(&mut self, name: &'static str, kind: Type, help: &str) {
        self.family = name;
        // In the older format a family is named like its samples, and a state or a version is a
        // gauge.
        let (suffix, word) = match (self.format, kind) {
            (ExpositionFormat::OpenMetrics, Type::Counter) => ("", "counter"),
            (ExpositionFormat::OpenMetrics, Type::Info) => ("", "info"),
            (ExpositionFormat::OpenMetrics, Type::StateSet) => ("", "stateset"),
            (ExpositionFormat::Text, Type::Counter) => ("_total", "counter"),
            (ExpositionFormat::Text, Type::Info) => ("_info", "gauge"),
            (_, Type::Gauge) | (ExpositionFormat::Text, Type::StateSet) => ("", "gauge"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# TYPE {name}{suffix} {word}\n# HELP {name}{suffix} {help}");
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (index, (key, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{open}{key}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    fn by_reason(&mut self, counts: &BTreeMap<&'static str, u64>) {
        for (reason, count) in counts {
            self.sample("_total", &[("reason", reason)], *count);
        }
    }

    fn each(&mut self, all: &EndpointRows, suffix: &str, value: impl Fn(&EndpointMetrics) -> u64) {
        for (name, endpoint) in all {
            self.sample(suffix, &[("endpoint", name)], value(endpoint));
        }
    }

    /// Counts of an endpoint that a label tells apart.
    fn two(&mut self, (endpoint, label): (&str, &str), counts: [(&str, &super::Counter); 2]) {
        for (value, counter) in counts {
            let labels = [("endpoint", endpoint), (label, value)];
            self.sample("_total", &labels, counter.get());
        }
    }

    fn end(mut self) -> String {
        if self.format == ExpositionFormat::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, process};

    use super::*;
    use crate::{metrics::TargetState, settings::ErrorCounts};

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

    fn observed() -> Observed {
        let process = ProcessUsage {
            cpu: Duration::from_millis(1250),
            max_files: Some(1024),
            ..ProcessUsage::default()
        };
        let certificates = [("[::]:8443".to_owned(), 1_900_000_000)].into();
        Observed {
            process: Some(process),
            certificates,
            authority: Some(2_000_000_000),
            home: Some(false),
            gateways: Some([118, 2]),
        }
    }

    fn page(format: ExpositionFormat) -> String {
        render(&used(), format, &observed())
    }

    #[test]
    fn counts_add_up_and_labels_are_escaped() {
        let text = page(ExpositionFormat::OpenMetrics);
        let name = r#"endpoint="odd \"name\"\\\n""#;
        assert!(
            text.contains(&format!("wsbridge_line_errors_total{{{name},kind=\"parity\"}} 3\n")),
            "{text}"
        );
        assert!(text.contains(&format!(
            "wsbridge_target_state{{{name},wsbridge_target_state=\"down\"}} 1\n"
        )));
        assert!(!text.contains("wsbridge_target_state{endpoint=\"quiet\""));
        assert!(text.contains("wsbridge_refusals_total{reason=\"origin\"} 1\n"));
        assert!(text.contains("process_cpu_seconds_total 1.25\n"));
        assert!(text.contains(
            "wsbridge_certificate_expiry_timestamp_seconds{listener=\"[::]:8443\"} 1900000000\n"
        ));
        assert!(text.contains("wsbridge_authority_expiry_timestamp_seconds 2000000000\n"));
        assert!(text.contains("wsbridge_hub_connected 0\n"));
        assert!(text.contains("wsbridge_gateways{state=\"away\"} 2\n"));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_removed_endpoint_is_shown_no_more() {
        let metrics = used();
        metrics.retain(|name| name == "quiet");
        let text = render(&metrics, ExpositionFormat::OpenMetrics, &Observed::default());
        assert!(!text.contains("odd") && text.contains("quiet"));
        assert!(!text.contains("process_open_fds"), "what the system does not tell is no number");
    }

    #[test]
    fn both_formats_have_the_same_samples() {
        let samples = |format| -> Vec<String> {
            let text = page(format);
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        assert_eq!(samples(ExpositionFormat::Text), samples(ExpositionFormat::OpenMetrics));
        let text = page(ExpositionFormat::Text);
        assert!(text.contains("# TYPE wsbridge_sessions_total counter\n"), "{text}");
        assert!(text.contains("# TYPE wsbridge_build_info gauge\n"));
        assert!(!text.contains("stateset") && !text.contains("EOF"));
    }

    #[test]
    fn a_scraper_gets_the_format_it_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let older = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.7,\
                     text/plain;version=0.0.4;q=0.3";
        for (accept, format) in [
            (None, ExpositionFormat::OpenMetrics),
            (Some("*/*"), ExpositionFormat::OpenMetrics),
            (Some(prometheus), ExpositionFormat::OpenMetrics),
            (Some(older), ExpositionFormat::Text),
            (Some("text/plain; version=0.0.4"), ExpositionFormat::Text),
            (Some("text/plain;version=0.0.4;q=1,*/*;q=0.1"), ExpositionFormat::Text),
            (Some("text/plain, */*"), ExpositionFormat::OpenMetrics),
            (Some("Text/Plain;Q=0.9, application/openmetrics-text;q=0.85"), ExpositionFormat::Text),
            (Some("application/openmetrics-text;q=0, */*"), ExpositionFormat::OpenMetrics),
            (Some("application/openmetrics-text;q=0, text/*;q=0.1"), ExpositionFormat::Text),
        ] {
            assert_eq!(ExpositionFormat::accepted(accept), format, "{accept:?}");
        }
    }

    /// The reference parsers; skipped where Python or its package is missing.
    #[test]
    fn the_reference_parsers_take_the_page() {
        for (format, module, families) in [
            (ExpositionFormat::OpenMetrics, "prometheus_client.openmetrics.parser", "32"),
            (ExpositionFormat::Text, "prometheus_client.parser", "32"),
        ] {
            let parse = format!(
                "import sys\nfrom {module} import text_string_to_metric_families as f\n\
                 print(len(list(f(sys.stdin.read()))))"
            );
            let python = |code: &str| {
                let mut python = process::Command::new("python3");
                python
                    .args(["-c", code])
                    .stdin(process::Stdio::piped())
                    .stderr(process::Stdio::piped());
                python
            };
            if !python(&format!("import {module}")).status().is_ok_and(|status| status.success()) {
                return;
            }
            let mut child = python(&parse).stdout(process::Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(page(format).as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), families, "{module}");
        }
    }
}
