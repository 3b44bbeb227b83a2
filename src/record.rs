//! What passes an endpoint, kept: in files by its configuration, and live for whoever captures it.
//!
//! Whoever moves bytes tells a [`Tap`]; nobody who does waits for a disk or a network, except where
//! the configuration says that no byte may go to the device before its record.

mod ahead;
mod capture;
mod encode;
mod files;
mod piece;
mod replay;
mod sink;
mod tap;
mod writer;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::encode::{Manner, Shape};
pub(crate) use self::{
    ahead::Ahead,
    capture::Capture,
    encode::words,
    files::{Recording, is_recording, list},
    piece::Kind,
    replay::{View, convert, format_of, plain, replay},
    tap::Tap,
    writer::{RecordNews, Teller},
};
use crate::{
    config::{Config, Endpoint, Packing, RecordFormat, modbus_pause},
    metrics::Metrics,
};

/// The taps of a gateway, by endpoint.
pub(crate) struct Recorders {
    taps: Mutex<BTreeMap<String, Arc<Tap>>>,
    metrics: Arc<Metrics>,
    teller: Teller,
}

impl std::fmt::Debug for Recorders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorders").field("taps", &self.taps).finish_non_exhaustive()
    }
}

/// The folder of an endpoint's recordings; `None` if it is not recorded.
pub(crate) fn folder(config: &Config, endpoint: &Endpoint) -> Option<PathBuf> {
    let rules = endpoint.record.as_ref()?;
    let all = rules.folder.clone();
    Some(all.unwrap_or_else(|| config.state_directory.join("recordings")).join(&endpoint.name))
}

impl Recorders {
    /// None yet. `teller` hears what happens to files.
    pub(crate) fn new(metrics: Arc<Metrics>, teller: Teller) -> Self {
        Self { taps: Mutex::default(), metrics, teller }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Tap>>> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins and ends recordings as a configuration wants.
    pub(crate) fn apply(&self, config: &Config) {
        let mut taps = self.lock();
        taps.retain(|name, tap| {
            let stays = config.endpoints.contains_key(name);
            if !stays {
                tap.stop();
            }
            stays
        });
        for (name, endpoint) in &config.endpoints {
            let manner = manner(endpoint);
            let tap =
                taps.entry(name.clone()).or_insert_with(|| Arc::new(Tap::new(manner.clone())));
            let folder = folder(config, endpoint);
            let wanted = endpoint.record.as_ref().zip(folder);
            let told = (self.metrics.endpoint(name), Arc::clone(&self.teller));
            if let Err(error) = tap.set(manner, wanted, told) {
                (self.teller)(name, RecordNews::Failed(&error.to_string()));
            }
        }
    }

    /// An endpoint's tap.
    pub(crate) fn tap(&self, endpoint: &Endpoint) -> Arc<Tap> {
        let mut taps = self.lock();
        let tap = taps
            .entry(endpoint.name.clone())
            .or_insert_with(|| Arc::new(Tap::new(manner(endpoint))));
        Arc::clone(tap)
    }

    /// Whether nobody may write on an endpoint because it cannot be recorded.
    pub(crate) fn refuses(&self, endpoint: &str) -> bool {
        self.lock().get(endpoint).is_some_and(|tap| tap.refuses())
    }

    /// Ends all: what waits is written.
    pub(crate) fn stop(&self) {
        for tap in self.lock().values() {
            tap.stop();
        }
    }
}

fn manner(endpoint: &Endpoint) -> Manner {
    let rules = endpoint.record.as_ref();
    let packed = matches!(endpoint.packing, Packing::ModbusRtu { .. });
    let modbus = packed || rules.is_some_and(|rules| rules.modbus);
    let usual = modbus_pause(endpoint.target.settings().unwrap_or_default());
    Manner {
        name: endpoint.name.clone(),
        format: rules.map_or(RecordFormat::Pcapng, |rules| rules.format),
        shape: Shape::of(&endpoint.target),
        input: rules.is_none_or(|rules| rules.input),
        modbus: modbus.then(|| endpoint.packing.pause().unwrap_or(usual)),
    }
}
