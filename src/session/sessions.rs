//! Who is connected: every running session, what it has moved, and how to end it from outside.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use portable_atomic::AtomicU64;
use tokio::sync::watch;

use super::order::{Notice, Order, Orders, Restraint, Restraints};
use crate::{
    auth::{ClientAddress, ClientCertificate, LoginId, Peer, Principal, PrincipalId},
    config::Rights,
    line::SeatId,
    wire::close::Ended,
};

/// What a session has of its endpoint, as seen from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not known yet: the target is being reached.
    #[default]
    Arriving,
    /// Nothing: control mode before `open`.
    Idle,
    /// A connection of its own.
    Own,
    /// A seat on a line.
    Seat(SeatId),
    /// A door's client that has sent nothing yet: it takes up no room.
    Silent,
}

/// What is known about a running session.
#[derive(Debug)]
pub(crate) struct RunningSession {
    /// What administrators call it: not secret, and never given twice.
    pub number: u64,
    pub endpoint: String,
    pub principal: PrincipalId,
    /// The browser sign-in it came with.
    pub login: Option<LoginId>,
    /// When its user had proved who he is, at its beginning.
    pub auth_time: Option<i64>,
    /// The certificate it came with.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The app at whose origin its page is; it may use nothing but the app's endpoints.
    pub app: Option<Arc<str>>,
    /// Its page is in another page's frame.
    pub framed: bool,
    /// The door it came by.
    pub door: Option<Arc<str>>,
    /// What it could do here when it began.
    pub began: Rights,
    /// The client's address.
    pub client: ClientAddress,
    /// Whoever is at the other end says that it asks for somebody else.
    pub relayed: bool,
    /// When it began.
    pub since: SystemTime,
    /// Bytes given to the client.
    pub to_client: AtomicU64,
    /// Bytes taken from the client.
    pub to_target: AtomicU64,
    /// How many of these the metrics already have.
    told: [AtomicU64; 2],
    standing: Mutex<Standing>,
    /// Whether its client can show a message.
    shows: AtomicBool,
    /// The last warning that it was given before its end: smaller is later.
    warned: AtomicUsize,
    order: watch::Sender<Order>,
}

impl RunningSession {
    /// Bytes to the client and to the target, in total.
    pub(crate) fn moved(&self) -> (u64, u64) {
        (self.to_client.load(Ordering::Relaxed), self.to_target.load(Ordering::Relaxed))
    }

    /// Bytes to the client and to the target since the last call. Callers may overlap: each byte is
    /// returned once.
    pub(crate) fn news(&self) -> (u64, u64) {
        let [client, target] = &self.told;
        let new = |now: &AtomicU64, told: &AtomicU64| {
            let now = now.load(Ordering::Relaxed);
            now.saturating_sub(told.fetch_max(now, Ordering::Relaxed))
        };
        (new(&self.to_client, client), new(&self.to_target, target))
    }

    /// What it has of its endpoint now.
    pub(crate) fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what it has of it from now on.
    pub(crate) fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// The reason in an order to end, if there was one.
    pub(super) fn ordered(&self) -> Option<Ended> {
        self.order.borrow().end.clone()
    }

    /// Orders the session to end. The first order stands: a session that is closing is not told
    /// twice.
    pub(crate) fn end(&self, ended: Ended) {
        self.order
            .send_if_modified(|order| order.end.is_none() && order.end.replace(ended).is_none());
    }

    /// Holds the session read-only, or lets it go: what it has queued is discarded, its lease is
    /// given back, and it may write again when nobody holds it any more. A session that has a
    /// connection of its own ends instead. Returns whether that is a change.
    pub(crate) fn restrain(&self, by: Restraint, held: bool) -> bool {
        self.order.send_if_modified(|order| order.restrain(by, held))
    }

    /// Whether it has yet to be given this warning, or a later one: `stage` 0 is the last.
    pub(crate) fn warned_at(&self, stage: usize) -> bool {
        self.shows.load(Ordering::Relaxed)
            && self.warned.fetch_min(stage, Ordering::Relaxed) > stage
    }

    /// Its client can show messages.
    pub(super) fn shows_notices(&self) {
        self.shows.store(true, Ordering::Relaxed);
    }

    /// Gives its client a message; false if it cannot show one.
    pub(crate) fn tell(&self, notice: Arc<Notice>) -> bool {
        let shows = self.shows.load(Ordering::Relaxed);
        if shows {
            self.order.send_modify(|order| order.tell(notice));
        }
        shows
    }

    /// Who holds it read-only now.
    pub(crate) fn restraints(&self) -> Restraints {
        self.order.borrow().held
    }
}

/// All running sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    running: Mutex<BTreeMap<u64, Arc<RunningSession>>>,
    next: AtomicU64,
}

/// A session's own place among those running; it leaves when dropped.
#[derive(Debug)]
pub(crate) struct Session {
    /// What others see of it.
    pub entry: Arc<RunningSession>,
    order: watch::Receiver<Order>,
    all: Arc<Sessions>,
}

impl Sessions {
    /// Adds a session.
    pub(crate) fn enter(
        self: &Arc<Self>,
        endpoint: &str,
        principal: &Principal,
        peer: &Peer,
    ) -> Session {
        let (order, receiver) = watch::channel(Order::default());
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Arc::new(RunningSession {
            number,
            endpoint: endpoint.to_owned(),
            principal: principal.id.clone(),
            login: principal.login,
            auth_time: principal.auth_time,
            certificate: principal.certificate.clone(),
            app: peer.app.clone(),
            framed: peer.framed,
            door: peer.door.clone(),
            began: principal.rights.on(endpoint),
            client: peer.client,
            relayed: peer.relayed,
            since: SystemTime::now(),
            to_client: AtomicU64::new(0),
            to_target: AtomicU64::new(0),
            told: Default::default(),
            standing: Mutex::default(),
            shows: AtomicBool::new(false),
            warned: AtomicUsize::new(usize::MAX),
            order,
        });
        self.lock().insert(number, Arc::clone(&entry));
        Session { entry, order: receiver, all: Arc::clone(self) }
    }

    /// All that are running now.
    pub(crate) fn list(&self) -> Vec<Arc<RunningSession>> {
        self.lock().values().cloned().collect()
    }

    /// Sessions of one endpoint.
    pub(crate) fn count(&self, endpoint: &str) -> usize {
        self.lock().values().filter(|entry| entry.endpoint == endpoint).count()
    }

    /// Ends every session that `which` picks, for the reason it gives.
    pub(crate) fn end(&self, which: impl Fn(&RunningSession) -> Option<Ended>) {
        for entry in self.list() {
            if let Some(ended) = which(&entry) {
                entry.end(ended);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<RunningSession>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// What is ordered of it, from its beginning.
    pub(crate) fn orders(&self) -> Orders {
        Orders::new(self.order.clone())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.all.lock().remove(&self.entry.number);
    }
}
