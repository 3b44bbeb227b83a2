//! The record of a gateway: where it is, and how it begins.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::Fatal;
use crate::{
    audit::{Audit, Entry},
    auth::own_name,
    config::Config,
};

/// The folder of the record that a configuration asks for; `None` without one.
pub(crate) fn folder(config: &Config) -> Option<PathBuf> {
    let rules = config.audit.as_ref()?;
    Some(rules.folder.clone().unwrap_or_else(|| config.state_directory.join("audit")))
}

/// Opens it, if one is asked for. A gateway that is to record and cannot does not start.
pub(super) fn open(config: &Config) -> Result<Option<Audit>, Fatal> {
    let (Some(rules), Some(folder)) = (&config.audit, folder(config)) else { return Ok(None) };
    let version = Value::from(env!("CARGO_PKG_VERSION"));
    let detail = Map::from_iter([("version".to_owned(), version)]);
    let at = jiff::Timestamp::now();
    let start = Entry { at, what: "start", detail, ..Entry::default() };
    let opened = Audit::start(&folder, rules.clone(), (&own_name(), &start));
    opened.map(Some).map_err(|error| Fatal::Record { folder, error })
}
