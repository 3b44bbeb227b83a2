//! Doors as `check` prints them: what stands open, to whom, as whom.

use std::{collections::BTreeMap, sync::Arc};

use crate::config::{Door, Endpoint};

/// Rows of the table, its head first; `None` where there are no doors.
pub(super) fn rows(endpoints: &BTreeMap<String, Arc<Endpoint>>) -> Option<Vec<[String; 5]>> {
    let mut rows = vec![["DOOR", "ENDPOINT", "OPEN TO", "AS", "LENDS"].map(String::from)];
    for endpoint in endpoints.values() {
        rows.extend(endpoint.doors.iter().map(|door| row(&endpoint.name, door)));
    }
    (rows.len() > 1).then_some(rows)
}

fn row(endpoint: &str, door: &Door) -> [String; 5] {
    let who = match &door.who {
        Some(name) => name.clone(),
        None if door.way.asks_for_certificates() => "its certificate".into(),
        None => "anyone".into(),
    };
    [door.way.to_string(), endpoint.into(), door.open_to(), who, door.lends.words().join(" ")]
}
