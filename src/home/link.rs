//! A link: a connection that the gateway has dialled and on which it is the server. It serves what
//! somebody asks by the hub, one request or one WebSocket, as if he had come here himself.

use std::sync::{Arc, LazyLock};

use tokio::{
    io::AsyncWriteExt as _,
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::Way;
use crate::{
    auth::{Admission, HeldAssertion, Peer, Way as PeerWay},
    config::Limits,
    dial::{Answer, Site},
    http::{self, Bridge},
    stream::Stream,
    wire::home::LINK_UPGRADE,
};

/// Links at a time.
const LINKS: usize = 64;

/// Places for links: of their own, so that whoever comes by the hub keeps nobody out who comes
/// directly, nor the other way round.
static PLACES: LazyLock<Arc<Admission>> = LazyLock::new(Arc::default);

/// Links that have not become a WebSocket, at a time: a hub that asks for more at once is not served.
static BEGUN: Semaphore = Semaphore::const_new(LINKS);

/// Dials it, and serves it to its end.
pub(super) async fn serve(
    bridge: Arc<Bridge>,
    site: &Site,
    way: &Way,
    key: &str,
    held: HeldAssertion,
) {
    let Ok(_place) = BEGUN.try_acquire() else {
        return tracing::warn!("a link is not dialled: the hub asks for too many at once");
    };
    let limits = bridge.config().limits;
    let (stream, early) = match timeout(limits.handshake, dial(site, way, key)).await {
        Ok(Ok(dialled)) => dialled,
        Ok(Err(why)) => return tracing::warn!("a link to the hub failed: {why}"),
        Err(_) => return tracing::warn!("a link to the hub failed: the hub does not answer"),
    };
    let client = held.asserted.address();
    let limits =
        Limits { connections: LINKS, per_address: LINKS, unauthenticated: LINKS, ..limits };
    let source = bridge.auth.source(client);
    let slot = PLACES.enter((source, true), false, &limits);
    let way = PeerWay::Link(Arc::new(held));
    let peer = Peer { client, tls: true, relayed: true, way, ..Peer::default() };
    let until = Instant::now() + limits.handshake;
    http::serve_after(bridge, (stream, &early), peer, slot, until).await;
}

/// The stream, and what came behind the hub's answer.
async fn dial(site: &Site, way: &Way, key: &str) -> Result<(Stream, Vec<u8>), String> {
    let mut stream = way.dialler.dial_stream(site).await.map_err(|why| why.to_string())?;
    stream.tune();
    let ask = format!(
        "GET /link/{key} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: {LINK_UPGRADE}\r\n\r\n",
        site.authority()
    );
    stream.write_all(ask.as_bytes()).await.map_err(|error| error.to_string())?;
    stream.flush().await.map_err(|error| error.to_string())?;
    let answer = Answer::read(stream).await.map_err(|why| format!("the hub{why}"))?;
    if answer.status != 101 {
        return Err(format!("the hub says {}", answer.status));
    }
    Ok(answer.into_parts())
}
