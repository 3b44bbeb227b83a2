//! One-time tickets: what a page puts in a URL or a subprotocol instead of a password.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{ClientCertificate, LoginId, PrincipalId, random_text};

/// How long a ticket is valid.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(15);
/// Tickets outstanding; when full, no more are given until some run out.
const OUTSTANDING: usize = 1024;
/// Outstanding tickets of one principal, so that one cannot take them all.
const TICKETS_OF_ONE: usize = 64;

/// What a ticket opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opens {
    /// One session on an endpoint.
    Endpoint(String),
    /// An app.
    App(String),
    /// These endpoints, for a page of another origin that was let in.
    Page(Arc<[String]>),
    /// One session on an endpoint, in a frame on another site's page.
    Frame {
        endpoint: String,
        /// The origin of the page around the frame.
        ancestor: String,
    },
}

/// What a ticket stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The principal it was given to.
    pub id: PrincipalId,
    /// The sign-in with which it was asked for.
    pub login: Option<LoginId>,
    /// The certificate it was asked for with.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// What it opens.
    pub opens: Opens,
    /// The page it may come from, as the browser will name it.
    pub origin: Option<String>,
}

/// The tickets given and not yet used.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    /// By SHA-256 of the text, so that the time of a look-up reveals nothing about it.
    given: Mutex<HashMap<[u8; 32], (Ticket, Instant)>>,
}

impl Tickets {
    /// A new ticket's text, 128 bits; `None` when too many are outstanding.
    pub(super) fn give(&self, ticket: Ticket, now: Instant) -> Option<String> {
        let text = random_text();
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, (_, until)| *until > now);
        let of_one = given.values().filter(|(other, _)| other.id == ticket.id).count();
        if given.len() >= OUTSTANDING || of_one >= TICKETS_OF_ONE {
            return None;
        }
        given.insert(Sha256::digest(&text).into(), (ticket, now + TICKET_LIFE));
        Some(text)
    }

    /// What `text` stands for. This uses it up, even if it comes from the wrong page or something
    /// else is `wanted`.
    pub(super) fn redeem(
        &self,
        text: &str,
        wanted: impl FnOnce(&Opens) -> bool,
        origin: Option<&str>,
        now: Instant,
    ) -> Option<Ticket> {
        let mark: [u8; 32] = Sha256::digest(text).into();
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let (ticket, until) = given.remove(&mark)?;
        (until > now && wanted(&ticket.opens) && ticket.origin.as_deref() == origin)
            .then_some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::super::PrincipalKind;
    use super::*;

    fn ticket(name: &str) -> Ticket {
        Ticket {
            id: PrincipalId::new(PrincipalKind::User, name),
            login: None,
            certificate: None,
            opens: Opens::Endpoint("plc1".into()),
            origin: Some("https://tools.example".into()),
        }
    }

    fn redeem(endpoint: &'static str, origin: &str, age: Duration) -> Option<Ticket> {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let text = tickets.give(ticket("alice"), now).unwrap();
        let wanted =
            |name: &'static str| move |opens: &Opens| *opens == Opens::Endpoint(name.into());
        let first = tickets.redeem(&text, wanted(endpoint), Some(origin), now + age);
        let again = tickets.redeem(&text, wanted("plc1"), Some("https://tools.example"), now);
        assert_eq!(again, None, "used up");
        first
    }

    #[test]
    fn a_ticket_works_once_for_its_endpoint_and_page() {
        assert_eq!(
            redeem("plc1", "https://tools.example", Duration::from_secs(14)),
            Some(ticket("alice"))
        );
        assert_eq!(redeem("plc2", "https://tools.example", Duration::ZERO), None);
        assert_eq!(redeem("plc1", "https://evil.example", Duration::ZERO), None);
        assert_eq!(redeem("plc1", "https://tools.example", TICKET_LIFE), None);
    }

    #[test]
    fn tickets_are_bounded_in_number() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let one: Vec<_> = (0..100).map_while(|_| tickets.give(ticket("alice"), now)).collect();
        assert_eq!(one.len(), TICKETS_OF_ONE);
        for n in 0..2000 {
            tickets.give(ticket(&n.to_string()), now);
        }
        assert_eq!(tickets.given.lock().unwrap().len(), OUTSTANDING);
        assert!(tickets.give(ticket("bob"), now + TICKET_LIFE).is_some());
    }
}
