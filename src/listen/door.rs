//! Doors as they open: a socket that listens, or a device node.

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::{
    BoundSocket, ListenError,
    bind::{bind_tcp, bind_unix},
    guests::{DoorRules, Guests},
    is_of_client,
    node::NodeDoor,
};
use crate::{
    auth::ClientAddress,
    config::{Address, DoorWay},
    http::Bridge,
    wire::close::{Ended, Refusal},
};

/// Pause when the system has no descriptor or memory for a further connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A door that is about to open: its socket bound, or its node made.
#[derive(Debug)]
pub(crate) struct DoorListener(OpenedDoor);

#[derive(Debug)]
enum OpenedDoor {
    Socket(BoundSocket),
    Node(NodeDoor),
}

impl DoorListener {
    /// Does all of it that can fail.
    pub(crate) fn open(way: &DoorWay) -> Result<Self, ListenError> {
        let address = way.address();
        if let DoorWay::Pty(path) = way {
            let made = NodeDoor::new(path).map_err(|error| ListenError::node(path, &error))?;
            return Ok(Self(OpenedDoor::Node(made)));
        }
        let bound = match &address {
            Address::Tcp(address) => bind_tcp(*address),
            Address::Unix(path) => bind_unix(path),
            Address::Systemd(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = bound.map_err(|error| ListenError::new(&address, &error))?;
        Ok(Self(OpenedDoor::Socket(socket)))
    }

    /// Where it listens, with the port the system chose; `None` for a path.
    pub(crate) fn local_address(&self) -> Option<String> {
        match &self.0 {
            OpenedDoor::Socket(socket) => socket.local_address(),
            OpenedDoor::Node(_) => None,
        }
    }

    /// Serves whoever comes until the bridge's stop token is cancelled or the rules end. Each is a
    /// task on the bridge's tracker; those under rules that are in force no longer end.
    pub(crate) async fn run(self, bridge: Arc<Bridge>, rules: watch::Receiver<DoorRules>) {
        match self.0 {
            OpenedDoor::Socket(socket) => DoorSocket(socket).run(bridge, rules).await,
            OpenedDoor::Node(node) => node.run(bridge, rules).await,
        }
    }
}

/// A door's socket, bound.
struct DoorSocket(BoundSocket);

impl DoorSocket {
    async fn run(self, bridge: Arc<Bridge>, mut rules: watch::Receiver<DoorRules>) {
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
                accepted = self.0.accept() => accepted,
            };
            match accepted {
                Ok((raw, peer)) => {
                    exhausted = false;
                    guests.enter(&bridge, rules.borrow().clone(), (raw, peer));
                }
                Err(error) if is_of_client(&error) => {}
                Err(error) => {
                    if !exhausted {
                        let address = self.0.local_address();
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
