//! Owns everything: start, reload, shutdown, signals.

mod admin;
mod doors;
mod key_switch;
mod listeners;
mod record;
mod reload;
mod sims;

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use thiserror::Error;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{self, Interval, MissedTickBehavior},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{admin::Admin, doors::Doors, key_switch::Key, listeners::Listeners, sims::Sims};
use crate::{
    announce::{Announcer, Service, ServiceKind},
    auth::{Moment, own_name, unix_now},
    config::{Config, Plan},
    event::Events,
    home,
    http::Bridge,
    line::Lines,
    metrics::Metrics,
    span::readable,
    systemd,
    tls::{BUILT, WantedNames},
    wire::close::Ended,
};

pub(crate) use listeners::{ListenersError, ListeningOn};

/// How long a stopping daemon waits for its tasks: sessions take at most 6 s.
const STOP_WAIT: Duration = Duration::from_secs(7);

/// Reads the configuration again, for a reload; an error is one line for the log.
pub(crate) type Again = Box<dyn Fn() -> Result<Config, String> + Send>;

/// Why the daemon did not start.
#[derive(Debug, Error)]
pub(crate) enum Fatal {
    /// An address could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenersError),
    /// The system gave no signals or no inherited sockets.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// What is to be recorded cannot be.
    #[error("cannot record what happens in {}: {error}", folder.display())]
    Record {
        /// The record's folder.
        folder: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
}

/// Runs a gateway until SIGTERM or SIGINT. SIGHUP calls `again` and applies what it gives (`None`:
/// there is no file to read again). `ready` is told where the gateway listens. It fails only before
/// it is ready, and neither a missing device nor an unreachable host is a failure.
pub(crate) async fn run(
    config: Config,
    again: Option<Again>,
    ready: impl FnOnce(&Config, &[ListeningOn]),
) -> Result<(), Fatal> {
    let mut signals = SignalStreams::new()?;
    let mut daemon = Daemon::start(config, again.is_some()).await?;
    let status = daemon.status();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready: {status}");
    systemd::ready(&status);
    ready(&daemon.bridge.config.borrow(), &daemon.listeners.bound());
    loop {
        let event = tokio::select! {
            biased;
            event = signals.next() => event,
            () = daemon.listeners.may_have_come() => Wakeup::Listen,
            () = daemon.doors.may_have_come() => Wakeup::Listen,
        };
        match event {
            Wakeup::Stop => break,
            Wakeup::Reload => daemon.reload(again.as_ref()).await,
            Wakeup::Watchdog => systemd::watchdog(),
            Wakeup::Listen => daemon.listen_again(),
        }
    }
    daemon.stop(&mut signals).await;
    Ok(())
}

/// A running gateway.
struct Daemon {
    /// The configuration as written; the bridge's copy has the real targets of simulated devices.
    written: Arc<Config>,
    /// When it was read, for `doctor` and for whoever asks systemd.
    read: jiff::Timestamp,
    current: watch::Sender<Arc<Config>>,
    bridge: Arc<Bridge>,
    listeners: Listeners,
    doors: Doors,
    admin: Admin,
    key: Key,
    sims: Sims,
    announcer: Announcer,
    /// Runs every task of the gateway.
    tasks: TaskTracker,
    /// Held by the edge alone: listeners, connections, sessions.
    stop: CancellationToken,
}

impl Daemon {
    /// Starts everything. Whatever can fail comes before the listeners run: nobody is let in to a
    /// gateway that ends again. One that does not `last`, the demo, leaves the files of others alone.
    async fn start(written: Config, lasts: bool) -> Result<Self, Fatal> {
        let written = Arc::new(written);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let metrics = Arc::new(Metrics::default());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        metrics.started.set(now.as_secs());

        let mut sims = Sims::default();
        let plan = Plan::start(&written);
        let real = Arc::new(sims.apply(&plan, &written).await);
        let (current, config) = watch::channel(Arc::clone(&real));
        let events = Arc::new(Events::new(metrics));
        events.record(record::open(&written, &events)?);
        let lines = Arc::new(Lines::new(tasks.clone(), Arc::clone(&events)));
        let edge = (tasks.clone(), stop.clone());
        let bridge = Bridge::new(config, lines, Arc::default(), events, edge);
        if let Some(folder) = systemd::runtime_directory() {
            bridge.auth.keep_sign_ins(&folder, &real);
        }
        let lent = written.state_directory.join("grants.jsonl");
        if lasts && let Err(error) = bridge.auth.grants.open(&lent, Moment::now()) {
            let file = lent.display();
            tracing::error!(%file, "nothing is lent, and what was lent is over: {error}");
        }
        if let Err(error) = bridge.auth.second_factors.open(&written.state_directory, BUILT) {
            tracing::error!(
                "who has a second factor cannot be read, so no password opens anything: {error}"
            );
        }
        let inherited = systemd::Sockets::inherited()?;
        let mut admin = Admin::new(&inherited, &real)?;
        let mut listeners = Listeners::new(inherited);
        let fresh = listeners.bind(&plan, &real)?;
        let mut key = Key::default();
        key.apply(&real, &bridge).await;
        bridge.lines.apply(&plan, &real);
        listeners.run(fresh, &bridge);
        let mut doors = Doors::default();
        // A gateway serves its other clients, whatever has the address of a door.
        let fresh = doors.bind(&plan, &real, false)?;
        doors.run(fresh, &bridge);
        // Nor has a gateway's start to wait for whatever is at its admin socket's path.
        match admin.bind(&real) {
            Ok(bound) => admin.run(bound, &bridge),
            Err(error) => tracing::error!("no admin socket: {error}"),
        }
        open_hub(&bridge, &real);
        bridge.tasks.spawn(home::run(Arc::clone(&bridge)));
        let announcer = Announcer::new(bridge.auth.held_name());
        let mut daemon = Self {
            written,
            read: jiff::Timestamp::now(),
            current,
            bridge,
            listeners,
            doors,
            admin,
            key,
            sims,
            announcer,
            tasks,
            stop,
        };
        daemon.announce();
        daemon.remark();
        Ok(daemon)
    }

    /// Logs what our own certificates are for now, and what their authority cannot sign for.
    fn remark(&self) {
        let wanted = WantedNames::new(&own_name(), &self.written.hosts);
        let shown = &self.bridge.certificates;
        shown.want(&wanted);
        let Some(authority) = shown.authority() else { return };
        for remark in authority.remarks(&wanted, unix_now(), "wsbridge ca new --replace") {
            tracing::warn!("{remark}");
        }
    }

    /// Announces on the network what listens now. Apps are left out: people reach them through the
    /// console, which signs them in.
    fn announce(&mut self) {
        let bound = self.listeners.bound();
        let ours = bound.iter().filter(|bound| self.written.mdns && bound.app.is_none());
        let services = ours.filter_map(|bound| {
            let kind = ServiceKind::Gateway { tls: bound.tls };
            Some(Service { address: bound.address.parse().ok()?, kind })
        });
        let doors = self.written.endpoints.values().flat_map(|it| self.doors.announced(it));
        let doors = doors.filter(|_| self.written.mdns);
        self.announcer.announce(&own_name(), services.chain(doors).collect());
    }

    /// Binds the listeners that could not be bound at the start, if they can be now.
    fn listen_again(&mut self) {
        let config = Arc::clone(&self.bridge.config.borrow());
        if self.listeners.bind_absent(&config, &self.bridge) {
            self.announce();
            systemd::ready(&self.status());
        }
        self.doors.bind_again(&config, &self.bridge);
        self.announce();
    }

    /// One line for `systemctl status`.
    fn status(&self) -> String {
        let addresses: Vec<_> =
            self.listeners.bound().iter().map(|bound| bound.address.clone()).collect();
        let count = self.written.endpoints.len();
        let s = if count == 1 { "" } else { "s" };
        let read = self.read.strftime("%Y-%m-%dT%H:%M:%SZ");
        let on = if addresses.is_empty() { "no address".into() } else { addresses.join(", ") };
        let mut on = vec![format!("{count} endpoint{s} on {on}")];
        on.extend(
            self.listeners.absent().iter().map(|absent| format!("{absent} is not there yet")),
        );
        format!("{}; configuration read {read}", on.join("; "))
    }

    /// Closes every session with 1001, lets lines drain, and waits for both; a second signal ends
    /// the wait.
    async fn stop(self, signals: &mut SignalStreams) {
        systemd::stopping();
        let Self { tasks, bridge, listeners, doors, sims, announcer, stop, .. } = self;
        let events = Arc::clone(&bridge.events);
        let (sessions, lines) = (Arc::clone(&bridge.sessions), Arc::clone(&bridge.lines));
        tracing::info!(sessions = sessions.list().len(), "stopping");
        // From here on nobody new finds us.
        drop(announcer);
        // Listeners and new connections go first, then running ones; lines end when their last
        // holder is gone.
        stop.cancel();
        sessions.end(|_| Some(Ended::Stopping));
        bridge.lines.release();
        drop((bridge, listeners, doors));
        tasks.close();
        tokio::select! {
            biased;
            () = signals.stopped() => tracing::warn!(sessions = sessions.list().len(), "told twice to stop: stopping at once"),
            () = tasks.wait() => tracing::info!("stopped"),
            () = time::sleep(STOP_WAIT) => tracing::warn!(
                sessions = sessions.list().len(),
                tasks = tasks.len(),
                "stopped without waiting longer than {}",
                readable(STOP_WAIT),
            ),
        }
        lines.stop_recording();
        // What ended has been told.
        events.record(None);
        drop(sims);
    }
}

/// Makes this daemon a hub, if its configuration says so. It serves its own lines in any case.
fn open_hub(bridge: &Bridge, config: &Config) {
    if let Some(hub) = bridge.hub.get().filter(|hub| config.hub.as_ref() != Some(&hub.rules)) {
        tracing::warn!("{hub} stays that until the gateway is restarted, whatever `hub:` says now");
    }
    let Some(rules) = &config.hub else { return };
    match bridge.hub.open(&config.state_directory, rules, unix_now()) {
        Ok(()) => {
            if let Some(hub) = bridge.hub.get() {
                tracing::info!(fingerprint = %hub.pin(), "{hub}");
            }
        }
        Err(error) => tracing::error!("this is no hub: {error}"),
    }
}

/// What wakes the daemon.
enum Wakeup {
    Stop,
    Reload,
    Watchdog,
    /// An address that did not exist may have come.
    Listen,
}

struct SignalStreams {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    watchdog: Option<Interval>,
}

impl SignalStreams {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            watchdog: systemd::watchdog_interval().filter(|every| !every.is_zero()).map(ticks),
        })
    }

    /// The next event; cancel-safe.
    async fn next(&mut self) -> Wakeup {
        let watchdog = async {
            match &mut self.watchdog {
                Some(ticks) => ticks.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wakeup::Stop,
            _ = self.interrupt.recv() => Wakeup::Stop,
            _ = self.hangup.recv() => Wakeup::Reload,
            _ = watchdog => Wakeup::Watchdog,
        }
    }

    /// SIGTERM or SIGINT.
    async fn stopped(&mut self) {
        while !matches!(self.next().await, Wakeup::Stop) {
            systemd::watchdog();
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
