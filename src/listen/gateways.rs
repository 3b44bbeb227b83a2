//! A hub's gateways, which come to the port that browsers come to: what a client's first TLS message
//! asks for is seen without reading it, and a gateway gets a place and a handshake of its own.

use std::{sync::Arc, time::Duration};

use rustls::server::Acceptor;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Arrival, Entry};
use crate::{
    auth::{ClientCertificate, Peer, Revocation, Way, unix_now},
    fleet::limits_of_gateways,
    stream::Stream,
    tls::ClientFacts,
    wire::home::HOME_ALPN,
};

/// The most of a first message that is looked at, in bytes.
const HELLO_MAX: usize = 16 * 1024;
/// How long to wait for the rest of one: what is there shows as readable all the time.
const MORE: Duration = Duration::from_millis(10);

/// Whether the client is a gateway that looks for its hub (ALPN, RFC 7301).
async fn is_gateway(stream: &Stream) -> bool {
    let Some(tcp) = stream.tcp() else { return false };
    let mut seen = vec![0; 2048];
    loop {
        let Ok(length @ 1..) = tcp.peek(&mut seen).await else { return false };
        let mut acceptor = Acceptor::default();
        let mut bytes = seen.get(..length).unwrap_or_default();
        while !bytes.is_empty() {
            if acceptor.read_tls(&mut bytes).is_err() {
                return false;
            }
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                return hello.alpn().is_some_and(|mut all| all.any(|name| name == HOME_ALPN));
            }
            Ok(None) if length < seen.len() => sleep(MORE).await,
            Ok(None) if seen.len() < HELLO_MAX => seen.resize(seen.len() * 2, 0),
            // Whatever it is, the handshake says so.
            Ok(None) | Err(_) => return false,
        }
    }
}

impl Entry {
    /// At a hub, gives a gateway a place among gateways: thousands may be behind one address.
    pub(super) async fn sorted(&self, arrived: Arrival, until: Instant) -> Arrival {
        let Arrival { stream, peer, slot } = arrived;
        let looks = self.tls.is_some() && peer.app.is_none();
        let Some(hub) = self.bridge.hub.get().filter(|_| looks) else {
            return Arrival { stream, peer, slot };
        };
        let evicted = slot.evicted();
        let seen = evicted.run_until_cancelled(timeout_at(until, is_gateway(&stream))).await;
        if !matches!(seen, Some(Ok(true))) {
            return Arrival { stream, peer, slot };
        }
        let limits = limits_of_gateways(&self.bridge.config().limits);
        let source = self.bridge.auth.source(peer.client);
        let slot = hub.admission.enter((source, true), false, &limits);
        Arrival { stream, peer: Peer { way: Way::Gateway, ..peer }, slot }
    }

    /// Shakes hands with a gateway, by the fleet's own certificates.
    pub(super) async fn meet(
        &self,
        stream: Stream,
        peer: Peer,
        until: Instant,
    ) -> Option<(Stream, Peer)> {
        let config = self.bridge.hub.get()?.tls(unix_now())?;
        let shaken = timeout_at(until, stream.accept_tls(config)).await.ok()?;
        let stream = shaken
            .inspect_err(
                |error| tracing::debug!(peer = %peer.client, "TLS handshake failed: {error}"),
            )
            .ok()?;
        let facts = stream.peer_certificates().and_then(|all| ClientFacts::of(all.first()?));
        let certificate = facts.map(|facts| {
            Arc::new(ClientCertificate {
                common_name: facts.common_name,
                names: facts.names,
                sha256: facts.sha256,
                until: facts.until,
                revocation: Arc::new(Unlisted),
            })
        });
        Some((stream, Peer { tls: true, certificate, ..peer }))
    }
}

/// The hub's own list says which certificates let a gateway in.
#[derive(Debug)]
struct Unlisted;

impl Revocation for Unlisted {
    fn is_revoked(&self) -> bool {
        false
    }
}
