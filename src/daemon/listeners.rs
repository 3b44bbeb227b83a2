//! The listeners that run, and how a reload changes them.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::own_name,
    config::{Address, Config, Listen, ListenTls, ListenerAction, Plan, same_port},
    http::Bridge,
    listen::{self, Listener, address_text},
    systemd::Sockets,
    tls::{ServerTls, TlsError, WantedNames},
};

/// Why the daemon cannot listen as configured.
#[derive(Debug, Error)]
pub(crate) enum ListenersError {
    /// The address is taken, not ours, or not allowed.
    #[error(transparent)]
    Address(#[from] listen::ListenError),
    /// The key or the certificate is wrong.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A socket of systemd's, or of a running listener, cannot be taken over.
    #[error("cannot take over the socket of {0}: {1}")]
    Socket(String, io::Error),
}

impl ListenersError {
    /// Whether it needs a privilege we lack: a port below 1024, a socket's folder.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Address(error) if error.denied)
    }

    /// Whether the address does not exist yet, and may come.
    fn is_absent(&self) -> bool {
        matches!(self, Self::Address(error) if error.absent)
    }
}

/// Where a running listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListeningOn {
    /// `address:port` with the port the system chose, or `unix:/path`.
    pub address: String,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The app it serves, and nothing else.
    pub app: Option<String>,
}

/// Pause before an address that did not exist is tried again.
const ABSENT_RETRY: Duration = Duration::from_secs(1);

/// The listeners of a configuration that do not run yet.
#[derive(Debug)]
pub(super) struct Fresh {
    bound: Vec<(Listen, Listener, OwnedFd)>,
    /// Those whose address does not exist.
    absent: Vec<Absent>,
}

impl Fresh {
    /// Why nobody at all would be served, unless another listener runs.
    pub(super) fn nobody(&self) -> Option<&str> {
        self.absent.first().filter(|_| self.bound.is_empty()).map(|absent| absent.why.as_str())
    }
}

/// A listener whose address does not exist yet.
#[derive(Debug)]
struct Absent {
    listen: Listen,
    /// What was last logged about it.
    why: String,
}

/// The running listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    inherited: Sockets,
    running: Vec<RunningListener>,
    absent: Vec<Absent>,
}

#[derive(Debug)]
struct RunningListener {
    listen: Listen,
    bound: ListeningOn,
    /// A second descriptor of the socket, for a successor with another certificate.
    socket: OwnedFd,
    /// Ends this listener alone.
    stop: CancellationToken,
}

impl Listeners {
    /// None yet.
    pub(super) fn new(inherited: Sockets) -> Self {
        Self { inherited, running: Vec::new(), absent: Vec::new() }
    }

    /// Where we listen.
    pub(super) fn bound(&self) -> Vec<ListeningOn> {
        self.running.iter().map(|running| running.bound.clone()).collect()
    }

    /// Addresses that do not exist yet.
    pub(super) fn absent(&self) -> Vec<String> {
        self.absent.iter().map(|absent| address_text(&absent.listen.address)).collect()
    }

    /// Whether a listener that the plan keeps is running.
    pub(super) fn serves(&self, plan: &Plan) -> bool {
        self.running.iter().any(|running| plan.keeps(&running.listen))
    }

    /// Binds every listener that a plan adds, and tries again those it keeps whose address did not
    /// exist; nothing else happens before [`Self::run`]. An address that does not exist is not a
    /// failure.
    pub(super) fn bind(&self, plan: &Plan, wanted: &Config) -> Result<Fresh, ListenersError> {
        let mut fresh = Fresh { bound: Vec::new(), absent: Vec::new() };
        for (listen, action) in &plan.listeners {
            let sockets = match action {
                ListenerAction::Remove => continue,
                ListenerAction::Keep if self.absent.iter().all(|it| it.listen != *listen) => {
                    continue;
                }
                ListenerAction::Keep | ListenerAction::Bind => self.made(&listen.address),
                ListenerAction::Rebind => self.handed_over(&listen.address),
                ListenerAction::Beside => self.beside(&listen.address, plan),
            };
            match sockets.and_then(|sockets| bind_all(listen, sockets, wanted)) {
                Ok(bound) => fresh.bound.extend(bound),
                Err(error) if error.is_absent() => {
                    fresh.absent.push(Absent { listen: listen.clone(), why: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(fresh)
    }

    /// Completes when it is worth trying again to bind what was absent; never while nothing is.
    pub(super) async fn may_have_come(&self) {
        if self.absent.is_empty() {
            return std::future::pending().await;
        }
        sleep(ABSENT_RETRY).await;
    }

    /// Binds what was absent and has come; returns whether there was any. A gateway that serves
    /// does not stop for one that fails now: each reason is logged once.
    pub(super) fn bind_absent(&mut self, config: &Config, bridge: &Arc<Bridge>) -> bool {
        let mut fresh = Fresh { bound: Vec::new(), absent: Vec::new() };
        for absent in &self.absent {
            let Absent { listen, why: told } = absent;
            let sockets = self.made(&listen.address);
            match sockets.and_then(|sockets| bind_all(listen, sockets, config)) {
                Ok(bound) => fresh.bound.extend(bound),
                Err(error) => {
                    let why = error.to_string();
                    if why != *told {
                        tracing::warn!("{why}; trying again");
                    }
                    fresh.absent.push(Absent { listen: listen.clone(), why });
                }
            }
        }
        let came = !fresh.bound.is_empty();
        self.run(fresh, bridge);
        came
    }

    /// The sockets for an address where nothing listens yet: systemd's, or one still to be made.
    fn made(&self, address: &Address) -> Result<Sources, ListenersError> {
        let Address::Systemd(name) = address else { return Ok(vec![None]) };
        let handed = self.inherited.named(name).map_err(|error| failed(address, error))?;
        Ok(if handed.is_empty() { vec![None] } else { handed.into_iter().map(Some).collect() })
    }

    /// The sockets of listeners whose rules change.
    fn handed_over(&self, address: &Address) -> Result<Sources, ListenersError> {
        match address {
            Address::Systemd(_) => self.made(address),
            // The file of a unix socket disappears with its listener.
            Address::Unix(_) => Err(failed(
                address,
                io::Error::other("only a restart changes the TLS of a unix socket"),
            )),
            Address::Tcp(_) => {
                let same = self.running.iter().filter(|running| running.listen.address == *address);
                let sockets: Vec<_> = same
                    .map(|running| running.socket.try_clone().map(Some))
                    .collect::<Result<_, _>>()
                    .map_err(|error| failed(address, error))?;
                // Its address may not exist yet.
                Ok(if sockets.is_empty() { vec![None] } else { sockets })
            }
        }
    }

    /// A socket that shares its port with listeners about to leave.
    fn beside(&self, address: &Address, plan: &Plan) -> Result<Sources, ListenersError> {
        let leaving = self.running.iter().filter(|running| {
            same_port(&running.listen.address, address) && !plan.keeps(&running.listen)
        });
        let leaving: Vec<_> = leaving.map(|running| &running.socket).collect();
        match address {
            Address::Tcp(address) if !leaving.is_empty() => {
                Ok(vec![Some(listen::beside(*address, &leaving)?)])
            }
            Address::Tcp(_) | Address::Unix(_) | Address::Systemd(_) => Ok(vec![None]),
        }
    }

    /// Lets bound listeners accept. Each is a task on the bridge's tracker; it ends with the
    /// bridge's stop token or when it is retired.
    pub(super) fn run(&mut self, fresh: Fresh, bridge: &Arc<Bridge>) {
        for (listen, listener, socket) in fresh.bound {
            let bound = ListeningOn {
                address: listener.local_address(),
                tls: listen.tls != ListenTls::Off,
                app: listen.app.clone(),
            };
            tracing::info!(tls = bound.tls, "listening on {}", bound.address);
            let stop = CancellationToken::new();
            let (retired, accepting) = (stop.clone(), listener.run(Arc::clone(bridge)));
            bridge.tasks.spawn(async move { retired.run_until_cancelled(accepting).await });
            self.running.push(RunningListener { listen, bound, socket, stop });
        }
        for absent in &fresh.absent {
            if self.absent.iter().all(|known| known.listen != absent.listen) {
                tracing::warn!("{}; trying again until it has", absent.why);
            }
        }
        self.absent = fresh.absent;
    }

    /// Ends the listeners that a plan does not keep; connections they accepted go on.
    pub(super) fn retire(&mut self, plan: &Plan) {
        self.running.retain(|running| {
            let kept = plan.keeps(&running.listen);
            if !kept {
                tracing::info!("no longer listening on {}", running.bound.address);
                running.stop.cancel();
            }
            kept
        });
    }
}

/// Sockets to listen on; `None` stands for one still to be made.
type Sources = Vec<Option<OwnedFd>>;

fn failed(address: &Address, error: io::Error) -> ListenersError {
    ListenersError::Socket(format!("{address:?}"), error)
}

/// Binds one listener; systemd may hold several sockets for it.
fn bind_all(
    listen: &Listen,
    sockets: Sources,
    wanted: &Config,
) -> Result<Vec<(Listen, Listener, OwnedFd)>, ListenersError> {
    let names = WantedNames::new(&own_name(), &wanted.hosts);
    let mut bound = Vec::new();
    for socket in sockets {
        let tls = ServerTls::open(&listen.tls, &wanted.state_directory, &names)?;
        let listener = Listener::bind(listen, socket, tls)?;
        let held = listener
            .socket()
            .map_err(|error| ListenersError::Socket(listener.local_address(), error))?;
        bound.push((listen.clone(), listener, held));
    }
    Ok(bound)
}
