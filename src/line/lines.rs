//! The gateway's lines, by endpoint name.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::timeout};
use tokio_util::task::TaskTracker;

use super::{Life, Line, NoSeat, Seat, Shared, State, input::Task, keeper};
use crate::{
    config::{Config, Endpoint, Target},
    metrics::Metrics,
    target::OpenError,
};

/// How long a new client waits for a device that is just being opened.
const OPENING: Duration = Duration::from_secs(5);

/// How long the successor of a line waits until the old one has let go of the device.
const HANDOVER: Duration = Duration::from_secs(6);

/// The lines of a gateway. A line runs as a task of the tracker, from the configuration that names it until that is
/// gone and its last seat is left.
#[derive(Debug)]
pub struct Lines {
    entries: Mutex<BTreeMap<String, Entry>>,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    line: Line,
    endpoint: watch::Sender<Arc<Endpoint>>,
    /// Closed when the keeper has ended and the device is free.
    done: watch::Receiver<()>,
}

impl Lines {
    /// No lines yet; they will run on `tasks`.
    pub fn new(tasks: TaskTracker, metrics: Arc<Metrics>) -> Self {
        Self { entries: Mutex::default(), tasks, metrics, next: AtomicUsize::new(1) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the lines of a configuration, retunes changed ones, lets go of removed ones. Never fails: a device that
    /// is not there is tried again until it is.
    pub fn apply(&self, config: &Config) {
        let mut lines = self.lock();
        let mut old = std::mem::take(&mut *lines);
        for (name, endpoint) in config.endpoints.iter().filter(|(_, endpoint)| endpoint.share.is_some()) {
            let entry = match old.remove(name) {
                Some(entry) if same_device(&entry.endpoint.borrow(), endpoint) => {
                    retune(&entry, endpoint);
                    entry
                }
                Some(entry) => self.start(endpoint, Some(entry.done)),
                None => self.start(endpoint, None),
            };
            lines.insert(name.clone(), entry);
        }
    }

    fn start(&self, endpoint: &Arc<Endpoint>, before: Option<watch::Receiver<()>>) -> Entry {
        let shared =
            Arc::new(Shared::new(&endpoint.name, endpoint.history, self.metrics.endpoint(&endpoint.name)));
        let (end, life) = watch::channel(());
        let (endpoint, current) = watch::channel(Arc::clone(endpoint));
        let (ending, done) = watch::channel(());
        let kept = Arc::clone(&shared);
        self.tasks.spawn(async move {
            let _ending = ending;
            if let Some(mut before) = before {
                // The old keeper's end closes this channel; a stuck device may not stop its successor for ever.
                timeout(HANDOVER, before.changed()).await.ok();
            }
            keeper::keep(kept, life, current).await;
        });
        Entry { line: Line { shared, life: Arc::new(Life { _end: end }) }, endpoint, done }
    }

    /// A line's state; `None` for an endpoint without a line.
    pub fn state(&self, endpoint: &str) -> Option<State> {
        Some(self.lock().get(endpoint)?.line.shared.state.borrow().clone())
    }

    /// Who holds a line.
    pub fn holder(&self, endpoint: &str) -> Option<String> {
        let line = self.lock().get(endpoint)?.line.clone();
        let holder = line.shared.holder.lock().unwrap_or_else(PoisonError::into_inner);
        holder.as_ref().map(|(_, principal)| principal.clone())
    }

    /// Bytes waiting for the device, in the queue and with the driver.
    pub fn depth(&self, endpoint: &str) -> usize {
        let line = self.lock().get(endpoint).map(|entry| entry.line.clone());
        line.map_or(0, |line| line.shared.input.depth() + line.shared.unsent())
    }

    /// Adds what a line's driver has counted since the last call to its metrics.
    pub async fn count_errors(&self, endpoint: &str) {
        let line = self.lock().get(endpoint).map(|entry| entry.line.clone());
        if let Some(line) = line
            && let Some(port) = line.shared.port()
            && let Ok(now) = port.errors().await
        {
            line.shared.count_errors(now);
        }
    }

    /// A seat for `principal`, who holds the line then; waits for a device that is being opened.
    pub async fn join(&self, endpoint: &str, principal: &str) -> Result<Seat, NoSeat> {
        let line = self.lock().get(endpoint).ok_or(NoSeat::Unknown)?.line.clone();
        let id = self.next.fetch_add(1, Ordering::Relaxed) as u64;
        line.shared.hold(id, principal).map_err(NoSeat::Busy)?;
        let mut states = line.shared.state.subscribe();
        let seat = Seat::new(Arc::clone(&line.shared), line.life, id);
        let settled = states.wait_for(|state| matches!(state, State::Up | State::Down(_)));
        match timeout(OPENING, settled).await {
            Ok(Ok(state)) => match &*state {
                State::Down(why) => Err(NoSeat::Down(why.clone())),
                State::Up | State::Opening | State::Closed => Ok(seat),
            },
            Ok(Err(_)) => Err(NoSeat::Unknown),
            Err(_) => Err(NoSeat::Down(OpenError::Timeout(format!(
                "still being opened after {} s",
                OPENING.as_secs()
            )))),
        }
    }
}

/// Whether two endpoints name the same device in the same way, so that a running line can serve both.
fn same_device(old: &Endpoint, new: &Endpoint) -> bool {
    let same = match (&old.target, &new.target) {
        (Target::Serial(old), Target::Serial(new)) => {
            let tuned = crate::config::SerialTarget {
                settings: new.settings,
                on_open: new.on_open,
                on_release: new.on_release,
                ..old.clone()
            };
            tuned == *new
        }
        (old, new) => old == new,
    };
    same && old.history == new.history && old.open == new.open && old.share == new.share
}

fn retune(entry: &Entry, new: &Arc<Endpoint>) {
    let old = entry.endpoint.send_replace(Arc::clone(new));
    if let (Target::Serial(old), Target::Serial(new)) = (&old.target, &new.target)
        && old.settings != new.settings
    {
        entry.line.shared.input.push_task(None, Task::Retune(new.settings));
    }
}
