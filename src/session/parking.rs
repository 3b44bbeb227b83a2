//! Sessions whose socket is lost, until their client comes back or time is up.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{RunningSession, live::Live};
use crate::{
    auth::PrincipalId,
    config::Rights,
    line::{Loss, Lost},
    wire::close::Ended,
};

/// How long a break may outlive its client's socket.
const BREAK_OUTLIVES: Duration = Duration::from_secs(1);

/// How long a socket has to let go of a session that is taken from it.
const SOCKET_HANDOVER: Duration = Duration::from_secs(3);

/// Every open `wsbridge.v1` session by its secret: on a socket, or parked.
#[derive(Debug)]
pub(crate) struct Parking {
    slots: Mutex<HashMap<String, ParkingSlot>>,
    /// Signals that something was parked.
    parked: Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
enum ParkingSlot {
    /// On the socket with this entry.
    Running(Arc<RunningSession>),
    /// Waiting for its client.
    Parked(Parked),
}

#[derive(Debug)]
struct Parked {
    live: Box<Live>,
    /// The entry of the socket that was lost.
    entry: Option<Arc<RunningSession>>,
    /// Cancelling it ends the timer.
    taken: CancellationToken,
    /// Since when, and why its socket is lost.
    since: Instant,
    why: &'static str,
}

impl Parked {
    /// Ends it: its client has not come back, or for another reason.
    fn leave(mut self, loss: Option<Loss>) {
        let loss = loss.unwrap_or_else(|| self.loss());
        self.live.seat_mut().bereave(loss);
    }

    /// The client has not come back.
    fn loss(&self) -> Loss {
        Loss { why: self.why, how: Lost::Connection(self.since.elapsed()) }
    }
}

/// A session that waits for its client, as far as it takes up room.
#[derive(Debug)]
pub(super) struct AwaitedClient {
    pub(super) secret: String,
    pub(super) principal: PrincipalId,
    /// The number of the socket that was lost.
    pub(super) number: u64,
    /// Whether it will write once its client is back.
    pub(super) writes: bool,
}

impl Parking {
    /// Nothing parked yet. Timers run on `tasks` and end with `stop`: a parked session does not
    /// delay the daemon's end.
    pub(crate) fn new(tasks: TaskTracker, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { slots: Mutex::default(), parked: Notify::new(), tasks, stop })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ParkingSlot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a session runs on a socket.
    pub(super) fn run(&self, live: &Live, entry: &Arc<RunningSession>) {
        self.lock().insert(live.secret().to_owned(), ParkingSlot::Running(Arc::clone(entry)));
    }

    /// Notes that a session has ended.
    pub(super) fn end(&self, secret: &str) {
        self.lock().remove(secret);
    }

    /// A session's socket is lost: keeps the session for `time`, with its seat, queue and lease.
    pub(super) fn park(self: &Arc<Self>, mut live: Live, time: Duration, ended: &Ended) {
        let why = ended.label();
        if time.is_zero() || self.stop.is_cancelled() {
            self.end(live.secret());
            let how = Lost::Connection(Duration::ZERO);
            return live.seat_mut().bereave(Loss { why, how });
        }
        // Another socket is about to take it.
        let least = if *ended == Ended::Superseded { SOCKET_HANDOVER } else { Duration::ZERO };
        let patience = live.seat().patience().map(|patience| patience.max(least));
        live.seat().set_away(true);
        // A client that is away could not use what it requests, and it is its socket that counts
        // the time for an answer.
        live.seat().withdraw();
        let (secret, taken) = (live.secret().to_owned(), CancellationToken::new());
        let end_break = live.seat().end_break();
        let mut slots = self.lock();
        let entry = match slots.remove(&secret) {
            Some(ParkingSlot::Running(entry)) => Some(entry),
            Some(ParkingSlot::Parked(_)) | None => None,
        };
        let live = Box::new(live);
        slots.insert(
            secret.clone(),
            ParkingSlot::Parked(Parked {
                live,
                entry,
                taken: taken.clone(),
                since: Instant::now(),
                why,
            }),
        );
        drop(slots);
        self.parked.notify_waiters();
        let all = Arc::clone(self);
        let timer = async move {
            sleep(time.min(BREAK_OUTLIVES)).await;
            end_break.await;
            sleep(time.saturating_sub(BREAK_OUTLIVES)).await;
        };
        self.tasks.spawn(async move {
            let given_up = async {
                match patience.filter(|patience| *patience < time) {
                    Some(patience) => sleep(patience).await,
                    None => std::future::pending().await,
                }
            };
            let mut timer = pin!(timer);
            let stopped = tokio::select! {
                () = taken.cancelled() => return,
                () = all.stop.cancelled() => true,
                () = &mut timer => false,
                () = given_up => {
                    all.bereave(&secret);
                    tokio::select! {
                        () = taken.cancelled() => return,
                        () = all.stop.cancelled() => true,
                        () = timer => false,
                    }
                }
            };
            tracing::debug!("a session was not resumed in time");
            let loss = Loss { why: Ended::Stopping.label(), how: Lost::Access };
            all.drop_parked(&secret, stopped.then_some(loss));
        });
    }

    /// The line does not wait any longer for the client of a parked session, which may still be
    /// resumed.
    fn bereave(&self, secret: &str) {
        if let Some(ParkingSlot::Parked(parked)) = self.lock().get_mut(secret) {
            let loss = parked.loss();
            parked.live.seat_mut().bereave(loss);
        }
    }

    fn drop_parked(&self, secret: &str, loss: Option<Loss>) {
        let mut slots = self.lock();
        let parked = match slots.get(secret) {
            Some(ParkingSlot::Parked(..)) => slots.remove(secret),
            Some(ParkingSlot::Running(_)) | None => None,
        };
        // A seat that leaves takes other locks.
        drop(slots);
        if let Some(ParkingSlot::Parked(parked)) = parked {
            parked.leave(loss);
        }
    }

    /// Takes a session for `who` on `endpoint`: a parked one, or one from the socket that it still
    /// runs on, which is closed.
    pub(super) async fn take(
        &self,
        secret: &str,
        who: &PrincipalId,
        endpoint: &str,
    ) -> Option<Live> {
        let wait = async {
            loop {
                // Registered before the look, so that nothing can be parked unseen in between.
                let parked = self.parked.notified();
                match self.try_take(secret, who, endpoint)? {
                    Ok(live) => return Some(live),
                    Err(entry) => entry.end(Ended::Superseded),
                }
                parked.await;
            }
        };
        timeout(SOCKET_HANDOVER, wait).await.ok().flatten()
    }

    /// The session, or the entry of the socket it runs on; `None` if this user has no such session
    /// on this endpoint.
    fn try_take(
        &self,
        secret: &str,
        who: &PrincipalId,
        endpoint: &str,
    ) -> Option<Result<Live, Arc<RunningSession>>> {
        let mut slots = self.lock();
        match slots.get(secret)? {
            ParkingSlot::Running(entry)
                if entry.principal == *who && entry.endpoint == endpoint =>
            {
                return Some(Err(Arc::clone(entry)));
            }
            ParkingSlot::Parked(parked)
                if parked.live.principal() == who && parked.live.endpoint() == endpoint => {}
            ParkingSlot::Running(_) | ParkingSlot::Parked(..) => return None,
        }
        match slots.remove(secret)? {
            ParkingSlot::Parked(Parked { mut live, taken, entry, .. }) => {
                taken.cancel();
                live.held = entry.is_some_and(|entry| entry.restraints().moderator());
                live.seat().set_away(false);
                Some(Ok(*live))
            }
            ParkingSlot::Running(entry) => Some(Err(entry)),
        }
    }

    /// An endpoint's sessions that wait for their client.
    pub(super) fn waiting(&self, endpoint: &str) -> Vec<AwaitedClient> {
        let slots = self.lock();
        let parked = slots.iter().filter_map(|(secret, slot)| match slot {
            ParkingSlot::Parked(parked) if parked.live.endpoint() == endpoint => {
                Some((secret, parked))
            }
            ParkingSlot::Parked(_) | ParkingSlot::Running(_) => None,
        });
        parked
            .map(|(secret, Parked { live, entry, .. })| AwaitedClient {
                secret: secret.clone(),
                principal: live.principal().clone(),
                number: entry.as_ref().map_or(0, |entry| entry.number),
                writes: live.seat().is_writer(),
            })
            .collect()
    }

    /// Drops a session that waits for its client.
    pub(super) fn forget(&self, secret: &str) {
        self.drop_where(|parked| parked.live.secret() == secret, None);
    }

    /// Drops every parked session whose user may no longer read its endpoint; one that may no
    /// longer write gives the lease back.
    pub(crate) fn revoke(&self, rights: impl Fn(&PrincipalId, &str) -> Rights) {
        let gone = |Parked { live, .. }: &Parked| {
            !rights(live.principal(), live.endpoint()).allows(Rights::READ)
        };
        self.drop_where(gone, Some(&Ended::Withdrawn));
        for slot in self.lock().values_mut() {
            if let ParkingSlot::Parked(Parked { live, entry, .. }) = slot {
                let granted = rights(live.principal(), live.endpoint());
                let limit = entry.as_ref().map_or(Rights::ALL, |it| it.restraints().limit());
                let why = Ended::Withdrawn.label();
                live.seat_mut().set_rights((granted, granted.only(limit)), why);
            }
        }
    }

    /// Has parked sessions follow what was ordered of their last sockets.
    pub(crate) fn restrain(&self) {
        for slot in self.lock().values_mut() {
            if let ParkingSlot::Parked(Parked { live, entry: Some(entry), .. }) = slot {
                let by = entry.restraints();
                live.seat_mut().restrain(by.limit(), by.label());
            }
        }
    }

    /// The entries of the lost sockets whose sessions wait for their client.
    pub(crate) fn list(&self) -> Vec<Arc<RunningSession>> {
        let slots = self.lock();
        let parked = slots.values().filter_map(|slot| match slot {
            ParkingSlot::Parked(parked) => parked.entry.clone(),
            ParkingSlot::Running(_) => None,
        });
        parked.collect()
    }

    /// Drops the parked session whose last socket had this number, for the reason given.
    pub(crate) fn disconnect(&self, number: u64, ended: &Ended) {
        let which =
            |parked: &Parked| parked.entry.as_ref().is_some_and(|entry| entry.number == number);
        self.drop_where(which, Some(ended));
    }

    fn drop_where(&self, which: impl Fn(&Parked) -> bool, ended: Option<&Ended>) {
        let mut slots = self.lock();
        let gone: Vec<String> = slots
            .iter()
            .filter_map(|(secret, slot)| match slot {
                ParkingSlot::Parked(parked) if which(parked) => Some(secret.clone()),
                ParkingSlot::Running(_) | ParkingSlot::Parked(..) => None,
            })
            .collect();
        let gone: Vec<ParkingSlot> =
            gone.iter().filter_map(|secret| slots.remove(secret)).collect();
        drop(slots);
        for slot in gone {
            if let ParkingSlot::Parked(parked) = slot {
                parked.taken.cancel();
                let how = Lost::Access;
                parked.leave(ended.map(|ended| Loss { why: ended.label(), how }));
            }
        }
    }
}
