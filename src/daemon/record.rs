//! The record of a gateway: where it is, and how it begins.

use std::sync::Arc;

use serde_json::Value;

use super::Fatal;
use crate::{
    audit::{self, Audit, Entry, WitnessNews},
    auth::own_name,
    config::Config,
    event::{Event, Events},
};

/// Opens it, if one is asked for. A gateway that is to record and cannot does not start.
pub(super) fn open(config: &Config, events: &Arc<Events>) -> Result<Option<Audit>, Fatal> {
    let (Some(rules), Some(folder)) = (&config.audit, audit::folder(config)) else {
        return Ok(None);
    };
    let detail = [
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("config", config.files.iter().map(|(file, hash)| (file.clone(), hash.as_str())).collect()),
    ];
    let detail = detail.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
    let at = jiff::Timestamp::now();
    let start = Entry { at, what: "start", detail, ..Entry::default() };
    let told = Arc::clone(events);
    let news: WitnessNews = Arc::new(move |news| told.tell(Event::Witness { news }));
    let heard = (Arc::clone(events.metrics()), news);
    let opened = Audit::start(&folder, rules.clone(), heard, (&own_name(), &start));
    opened.map(Some).map_err(|error| Fatal::Record { folder, error })
}
