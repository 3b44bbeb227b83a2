//! The gateway's services on the local network, announced by multicast DNS (RFC 6762) so that
//! nobody needs an address.

mod claim;
mod link;
mod names;
mod records;
mod responder;

use std::{net::SocketAddr, path::Path};

use self::{
    names::Candidates,
    responder::{HeldName, Responder},
};

/// What avahi-daemon(8) listens on while it runs.
const AVAHI: &str = "/run/avahi-daemon/socket";

/// A listener other machines reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// What is found there.
    pub kind: ServiceKind,
}

/// What is found at a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceKind {
    /// The gateway itself, and whether it speaks TLS.
    Gateway { tls: bool },
    /// A serial port by RFC 2217: its endpoint, and what is said about its adapter.
    Rfc2217 { endpoint: String, about: Vec<String> },
}

/// The running announcement; dropping it withdraws it.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    services: Vec<Service>,
    responder: Option<Responder>,
    held: HeldName,
}

impl Announcer {
    /// Announces nothing yet; `held` will show the name we hold.
    pub(crate) fn new(held: HeldName) -> Self {
        Self { services: Vec::new(), responder: None, held }
    }

    /// Announces these services and nothing else, leaving out those that only this machine can
    /// reach. A failure is logged.
    ///
    /// `own` is this machine's name. Blocks while the previous announcement says goodbye.
    pub(crate) fn announce(&mut self, own: &str, services: Vec<Service>) {
        let services: Vec<_> = services
            .into_iter()
            .filter(|service| !service.address.ip().to_canonical().is_loopback())
            .collect();
        if services == self.services {
            return;
        }
        self.services.clear();
        self.responder = None;
        if services.is_empty() {
            return;
        }
        let names = Candidates::new(own, Path::new(AVAHI).exists());
        match Responder::start(names, services.clone(), HeldName::clone(&self.held)) {
            Ok(responder) => (self.services, self.responder) = (services, Some(responder)),
            Err(error) => tracing::warn!("not announced by multicast DNS: {error}"),
        }
    }

    /// The name we hold on the network now, `NAME.local`; `None` while another machine claims it.
    #[cfg(test)]
    pub(crate) fn name(&self) -> Option<String> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_alone_is_announced_to_nobody() {
        let mut announcer = Announcer::default();
        let service = |address: &str| Service {
            address: address.parse().unwrap(),
            kind: ServiceKind::Gateway { tls: true },
        };
        announcer.announce("box", vec![service("127.0.0.1:1"), service("[::1]:1")]);
        assert!(
            announcer.responder.is_none()
                && announcer.services.is_empty()
                && announcer.name().is_none()
        );
    }
}
