//! Doors as they listen: bind, accept, who may come from where, TLS.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    BoundSocket, Greeter, ListenError, Raw,
    bind::{bind_tcp, bind_unix},
    is_of_client,
};
use crate::{
    auth::{Admission, ClientAddress, Peer},
    config::{Address, Door, Limits, contain},
    http::{Bridge, Caller},
    session::RunningSession,
    stream::Stream,
    tls::ServerTls,
    wire::close::{Ended, Refusal},
};

/// Pause when the system has no descriptor or memory for a further connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

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

/// A door's socket, bound.
#[derive(Debug)]
pub(crate) struct DoorListener {
    socket: BoundSocket,
}

impl DoorListener {
    /// Binds.
    pub(crate) fn bind(address: &Address) -> Result<Self, ListenError> {
        let bound = match address {
            Address::Tcp(address) => bind_tcp(*address),
            Address::Unix(path) => bind_unix(path),
            Address::Systemd(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = bound.map_err(|error| ListenError::new(address, &error))?;
        Ok(Self { socket })
    }

    /// Where it listens, with the port the system chose; `None` for a unix socket.
    pub(crate) fn local_address(&self) -> Option<String> {
        self.socket.local_address()
    }

    /// Accepts until the bridge's stop token is cancelled or the future is dropped. Each connection
    /// is a task on the bridge's tracker; those under rules that are in force no longer end.
    pub(crate) async fn run(self, bridge: Arc<Bridge>, mut rules: watch::Receiver<DoorRules>) {
        let mut guests = Guests::default();
        let stop = bridge.stop.clone();
        let mut exhausted = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = rules.changed() => {
                    // Sessions under the old rules end; they may come back under the new ones.
                    guests.end(if changed.is_ok() { &Ended::Restarting } else { &Ended::Removed });
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((raw, peer)) => {
                    exhausted = false;
                    guests.enter(&bridge, rules.borrow().clone(), (raw, peer));
                }
                Err(error) if is_of_client(&error) => {}
                Err(error) => {
                    if !exhausted {
                        let address = self.local_address();
                        tracing::error!(
                            address = address.as_deref(),
                            "cannot accept connections: {error}; still trying"
                        );
                    }
                    exhausted = true;
                    bridge.refused(ClientAddress::Local, "", &Refusal::Exhausted);
                    sleep(EXHAUSTED).await;
                }
            }
        }
    }
}

/// Those who came in by one door.
#[derive(Debug, Default)]
struct Guests {
    /// Places of their own: what comes by a door keeps nobody from signing in.
    admission: Arc<Admission>,
    /// Their sessions under the rules in force.
    running: Arc<Mutex<Vec<Arc<RunningSession>>>>,
}

impl Guests {
    /// Ends them all.
    fn end(&mut self, ended: &Ended) {
        let running = std::mem::take(&mut self.running);
        for entry in running.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            entry.end(ended.clone());
        }
    }

    /// Finds a place for a connection and serves it on a task of its own.
    fn enter(&self, bridge: &Arc<Bridge>, rules: DoorRules, (raw, peer): (Raw, Peer)) {
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
        let config = bridge.config();
        let most = config.endpoints.get(&endpoint).map_or(0, |it| it.limits.sessions);
        let limits = Limits {
            connections: most + SILENT_MAX,
            per_address: most + SILENT_MAX,
            unauthenticated: SILENT_MAX,
            ..config.limits
        };
        let slot = self.admission.enter((bridge.auth.source(client), true), false, &limits);
        let until = Instant::now() + config.limits.handshake;
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
            match Caller::new(&bridge, (&endpoint, &door), &peer, slot) {
                Ok(caller) => {
                    let _left = Leaving::enter(&running, caller.entry());
                    serve(caller, stream, evicted).await;
                }
                Err(refusal) => bridge.refused(client, &endpoint, &refusal),
            }
        });
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
