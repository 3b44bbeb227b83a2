//! Places for connections, taken before anything else happens: in all, for one source, for
//! strangers, and a reserve.
//!
//! A stranger is a connection that has not signed in yet. While there are strangers, a place can
//! always be found: the oldest one of the source with the most gives way, so that nobody keeps the
//! others out by waiting. When all places are signed in, the reserve serves administrators, and
//! lets any browser get as far as signing in.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::{Source, links::network};
use crate::config::Limits;

/// Connections beyond the limits that are served in case an administrator is among them: a few
/// browsers.
const RESERVE: usize = 16;
/// The same for one source: what a browser opens to load a page, and a few more.
const RESERVE_OF_SOURCE: usize = 8;
/// Connections of administrators beyond the limits: the page's, and its sockets.
const ADMINISTRATORS: usize = 16;

/// The places, and the rule for one more.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    taken: Mutex<TakenPlaces>,
}

#[derive(Debug, Default)]
struct TakenPlaces {
    /// By number, so by age.
    places: BTreeMap<u64, HeldPlace>,
    next: u64,
}

#[derive(Debug)]
struct HeldPlace {
    /// Whom it counts for; for a proxy's connection, the client it now speaks for.
    source: Option<Source>,
    /// The link it came from, if nobody has ever signed in from its address.
    link: Option<[u16; 4]>,
    kind: Holding,
    /// Cancelled when it gives way to another.
    evicted: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Stranger,
    Known,
    /// A trusted proxy's: it speaks for many, so only the total limits it, and it never gives way.
    Proxy,
    Reserve,
    Administrator,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    admission: Arc<Admission>,
    number: u64,
    evicted: CancellationToken,
}

impl TakenPlaces {
    fn count(&self, which: impl Fn(&HeldPlace) -> bool) -> usize {
        self.places.values().filter(|place| which(place)).count()
    }

    /// Whether it counts towards the limits.
    fn limited(place: &HeldPlace) -> bool {
        !matches!(place.kind, Holding::Reserve | Holding::Administrator)
    }

    /// Frees the oldest of these places that belongs to the source with the most of them. A link
    /// counts as one source if those of its neighbours that nobody has signed in from together hold
    /// more than one source may.
    fn evict_oldest(&mut self, limits: &Limits, which: impl Fn(&HeldPlace) -> bool) -> bool {
        let mut links: HashMap<[u16; 4], usize> = HashMap::new();
        for link in self.places.values().filter(|place| which(place)).filter_map(|place| place.link)
        {
            *links.entry(link).or_default() += 1;
        }
        let crowded =
            |link: &[u16; 4]| links.get(link).is_some_and(|count| *count > limits.per_address);
        let mut crowds: HashMap<Source, (usize, u64)> = HashMap::new();
        for (number, place) in self.places.iter().filter(|(_, place)| which(place)) {
            let source = place.link.filter(crowded).map(Source::V6).or(place.source);
            if let Some(source) = source {
                crowds.entry(source).or_insert((0, *number)).0 += 1;
            }
        }
        let fullest =
            crowds.into_values().max_by_key(|(count, oldest)| (*count, u64::MAX - oldest));
        let gone = fullest.and_then(|(_, oldest)| self.places.remove(&oldest));
        if let Some(place) = &gone {
            place.evicted.cancel();
        }
        gone.is_some()
    }

    /// What a connection from `source` becomes, once others have given way to it.
    fn place_for(&mut self, source: Source, proxied: bool, limits: &Limits) -> Holding {
        let is_stranger = |place: &HeldPlace| place.kind == Holding::Stranger;
        let of_source = self.count(|place| Self::limited(place) && place.source == Some(source));
        let own = |place: &HeldPlace| is_stranger(place) && place.source == Some(source);
        if !proxied && of_source >= limits.per_address && !self.evict_oldest(limits, own) {
            return Holding::Reserve;
        }
        let strangers = self.count(is_stranger);
        let full = self.count(Self::limited) >= limits.connections
            || (!proxied && strangers >= limits.unauthenticated);
        match (full && !self.evict_oldest(limits, is_stranger), proxied) {
            (true, _) => Holding::Reserve,
            (false, true) => Holding::Proxy,
            (false, false) => Holding::Stranger,
        }
    }
}

impl Admission {
    /// A place for a connection from `source`, or from a trusted proxy there. `known`: somebody has
    /// signed in from there.
    pub(crate) fn enter(
        self: &Arc<Self>,
        (source, known): (Source, bool),
        proxied: bool,
        limits: &Limits,
    ) -> Slot {
        let mut taken = self.lock();
        let link = match source {
            Source::Neighbour(address) if !known => Some(network(address)),
            Source::Neighbour(_) | Source::V4(_) | Source::V6(_) | Source::Local => None,
        };
        let kind = taken.place_for(source, proxied, limits);
        let in_reserve = |place: &HeldPlace| place.kind == Holding::Reserve;
        if kind == Holding::Reserve {
            let of_source = |place: &HeldPlace| in_reserve(place) && place.source == Some(source);
            if taken.count(of_source) >= RESERVE_OF_SOURCE {
                taken.evict_oldest(limits, of_source);
            } else if taken.count(in_reserve) >= RESERVE {
                taken.evict_oldest(limits, in_reserve);
            }
        }
        let (number, evicted) = (taken.next, CancellationToken::new());
        taken.next += 1;
        let source = (kind != Holding::Proxy).then_some(source);
        taken.places.insert(number, HeldPlace { source, link, kind, evicted: evicted.clone() });
        drop(taken);
        Slot { admission: Arc::clone(self), number, evicted }
    }

    /// Connections held now, not counting those beyond the limits.
    #[cfg(test)]
    pub(crate) fn total(&self) -> usize {
        self.lock().count(TakenPlaces::limited)
    }

    fn lock(&self) -> MutexGuard<'_, TakenPlaces> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Cancelled when the connection must end because another has got its place.
    pub(crate) fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }

    /// Whether it came beyond the limits and has not shown that it is an administrator's.
    pub(crate) fn is_reserve(&self) -> bool {
        self.kind() == Some(Holding::Reserve)
    }

    /// Whether it gets only as much time as a stranger's.
    pub(crate) fn is_stranger(&self) -> bool {
        matches!(self.kind(), Some(Holding::Stranger | Holding::Reserve) | None)
    }

    /// `None` once it has given way.
    fn kind(&self) -> Option<Holding> {
        self.admission.lock().places.get(&self.number).map(|place| place.kind)
    }

    /// Marks the connection as signed in, no longer a stranger's. False: it has given way, or it
    /// came beyond the limits and is no administrator's, or there are enough of those.
    pub(crate) fn authenticate(&self, administrator: bool) -> bool {
        let mut taken = self.admission.lock();
        let administrators = taken.count(|place| place.kind == Holding::Administrator);
        let Some(place) = taken.places.get_mut(&self.number) else { return false };
        match place.kind {
            Holding::Known | Holding::Administrator | Holding::Proxy => true,
            Holding::Stranger => {
                place.kind = Holding::Known;
                true
            }
            Holding::Reserve if administrator && administrators < ADMINISTRATORS => {
                place.kind = Holding::Administrator;
                true
            }
            Holding::Reserve => false,
        }
    }

    /// Counts a proxy's connection for the client it now speaks for, or for nobody. False: the
    /// client already has all the connections one may have.
    pub(crate) fn set_client(&self, client: Option<Source>, limits: &Limits) -> bool {
        let mut taken = self.admission.lock();
        let own = taken.places.get(&self.number).filter(|place| place.kind == Holding::Proxy);
        let Some(before) = own.map(|place| place.source) else { return true };
        let of_client = |place: &HeldPlace| TakenPlaces::limited(place) && place.source == client;
        if client.is_some() && before != client && taken.count(of_client) >= limits.per_address {
            return false;
        }
        if let Some(place) = taken.places.get_mut(&self.number) {
            place.source = client;
        }
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, Ipv6Addr},
        time::Duration,
    };

    use super::*;

    const LIMITS: Limits = Limits {
        connections: 5,
        per_address: 3,
        unauthenticated: 4,
        handshake: Duration::from_secs(10),
        head: 16384,
    };
    const FULL: Limits = Limits { connections: 0, ..LIMITS };

    fn source(n: u8) -> Source {
        Source::V4(Ipv4Addr::new(192, 0, 2, n))
    }

    fn gone(slot: &Slot) -> bool {
        slot.evicted.is_cancelled()
    }

    #[test]
    fn one_source_cannot_take_the_places_of_the_others() {
        let admission = Arc::new(Admission::default());
        let held: Vec<_> =
            (0..10).map(|_| admission.enter((source(1), false), false, &LIMITS)).collect();
        assert_eq!(admission.total(), 3);
        assert!(held[..7].iter().all(gone) && !held[7..].iter().any(gone), "the oldest give way");
        let calm = admission.enter((source(2), false), false, &LIMITS);
        assert!(!calm.is_reserve() && !held[7..].iter().any(gone));
        drop((held, calm));
        assert!(admission.lock().places.is_empty());
    }

    #[test]
    fn the_oldest_stranger_of_the_fullest_source_gives_way() {
        let admission = Arc::new(Admission::default());
        let enter = |n| admission.enter((source(n), false), false, &LIMITS);
        let held = [enter(1), enter(2), enter(2), enter(3)];
        let fifth = enter(4);
        assert_eq!(held.each_ref().map(gone), [false, true, false, false]);
        // Among equals, it is the oldest of all.
        let sixth = enter(5);
        assert_eq!(held.each_ref().map(gone), [true, true, false, false]);
        assert!(!gone(&fifth) && !gone(&sixth));
    }

    #[test]
    fn neighbours_of_many_addresses_take_no_place_of_who_has_signed_in_from_his() {
        let limits = Limits { connections: 20, unauthenticated: 10, ..LIMITS };
        let admission = Arc::new(Admission::default());
        let neighbour = |n: u16| Source::Neighbour(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, n));
        let known = admission.enter((neighbour(1), true), false, &limits);
        let far = admission.enter((source(1), false), false, &limits);
        let crowd: Vec<_> =
            (10..60).map(|n| admission.enter((neighbour(n), false), false, &limits)).collect();
        assert!(!gone(&known) && !gone(&far));
        assert!(
            crowd[..42].iter().all(gone) && !crowd[42..].iter().any(gone),
            "its own oldest gave way"
        );
        let calm = admission.enter((source(2), false), false, &limits);
        assert!(!calm.is_reserve() && !gone(&known) && !gone(&far) && gone(&crowd[42]));
    }

    #[test]
    fn who_has_signed_in_never_gives_way_and_who_gave_way_cannot_sign_in() {
        let admission = Arc::new(Admission::default());
        let known: Vec<_> =
            (1..=4).map(|n| admission.enter((source(n), false), false, &LIMITS)).collect();
        assert!(known.iter().all(|slot| slot.authenticate(false)));
        let stranger = admission.enter((source(5), false), false, &LIMITS);
        let next = admission.enter((source(6), false), false, &LIMITS);
        assert!(gone(&stranger) && !stranger.authenticate(true) && !known.iter().any(gone));
        assert!(next.authenticate(false));
        assert!(admission.enter((source(7), false), false, &LIMITS).is_reserve());
        drop(stranger);
        assert_eq!(admission.total(), 5, "a place is given back once");
    }

    #[test]
    fn the_reserve_holds_a_browser_and_its_newest_strangers() {
        let admission = Arc::new(Admission::default());
        let browser: Vec<_> =
            (0..6).map(|_| admission.enter((source(1), false), false, &FULL)).collect();
        let crowd: Vec<_> =
            (0..50).map(|_| admission.enter((source(2), false), false, &FULL)).collect();
        assert!(browser.iter().all(|slot| slot.is_reserve() && !gone(slot)));
        assert_eq!(crowd.iter().filter(|slot| !gone(slot)).count(), RESERVE_OF_SOURCE);
        assert!(!browser[0].authenticate(false));
        assert!(browser.iter().all(|slot| slot.authenticate(true)));
        let more: Vec<_> = (0..RESERVE_OF_SOURCE)
            .map(|_| admission.enter((source(1), false), false, &FULL))
            .collect();
        assert!(more.iter().all(|slot| slot.authenticate(true)));
        let last: Vec<_> =
            (0..3).map(|_| admission.enter((source(3), false), false, &FULL)).collect();
        assert_eq!(last.iter().filter(|slot| slot.authenticate(true)).count(), 2, "sixteen in all");
    }

    #[test]
    fn a_proxy_speaks_for_many_and_each_counts() {
        let admission = Arc::new(Admission::default());
        let proxies: Vec<_> =
            (0..5).map(|_| admission.enter((source(1), false), true, &LIMITS)).collect();
        assert!(proxies.iter().all(|slot| !slot.is_reserve() && !slot.is_stranger()));
        let client = Some(source(9));
        assert!(proxies[..3].iter().all(|slot| slot.set_client(client, &LIMITS)));
        assert!(!proxies[3].set_client(client, &LIMITS));
        assert!(proxies[0].set_client(client, &LIMITS) && proxies[0].set_client(None, &LIMITS));
        assert!(proxies[3].set_client(client, &LIMITS));
        assert!(
            admission.enter((source(2), false), false, &LIMITS).is_reserve()
                && !proxies.iter().any(gone)
        );
    }
}
