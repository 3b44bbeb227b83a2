//! `trusted_proxies:` of the file: whose word counts.

use std::net::IpAddr;

use super::{
    cursor::{Either, Keys, Placed},
    proxies::{Also, HeaderFamily, HeaderName, Network, ProxySecret, TrustedProxies},
    secret::{SecretReader, hash},
};

/// Reads `trusted_proxies`: a list of addresses, or a mapping that says more.
pub(super) fn trusted_proxies(k: &mut Keys<'_>, secrets: &SecretReader<'_>) -> TrustedProxies {
    let written = k
        .key(
            "trusted_proxies",
            "reverse proxies whose word about their clients counts: [below](#trusted_proxies)",
        )
        .without("none")
        .value()
        .list_or_map::<Network, _>(|k| proxies(k, secrets));
    match written {
        None => TrustedProxies::default(),
        Some(Either::Map(proxies)) => proxies,
        Some(Either::Word(list)) => {
            TrustedProxies { addresses: networks(list), ..TrustedProxies::default() }
        }
    }
}

fn networks(list: Vec<Placed<Network>>) -> Vec<(IpAddr, u8)> {
    list.into_iter().map(|Placed { value: Network(ip, length), .. }| (ip, length)).collect()
}

fn proxies(k: &mut Keys<'_>, secrets: &SecretReader<'_>) -> TrustedProxies {
    let addresses = networks(
        k.key("addresses", "where the proxies are").without("none").uci("trusted_proxy").words(),
    );
    let headers = k
        .key(
            "headers",
            "the headers they write: `X-Forwarded-For`, `-Proto` and `-Port`, or `Forwarded` (RFC 7239). The other family is \
             ignored: it is what a client sent",
        )
        .uci("proxy_headers")
        .or(HeaderFamily::default());
    let also = k
        .key(
            "also",
            "that their `X-Forwarded-Host` or `X-Forwarded-Prefix` counts. Name what your proxy writes itself and nothing \
             else: most proxies pass on what a stranger wrote there. `Host` needs no mention",
        )
        .without("none")
        .uci("proxy_also")
        .words::<Also>();
    let user_header = k
        .key(
            "user_header",
            "the header in which they name the user, one of `users:`, who has signed in with them: [sign-in by the \
             proxy](guide.md#sign-in-by-the-proxy)",
        )
        .without("none")
        .uci("proxy_user_header")
        .maybe::<HeaderName>();
    let secret = k
        .key(
            "secret",
            "a header that only the proxy can send. Needed for `user_header` if the proxy connects from a loopback \
             address",
        )
        .without("none")
        .map(|k| proxy_secret(k, secrets));
    if addresses.is_empty() && !k.has("addresses") {
        k.odd_in("addresses", k.at, "names no proxy; only what comes by a unix socket is trusted");
    }
    let all_of_loopback = addresses.iter().any(|(network, _)| network.to_canonical().is_loopback());
    if let (Some(header), true, false) = (&user_header, all_of_loopback, k.has("secret")) {
        let what = "is not believed from a loopback address, where any program of this machine could name anybody: let \
                    the proxy connect to a unix socket, or give it a `secret:`";
        k.odd_in("user_header", header.at, what);
    }
    let has = |header| also.iter().any(|it| it.value == header);
    TrustedProxies {
        headers,
        host: has(Also::Host),
        prefix: has(Also::Prefix),
        user_header: user_header.map(|it| it.value.0),
        secret: secret.and_then(|it| it.value),
        addresses,
    }
}

fn proxy_secret(k: &mut Keys<'_>, secrets: &SecretReader<'_>) -> Option<ProxySecret> {
    let header = k.key("header", "the header").uci("proxy_secret_header").needed::<HeaderName>();
    let sha256 = k
        .key(
            "sha256",
            "SHA-256 of its value, 64 hex digits, as `wsbridge token new` prints it, or a [secret](#secrets)",
        )
        .uci("proxy_secret")
        .must(|value| hash(value, "", secrets));
    Some(ProxySecret { header: header?.value.0, sha256: sha256?.value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    fn proxies(text: &str) -> TrustedProxies {
        good(&format!("auth: none\ntrusted_proxies: {text}")).0.trusted_proxies
    }

    #[test]
    fn the_short_form_means_x_forwarded_and_nothing_more() {
        let short = proxies("[ 192.0.2.1, 10.0.0.0/8 ]");
        assert_eq!(
            short,
            proxies("{ addresses: [ 192.0.2.1, 10.0.0.0/8 ], headers: x-forwarded }")
        );
        assert_eq!(
            (short.headers, short.host, short.prefix),
            (HeaderFamily::XForwarded, false, false)
        );
        assert_eq!(proxies("null"), TrustedProxies::default());
    }

    #[test]
    fn the_long_form_names_the_family_and_what_else_counts() {
        let long = proxies("{ addresses: [ '::1' ], headers: forwarded, also: [ host, prefix ] }");
        assert_eq!((long.headers, long.host, long.prefix), (HeaderFamily::Forwarded, true, true));
        for (wrong, part) in [
            ("{ addresses: [ x ] }", "trusted_proxies.addresses: `x` is not a network"),
            ("{ addresses: [ '::1' ], headers: both }", "trusted_proxies.headers: `both`"),
            ("{ addresses: [ '::1' ], also: [ port ] }", "trusted_proxies.also: `port`"),
            ("{ adresses: [ '::1' ] }", "did you mean `addresses`?"),
            ("127.0.0.1", "write a list here, like [ a, b ], or a mapping"),
        ] {
            let error = mistakes(&format!("auth: none\ntrusted_proxies: {wrong}"));
            assert!(error.contains(part), "{part}\n{error}");
        }
    }
}
