//! What happens at the gateway, told once; the log, the counters and the record read it here.

mod fleet;
mod lending;
mod named;
mod record;
mod second_factor;

use std::{
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use self::record::Frequent;
pub(crate) use self::{
    fleet::FleetEvent,
    lending::{GrantDeed, LendingEvent},
    second_factor::{FactorDeed, SecondFactorEvent},
};
use crate::{
    audit::Audit,
    auth::{ClientAddress, PrincipalId, unix_now},
    config::Config,
    metrics::Metrics,
    record::RecordNews,
    settings::{Settings, Step},
    span::readable,
    wire::close::{Ended, Refusal},
};

/// Something worth a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// A browser signed in.
    SignIn { principal: &'a PrincipalId, client: ClientAddress },
    /// A browser signed out.
    SignOut { principal: &'a PrincipalId, client: ClientAddress },
    /// Somebody let a page of another origin in.
    LetIn {
        principal: &'a PrincipalId,
        origin: &'a str,
        /// What it may use.
        endpoints: &'a [String],
        client: ClientAddress,
    },
    /// A request, or a connection that never became one, was refused.
    Refusal {
        client: ClientAddress,
        /// Method and path; empty where none was read.
        request: &'a str,
        refusal: &'a Refusal,
    },
    /// A session began.
    Open(SessionInfo<'a>),
    /// A session ended.
    Close {
        session: SessionInfo<'a>,
        traffic: Traffic,
        ended: &'a Ended,
        /// How long it ran.
        lasted: Duration,
    },
    /// An administrator ended a session.
    Kick { by: &'a PrincipalId, session: SessionInfo<'a>, reason: Option<&'a str> },
    /// A moderator holds a session read-only, or lets it go.
    Hold { by: &'a PrincipalId, session: SessionInfo<'a>, held: bool },
    /// Somebody sent a message to everybody on an endpoint.
    Say {
        by: &'a PrincipalId,
        client: ClientAddress,
        endpoint: &'a str,
        text: &'a str,
        /// How many sessions can show it.
        told: usize,
    },
    /// A line's lease changed hands.
    Lease {
        endpoint: &'a str,
        /// Who writes now.
        holder: Option<&'a PrincipalId>,
        /// Why, in a word of `wsbridge.v1`.
        reason: &'static str,
    },
    /// Somebody changed a port's settings.
    Settings { endpoint: &'a str, by: &'a PrincipalId, settings: Settings },
    /// Somebody moves DTR, RTS or break.
    Signals {
        endpoint: &'a str,
        by: &'a PrincipalId,
        steps: &'a [Step],
        /// The macro that has them.
        name: Option<&'a str>,
    },
    /// The key switch was turned, or could not be read.
    Switch {
        on: bool,
        /// What was read.
        why: &'a str,
    },
    /// A line lost its writer: what was done about it.
    DeadMan {
        endpoint: &'a str,
        /// Whom it lost.
        who: &'a PrincipalId,
        /// Why, in a word.
        why: &'static str,
        /// How many steps were done, and of how many.
        steps: (usize, usize),
        /// Why not all were.
        undone: Option<&'a str>,
    },
    /// Access was lent or asked for, or the clock that ends it was set.
    Lending(LendingEvent<'a>),
    /// A second factor was set up, taken away or asked for.
    SecondFactor(SecondFactorEvent<'a>),
    /// Something happened to a gateway of this hub's fleet.
    Fleet { gateway: &'a str, event: FleetEvent<'a> },
    /// A file of a recording began, or nothing can be recorded.
    Record { endpoint: &'a str, news: RecordNews<'a> },
    /// The witness of the record takes no checkpoints, and why; or does again.
    Witness { news: Result<(), &'a str> },
    /// A configuration was read again.
    Reload {
        /// What changed, or what is wrong with it.
        outcome: Result<&'a str, &'a str>,
        /// What is in force now.
        config: &'a Config,
    },
}

/// A session, as events name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionInfo<'a> {
    /// Its number, as administrators see it.
    pub number: u64,
    /// The endpoint; empty on the bus.
    pub endpoint: &'a str,
    pub principal: &'a PrincipalId,
    pub client: ClientAddress,
}

/// The bytes of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Given to the client.
    pub to_client: u64,
    /// Taken from the client.
    pub to_target: u64,
    /// Taken from the target and not delivered.
    pub lost_to_client: u64,
    /// Taken from the client and not delivered.
    pub lost_to_target: u64,
}

/// Where events are told, and read.
#[derive(Debug)]
pub(crate) struct Events {
    metrics: Arc<Metrics>,
    /// When a refusal was last logged for everybody to see, in seconds.
    refused: AtomicU32,
    /// The record, where one is kept.
    audit: RwLock<Option<Audit>>,
    frequent: Frequent,
}

impl Events {
    /// Events are counted in `metrics`.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            refused: AtomicU32::new(0),
            audit: RwLock::default(),
            frequent: Frequent::default(),
        }
    }

    /// The counters.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// From now on events are recorded there, or nowhere. The record before is finished first.
    pub(crate) fn record(&self, audit: Option<Audit>) {
        let mut place = self.audit.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, audit);
        if let Some(audit) = &*place {
            audit.placed();
        }
        drop(place);
        if let Some(before) = before {
            before.stop();
        }
    }

    /// Has the record signed with a new key; returns that. `None` where no record is kept. Waits for
    /// the disk.
    ///
    /// # Errors
    /// The disk is full, or fails.
    pub(crate) fn rotate_key(
        &self,
        by: &PrincipalId,
        client: ClientAddress,
    ) -> io::Result<Option<String>> {
        let audit = self.audit.read().unwrap_or_else(PoisonError::into_inner);
        let Some(audit) = &*audit else { return Ok(None) };
        let key = audit.rotate(record::rotation(by, client))?;
        tracing::warn!(by = by.name, key, "the record has a new key");
        Ok(Some(key))
    }

    /// Tells every reader.
    pub(crate) fn tell(&self, event: Event<'_>) {
        if let Some(audit) = &*self.audit.read().unwrap_or_else(PoisonError::into_inner)
            && let Some(entry) = record::entry(&event, &self.frequent)
        {
            audit.tell(entry);
        }
        self.count(event);
        self.log(event);
    }

    fn count(&self, event: Event<'_>) {
        match event {
            Event::Refusal { refusal, .. } => self.metrics.refused(refusal.label()),
            Event::Close { ended, .. } => self.metrics.ended(ended.label()),
            Event::Reload { outcome: Ok(_), .. } => self.metrics.reloads.inc(),
            Event::Reload { outcome: Err(_), .. } => self.metrics.reloads_failed.inc(),
            Event::SignIn { .. }
            | Event::SignOut { .. }
            | Event::LetIn { .. }
            | Event::Open(_)
            | Event::Kick { .. }
            | Event::Hold { .. }
            | Event::Say { .. }
            | Event::DeadMan { .. }
            | Event::Lending(_)
            | Event::SecondFactor(_)
            | Event::Fleet { .. }
            | Event::Switch { .. }
            | Event::Settings { .. }
            | Event::Signals { .. }
            | Event::Witness { .. }
            | Event::Lease { .. }
            | Event::Record { .. } => {}
        }
    }

    fn log(&self, event: Event<'_>) {
        match event {
            Event::SignIn { principal, client } => {
                tracing::info!(principal = principal.name, peer = %client, "signed in");
            }
            Event::SignOut { principal, client } => {
                tracing::info!(principal = principal.name, peer = %client, "signed out");
            }
            Event::LetIn { principal, origin, endpoints, client } => {
                let endpoints = endpoints.join(" ");
                tracing::info!(principal = principal.name, peer = %client, origin, endpoints, "page let in");
            }
            Event::Refusal { client, request, refusal } => {
                self.log_refusal(client, request, refusal);
            }
            Event::Open(SessionInfo { endpoint, principal, client, .. }) => {
                tracing::info!(endpoint, principal = principal.name, peer = %client, "session opened");
            }
            Event::Close { session, traffic, ended, lasted } => {
                log_close(session, traffic, ended, lasted);
            }
            Event::Kick { by, session, reason } => {
                let SessionInfo { endpoint, principal, client, .. } = session;
                let (by, principal) = (by.name.as_str(), principal.name.as_str());
                tracing::info!(endpoint, principal, peer = %client, by, reason, "session ended by an administrator");
            }
            Event::Hold { by, session: SessionInfo { endpoint, principal, client, .. }, held } => {
                let (by, principal) = (by.name.as_str(), principal.name.as_str());
                let what = if held { "session held read-only" } else { "session let go" };
                tracing::info!(endpoint, principal, peer = %client, by, "{what}");
            }
            Event::Say { by, endpoint, text, told, .. } => {
                tracing::info!(endpoint, by = by.name, told, text, "message to a line");
            }
            Event::Lease { endpoint, holder, reason } => {
                let principal = holder.map(|holder| holder.name.as_str());
                tracing::debug!(endpoint, principal, reason, "lease");
            }
            Event::Settings { endpoint, by, settings } => {
                tracing::info!(endpoint, principal = by.name, %settings, "settings changed");
            }
            Event::Signals { endpoint, by, steps, name } => {
                let (steps, principal) = (record::moved(steps), by.name.as_str());
                tracing::debug!(endpoint, principal, "macro" = name, steps, "signals");
            }
            Event::Switch { on, why } => log_switch(on, why),
            Event::DeadMan { endpoint, who, why, steps: (done, of), undone } => {
                let principal = who.name.as_str();
                if undone.is_some() {
                    tracing::warn!(endpoint, principal, why, done, of, undone, "writer lost");
                } else {
                    tracing::info!(endpoint, principal, why, done, of, "writer lost");
                }
            }
            Event::Lending(event) => lending::log(event),
            Event::SecondFactor(event) => second_factor::log(event),
            Event::Fleet { gateway, event } => fleet::log(gateway, event),
            Event::Record { endpoint, news } => log_record(endpoint, news),
            Event::Witness { news } => log_witness(news),
            Event::Reload { outcome: Ok(what), .. } => tracing::info!("reloaded: {what}"),
            Event::Reload { outcome: Err(why), .. } => {
                tracing::error!("not reloaded, everything stays as it was: {why}");
            }
        }
    }

    /// Logs at most one a second, since strangers can cause these.
    fn log_refusal(&self, client: ClientAddress, request: &str, refusal: &Refusal) {
        // The low bits of the clock are enough to tell one second from another.
        let now = u32::try_from(unix_now() & 0xffff_ffff).unwrap_or(0);
        let (status, reason) = (refusal.status(), refusal.label());
        // For these statuses the label says next to nothing.
        let why = matches!(status, 400 | 403).then(|| refusal.to_string());
        let why = why.as_deref();
        if self.refused.swap(now, Ordering::Relaxed) == now {
            tracing::debug!(peer = %client, request, status, reason, why, "refused");
        } else {
            tracing::info!(peer = %client, request, status, reason, why, "refused");
        }
    }
}

fn log_switch(on: bool, why: &str) {
    if on {
        tracing::info!(why, "key switch on");
    } else {
        tracing::warn!(why, "key switch off: clients from elsewhere may only read");
    }
}

fn log_witness(news: Result<(), &str>) {
    match news {
        Ok(()) => tracing::info!("the witness has every checkpoint again"),
        Err(why) => tracing::warn!("the witness takes no checkpoint; it is tried again: {why}"),
    }
}

fn log_record(endpoint: &str, news: RecordNews<'_>) {
    match news {
        RecordNews::Started(file) => tracing::info!(endpoint, file, "recording"),
        RecordNews::Rotated(file) => {
            tracing::debug!(endpoint, file, "recording goes on in another file");
        }
        RecordNews::Failed(error) => {
            tracing::error!(endpoint, "nothing can be recorded; it is tried again: {error}");
        }
    }
}

fn log_close(session: SessionInfo<'_>, traffic: Traffic, ended: &Ended, lasted: Duration) {
    let SessionInfo { endpoint, principal, client, .. } = session;
    let Traffic { to_client, to_target, lost_to_client, lost_to_target } = traffic;
    tracing::info!(
        endpoint,
        principal = principal.name,
        peer = %client,
        to_client,
        to_target,
        lost_to_client,
        lost_to_target,
        code = ended.code(),
        reason = %ended,
        lasted = readable(lasted),
        "session closed"
    );
}
