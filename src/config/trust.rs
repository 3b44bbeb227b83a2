//! `trusted_proxies:` of the file into whose word counts.

use super::{
    access,
    proxies::{Also, HeaderFamily, HeaderName, Network, ProxySecret, TrustedProxies},
    raw::{self, ListOr, Placed},
    report::Report,
    secret::SecretReader,
};

/// Resolves `trusted_proxies`: a list of addresses, or a mapping that says more.
pub(super) fn resolve(
    raw: Option<&Placed<ListOr<Network, raw::Proxies>>>,
    secrets: &SecretReader<'_>,
    report: &mut Report,
) -> TrustedProxies {
    let Some(Placed { value, at }) = raw else { return TrustedProxies::default() };
    let (path, leaves, more) = match value {
        ListOr::List(leaves) => ("trusted_proxies", leaves, None),
        ListOr::Map(map) => ("trusted_proxies.addresses", &map.addresses, Some(map)),
    };
    let networks = leaves.iter().filter_map(|leaf| report.read(path, leaf));
    let addresses: Vec<_> = networks.map(|network| (network.0, network.1)).collect();
    let Some(map) = more else { return TrustedProxies { addresses, ..TrustedProxies::default() } };
    if map.addresses.is_empty() {
        report.odd(*at, path, "names no proxy; only what comes by a unix socket is trusted");
    }
    let also: Vec<_> = map.also.iter().filter_map(|leaf| report.read("trusted_proxies.also", leaf)).collect();
    let name = |path: &str, leaf, report: &mut Report| report.read(path, leaf).map(|name: HeaderName| name.0);
    let user_header =
        map.user_header.as_ref().and_then(|leaf| name("trusted_proxies.user_header", leaf, report));
    let secret = map.secret.as_ref().and_then(|Placed { value, .. }| {
        let path = "trusted_proxies.secret";
        let header = name(&format!("{path}.header"), &value.header, report);
        let sha256 = access::hash(&value.sha256, &format!("{path}.sha256"), secrets, report);
        Some(ProxySecret { header: header?, sha256: sha256? })
    });
    let all_of_loopback = addresses.iter().any(|(network, _)| network.to_canonical().is_loopback());
    if let (Some(leaf), true, None) = (&map.user_header, all_of_loopback, &map.secret) {
        let what = "is not believed from a loopback address, where any program of this machine could name anybody: \
                    let the proxy connect to a unix socket, or give it a `secret:`";
        report.odd(leaf.at, "trusted_proxies.user_header", what);
    }
    TrustedProxies {
        addresses,
        user_header,
        secret,
        headers: report.or("trusted_proxies.headers", map.headers.as_ref(), HeaderFamily::default()),
        host: also.contains(&Also::Host),
        prefix: also.contains(&Also::Prefix),
    }
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
        assert_eq!(short, proxies("{ addresses: [ 192.0.2.1, 10.0.0.0/8 ], headers: x-forwarded }"));
        assert_eq!((short.headers, short.host, short.prefix), (HeaderFamily::XForwarded, false, false));
        assert_eq!(proxies("null"), TrustedProxies::default());
    }

    #[test]
    fn the_long_form_names_the_family_and_what_else_counts() {
        let long = proxies("{ addresses: [ '::1' ], headers: forwarded, also: [ host, prefix ] }");
        assert_eq!((long.headers, long.host, long.prefix), (HeaderFamily::Forwarded, true, true));
        for (wrong, part) in [
            ("{ addresses: [ x ] }", "trusted_proxies.addresses: `x` is no network"),
            ("{ addresses: [ '::1' ], headers: both }", "trusted_proxies.headers: `both`"),
            ("{ addresses: [ '::1' ], also: [ port ] }", "trusted_proxies.also: `port`"),
            ("{ adresses: [ '::1' ] }", "did you mean `addresses`?"),
            ("127.0.0.1", "a list of addresses"),
        ] {
            let error = mistakes(&format!("auth: none\ntrusted_proxies: {wrong}"));
            assert!(error.contains(part), "{part}\n{error}");
        }
    }
}
