//! Doors as `check` prints them: what stands open, to whom, as whom.

use std::{collections::BTreeMap, sync::Arc};

use crate::config::{Door, Endpoint};

/// Rows of the table; none where there are no doors.
pub(super) fn rows(endpoints: &BTreeMap<String, Arc<Endpoint>>) -> Vec<[String; 5]> {
    let all = endpoints.values();
    all.flat_map(|endpoint| endpoint.doors.iter().map(|door| row(&endpoint.name, door))).collect()
}

fn row(endpoint: &str, door: &Door) -> [String; 5] {
    let who = match &door.who {
        Some(name) => name.clone(),
        None if door.way.asks_for_certificates() => "its certificate".into(),
        None => "anyone".into(),
    };
    [door.way.to_string(), endpoint.into(), door.open_to(), who, door.lends.words().join(" ")]
}
