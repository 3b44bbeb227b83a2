//! Doors as they open: a socket that listens, or a device node.

use std::{io, sync::Arc};

use tokio::sync::watch;

use super::{
    BoundSocket, ListenError,
    bind::{bind_tcp, bind_unix},
    guests::{DoorRules, Guests},
    node::NodeDoor,
    unix::GROUP_MODE,
};
use crate::{
    config::{Address, DoorWay},
    http::Bridge,
    wire::close::Ended,
};

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
            Address::Unix(path) => bind_unix(path, GROUP_MODE),
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
        let name = self.0.local_address().unwrap_or_default();
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
                accepted = self.0.next(&bridge, &name) => accepted,
            };
            guests.enter(&bridge, rules.borrow().clone(), accepted);
        }
    }
}
