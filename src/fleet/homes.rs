//! Gateways that are connected now: by their control sockets.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::{mpsc, oneshot};

use crate::wire::home::{ByeReason, CardLine};

/// Orders that may wait for a gateway's control socket.
const ORDERS: usize = 256;

/// What a gateway says it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) lines: Vec<CardLine>,
}

/// What is asked of a gateway's control socket.
#[derive(Debug)]
pub(crate) enum Order {
    /// The gateway is to dial a link.
    Link {
        key: String,
        assertion: String,
        /// Told once the gateway dials, or why it does not.
        told: oneshot::Sender<Result<(), String>>,
    },
    /// Told once the gateway has answered: it is there.
    Probe { told: oneshot::Sender<()> },
    /// The socket ends.
    Bye(ByeReason),
}

/// A connected gateway, as others see it.
#[derive(Clone, Debug)]
pub(crate) struct HomeInfo {
    /// Which run of the gateway it is.
    pub(crate) instance: String,
    pub(crate) version: String,
    /// Where it dialled from.
    pub(crate) client: String,
    pub(crate) since: SystemTime,
    pub(crate) card: Arc<Card>,
    pub(crate) orders: mpsc::Sender<Order>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    all: Mutex<HashMap<String, (u64, HomeInfo)>>,
    next: AtomicU64,
}

/// A control socket's place among them; given back when dropped.
#[derive(Debug)]
pub(crate) struct Home {
    homes: Arc<Homes>,
    gateway: String,
    number: u64,
}

impl Homes {
    /// A gateway has connected. Whoever was in its place is told to go.
    pub(crate) fn enter(
        self: &Arc<Self>,
        gateway: &str,
        (instance, version): (String, String),
        client: String,
    ) -> (Home, mpsc::Receiver<Order>) {
        let (orders, ordered) = mpsc::channel(ORDERS);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let since = SystemTime::now();
        let info = HomeInfo { instance, version, client, since, card: Arc::default(), orders };
        let former = self.lock().insert(gateway.to_owned(), (number, info));
        if let Some((_, former)) = former {
            // One that takes no order is going anyway.
            let _ = former.orders.try_send(Order::Bye(ByeReason::Replaced));
        }
        (Home { homes: Arc::clone(self), gateway: gateway.to_owned(), number }, ordered)
    }

    /// A connected gateway.
    pub(crate) fn find(&self, gateway: &str) -> Option<HomeInfo> {
        self.lock().get(gateway).map(|(_, info)| info.clone())
    }

    /// All that are connected, by name.
    pub(crate) fn list(&self) -> BTreeMap<String, HomeInfo> {
        self.lock().iter().map(|(name, (_, info))| (name.clone(), info.clone())).collect()
    }

    /// Sends a gateway away, if it is there.
    pub(crate) fn dismiss(&self, gateway: &str, why: ByeReason) {
        let gone = self.lock().remove(gateway);
        if let Some((_, info)) = gone {
            let _ = info.orders.try_send(Order::Bye(why));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (u64, HomeInfo)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Home {
    /// The gateway says what it has.
    pub(crate) fn show(&self, card: Card) {
        let mut all = self.homes.lock();
        if let Some((_, info)) =
            all.get_mut(&self.gateway).filter(|(number, _)| *number == self.number)
        {
            info.card = Arc::new(card);
        }
        drop(all);
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let mut all = self.homes.lock();
        if all.get(&self.gateway).is_some_and(|(number, _)| *number == self.number) {
            all.remove(&self.gateway);
        }
        drop(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_comes_again_takes_the_place_and_the_former_one_leaves_it_there() {
        let homes = Arc::new(Homes::default());
        let said = |instance: &str| (instance.to_owned(), "wsbridge/1".to_owned());
        let (first, mut orders) = homes.enter("a", said("1"), "192.0.2.1".to_owned());
        let (second, _) = homes.enter("a", said("2"), "192.0.2.2".to_owned());
        assert!(matches!(orders.try_recv(), Ok(Order::Bye(ByeReason::Replaced))));
        first.show(Card { labels: [("x".to_owned(), "y".to_owned())].into(), lines: vec![] });
        drop(first);
        let there = homes.find("a").unwrap();
        assert_eq!((there.instance.as_str(), there.card.labels.len()), ("2", 0));
        drop(second);
        assert!(homes.find("a").is_none() && homes.list().is_empty());
    }
}
