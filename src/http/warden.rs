//! Watches over all running sessions: which may go on, and what they have moved.
//!
//! One task for all of them: with a timer in each, the processor would be woken as often as there
//! are sessions.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch::Receiver},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    Bridge, disk, lapse,
    scope::{NEEDED, is_fresh, within},
};
use crate::{
    auth::{Moment, PrincipalKind, unix_now},
    clock::ClockSteps,
    config::{Config, KeySwitch, Share},
    event::{Event, LendingEvent},
    session::{Restraint, RunningSession, Standing},
    wire::close::Ended,
};

/// How often we check whether each session may go on, besides on every reload, and add its bytes to
/// the metrics.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// The same while there are sessions on endpoints with `reauth`: a lease that was given back is not
/// taken again for long.
const REAUTH_INTERVAL: Duration = Duration::from_secs(1);

/// By how much a look comes later than the end of a sign-in.
const MOMENT: Duration = Duration::from_millis(20);

/// Watches the sessions until the gateway stops.
pub(super) async fn watch(
    bridge: Weak<Bridge>,
    mut config: Receiver<Arc<Config>>,
    (ending, stop): (Arc<Notify>, CancellationToken),
) {
    let (mut next, mut last, mut steps) = (Duration::ZERO, Moment::now(), ClockSteps::new());
    let watched = bridge.upgrade();
    let watched = watched.map(|it| (it.auth.grants.changes(), it.lines.recording()));
    let Some((mut lending, mut recording)) = watched else {
        return;
    };
    loop {
        let mut set = false;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = config.changed() => if changed.is_err() {
                return;
            },
            () = ending.notified() => {}
            // The sender lives as long as the bridge.
            _ = lending.changed() => {}
            _ = recording.changed() => {}
            () = steps.next() => set = true,
            () = sleep(next) => {}
        }
        let Some(bridge) = bridge.upgrade() else { return };
        let now = Moment::now();
        if set {
            bridge
                .events
                .tell(Event::Lending(LendingEvent::ClockSet { seconds: now.step_since(last) }));
        }
        last = now;
        disk::sweep(&bridge);
        look(&bridge);
        next = next_look(&bridge);
    }
}

/// When to look again: soon, or when the certificate or sign-in of a session expires, if that is
/// sooner.
fn next_look(bridge: &Bridge) -> Duration {
    let mut sessions = bridge.sessions.list();
    sessions.extend(bridge.parking.list());
    let config = bridge.config();
    let ends = sessions
        .iter()
        .filter_map(|entry| entry.certificate.as_ref().map(|certificate| certificate.until));
    let lent = sessions.iter().filter_map(|entry| lapse::warn(bridge, entry));
    let lent_for = lent.min().unwrap_or(SWEEP_INTERVAL);
    // It is valid throughout its last second.
    let valid = ends
        .map(|until| until.saturating_add(1).saturating_sub(unix_now()))
        .filter(|left| *left > 0)
        .min();
    let valid = valid.and_then(|left| u64::try_from(left).ok()).map(Duration::from_secs);
    let logins = sessions.iter().filter_map(|entry| entry.login);
    let of_logins = logins.filter_map(|login| bridge.auth.login_left(&config, login)).min();
    // A moment later, it is over.
    let of_logins = of_logins.map(|left| left + MOMENT);
    let asked = |name: &str| config.endpoints.get(name).is_some_and(|it| it.reauth.is_some());
    let soon = sessions.iter().any(|entry| asked(&entry.endpoint)).then_some(REAUTH_INTERVAL);
    let next = valid.into_iter().chain(of_logins).chain(soon).min();
    next.map_or(SWEEP_INTERVAL, |left| SWEEP_INTERVAL.min(left)).min(lent_for)
}

/// Looks at all sessions once.
pub(super) fn look(bridge: &Bridge) {
    for entry in bridge.sessions.list().iter().chain(&bridge.parking.list()) {
        let held = bridge.lines.refuses(&entry.endpoint);
        restrain(bridge, entry, (Restraint::Recording, held));
    }
    for entry in bridge.sessions.list() {
        if let Some(ended) = revoked(bridge, &entry) {
            entry.end(ended);
        } else {
            lock(bridge, &entry);
            ask_again(bridge, &bridge.config(), &entry);
            tally(bridge, &entry);
        }
    }
    for entry in bridge.parking.list() {
        lock(bridge, &entry);
        // One that has lost a right alone goes on with what is left, when its client is back.
        let ended = revoked(bridge, &entry).filter(|ended| *ended != Ended::Withdrawn);
        if let Some(ended) = ended {
            bridge.parking.disconnect(entry.number, &ended);
        }
    }
}

/// Where an endpoint has `reauth`: a session may write again once its user has signed in again, and
/// only read once that is too long ago, unless it holds the lease.
fn ask_again(bridge: &Bridge, config: &Config, entry: &RunningSession) {
    let Some(endpoint) = config.endpoints.get(&entry.endpoint) else { return };
    let asked = entry.restraints().reauth();
    if endpoint.reauth.is_none() && !asked {
        return;
    }
    let now = bridge.auth.find_with(config, &entry.principal, entry.login);
    let auth_time = now.and_then(|now| now.auth_time).max(entry.auth_time);
    let fresh = is_fresh(endpoint, entry.principal.kind, auth_time);
    let shared = endpoint.share == Some(Share::Everyone);
    let keeps = || match entry.standing() {
        Standing::Own => true,
        Standing::Seat(seat) => !shared && bridge.lines.writes(&entry.endpoint, seat),
        Standing::Arriving | Standing::Idle | Standing::Silent => false,
    };
    if fresh == asked && (fresh || !keeps()) {
        entry.restrain(Restraint::Reauth, !fresh);
    }
}

/// Why a session may not go on: its principal, right, app or endpoint is gone, or the gateway
/// stops.
pub(super) fn revoked(bridge: &Bridge, entry: &RunningSession) -> Option<Ended> {
    // Whoever stops the daemon ends the sessions it knows of; one that has just begun may not be
    // among them.
    if bridge.stop.is_cancelled() {
        return Some(Ended::Stopping);
    }
    let config = bridge.config();
    let lent = entry.principal.kind == PrincipalKind::Grant;
    let gone = if lent { Ended::LentOver } else { Ended::NotAuthenticated };
    let over = || bridge.auth.grants.is_over(&entry.principal, &entry.endpoint, Moment::now());
    let Some(now) = bridge.auth.find_with(&config, &entry.principal, entry.login) else {
        return Some(gone);
    };
    if !bridge.auth.goes_on(&config, entry.login, entry.certificate.as_deref()) {
        return Some(gone);
    }
    // The bus has no name, and shows each principal what it may see.
    let name = &entry.endpoint;
    if name.is_empty() {
        return None;
    }
    match config.endpoints.contains_key(name) {
        false => Some(Ended::Removed),
        // A session that began with a right that is gone has to begin again with what is left.
        true if !within(&config, (entry.app.as_deref(), entry.framed), now.rights)
            .on(name)
            .allows(entry.began.with(NEEDED)) =>
        {
            Some(if lent || over() { Ended::LentOver } else { Ended::Withdrawn })
        }
        true => None,
    }
}

/// Holds a session read-only while the key switch is off, if its client is elsewhere.
pub(super) fn lock(bridge: &Bridge, entry: &RunningSession) {
    let is_off = bridge.switch.borrow().as_ref().is_some_and(|position| !position.on);
    let config = bridge.config();
    let by_link = entry.principal.kind == PrincipalKind::Link;
    let remote = |rules: &KeySwitch| match entry.client.ip() {
        // Its address is one of the hub's side.
        _ if by_link => true,
        Some(address) => rules.is_remote(address),
        None => entry.relayed,
    };
    let held = is_off && config.switch.as_ref().is_some_and(remote);
    restrain(bridge, entry, (Restraint::Switch, held));
}

/// Holds a session read-only, running or parked, or lets it go. Returns whether that is a change.
pub(super) fn restrain(
    bridge: &Bridge,
    entry: &RunningSession,
    (by, held): (Restraint, bool),
) -> bool {
    let changed = entry.restrain(by, held);
    if changed {
        bridge.parking.restrain();
    }
    changed
}

/// Adds to the metrics what a session has moved since last time. Bytes from the client count as use
/// of its sign-in.
pub(super) fn tally(bridge: &Bridge, entry: &RunningSession) {
    let (to_client, to_target) = entry.news();
    let counted = bridge.metrics.endpoint(&entry.endpoint);
    counted.to_client.add(to_client);
    counted.to_target.add(to_target);
    if let Some(login) = entry.login.filter(|_| to_target > 0) {
        bridge.auth.touch(login);
    }
}
