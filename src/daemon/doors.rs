//! The doors that stand open, and how a reload changes them.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::ListenersError;
use crate::{
    announce::{Service, ServiceKind},
    auth::own_name,
    config::{
        Address, Config, Door, DoorAction, DoorWay, Endpoint, ListenTls, Plan, PlannedDoor,
        PortIdentity, SerialTarget, Target,
    },
    http::Bridge,
    listen::{DoorListener, DoorRules},
    settings::UsbId,
    tls::{ServerTls, WantedNames},
};

/// Pause before an address that could not be had is tried again.
const CLOSED_RETRY: Duration = Duration::from_secs(1);

/// The doors of the configuration in force.
#[derive(Debug, Default)]
pub(super) struct Doors {
    open: Vec<OpenDoor>,
    /// Those whose address could not be had, and what was told of each last.
    closed: Vec<(PlannedDoor, String)>,
}

#[derive(Debug)]
struct OpenDoor {
    address: Address,
    /// Dropped, it ends the listener and its sessions.
    rules: watch::Sender<DoorRules>,
}

/// Doors that are about to open or to change, with everything that could fail done.
#[derive(Debug, Default)]
pub(super) struct FreshDoors {
    bound: Vec<(Address, DoorListener, DoorRules)>,
    changed: Vec<(Address, DoorRules)>,
    closed: Vec<(PlannedDoor, String)>,
}

impl Doors {
    /// Ready when it is worth trying again to open what could not be; never while nothing is.
    pub(super) async fn may_have_come(&self) {
        if self.closed.is_empty() {
            return std::future::pending().await;
        }
        sleep(CLOSED_RETRY).await;
    }

    /// Binds what a plan opens, and tries again what could not be bound. With `strict` an address
    /// that is taken is a failure; else it is tried again later, and so is one that is not there.
    pub(super) fn bind(
        &self,
        plan: &Plan,
        wanted: &Config,
        strict: bool,
    ) -> Result<FreshDoors, ListenersError> {
        let mut fresh = FreshDoors::default();
        for planned in &plan.doors {
            let address = planned.door.way.address();
            let waits = self.closed.iter().any(|(other, _)| same(other, planned));
            match planned.action {
                DoorAction::Close => {}
                DoorAction::Keep if !waits => {}
                DoorAction::Change if self.is_open(&address) => {
                    fresh.changed.push((address, rules(planned, wanted)?));
                }
                DoorAction::Keep | DoorAction::Open | DoorAction::Change => {
                    fresh.bind(planned, address, wanted, strict)?;
                }
            }
        }
        Ok(fresh)
    }

    /// Tries again what could not be bound.
    pub(super) fn bind_again(&mut self, wanted: &Config, bridge: &Arc<Bridge>) {
        let mut fresh = FreshDoors::default();
        for (planned, _) in &self.closed {
            let address = planned.door.way.address();
            if let Err(error) = fresh.bind(planned, address, wanted, false) {
                fresh.closed.push((planned.clone(), error.to_string()));
            }
        }
        self.run(fresh, bridge);
    }

    /// Those of an endpoint that are open and to be found on the network.
    pub(super) fn announced(&self, endpoint: &Endpoint) -> Vec<Service> {
        let mut found = Vec::new();
        for door in endpoint.doors.iter().filter(|door| door.announced) {
            if let DoorWay::Rfc2217(address) = door.way
                && self.is_open(&Address::Tcp(address))
            {
                let (endpoint, about) = (endpoint.name.clone(), adapter(&endpoint.target));
                found.push(Service { address, kind: ServiceKind::Rfc2217 { endpoint, about } });
            }
        }
        found
    }

    fn is_open(&self, address: &Address) -> bool {
        self.open.iter().any(|open| open.address == *address)
    }

    /// Ends the doors that a plan closes, and their sessions.
    pub(super) fn retire(&mut self, plan: &Plan) {
        for planned in plan.doors.iter().filter(|it| it.action == DoorAction::Close) {
            let address = planned.door.way.address();
            self.open.retain(|open| open.address != address);
        }
    }

    /// Opens the doors; each is a task of the bridge's tracker, and ends with the bridge's stop
    /// token or when it is closed.
    pub(super) fn run(&mut self, fresh: FreshDoors, bridge: &Arc<Bridge>) {
        for (address, rules) in fresh.changed {
            if let Some(open) = self.open.iter().find(|open| open.address == address) {
                open.rules.send_replace(rules);
            }
        }
        for (address, listener, rules) in fresh.bound {
            let DoorRules { endpoint, door, .. } = &rules;
            let at = listener.local_address().unwrap_or_else(|| door.way.to_string());
            tracing::info!(endpoint, kind = door.way.kind(), "door open on {at}");
            let (sender, receiver) = watch::channel(rules);
            bridge.tasks.spawn(listener.run(Arc::clone(bridge), receiver));
            self.open.push(OpenDoor { address, rules: sender });
        }
        for (planned, why) in &fresh.closed {
            if self.closed.iter().all(|(other, told)| !same(other, planned) || told != why) {
                tracing::warn!(endpoint = planned.endpoint, "door not open: {why}; trying again");
            }
        }
        self.closed = fresh.closed;
    }
}

impl FreshDoors {
    fn bind(
        &mut self,
        planned: &PlannedDoor,
        address: Address,
        wanted: &Config,
        strict: bool,
    ) -> Result<(), ListenersError> {
        let rules = rules(planned, wanted)?;
        match DoorListener::open(&planned.door.way) {
            Ok(listener) => self.bound.push((address, listener, rules)),
            Err(error) if strict && !error.absent => return Err(error.into()),
            Err(error) => self.closed.push((planned.clone(), error.to_string())),
        }
        Ok(())
    }
}

/// What is said about an adapter, as far as the configuration names it: udev's words.
fn adapter(target: &Target) -> Vec<String> {
    let (id, serial) = if let Target::Serial(SerialTarget { port, .. }) = target
        && let PortIdentity::Usb { id, serial, .. } = port
    {
        (Some(*id), serial.as_ref())
    } else {
        (target.stated_usb(), None)
    };
    let Some(UsbId { vid, pid }) = id else { return Vec::new() };
    let mut about = vec![format!("VENDOR_ID={vid:04x}"), format!("MODEL_ID={pid:04x}")];
    about.extend(serial.map(|serial| format!("SERIAL={serial}")));
    about
}

/// Whether two are one door.
fn same(one: &PlannedDoor, other: &PlannedDoor) -> bool {
    one.endpoint == other.endpoint && one.door == other.door
}

fn rules(planned: &PlannedDoor, wanted: &Config) -> Result<DoorRules, ListenersError> {
    let names = WantedNames::new(&own_name(), &wanted.hosts);
    let door: &Door = &planned.door;
    let tls = match door.way.tls() {
        ListenTls::Off => None,
        tls @ (ListenTls::SelfSigned | ListenTls::Files { .. }) => {
            ServerTls::open(tls, &wanted.state_directory, &names)?.map(Arc::new)
        }
    };
    Ok(DoorRules { endpoint: planned.endpoint.clone(), door: Arc::clone(&planned.door), tls })
}
