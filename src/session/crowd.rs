//! Whether an endpoint has room for another session, and which one gives way to it.

use std::{collections::BTreeMap, sync::Arc};

use super::{Parking, RunningSession, Sessions, sessions::Standing};
use crate::{
    auth::{PrincipalId, PrincipalKind},
    config::{Endpoint, Rights},
    line::{Lines, Participant},
    wire::close::{Ended, NoRoom},
};

/// The sessions of a gateway, as far as they take up room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd<'a> {
    /// Those with a socket.
    pub sessions: &'a Sessions,
    /// Those that wait for their client.
    pub parking: &'a Parking,
    /// Where they have seats.
    pub lines: &'a Lines,
}

/// A session that takes up room.
struct Occupant {
    principal: PrincipalId,
    /// The number of its socket, or of the one it lost: the lower, the older.
    number: u64,
    /// Whether it only watches.
    observes: bool,
    by: By,
}

/// How a session is found.
enum By {
    Socket(Arc<RunningSession>),
    /// It waits for its client; this is its secret.
    Secret(String),
}

impl Crowd<'_> {
    /// Whether the socket `newcomer`, which is already among the sessions, may stay. Sessions that
    /// wait for their client are not counted: it may have come back for one of them.
    pub(crate) fn admit(
        &self,
        endpoint: &Endpoint,
        who: &Participant,
        newcomer: u64,
    ) -> Result<(), NoRoom> {
        self.make_room(endpoint, who, newcomer, || self.sockets(&endpoint.name))
    }

    /// The same for a session that begins on it. Those that wait for their client are counted: the
    /// user's own that has waited longest gives way.
    pub(super) fn begin(
        &self,
        endpoint: &Endpoint,
        who: &Participant,
        newcomer: u64,
    ) -> Result<(), NoRoom> {
        self.make_room(endpoint, who, newcomer, || {
            let mut places = self.sockets(&endpoint.name);
            places.extend(self.parking.waiting(&endpoint.name).into_iter().map(|waiting| {
                Occupant {
                    principal: waiting.principal,
                    number: waiting.number,
                    observes: !waiting.writes,
                    by: By::Secret(waiting.secret),
                }
            }));
            places
        })
    }

    fn make_room(
        &self,
        endpoint: &Endpoint,
        who: &Participant,
        newcomer: u64,
        places: impl Fn() -> Vec<Occupant>,
    ) -> Result<(), NoRoom> {
        let most = endpoint.limits.sessions;
        // Where nobody signs in, everybody is the same.
        let is_someone = who.principal.kind != PrincipalKind::Open;
        let takes_over = is_someone && who.rights.allows(Rights::TAKEOVER);
        loop {
            let places = places();
            let own = places.iter().filter(|place| place.principal == who.principal);
            let no_room = if is_someone && own.clone().count() > most.div_ceil(2) {
                NoRoom::Half
            } else if places.len() > most {
                NoRoom::Full
            } else {
                return Ok(());
            };
            let waiting = own.filter(|place| matches!(place.by, By::Secret(_)));
            let gives_way = match waiting.min_by_key(|place| place.number) {
                Some(own) => own,
                None if no_room == NoRoom::Full && takes_over => {
                    observer(&places, &who.principal, newcomer).ok_or(no_room)?
                }
                None => return Err(no_room),
            };
            match &gives_way.by {
                By::Socket(entry) => entry.end(Ended::GaveWay),
                By::Secret(secret) => self.parking.forget(secret),
            }
        }
    }

    fn sockets(&self, endpoint: &str) -> Vec<Occupant> {
        let running = self.sessions.list().into_iter();
        let here = running.filter(|entry| entry.endpoint == endpoint);
        // The place of one that was told to make room is another's already.
        let here = here.map(|entry| (entry.ordered(), entry)).filter(|(order, entry)| {
            *order != Some(Ended::GaveWay) && entry.standing() != Standing::Silent
        });
        here.map(|(order, entry)| Occupant {
            principal: entry.principal.clone(),
            number: entry.number,
            observes: match entry.standing() {
                // It is ending for another reason, and cannot be given a second one.
                _ if order.is_some() => false,
                Standing::Idle | Standing::Silent => true,
                Standing::Seat(seat) => !self.lines.writes(endpoint, seat),
                Standing::Arriving | Standing::Own => false,
            },
            by: By::Socket(entry),
        })
        .collect()
    }
}

/// The oldest observer of the principal with the most sessions; if several have as many, preferably
/// of another than `who`. The newcomer does not count.
fn observer<'a>(places: &'a [Occupant], who: &PrincipalId, newcomer: u64) -> Option<&'a Occupant> {
    let mut crowds: BTreeMap<&PrincipalId, Vec<&Occupant>> = BTreeMap::new();
    for place in places.iter().filter(|place| place.number != newcomer) {
        crowds.entry(&place.principal).or_default().push(place);
    }
    let mut crowds: Vec<_> = crowds.into_iter().collect();
    crowds.sort_by_key(|(principal, crowd)| (std::cmp::Reverse(crowd.len()), *principal == who));
    let observers = |crowd: Vec<&'a Occupant>| {
        crowd.into_iter().filter(|place| place.observes).min_by_key(|place| place.number)
    };
    crowds.into_iter().find_map(|(_, crowd)| observers(crowd))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, number: u64, observes: bool) -> Occupant {
        let principal = PrincipalId::new(PrincipalKind::User, name);
        Occupant { principal, number, observes, by: By::Secret(String::new()) }
    }

    #[test]
    fn the_oldest_observer_of_who_has_most_gives_way_and_never_a_writer() {
        let boss = PrincipalId::new(PrincipalKind::User, "boss");
        let number = |places: &[Occupant]| observer(places, &boss, 99).map(|place| place.number);
        let crowd = [
            place("anna", 1, true),
            place("bob", 2, false),
            place("bob", 4, true),
            place("bob", 3, true),
            place("boss", 99, true),
        ];
        assert_eq!(number(&crowd), Some(3));
        // A principal that has the most and only writes keeps all of them.
        assert_eq!(
            number(&[place("bob", 1, false), place("bob", 2, false), place("anna", 3, true)]),
            Some(3)
        );
        // Of two with as many, it is preferably another's.
        assert_eq!(number(&[place("boss", 1, true), place("zoe", 2, true)]), Some(2));
        assert_eq!(number(&[place("anna", 1, false), place("boss", 99, true)]), None);
    }
}
