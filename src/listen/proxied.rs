//! A connection whose proxy first says whom it is for: the header of the PROXY protocol, read
//! before anything else.

use tokio::{
    io::AsyncReadExt as _,
    time::{Instant, timeout_at},
};

use crate::{
    auth::{Peer, is_trusted},
    config::TrustedProxies,
    stream::Stream,
    wire::{
        close::Refusal,
        proxy::{Announced, HeaderProgress, PROXY_HEADER_MAX, scan},
    },
};

/// Reads a trusted proxy's header, and not one byte of what follows. `None`: the connection is the
/// proxy's own.
pub(super) async fn read(
    stream: &mut Stream,
    peer: &Peer,
    trusted: &TrustedProxies,
    until: Instant,
) -> Result<Option<Announced>, Refusal> {
    if !is_trusted(peer, trusted) {
        let why = "this listener accepts connections from trusted proxies only (`proxy_protocol`, `trusted_proxies`)";
        return Err(Refusal::Proxy(why));
    }
    let mut header = Vec::new();
    loop {
        let more = match scan(&header).map_err(Refusal::Proxy)? {
            HeaderProgress::Done(announced) => return Ok(announced),
            HeaderProgress::More(more) => more.min(PROXY_HEADER_MAX),
        };
        let mut next = stream.take(more as u64);
        match timeout_at(until, next.read_buf(&mut header)).await {
            Err(_) => return Err(Refusal::Timeout),
            Ok(Ok(0) | Err(_)) => {
                return Err(Refusal::Proxy("the proxy ended the connection within its header"));
            }
            Ok(Ok(_)) => {}
        }
    }
}
