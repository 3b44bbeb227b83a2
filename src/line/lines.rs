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

use super::{
    Board, LineHold, LineState, ListedLine, Log, NoLease, NoSeat, Participant, Seat, SeatRequest,
    Shared, WriteIntent, held, keeper,
    output::SeatId,
    seat::ghosts::{exorcise, replaceable},
    task::{Action, Task},
};
use crate::{
    config::{Config, Endpoint, EndpointAction, Plan, Rights, Share},
    event::{Event, Events},
    record::{RecordNews, Recorders, Tap},
};

/// How long a line's successor waits for the old one to let go of the device.
const DEVICE_HANDOVER: Duration = Duration::from_secs(6);

/// A seat that was just taken.
#[derive(Debug)]
pub(crate) struct NewSeat {
    /// The seat.
    pub seat: Seat,
    /// Offset of the first byte it will hear.
    pub at: u64,
    /// Offset where replay ends.
    pub live: u64,
}

/// The lines of a gateway. A line runs as a task on the tracker, from the configuration that names
/// it until no configuration does and its last seat is left.
#[derive(Debug)]
pub(crate) struct Lines {
    named: Mutex<BTreeMap<String, RunningLine>>,
    /// Counts the configurations applied.
    applied: watch::Sender<u64>,
    tasks: TaskTracker,
    events: Arc<Events>,
    next: AtomicUsize,
    recorders: Recorders,
    /// Changes when something happens to a recording.
    recording: watch::Receiver<()>,
}

#[derive(Debug)]
struct RunningLine {
    line: ListedLine,
    endpoint: watch::Sender<Arc<Endpoint>>,
    /// Closed when the keeper has ended and the device is free.
    done: watch::Receiver<()>,
}

impl Lines {
    /// No lines yet; they will run on `tasks`.
    pub(crate) fn new(tasks: TaskTracker, events: Arc<Events>) -> Self {
        let (applied, next) = (watch::Sender::new(0), AtomicUsize::new(1));
        let (told, (changed, recording)) = (Arc::clone(&events), watch::channel(()));
        let teller = move |endpoint: &str, news: RecordNews<'_>| {
            changed.send_replace(());
            told.tell(Event::Record { endpoint, news });
        };
        let recorders = Recorders::new(Arc::clone(events.metrics()), Arc::new(teller));
        Self { named: Mutex::default(), applied, tasks, events, next, recorders, recording }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, RunningLine>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the lines that a plan adds or reopens, retunes changed ones, and lets go of removed
    /// ones. Never fails: a device that is not there is tried again until it is.
    pub(crate) fn apply(&self, plan: &Plan, config: &Config) {
        self.recorders.apply(config);
        let mut lines = self.lock();
        for (name, action) in &plan.endpoints {
            let wanted = config.endpoints.get(name).filter(|endpoint| endpoint.share.is_some());
            let before = match action {
                EndpointAction::Keep => continue,
                EndpointAction::Retune => {
                    if let (Some(entry), Some(endpoint)) = (lines.get(name), wanted) {
                        retune(entry, endpoint);
                    }
                    continue;
                }
                EndpointAction::Add | EndpointAction::Reopen(_) | EndpointAction::Remove => {
                    lines.remove(name).map(|entry| entry.done)
                }
            };
            if let Some(endpoint) = wanted {
                lines.insert(name.clone(), self.start(endpoint, before));
            }
        }
        drop(lines);
        self.applied.send_modify(|count| *count += 1);
    }

    /// Lets go of all of them: each ends when its last seat is left.
    pub(crate) fn release(&self) {
        self.lock().clear();
        self.applied.send_modify(|count| *count += 1);
    }

    /// Where an endpoint is listened to.
    pub(crate) fn tap(&self, endpoint: &Endpoint) -> Arc<Tap> {
        self.recorders.tap(endpoint)
    }

    /// Whether nobody may write on an endpoint because it cannot be recorded.
    pub(crate) fn refuses(&self, endpoint: &str) -> bool {
        self.recorders.refuses(endpoint)
    }

    /// Changes when something happens to a recording.
    pub(crate) fn recording(&self) -> watch::Receiver<()> {
        self.recording.clone()
    }

    /// Ends all recordings: what waits is written.
    pub(crate) fn stop_recording(&self) {
        self.recorders.stop();
    }

    /// Changes whenever a configuration has been applied.
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    fn start(&self, endpoint: &Arc<Endpoint>, before: Option<watch::Receiver<()>>) -> RunningLine {
        let (end, life) = watch::channel(());
        let pause = endpoint.packing.pause();
        let (endpoint, current) = watch::channel(Arc::clone(endpoint));
        let tap = self.recorders.tap(&current.borrow());
        let events = Arc::clone(&self.events);
        let shared = Arc::new(Shared::new(current.clone(), events, tap, self.tasks.clone()));
        shared.output.set_pause(pause);
        let (ending, done) = watch::channel(());
        let kept = Arc::clone(&shared);
        self.tasks.spawn(async move {
            let _ending = ending;
            if let Some(mut before) = before {
                // The old keeper closes this channel when it ends; a stuck device may not hold up
                // its successor for ever.
                timeout(DEVICE_HANDOVER, before.changed()).await.ok();
            }
            keeper::keep(kept, life, current).await;
        });
        RunningLine {
            line: ListedLine { shared, life: Arc::new(LineHold { _end: end }) },
            endpoint,
            done,
        }
    }

    /// A line's notice board; `None` for an endpoint without a line.
    pub(crate) fn board(&self, endpoint: &str) -> Option<watch::Receiver<Board>> {
        Some(self.lock().get(endpoint)?.line.shared.board.subscribe())
    }

    /// A line's state; `None` for an endpoint without a line.
    pub(crate) fn state(&self, endpoint: &str) -> Option<LineState> {
        Some(self.lock().get(endpoint)?.line.shared.board.borrow().state.clone())
    }

    /// A line's tape, to be read without a seat.
    pub(crate) fn log(&self, endpoint: &str) -> Option<Log> {
        self.lock().get(endpoint).map(|entry| Log(Arc::clone(&entry.line.shared)))
    }

    /// Bytes waiting for the device, in the queue and with the driver.
    pub(crate) fn depth(&self, endpoint: &str) -> usize {
        let line = self.lock().get(endpoint).map(|entry| entry.line.clone());
        line.map_or(0, |line| line.shared.input.depth() + line.shared.unsent())
    }

    /// Adds to a line's metrics what its driver has counted since the last call.
    pub(crate) async fn count_errors(&self, endpoint: &str) {
        let line = self.lock().get(endpoint).map(|entry| entry.line.clone());
        if let Some(line) = line
            && let Some(port) = line.shared.port()
            && let Ok(now) = port.errors().await
        {
            line.shared.count_errors(now);
        }
    }

    /// A seat on an endpoint's line. An endpoint without a line gets a private one, which nobody
    /// else can join, whose only seat is lossless, and which ends with its target.
    pub(crate) fn join(
        &self,
        endpoint: &Arc<Endpoint>,
        who: Participant,
        ask: &SeatRequest,
    ) -> Result<NewSeat, NoSeat> {
        let (line, private) = match endpoint.share {
            Some(_) => {
                (self.lock().get(&endpoint.name).ok_or(NoSeat::Unknown)?.line.clone(), false)
            }
            None => (self.start(endpoint, None).line, true),
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed) as u64;
        let share = line.shared.board.borrow().share;
        let may_write = who.rights.allows(Rights::WRITE);
        if share == Share::Exclusive && !private {
            let writes = may_write && (ask.intent != WriteIntent::Observer || ask.takes);
            make_way(&line.shared, &who, (writes, ask.silent))?;
        }
        let (mut seat, at, replayed) = Seat::new(line, id, who, ask, private);
        let leased = match ask.intent {
            WriteIntent::Observer | WriteIntent::OnWrite => Ok(()),
            _ if !may_write => Ok(()),
            WriteIntent::Writer => seat.claim(),
            WriteIntent::Auto => {
                // Somebody else writes: an observer does not mind.
                seat.claim().ok();
                Ok(())
            }
        };
        match leased {
            Ok(()) => Ok(NewSeat { seat, at, live: replayed }),
            Err(no) => Err(NoSeat::Busy(held(&no, seat.who()))),
        }
    }

    /// Whether a seat may write now, be it on a listed line or on a private one.
    pub(crate) fn writes(&self, endpoint: &str, seat: SeatId) -> bool {
        let shared = self.lock().get(endpoint).map(|entry| Arc::clone(&entry.line.shared));
        shared.is_none_or(|shared| shared.callers.writes(seat, &shared.board.borrow()))
    }

    /// Whether a line's lease is held by a session of this participant's own principal.
    pub(crate) fn is_held_by_own(&self, endpoint: &str, who: &Participant) -> bool {
        let board = self.board(endpoint);
        board.is_some_and(|board| replaceable(&board.borrow(), who).is_some())
    }

    /// The same for somebody who asks for a seat that writes: a session of the same principal whose
    /// client is gone gives way.
    pub(crate) async fn sit(
        &self,
        endpoint: &Arc<Endpoint>,
        who: Participant,
        ask: &SeatRequest,
    ) -> Result<NewSeat, NoSeat> {
        let first = self.join(endpoint, who.clone(), ask);
        if ask.intent != WriteIntent::Writer || !matches!(first, Err(NoSeat::Busy(_))) {
            return first;
        }
        let shared = self.lock().get(&endpoint.name).map(|entry| Arc::clone(&entry.line.shared));
        let Some(shared) = shared else { return first };
        if exorcise(shared, who.clone()).await { self.join(endpoint, who, ask) } else { first }
    }
}

/// An exclusive line with a seat taken has no other; but whoever may not write gives way to the
/// first that does, and the silent to everybody who is not.
fn make_way(
    shared: &Shared,
    who: &Participant,
    (writes, silent): (bool, bool),
) -> Result<(), NoSeat> {
    let board = shared.board.borrow().clone();
    let given_up = |seat| board.ghosts.contains(&seat);
    let in_use = || NoSeat::Busy("somebody".into());
    match board.lease.holder() {
        Some(holder) => Err(NoSeat::Busy(held(&NoLease::Held(holder.clone()), who))),
        None if board.seats <= board.ghosts.len() => Ok(()),
        None if silent => shared.callers.are_silent(given_up).then_some(()).ok_or_else(in_use),
        None => {
            let to = who.principal.to_string();
            let gave = shared.callers.make_way(given_up, &to, writes).ok_or_else(in_use)?;
            shared.board.send_modify(|board| board.ghosts.extend(gave));
            Ok(())
        }
    }
}

fn retune(entry: &RunningLine, new: &Arc<Endpoint>) {
    let old = entry.endpoint.send_replace(Arc::clone(new));
    let shared = &entry.line.shared;
    shared.output.set_pause(new.packing.pause());
    if let Some(port) = shared.port() {
        let caps = shared.caps(&port);
        shared.board.send_if_modified(|board| std::mem::replace(&mut board.caps, caps) != caps);
    }
    if let Some(wanted) =
        new.target.settings().filter(|wanted| Some(*wanted) != old.target.settings())
    {
        entry.line.shared.input.push_task(Task::unasked(Action::Retune(wanted)));
    }
}
