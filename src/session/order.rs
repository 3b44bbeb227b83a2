//! What is ordered of a running session from outside: to end, or to be held read-only for a while.

use tokio::sync::watch;

use crate::{config::Rights, wire::close::Ended};

/// Who holds a session read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "for the switch and for moderators"))]
pub(crate) enum Restraint {
    /// The gateway's key switch.
    Switch,
    /// Somebody with the right `sessions`.
    Moderator,
}

/// All who hold a session read-only: it writes again when the last of them has let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restraints {
    switch: bool,
    moderator: bool,
}

impl Restraints {
    fn set(&mut self, by: Restraint, held: bool) {
        match by {
            Restraint::Switch => self.switch = held,
            Restraint::Moderator => self.moderator = held,
        }
    }

    /// Which rights count meanwhile.
    pub(crate) fn limit(self) -> Rights {
        if self.switch || self.moderator { Rights::READ } else { Rights::ALL }
    }

    /// Why, for the client.
    pub(crate) fn reason(self) -> Option<&'static str> {
        if self.switch {
            Some("the key switch is off: reading only")
        } else {
            self.moderator.then_some("held read-only by a moderator")
        }
    }
}

/// What was ordered of a session so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// Its end; once given it stays.
    pub(super) end: Option<Ended>,
    /// Who holds it read-only now.
    pub(super) held: Restraints,
}

impl Order {
    /// Returns whether that is a change.
    pub(super) fn restrain(&mut self, by: Restraint, held: bool) -> bool {
        let before = self.held;
        self.held.set(by, held);
        self.held != before
    }
}

/// Brings a session its orders, one by one.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    receiver: watch::Receiver<Order>,
    /// What the session knows.
    held: Restraints,
    ends: bool,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ordered {
    /// The session ends.
    End(Ended),
    /// From now on it is held read-only by these, or by nobody.
    Held(Restraints),
}

impl Orders {
    pub(super) fn new(receiver: watch::Receiver<Order>) -> Self {
        Self { receiver, held: Restraints::default(), ends: false }
    }

    /// The next order. Nothing is lost when this is dropped.
    pub(super) async fn next(&mut self) -> Ordered {
        let (held, ends) = (self.held, self.ends);
        let news = |order: &Order| (!ends && order.end.is_some()) || order.held != held;
        // The sender lives as long as the session's entry.
        let Ok(order) = self.receiver.wait_for(news).await.map(|order| order.clone()) else {
            return std::future::pending().await;
        };
        match order.end {
            Some(ended) if !ends => {
                self.ends = true;
                Ordered::End(ended)
            }
            Some(_) | None => {
                self.held = order.held;
                Ordered::Held(order.held)
            }
        }
    }

    /// Ready when the session is to end.
    pub(super) async fn end(&mut self) {
        while !matches!(self.next().await, Ordered::End(_)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_who_holds_a_session_lets_it_go_and_its_end_is_told_once() {
        let (sender, receiver) = watch::channel(Order::default());
        let mut orders = Orders::new(receiver);
        sender.send_modify(|order| {
            assert!(order.restrain(Restraint::Switch, true));
            assert!(!order.restrain(Restraint::Switch, true));
        });
        let Ordered::Held(held) = orders.next().await else { panic!("not held") };
        assert_eq!(held.limit(), Rights::READ);
        sender.send_modify(|order| {
            order.restrain(Restraint::Moderator, true);
            order.restrain(Restraint::Switch, false);
        });
        let Ordered::Held(held) = orders.next().await else { panic!("not held") };
        assert_eq!((held.limit(), held.reason().is_some()), (Rights::READ, true));
        sender.send_modify(|order| {
            order.restrain(Restraint::Moderator, false);
            order.end = Some(Ended::Stopping);
        });
        assert_eq!(orders.next().await, Ordered::End(Ended::Stopping));
        assert_eq!(orders.next().await, Ordered::Held(Restraints::default()));
        assert_eq!(Restraints::default().limit(), Rights::ALL);
    }
}
