//! Top-level keys that belong to no section: who the gateway is, whom it listens to, its times and
//! limits.

use std::time::Duration;

use super::{
    Origin, Public, TrustedProxies,
    addresses::Host,
    cursor::{Keys, Placed},
    secret::SecretReader,
    trust::trusted_proxies,
    units::Size,
};
use crate::wire::head::HEADERS_MAX;

/// The longest time for which browsers are told to use only HTTPS: what the preload lists ask for.
const HSTS_MOST: Duration = Duration::from_secs(730 * 24 * 3600);

/// What strangers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in total.
    pub connections: usize,
    /// Connections from one address (for IPv6, from one /64).
    pub per_address: usize,
    /// Connections that have not signed in.
    pub unauthenticated: usize,
    /// The total time for TLS and the request head.
    pub handshake: Duration,
    /// The longest header section of a request, in bytes.
    pub head: usize,
}

/// Who the gateway is, and whose pages and proxies it listens to.
pub(super) struct GatewayNames {
    pub(super) origins: Vec<Origin>,
    pub(super) public: Option<Public>,
    pub(super) ancestors: Vec<Origin>,
    pub(super) hosts: Vec<String>,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) mdns: bool,
}

/// Reads them.
pub(super) fn names(k: &mut Keys<'_>, secrets: &SecretReader<'_>) -> GatewayNames {
    let origins = k
        .key(
            "origins",
            "web pages allowed besides the gateway's own, exactly `scheme://host` or `scheme://host:port`. No wildcard, no \
             path, never `null`, which Firefox sends for files. `file://` (Chromium, Electron) and apps like \
             `capacitor://localhost` may be listed; any file or app of that kind has the same origin, so each of their \
             requests needs a token or a ticket",
        )
        .without("none")
        .uci("origin")
        .words();
    let public = k
        .key(
            "public",
            "where browsers find the gateway through its proxy, if that is not at the top: \
             `https://gateway.example/serial/`. The page, the API and all else are below that path, whether the proxy cuts it \
             off or not; its name is one of `hosts`. [The guide](guide.md#below-a-path) shows it",
        )
        .without("none")
        .uci("public")
        .maybe::<Public>()
        .map(|it| it.value);
    let ancestors = k
        .key(
            "frame_ancestors",
            "pages that may show the gateway's page in a frame. They must be on the same site, since the sign-in's cookie \
             stays SameSite=Strict; nothing can be taken over from within a frame",
        )
        .without("none")
        .uci("frame_ancestor")
        .words::<Origin>();
    for Placed { value, at } in &ancestors {
        if !matches!(value.scheme.as_str(), "http" | "https") {
            k.wrong_in("frame_ancestors", *at, "a page in a browser is of http or https");
        }
    }
    let hosts = k
        .key(
            "hosts",
            "names the gateway answers to, besides its own addresses, `localhost`, its host name and NAME.local (this stops \
             DNS rebinding)",
        )
        .without("none")
        .uci("host")
        .words::<Host>();
    let trusted_proxies = trusted_proxies(k, secrets);
    let mdns = k
        .key(
            "mdns",
            "whether listeners that other machines reach are announced by multicast DNS: `https://NAME.local` finds the \
             gateway, and so does whoever looks for `_https._tcp` or `_wsbridge._tcp`. Loopback is announced to nobody",
        )
        .uci("mdns")
        .or(true);
    let own = public.iter().map(|public| public.origin.host.clone());
    let hosts = hosts.into_iter().map(|host| host.value.0).chain(own).collect();
    GatewayNames {
        origins: values(origins),
        ancestors: values(ancestors),
        public,
        hosts,
        trusted_proxies,
        mdns,
    }
}

/// `dead_after` and `resume`.
pub(super) fn times(k: &mut Keys<'_>) -> (Duration, Duration) {
    let seconds = Duration::from_secs;
    let dead_after = k
        .key(
            "dead_after",
            "a client that is silent for this long is dead; it is pinged after two thirds of that time, in `wsbridge.v1` after each \
             third. A TCP or RFC 2217 target that acknowledges nothing of what it was sent for this long is dead, too; [a slow one is not](guide.md#slow-devices-and-dead-ones)",
        )
        .uci("dead_after")
        .within(seconds(5)..=seconds(600))
        .or(seconds(30));
    let resume = k
        .key("resume", "how long a `wsbridge.v1` session outlives its lost connection")
        .uci("resume")
        .within(seconds(0)..=seconds(3600))
        .or(seconds(60));
    (dead_after, resume)
}

fn values<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(|it| it.value).collect()
}

/// `hsts`: whether a browser can hear it has to be judged by whoever knows the listeners.
pub(super) fn hsts(k: &mut Keys<'_>) -> Option<Placed<Duration>> {
    k.key(
        "hsts",
        "how long browsers that have been here use only HTTPS (`Strict-Transport-Security`). **It binds every port of the \
         name they used**: they can no longer reach another service of this machine that speaks plain HTTP there, and a \
         certificate they do not trust cannot be clicked away. Sent only over TLS, and heeded only if the browser trusts the \
         certificate; `0s` makes them forget it. Behind a proxy that is the proxy's to say",
    )
    .without("nothing is said")
    .uci("hsts")
    .within(Duration::ZERO..=HSTS_MOST)
    .maybe()
}

/// Reads `limits:`.
pub(super) fn limits(k: &mut Keys<'_>) -> Limits {
    let mut count = |name, meaning, default| {
        let number: u32 = k.key(name, meaning).uci(name).within(1..=1_000_000).or(default);
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let connections = count(
        "connections",
        "connections in total; when all have signed in, an administrator still gets in",
        256,
    );
    let per_address = count(
        "per_address",
        "connections from one address (IPv6: from one /64, unless that is one of the gateway's own networks)",
        32,
    );
    let unauthenticated = count(
        "unauthenticated",
        "connections that have not signed in; when there are this many, the oldest one of the source with the most gives way",
        64,
    );
    let handshake = k
        .key("handshake", "time for TLS and the whole request head")
        .uci("handshake")
        .within(Duration::from_secs(1)..=Duration::from_secs(300))
        .or(Duration::from_secs(10));
    let head = k
        .key(
            "head",
            "longest header section of a request; it also contains the cookies of other programs under the same host name",
        )
        .uci("head")
        .within(Size(4 << 10)..=Size(64 << 10))
        .or(Size(HEADERS_MAX as u64));
    let head = usize::try_from(head.0).unwrap_or(HEADERS_MAX);
    Limits { connections, per_address, unauthenticated, handshake, head }
}
