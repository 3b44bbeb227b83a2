//! What is recorded of a session, whatever carries it: counts, and the lines of the log.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::time::Instant;

use super::{Bridge, warden::tally};
use crate::{
    auth::Principal,
    event::{Event, SessionInfo, Traffic},
    metrics::{EndpointMetrics, GaugeUnit},
    session::{RunningSession, SessionReport},
};

/// The record of one session. It begins once, and ends with what the session has to report.
#[derive(Debug)]
pub(crate) struct Account {
    bridge: Arc<Bridge>,
    endpoint: String,
    principal: Principal,
    entry: Arc<RunningSession>,
    counted: Arc<EndpointMetrics>,
    open: Option<(GaugeUnit, Instant)>,
}

impl Account {
    /// Of a session that has not begun; the bus has no endpoint's name.
    pub(crate) fn new(
        bridge: Arc<Bridge>,
        endpoint: &str,
        principal: Principal,
        entry: Arc<RunningSession>,
    ) -> Self {
        let counted = bridge.metrics.endpoint(endpoint);
        Self { bridge, endpoint: endpoint.to_owned(), principal, entry, counted, open: None }
    }

    /// The session begins, if it has not yet.
    pub(crate) fn begin(&mut self) {
        if self.open.is_none() {
            self.counted.sessions.inc();
            self.open = Some((self.counted.sessions_open.hold(), Instant::now()));
            self.bridge.events.tell(Event::Open(self.info()));
        }
    }

    /// The session ends; `own`: on a connection of its own. What a seat leaves in its queue is
    /// counted by the line.
    pub(crate) fn end(mut self, report: &SessionReport, own: bool) {
        tally(&self.bridge, &self.entry);
        let Some((open, began)) = self.open.take() else { return };
        drop(open);
        let lost_up = if own { report.lost_up } else { 0 };
        self.counted.undelivered.add(lost_up + report.lost_down);
        let traffic = Traffic {
            to_client: self.entry.to_client.load(Relaxed),
            to_target: self.entry.to_target.load(Relaxed),
            lost_to_client: report.lost_down,
            lost_to_target: report.lost_up,
        };
        let (ended, lasted) = (&report.ended, began.elapsed());
        let session = self.info();
        self.bridge.events.tell(Event::Close { session, traffic, ended, lasted });
    }

    fn info(&self) -> SessionInfo<'_> {
        SessionInfo {
            number: self.entry.number,
            endpoint: &self.endpoint,
            principal: &self.principal.id,
            client: self.entry.client,
        }
    }
}
