//! A device that connects to us: one at a time, known by what it says first.

mod doorstep;
mod ignored;
mod incoming;
mod presence;

use std::{fmt, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinSet};

use self::{doorstep::Rules, incoming::Incoming, presence::Presence};
use super::{Device, OpenError, Port, tcp};
use crate::{
    config::DialInTarget,
    metrics::EndpointMetrics,
    stream::{self, Stream, listening},
    wire::close::Refusal,
};

/// Hears of each connection that was refused, and why.
type Told = dyn Fn(SocketAddr, &Refusal) + Send + Sync;

/// Whom a line tells of connections that were turned away, and what it counts.
#[derive(Clone)]
pub(crate) struct Desk {
    /// The endpoint's name.
    pub endpoint: String,
    /// What is counted for it.
    pub metrics: Arc<EndpointMetrics>,
    /// Hears of each connection that was refused, and why.
    pub refused: Arc<Told>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Our address, listened on for as long as the line has its keeper.
#[derive(Debug)]
pub(crate) struct Reception {
    at: SocketAddr,
    presence: Arc<Presence>,
    desk: Desk,
    /// The task that accepts; ends with this.
    _task: JoinSet<()>,
}

impl Reception {
    /// Listens.
    pub(super) fn open(target: &DialInTarget, desk: &Desk) -> Result<Self, OpenError> {
        let address = target.listen;
        let failed = |error| {
            OpenError::Refused(format!("cannot listen on {address}: {}", tcp::reason(&error)))
        };
        let bound = listening(address, false).and_then(|it| TcpListener::from_std(it.into()));
        let listener = bound.map_err(failed)?;
        let at = listener.local_addr().map_err(failed)?;
        tracing::info!(endpoint = desk.endpoint, "waiting for the device on {at}");
        let presence = Arc::new(Presence::default());
        let rules = Rules::new(target, desk.clone());
        let mut task = JoinSet::new();
        task.spawn(presence::receive(listener, rules, Arc::clone(&presence)));
        Ok(Self { at, presence, desk: desk.clone(), _task: task })
    }

    /// The device that has connected, if one has.
    pub(super) fn device(&self, target: &DialInTarget) -> Result<Device, OpenError> {
        let Some(arrival) = self.presence.admit() else {
            let what = format!("no device is connected to {}", self.at);
            return Err(OpenError::Absent(what));
        };
        let peer = arrival.peer;
        tcp::tune(&arrival.socket, target.keepalive, target.user_timeout);
        let mut stream = Stream::from(arrival.socket);
        if let Some((every, bytes)) = target.heartbeat.ours.clone() {
            stream.keep_alive(every, bytes);
        }
        let (reader, writer, probe) = stream::split(stream, target.dead_after);
        let present = self.presence.settle(probe.clone(), peer);
        tracing::info!(endpoint = self.desk.endpoint, peer = %peer, "the device has connected");
        let heard = (arrival.screen, arrival.early);
        let theirs = target.heartbeat.theirs.clone();
        Ok(Device {
            reader: Box::new(Incoming::new(reader, heard, theirs, (present, self.desk.clone()))),
            writer: Box::new(writer),
            port: Port::Stream(probe),
            usb: target.usb,
            notes: Vec::new(),
        })
    }

    /// Ready when a device has connected.
    pub(super) async fn arrived(&self) {
        self.presence.arrived().await;
    }
}
