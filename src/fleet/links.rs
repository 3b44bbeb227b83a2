//! Links that were asked for and have not come yet: each has a key, for the one gateway that was
//! asked, and for one use.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::stream::Stream;

/// The stream of a link, what came with it behind the request's head, and what holds its place
/// among the connections.
type Arrived = (Stream, Vec<u8>, Box<dyn Any + Send>);

/// The links that are awaited.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// By SHA-256 of their keys, so that the time of a look-up reveals nothing about them.
    awaited: Mutex<HashMap<[u8; 32], Awaited>>,
}

#[derive(Debug)]
struct Awaited {
    gateway: String,
    bring: oneshot::Sender<Arrived>,
}

/// A link that is awaited for as long as this is held.
#[derive(Debug)]
pub(crate) struct AwaitedLink<'a> {
    links: &'a Links,
    mark: [u8; 32],
    /// What the gateway is told.
    pub(crate) key: String,
    arrives: oneshot::Receiver<Arrived>,
}

impl Links {
    /// Awaits a link of this gateway.
    pub(crate) fn expect(&self, gateway: &str) -> AwaitedLink<'_> {
        let (bring, arrives) = oneshot::channel();
        let key = super::random_key();
        let mark = Sha256::digest(&key).into();
        self.lock().insert(mark, Awaited { gateway: gateway.to_owned(), bring });
        AwaitedLink { links: self, mark, key, arrives }
    }

    /// Takes a link that a gateway has dialled: where its stream is to be brought. `None`: no such
    /// link of that gateway is awaited (any more), and a key that another gateway shows stays good
    /// for its own.
    pub(crate) fn take(&self, gateway: &str, key: &str) -> Option<oneshot::Sender<Arrived>> {
        let mark: [u8; 32] = Sha256::digest(key).into();
        let mut all = self.lock();
        all.get(&mark).filter(|awaited| awaited.gateway == gateway)?;
        all.remove(&mark).map(|awaited| awaited.bring)
    }

    /// How many are awaited.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AwaitedLink<'_> {
    /// Waits for it; `None`: the gateway's connection broke before it was a link.
    pub(crate) async fn arrived(mut self) -> Option<Arrived> {
        (&mut self.arrives).await.ok()
    }
}

impl Drop for AwaitedLink<'_> {
    fn drop(&mut self) {
        self.links.lock().remove(&self.mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_for_one_gateway_and_one_use_while_it_is_awaited() {
        let links = Links::default();
        let awaited = links.expect("north-7");
        let key = awaited.key.clone();
        assert_eq!(key.len(), 43);
        assert!(links.take("south-7", &key).is_none());
        assert!(links.take("north-7", &key[1..]).is_none());
        assert!(links.take("north-7", &key).is_some());
        assert!(links.take("north-7", &key).is_none());
        drop(awaited);
        let awaited = links.expect("north-7");
        let key = awaited.key.clone();
        drop(awaited);
        assert!(links.take("north-7", &key).is_none());
        assert_eq!(links.count(), 0);
    }
}
