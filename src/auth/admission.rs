//! Places for connections, taken before anything else happens: in all, per source, not signed in, and a reserve.

use std::{
    collections::HashMap,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::config::Limits;

/// Connections over the limits that are still heard, in case an administrator is among them; one of each source.
const RESERVE: usize = 4;

/// Who counts as one: an IPv4 address, an IPv6 /64 (what one customer gets, RFC 6177) that is not on a link of ours, or
/// everything on this machine that comes by a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// An IPv4 address; IPv4-mapped IPv6 addresses are folded into it.
    V4(Ipv4Addr),
    /// The upper half of an IPv6 address.
    V6([u16; 4]),
    /// An IPv6 address on a link of ours, whose /64 everybody there has.
    Neighbour(Ipv6Addr),
    /// A unix socket.
    Local,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(network) => {
                let mut segments = [0; 8];
                segments.iter_mut().zip(network).for_each(|(to, from)| *to = *from);
                write!(f, "{}/64", Ipv6Addr::from(segments))
            }
            Self::Neighbour(address) => address.fmt(f),
            Self::Local => f.write_str("unix"),
        }
    }
}

/// The count of all connections, and the rule for one more.
#[derive(Debug, Default)]
pub struct Admission {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    unauthenticated: usize,
    by_source: HashMap<Source, usize>,
    reserve: Vec<Source>,
    administrator: bool,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    admission: Arc<Admission>,
    source: Source,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Stranger,
    Known,
    Reserve,
    Administrator,
}

impl Admission {
    /// A place for a connection from `source`. `None`: even the reserve is taken. A `proxied` source speaks for many,
    /// so only the sums bound it.
    pub fn enter(self: &Arc<Self>, source: Source, proxied: bool, limits: &Limits) -> Option<Slot> {
        let mut counts = self.lock();
        let of_source = counts.by_source.get(&source).copied().unwrap_or(0);
        let full = counts.total >= limits.connections
            || counts.unauthenticated >= limits.unauthenticated
            || (of_source >= limits.per_address && !proxied);
        let place = if full {
            if counts.reserve.len() >= RESERVE || counts.reserve.contains(&source) {
                return None;
            }
            counts.reserve.push(source);
            Place::Reserve
        } else {
            counts.total += 1;
            counts.unauthenticated += 1;
            *counts.by_source.entry(source).or_insert(0) += 1;
            Place::Stranger
        };
        drop(counts);
        Some(Slot { admission: Arc::clone(self), source, place })
    }

    /// Connections now held, the reserve not counted.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether the gateway was full: only an administrator is let in.
    pub fn is_reserve(&self) -> bool {
        self.place == Place::Reserve
    }

    /// The connection has signed in and counts as a stranger no longer. False: it sits in the reserve and is no
    /// administrator, or another administrator has the reserved place.
    pub fn authenticate(&mut self, administrator: bool) -> bool {
        let mut counts = self.admission.lock();
        match self.place {
            Place::Known | Place::Administrator => true,
            Place::Stranger => {
                counts.unauthenticated = counts.unauthenticated.saturating_sub(1);
                self.place = Place::Known;
                true
            }
            Place::Reserve if administrator && !counts.administrator => {
                counts.administrator = true;
                counts.reserve.retain(|source| *source != self.source);
                self.place = Place::Administrator;
                true
            }
            Place::Reserve => false,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        match self.place {
            Place::Reserve => counts.reserve.retain(|source| *source != self.source),
            Place::Administrator => counts.administrator = false,
            Place::Stranger | Place::Known => {
                counts.total = counts.total.saturating_sub(1);
                if self.place == Place::Stranger {
                    counts.unauthenticated = counts.unauthenticated.saturating_sub(1);
                }
                if let Some(count) = counts.by_source.get_mut(&self.source) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        counts.by_source.remove(&self.source);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: Limits =
        Limits { connections: 5, per_address: 2, unauthenticated: 3, handshake: Duration::from_secs(10) };

    fn source(text: &str) -> Source {
        Source::V4(text.parse().unwrap())
    }

    #[test]
    fn one_source_cannot_take_the_places_of_the_others() {
        let admission = Arc::new(Admission::default());
        let (noisy, calm) = (source("192.0.2.1"), source("192.0.2.2"));
        let held: Vec<_> = (0..10).filter_map(|_| admission.enter(noisy, false, &LIMITS)).collect();
        assert_eq!(held.iter().filter(|slot| !slot.is_reserve()).count(), 2);
        assert_eq!(held.len(), 3, "one more is heard in the reserve");
        assert!(!admission.enter(calm, false, &LIMITS).unwrap().is_reserve());
        drop(held);
        assert_eq!(admission.total(), 0);
        assert!(admission.lock().by_source.is_empty());
    }

    #[test]
    fn signing_in_frees_a_strangers_place() {
        let admission = Arc::new(Admission::default());
        let mut held: Vec<_> = (1..=3)
            .map(|n| admission.enter(source(&format!("192.0.2.{n}")), false, &LIMITS).unwrap())
            .collect();
        let late = source("192.0.2.9");
        assert!(admission.enter(late, false, &LIMITS).unwrap().is_reserve());
        assert!(held[0].authenticate(false));
        assert!(!admission.enter(late, false, &LIMITS).unwrap().is_reserve());
    }

    #[test]
    fn the_reserve_is_for_one_administrator() {
        let admission = Arc::new(Admission::default());
        let full = Limits { connections: 0, ..LIMITS };
        let mut first = admission.enter(source("192.0.2.1"), false, &full).unwrap();
        assert!(!first.authenticate(false));
        assert!(first.authenticate(true));
        let mut second = admission.enter(source("192.0.2.2"), false, &full).unwrap();
        assert!(!second.authenticate(true));
        drop(first);
        assert!(second.authenticate(true));
    }

    #[test]
    fn a_proxy_speaks_for_many() {
        let admission = Arc::new(Admission::default());
        let proxy = source("192.0.2.1");
        let held: Vec<_> = (0..3).filter_map(|_| admission.enter(proxy, true, &LIMITS)).collect();
        assert!(held.iter().all(|slot| !slot.is_reserve()));
    }
}
