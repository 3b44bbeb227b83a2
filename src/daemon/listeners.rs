//! The listeners that run, and how a reload changes them.

use std::{io, os::fd::OwnedFd, path::Path, sync::Arc};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::own_name,
    config::{Address, Listen, ListenTls},
    http::Bridge,
    listen::{self, Listener},
    systemd::Sockets,
    tls::{ServerTls, TlsError},
};

/// Why the daemon cannot listen as configured.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address is taken, not ours, or not allowed.
    #[error(transparent)]
    Address(#[from] listen::ListenError),
    /// Key or certificate is wrong.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A socket of systemd's, or of a running listener, cannot be had.
    #[error("cannot take over the socket of {0}: {1}")]
    Socket(String, io::Error),
}

impl ListenError {
    /// Whether it takes a right we do not have: a port below 1024, a socket's folder.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Address(error) if error.denied)
    }
}

/// Where a running listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// `address:port` with the port the system chose, or `unix:/path`.
    pub address: String,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The app it serves, and nothing else.
    pub app: Option<String>,
}

/// Listeners bound and not yet running.
pub(super) type Fresh = Vec<(Listen, Listener, OwnedFd)>;

/// The running listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    inherited: Sockets,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    listen: Listen,
    bound: Bound,
    /// A second hold on the socket, for a successor with another certificate.
    socket: OwnedFd,
    /// Ends this listener alone.
    stop: CancellationToken,
}

impl Listeners {
    /// None yet.
    pub(super) fn new(inherited: Sockets) -> Self {
        Self { inherited, running: Vec::new() }
    }

    /// Where we listen.
    pub(super) fn bound(&self) -> Vec<Bound> {
        self.running.iter().map(|running| running.bound.clone()).collect()
    }

    /// Binds every listener of a configuration that does not run yet; nothing else happens before [`Self::run`].
    pub(super) fn bind(&self, wanted: &[Listen], state_directory: &Path) -> Result<Fresh, ListenError> {
        let mut fresh = Vec::new();
        for listen in wanted.iter().filter(|listen| self.running.iter().all(|known| known.listen != **listen))
        {
            for socket in self.sockets(&listen.address, wanted)? {
                let tls = ServerTls::open(&listen.tls, state_directory, &own_name())?;
                let listener = Listener::bind(listen, socket, tls)?;
                let held = listener
                    .socket()
                    .map_err(|error| ListenError::Socket(listener.local_address(), error))?;
                fresh.push((listen.clone(), listener, held));
            }
        }
        Ok(fresh)
    }

    /// The sockets that are there already for an address: systemd's, or those of a listener whose TLS changes; or one made
    /// beside listeners of that port which leave.
    fn sockets(&self, address: &Address, wanted: &[Listen]) -> Result<Vec<Option<OwnedFd>>, ListenError> {
        let failed = |error| ListenError::Socket(format!("{address:?}"), error);
        let known: Vec<OwnedFd> = match address {
            Address::Systemd(name) => self.inherited.named(name).map_err(failed)?,
            // The file of a unix socket goes with its listener.
            Address::Unix(_) if self.running.iter().any(|running| running.listen.address == *address) => {
                return Err(failed(io::Error::other("only a restart changes the TLS of a unix socket")));
            }
            Address::Tcp(_) | Address::Unix(_) => {
                let same = self.running.iter().filter(|running| running.listen.address == *address);
                same.map(|running| running.socket.try_clone()).collect::<Result<_, _>>().map_err(failed)?
            }
        };
        if let (true, Address::Tcp(address)) = (known.is_empty(), address) {
            let leaving = self.leaving(address.port(), wanted);
            if !leaving.is_empty() {
                return Ok(vec![Some(listen::beside(*address, &leaving)?)]);
            }
        }
        Ok(if known.is_empty() { vec![None] } else { known.into_iter().map(Some).collect() })
    }

    /// The sockets of running listeners of that port which a configuration does not have.
    fn leaving(&self, port: u16, wanted: &[Listen]) -> Vec<&OwnedFd> {
        let of_port = |running: &&Running| matches!(running.listen.address, Address::Tcp(address) if address.port() == port && port != 0);
        let running = self.running.iter().filter(of_port);
        running.filter(|running| !wanted.contains(&running.listen)).map(|running| &running.socket).collect()
    }

    /// Lets bound listeners accept. Each is a task of the bridge's tracker; it ends with the bridge's stop token or when
    /// it is retired.
    pub(super) fn run(&mut self, fresh: Fresh, bridge: &Arc<Bridge>) {
        for (listen, listener, socket) in fresh {
            let bound = Bound {
                address: listener.local_address(),
                tls: listen.tls != ListenTls::Off,
                app: listen.app.clone(),
            };
            tracing::info!(tls = bound.tls, "listening on {}", bound.address);
            let stop = CancellationToken::new();
            let (retired, accepting) = (stop.clone(), listener.run(Arc::clone(bridge)));
            bridge.tasks.spawn(async move { retired.run_until_cancelled(accepting).await });
            self.running.push(Running { listen, bound, socket, stop });
        }
    }

    /// Ends the listeners a configuration does not have; connections they accepted go on.
    pub(super) fn retire(&mut self, wanted: &[Listen]) {
        self.running.retain(|running| {
            let kept = wanted.contains(&running.listen);
            if !kept {
                tracing::info!("no longer listening on {}", running.bound.address);
                running.stop.cancel();
            }
            kept
        });
    }
}
