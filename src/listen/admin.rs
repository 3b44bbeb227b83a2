//! The admin socket: for the commands of this machine, which whoever may open it gives with every
//! right.

use std::{os::fd::OwnedFd, path::Path, sync::Arc};

use tokio::time::Instant;

use super::{
    BoundSocket, ListenError, Raw,
    bind::{bind_unix, take_over},
    unix::OWN_MODE,
};
use crate::{
    auth::{Admission, Peer, Way},
    config::{Address, AdminSocket, Limits},
    http::{self, Bridge},
    stream::Stream,
};

/// Connections at a time: places of its own, so that no crowd keeps the administrator out.
const PLACES: usize = 16;

/// The admin socket, bound.
#[derive(Debug)]
pub(crate) struct AdminListener {
    socket: BoundSocket,
    name: String,
    admission: Arc<Admission>,
}

impl AdminListener {
    /// Makes the socket, for our own user alone (and root).
    pub(crate) fn bind(path: &Path) -> Result<Self, ListenError> {
        let address = Address::Unix(path.to_owned());
        let socket =
            bind_unix(path, OWN_MODE).map_err(|error| ListenError::new(&address, &error))?;
        Ok(Self::new(socket, super::address_text(&address)))
    }

    /// Takes over the socket that systemd made, with the mode and the group that it has.
    pub(crate) fn handed(socket: OwnedFd) -> Result<Self, ListenError> {
        let address = Address::Systemd(Self::SYSTEMD_NAME.to_owned());
        let socket = take_over(socket).map_err(|error| ListenError::new(&address, &error))?;
        Ok(Self::new(socket, super::address_text(&address)))
    }

    /// Its FileDescriptorName.
    pub(crate) const SYSTEMD_NAME: &str = "admin";

    fn new(socket: BoundSocket, name: String) -> Self {
        Self { socket, name, admission: Arc::default() }
    }

    /// Where it is, for the log.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Accepts until the bridge's stop token is cancelled, or the future is dropped. Each
    /// connection is a task on the bridge's tracker. While `admin: none` is in force, each is
    /// closed at once: systemd's socket listens in any case.
    pub(crate) async fn run(self, bridge: Arc<Bridge>) {
        let stop = bridge.stop.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.socket.next(&bridge, &self.name) => accepted,
            };
            if bridge.config().admin != AdminSocket::Off {
                self.enter(&bridge, accepted);
            }
        }
    }

    fn enter(&self, bridge: &Arc<Bridge>, (raw, peer): (Raw, Peer)) {
        // Nobody reaches it by the network.
        let Raw::Unix(stream) = raw else { return };
        bridge.metrics.connections.inc();
        let config = bridge.config();
        let limits = Limits {
            connections: PLACES,
            per_address: PLACES,
            unauthenticated: PLACES,
            ..config.limits
        };
        let source = bridge.auth.source(peer.client);
        let slot = self.admission.enter((source, true), false, &limits);
        let until = Instant::now() + limits.handshake;
        let peer = Peer { way: Way::Admin, ..peer };
        let serving = http::serve(Arc::clone(bridge), Stream::from(stream), peer, slot, until);
        bridge.tasks.spawn(serving);
    }
}
