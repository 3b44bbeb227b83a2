//! What is ordered of a running session from outside: to end, to be held read-only for a while, to
//! show a message.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::watch;

use crate::{config::Rights, wire::close::Ended};

/// Who holds a session read-only; where several do, the first is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restraint {
    /// The gateway's key switch.
    Switch = 1,
    /// Somebody with the right `sessions`.
    Moderator = 2,
    /// A recording that is required and cannot be written.
    Recording = 4,
    /// The endpoint, whose `reauth` has passed since its user signed in.
    Reauth = 8,
}

/// All who hold a session read-only: it writes again when the last of them has let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restraints(u8);

impl Restraints {
    fn set(&mut self, by: Restraint, held: bool) {
        let bit = by as u8;
        self.0 = if held { self.0 | bit } else { self.0 & !bit };
    }

    fn has(self, by: Restraint) -> bool {
        self.0 & by as u8 != 0
    }

    /// Whether somebody with the right `sessions` does.
    pub(crate) fn moderator(self) -> bool {
        self.has(Restraint::Moderator)
    }

    /// Whether its user has to sign in again.
    pub(crate) fn reauth(self) -> bool {
        self.has(Restraint::Reauth)
    }

    /// Which rights count meanwhile.
    pub(crate) fn limit(self) -> Rights {
        if self == Self::default() { Rights::ALL } else { Rights::READ }
    }

    /// Why, in a word.
    pub(crate) fn label(self) -> &'static str {
        match self.first() {
            Some(Restraint::Switch) => "switch",
            Some(Restraint::Moderator) | None => "moderator",
            Some(Restraint::Recording) => "recording",
            Some(Restraint::Reauth) => "reauth",
        }
    }

    /// Why, for the client.
    pub(crate) fn reason(self) -> Option<&'static str> {
        match self.first()? {
            Restraint::Switch => Some("locked by the key switch: reading only"),
            Restraint::Moderator => Some("held read-only by a moderator"),
            Restraint::Recording => Some("what is sent cannot be recorded: reading only"),
            Restraint::Reauth => Some("sign in again to write here"),
        }
    }

    fn first(self) -> Option<Restraint> {
        use Restraint::{Moderator, Reauth, Recording, Switch};
        [Switch, Moderator, Recording, Reauth].into_iter().find(|by| self.has(*by))
    }
}

/// A message for whoever uses a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Whose it is.
    pub from: String,
    /// What it says.
    pub text: String,
}

/// Messages that wait for one session; beyond that the oldest are not shown.
pub(super) const NOTICES_MAX: usize = 8;

/// What was ordered of a session so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// Its end; once given it stays.
    pub(super) end: Option<Ended>,
    /// Who holds it read-only now.
    pub(super) held: Restraints,
    /// The last messages.
    notices: VecDeque<Arc<Notice>>,
    /// How many there were.
    told: usize,
}

impl Order {
    /// Returns whether that is a change.
    pub(super) fn restrain(&mut self, by: Restraint, held: bool) -> bool {
        let before = self.held;
        self.held.set(by, held);
        self.held != before
    }

    /// Adds a message.
    pub(super) fn tell(&mut self, notice: Arc<Notice>) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
        self.told += 1;
    }

    /// The first message after so many, and how many there were with it.
    fn notice_after(&self, heard: usize) -> Option<(usize, Arc<Notice>)> {
        let gone = self.told - self.notices.len();
        let next = heard.max(gone);
        let notice = self.notices.get(next - gone)?;
        Some((next + 1, Arc::clone(notice)))
    }
}

/// Brings a session its orders, one by one.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    receiver: watch::Receiver<Order>,
    /// What the session knows.
    held: Restraints,
    ends: bool,
    /// How many messages it has heard.
    heard: usize,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ordered {
    /// The session ends.
    End(Ended),
    /// From now on it is held read-only by these, or by nobody.
    Held(Restraints),
    /// It shows this.
    Notice(Arc<Notice>),
}

impl Orders {
    pub(super) fn new(receiver: watch::Receiver<Order>) -> Self {
        Self { receiver, held: Restraints::default(), ends: false, heard: 0 }
    }

    /// The next order. Nothing is lost when this is dropped.
    pub(super) async fn next(&mut self) -> Ordered {
        let (held, ends, heard) = (self.held, self.ends, self.heard);
        let news = |order: &Order| {
            (!ends && order.end.is_some()) || order.held != held || order.told > heard
        };
        // The sender lives as long as the session's entry.
        let Ok(order) = self.receiver.wait_for(news).await.map(|order| order.clone()) else {
            return std::future::pending().await;
        };
        let notice = order.notice_after(heard);
        match (order.end, notice) {
            (Some(ended), _) if !ends => {
                self.ends = true;
                Ordered::End(ended)
            }
            (_, Some((count, notice))) if order.held == held => {
                self.heard = count;
                Ordered::Notice(notice)
            }
            (Some(_) | None, _) => {
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

    #[tokio::test]
    async fn messages_come_in_their_order_and_of_too_many_the_last() {
        let (sender, receiver) = watch::channel(Order::default());
        let mut orders = Orders::new(receiver);
        let say = |text: &str| {
            let notice = Arc::new(Notice { from: "anna".into(), text: text.into() });
            sender.send_modify(|order| order.tell(notice));
        };
        say("one");
        let Ordered::Notice(one) = orders.next().await else { panic!("no message") };
        assert_eq!(one.text, "one");
        for number in 0..NOTICES_MAX + 2 {
            say(&number.to_string());
        }
        for number in 2..NOTICES_MAX + 2 {
            let Ordered::Notice(next) = orders.next().await else { panic!("no message") };
            assert_eq!(next.text, number.to_string());
        }
        sender.send_modify(|order| order.end = Some(Ended::Stopping));
        assert_eq!(orders.next().await, Ordered::End(Ended::Stopping));
    }
}
