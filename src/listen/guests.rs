//! Those who came in by one door: their places and sessions, and their end when its rules change.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Greeter, Raw};
use crate::{
    auth::{Admission, ClientAddress, Peer, Slot},
    config::{Door, Limits, contain},
    http::{Bridge, Caller},
    session::RunningSession,
    stream::Stream,
    tls::ServerTls,
    wire::close::{Ended, Refusal},
};

/// Connections of one door that have sent nothing yet; the oldest give way.
const SILENT_MAX: usize = 32;

/// What is in force at a door.
#[derive(Clone, Debug)]
pub(crate) struct DoorRules {
    /// Where it leads.
    pub endpoint: String,
    /// The door.
    pub door: Arc<Door>,
    /// Its TLS.
    pub tls: Option<Arc<ServerTls>>,
}

/// Those who came in by one door.
#[derive(Debug, Default)]
pub(super) struct Guests {
    /// Places of their own: what comes by a door keeps nobody from signing in.
    admission: Arc<Admission>,
    /// Their sessions under the rules in force.
    running: Arc<Mutex<Vec<Arc<RunningSession>>>>,
}

impl Guests {
    /// Ends them all.
    pub(super) fn end(&mut self, ended: &Ended) {
        let running = std::mem::take(&mut self.running);
        for entry in running.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            entry.end(ended.clone());
        }
    }

    /// Finds a place for a connection and serves it on a task of its own.
    pub(super) fn enter(&self, bridge: &Arc<Bridge>, rules: DoorRules, (raw, peer): (Raw, Peer)) {
        bridge.metrics.connections.inc();
        let DoorRules { endpoint, door, tls } = rules;
        let client = peer.client;
        let outside = client.ip().is_some_and(|ip| {
            !door.from.is_empty() && !contain(&door.from, ip) && !ip.to_canonical().is_loopback()
        });
        if outside {
            raw.reset();
            return bridge.refused(client, &endpoint, &Refusal::Forbidden);
        }
        let slot = self.place(bridge, (&endpoint, client));
        let until = Instant::now() + bridge.config().limits.handshake;
        let (bridge, running) = (Arc::clone(bridge), Arc::clone(&self.running));
        let tasks = bridge.tasks.clone();
        tasks.spawn(async move {
            let peer = Peer { door: Some(door.way.to_string().into()), ..peer };
            let evicted = slot.evicted();
            let greeter = Greeter { tls: tls.as_ref() };
            let secured = greeter.secure(raw.stream(), peer, until);
            let Some(secured) = evicted.run_until_cancelled(secured).await else { return };
            let Some((stream, peer)) = secured else {
                return bridge.refused(client, &endpoint, &Refusal::Tls);
            };
            welcome(&bridge, (&endpoint, &door), (stream, peer), slot, &running).await;
        });
    }

    /// The same for a tool that has opened a node.
    pub(super) fn enter_node(&self, bridge: &Arc<Bridge>, rules: DoorRules, stream: Stream) {
        bridge.metrics.connections.inc();
        let DoorRules { endpoint, door, .. } = rules;
        let peer = Peer { door: Some(door.way.to_string().into()), ..Peer::default() };
        let slot = self.place(bridge, (&endpoint, peer.client));
        let (bridge, running) = (Arc::clone(bridge), Arc::clone(&self.running));
        let tasks = bridge.tasks.clone();
        tasks.spawn(async move {
            welcome(&bridge, (&endpoint, &door), (stream, peer), slot, &running).await;
        });
    }

    fn place(&self, bridge: &Bridge, (endpoint, client): (&str, ClientAddress)) -> Slot {
        let config = bridge.config();
        let most = config.endpoints.get(endpoint).map_or(0, |it| it.limits.sessions);
        let limits = Limits {
            connections: most + SILENT_MAX,
            per_address: most + SILENT_MAX,
            unauthenticated: SILENT_MAX,
            ..config.limits
        };
        self.admission.enter((bridge.auth.source(client), true), false, &limits)
    }
}

/// Finds out who somebody is, and serves it to its end.
async fn welcome(
    bridge: &Arc<Bridge>,
    door: (&str, &Arc<Door>),
    (stream, peer): (Stream, Peer),
    slot: Slot,
    running: &Arc<Mutex<Vec<Arc<RunningSession>>>>,
) {
    let evicted = slot.evicted();
    match Caller::new(bridge, door, &peer, slot) {
        Ok(caller) => {
            let _left = Leaving::enter(running, caller.entry());
            serve(caller, stream, evicted).await;
        }
        Err(refusal) => bridge.refused(peer.client, door.0, &refusal),
    }
}

/// Serves a client until its end; one that is silent gives way to others.
async fn serve(caller: Caller, stream: Stream, evicted: CancellationToken) {
    let entry = caller.entry();
    let mut serving = std::pin::pin!(caller.serve(stream));
    tokio::select! {
        biased;
        () = &mut serving => return,
        () = evicted.cancelled() => entry.end(Ended::GaveWay),
    }
    serving.await;
}

/// A session among those of its door; it leaves when dropped.
struct Leaving {
    all: Arc<Mutex<Vec<Arc<RunningSession>>>>,
    entry: Arc<RunningSession>,
}

impl Leaving {
    fn enter(all: &Arc<Mutex<Vec<Arc<RunningSession>>>>, entry: Arc<RunningSession>) -> Self {
        all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&entry));
        Self { all: Arc::clone(all), entry }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| !Arc::ptr_eq(other, &self.entry));
    }
}

impl Raw {
    fn stream(self) -> Stream {
        match self {
            Self::Tcp(socket) => {
                tune(&socket);
                Stream::from(socket)
            }
            Self::Unix(socket) => Stream::from(socket),
        }
    }

    /// Ends it without a word.
    fn reset(self) {
        if let Self::Tcp(socket) = &self {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Bytes go out at once; a tool that is gone is noticed in 25 s, also while it is silent.
fn tune(socket: &tokio::net::TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(socket).set_tcp_keepalive(&keepalive);
}
