//! Bind, accept, TLS handshake, peer address.

mod accepting;
mod admin;
mod bind;
mod door;
mod gateways;
mod guests;
mod holder;
mod node;
mod plaintext;
mod proxied;
mod unix;

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    sync::Arc,
};

use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::{Instant, timeout_at},
};

pub(crate) use self::{
    admin::AdminListener,
    door::DoorListener,
    guests::DoorRules,
    holder::{connected, listening},
};
use self::{
    bind::{bind_beside, bind_tcp, bind_unix, explain, take_over},
    unix::{GROUP_MODE, SocketFile},
};
use crate::{
    auth::{ClientAddress, ClientCertificate, Peer, Revocation, Slot, Way, is_trusted},
    config::{Address, Listen},
    http::{self, Bridge},
    stream::Stream,
    tls::{ClientFacts, ServerTls},
    wire::close::Refusal,
};

/// An address could not be listened on.
#[derive(Debug, Error)]
#[error("{undone}: {what}")]
pub(crate) struct ListenError {
    /// What cannot be done.
    undone: String,
    what: String,
    /// Whether it needs a privilege we lack.
    pub denied: bool,
    /// Whether this machine lacks the address, which may come (DHCP, a VPN, a USB gadget).
    pub absent: bool,
}

impl ListenError {
    fn new(address: &Address, error: &io::Error) -> Self {
        Self {
            undone: format!("cannot listen on {}", address_text(address)),
            what: explain(error, address),
            denied: error.kind() == io::ErrorKind::PermissionDenied,
            absent: error.kind() == io::ErrorKind::AddrNotAvailable,
        }
    }

    /// Of a device node.
    fn node(path: &Path, error: &io::Error) -> Self {
        Self {
            undone: format!("cannot make the device node {}", path.display()),
            what: error.to_string(),
            denied: error.kind() == io::ErrorKind::PermissionDenied,
            absent: false,
        }
    }
}

/// A socket for an address whose port belongs to running listeners that are about to leave; for
/// [`Listener::bind`].
pub(crate) fn beside(address: SocketAddr, leaving: &[&OwnedFd]) -> Result<OwnedFd, ListenError> {
    bind_beside(address, leaving).map_err(|error| ListenError::new(&Address::Tcp(address), &error))
}

/// A listening address, bound.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: BoundSocket,
    tls: Option<Arc<ServerTls>>,
    /// Takes only connections that trusted proxies announce.
    proxied: bool,
    name: String,
    app: Option<Arc<str>>,
}

#[derive(Debug)]
enum BoundSocket {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held only to be dropped")] Option<SocketFile>),
}

impl Listener {
    /// Binds, or takes over `inherited`, the socket systemd holds for `systemd:NAME`.
    pub(crate) fn bind(
        listen: &Listen,
        inherited: Option<OwnedFd>,
        tls: Option<ServerTls>,
    ) -> Result<Self, ListenError> {
        let name = address_text(&listen.address);
        let failed = |error: io::Error| ListenError::new(&listen.address, &error);
        let socket = match (&listen.address, inherited) {
            (Address::Tcp(address), None) => bind_tcp(*address).map_err(failed)?,
            (Address::Unix(path), None) => bind_unix(path, GROUP_MODE).map_err(failed)?,
            (_, Some(handed)) => take_over(handed).map_err(failed)?,
            (Address::Systemd(_), None) => {
                let what = "systemd handed over no socket of that name; the .socket unit needs FileDescriptorName=";
                return Err(ListenError {
                    undone: format!("cannot listen on {name}"),
                    what: what.into(),
                    denied: false,
                    absent: false,
                });
            }
        };
        let (proxied, app) = (listen.proxy_protocol, listen.app.as_deref().map(Arc::from));
        Ok(Self { socket, tls: tls.map(Arc::new), proxied, name, app })
    }

    /// Where it listens, with the port the system chose.
    pub(crate) fn local_address(&self) -> String {
        self.socket.local_address().unwrap_or_else(|| self.name.clone())
    }

    /// A second descriptor of the socket, for a successor that takes it over.
    pub(crate) fn socket(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            BoundSocket::Tcp(socket) => socket.as_fd().try_clone_to_owned(),
            BoundSocket::Unix(socket, _) => socket.as_fd().try_clone_to_owned(),
        }
    }

    /// The port, of a TCP listener.
    #[cfg(test)]
    pub(crate) fn port(&self) -> Option<u16> {
        match &self.socket {
            BoundSocket::Tcp(socket) => socket.local_addr().ok().map(|address| address.port()),
            BoundSocket::Unix(..) => None,
        }
    }

    /// Accepts until the bridge's stop token is cancelled, or the future is dropped. Each
    /// connection is a task on the bridge's tracker.
    pub(crate) fn run(self, bridge: Arc<Bridge>) -> impl Future<Output = ()> + Send {
        let show =
            |tls: &Arc<ServerTls>| bridge.certificates.show(self.local_address(), Arc::clone(tls));
        let shown = self.tls.as_ref().map(show);
        async move {
            let _shown = shown;
            self.accept(bridge).await;
        }
    }

    /// Accepts connections until the gateway stops.
    async fn accept(self, bridge: Arc<Bridge>) {
        let entry = Arc::new(Entry { bridge, tls: self.tls.clone(), proxied: self.proxied });
        let stop = entry.bridge.stop.clone();
        loop {
            let (raw, peer) = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.socket.next(&entry.bridge, &self.name) => accepted,
            };
            Arc::clone(&entry).enter(raw, Peer { app: self.app.clone(), ..peer });
        }
    }
}

impl BoundSocket {
    /// Where it listens, of a TCP socket.
    fn local_address(&self) -> Option<String> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok().map(|address| address.to_string()),
            Self::Unix(..) => None,
        }
    }

    async fn accept(&self) -> io::Result<(Raw, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, client) = listener.accept().await?;
                let peer = Peer {
                    client: ClientAddress::Direct(client),
                    local: stream.local_addr().ok(),
                    ..Peer::default()
                };
                Ok((Raw::Tcp(stream), peer))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Raw::Unix(stream), Peer::default()))
            }
        }
    }
}

/// A connection as accepted.
enum Raw {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection that has been given a place.
struct Arrival {
    stream: Stream,
    peer: Peer,
    slot: Slot,
}

/// What the connections of one listener share.
struct Entry {
    bridge: Arc<Bridge>,
    tls: Option<Arc<ServerTls>>,
    proxied: bool,
}

impl Entry {
    /// Finds a place for a connection and serves it on a task of its own. The deadline starts here.
    fn enter(self: Arc<Self>, raw: Raw, peer: Peer) {
        let bridge = &self.bridge;
        bridge.metrics.connections.inc();
        let config = bridge.config();
        let proxied = is_trusted(&peer, &config.trusted_proxies);
        let source = bridge.auth.source(peer.client);
        let slot = bridge.auth.admission.enter(
            (source, bridge.auth.has_signed_in(source)),
            proxied,
            &config.limits,
        );
        let until = Instant::now() + config.limits.handshake;
        let tasks = bridge.tasks.clone();
        tasks.spawn(async move {
            let stream = match raw {
                Raw::Tcp(stream) => {
                    let stream = Stream::from(stream);
                    stream.tune();
                    stream
                }
                Raw::Unix(stream) => Stream::from(stream),
            };
            let arrived = Arrival { stream, peer, slot };
            let Some(Arrival { stream, peer, slot }) = self.announced(arrived, until).await else {
                return;
            };
            let Arrival { stream, peer, slot } =
                self.sorted(Arrival { stream, peer, slot }, until).await;
            let (evicted, client) = (slot.evicted(), peer.client);
            match evicted.run_until_cancelled(self.greet(stream, peer, until)).await {
                Some(Ok((stream, peer))) => self.serve(stream, peer, slot, until).await,
                Some(Err(refusal)) => self.bridge.refused(client, "", &refusal),
                None => self.bridge.refused(client, "", &Refusal::TooMany(0)),
            }
        });
    }

    /// Where proxies announce their clients, puts the client and its place in the proxy's stead.
    /// `None`: it was refused.
    async fn announced(&self, arrived: Arrival, until: Instant) -> Option<Arrival> {
        if !self.proxied {
            return Some(arrived);
        }
        let Arrival { mut stream, peer, slot } = arrived;
        let (evicted, client, config) = (slot.evicted(), peer.client, self.bridge.config());
        let trusted = &config.trusted_proxies;
        let read =
            evicted.run_until_cancelled(proxied::read(&mut stream, &peer, trusted, until)).await;
        match read.unwrap_or(Err(Refusal::TooMany(0))) {
            Ok(None) => Some(Arrival { stream, peer, slot }),
            Ok(Some(announced)) => {
                let peer = Peer {
                    client: ClientAddress::Announced(announced.source),
                    local: Some(announced.destination),
                    tls: announced.tls,
                    ..peer
                };
                let auth = &self.bridge.auth;
                let source = auth.source(peer.client);
                let slot = auth.admission.enter(
                    (source, auth.has_signed_in(source)),
                    is_trusted(&peer, trusted),
                    &config.limits,
                );
                Some(Arrival { stream, peer, slot })
            }
            Err(refusal) => {
                self.bridge.refused(client, "", &refusal);
                None
            }
        }
    }

    async fn serve(&self, stream: Stream, peer: Peer, slot: Slot, until: Instant) {
        http::serve(Arc::clone(&self.bridge), stream, peer, slot, until).await;
    }

    /// Does the TLS handshake, and explains itself to a client that speaks HTTP there.
    async fn greet(
        &self,
        stream: Stream,
        peer: Peer,
        until: Instant,
    ) -> Result<(Stream, Peer), Refusal> {
        let is_http = async { self.tls.is_some() && plaintext::is_http(&stream).await };
        if timeout_at(until, is_http).await.unwrap_or(false) {
            let _ = timeout_at(until, plaintext::answer(stream)).await;
            return Err(Refusal::BadRequest(plaintext::WHY));
        }
        if peer.way == Way::Gateway {
            return self.meet(stream, peer, until).await.ok_or(Refusal::Tls);
        }
        let greeter = Greeter { tls: self.tls.as_ref() };
        greeter.secure(stream, peer, until).await.ok_or(Refusal::Tls)
    }
}

/// The TLS of a listener or a door, if it has one.
struct Greeter<'a> {
    tls: Option<&'a Arc<ServerTls>>,
}

impl Greeter<'_> {
    /// Shakes hands; `None` when the client does not, or takes too long.
    async fn secure(&self, stream: Stream, peer: Peer, until: Instant) -> Option<(Stream, Peer)> {
        let Some(tls) = self.tls else { return Some((stream, peer)) };
        match timeout_at(until, stream.accept_tls(tls.current())).await {
            Ok(Ok(stream)) => {
                let certificate = client_certificate(&stream, tls);
                let authority = tls.authority().is_some();
                Some((stream, Peer { tls: true, authority, certificate, ..peer }))
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.client, "TLS handshake failed: {error}");
                None
            }
            Err(_) => {
                tracing::debug!(peer = %peer.client, "TLS handshake took too long");
                None
            }
        }
    }
}

/// The client's certificate.
fn client_certificate(stream: &Stream, tls: &Arc<ServerTls>) -> Option<Arc<ClientCertificate>> {
    let facts = ClientFacts::of(stream.peer_certificates()?.first()?)?;
    Some(Arc::new(ClientCertificate {
        common_name: facts.common_name.clone(),
        names: facts.names.clone(),
        sha256: facts.sha256,
        until: facts.until,
        revocation: Arc::new(Lists { tls: Arc::clone(tls), facts }),
    }))
}

/// A certificate, and the listener that knows whether it is revoked.
#[derive(Debug)]
struct Lists {
    tls: Arc<ServerTls>,
    facts: ClientFacts,
}

impl Revocation for Lists {
    fn is_revoked(&self) -> bool {
        self.tls.is_revoked(&self.facts)
    }
}

/// An address as the configuration writes it.
pub(crate) fn address_text(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
        Address::Systemd(name) => format!("systemd:{name}"),
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
