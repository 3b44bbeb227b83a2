//! What a reload does to doors.

use std::{collections::BTreeMap, sync::Arc};

use crate::config::{Door, Endpoint};

/// What becomes of a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoorAction {
    /// It is as it was.
    Keep,
    /// Nothing listens there yet.
    Open,
    /// Something listens there under other rules, or for another endpoint: who came in ends.
    Change,
    /// Only the old configuration has it.
    Close,
}

/// A door, and what becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedDoor {
    /// Where it leads.
    pub endpoint: String,
    /// The door; of one that changes, as it will be.
    pub door: Arc<Door>,
    /// What becomes of it.
    pub action: DoorAction,
}

/// What becomes of each door, by its address or path: those of the new configuration, then those
/// that go.
pub(super) fn doors(
    old: &BTreeMap<String, Arc<Endpoint>>,
    new: &BTreeMap<String, Arc<Endpoint>>,
) -> Vec<PlannedDoor> {
    let all = |endpoints: &BTreeMap<String, Arc<Endpoint>>| {
        let doors = endpoints.values().flat_map(|endpoint| {
            endpoint.doors.iter().map(|door| (endpoint.name.clone(), Arc::new(door.clone())))
        });
        doors.collect::<Vec<_>>()
    };
    let (before, after) = (all(old), all(new));
    let stay = after.iter().map(|(endpoint, door)| {
        let there = before.iter().find(|(_, other)| other.way.has_place_of(&door.way));
        let action = match there {
            None => DoorAction::Open,
            Some((other, same)) if other == endpoint && same == door => DoorAction::Keep,
            Some(_) => DoorAction::Change,
        };
        PlannedDoor { endpoint: endpoint.clone(), door: Arc::clone(door), action }
    });
    let go = before
        .iter()
        .filter(|(_, door)| !after.iter().any(|(_, other)| other.way.has_place_of(&door.way)));
    let go = go.map(|(endpoint, door)| PlannedDoor {
        endpoint: endpoint.clone(),
        door: Arc::clone(door),
        action: DoorAction::Close,
    });
    stay.chain(go).collect()
}
