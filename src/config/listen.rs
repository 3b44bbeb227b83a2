//! Listening addresses, and what protects those that other machines reach.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    TrustedProxies,
    cursor::{Either, Keys, Placed, Spot},
    node::At,
    words::Accepted,
};

/// One listening address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub address: Address,
    /// How it is protected.
    pub tls: ListenTls,
    /// Each connection begins with a PROXY protocol header, and comes from a trusted proxy.
    pub proxy_protocol: bool,
    /// The app it serves, and nothing else.
    pub app: Option<String>,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// `host:port`
    Tcp(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
    /// `systemd:NAME`: a socket handed over by systemd under that FileDescriptorName.
    Systemd(String),
}

/// Protection of a listening address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenTls {
    /// Plain HTTP: loopback or unix sockets, or explicitly accepted with `plain: accepted`.
    Off,
    /// A key and certificate of our own making, kept in the state directory.
    SelfSigned,
    /// PEM files, read again when they change.
    Files {
        /// Certificate chain.
        certificate: PathBuf,
        /// Private key.
        key: PathBuf,
        /// The authority for client certificates; `None` asks for none.
        client_ca: Option<PathBuf>,
        /// Lists of revoked client certificates.
        client_crl: Option<PathBuf>,
    },
}

/// A listener as written, and where.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) listen: Listen,
    spot: Spot<'a>,
    pub(super) address: At,
    tls: Option<At>,
    /// `plain: accepted`.
    plain: bool,
    proxy_protocol: Option<At>,
}

/// Reads `listen:`; without it, loopback with a certificate of our own.
pub(super) fn listen<'a>(k: &mut Keys<'a>) -> Vec<Written<'a>> {
    let value = k
        .key("listen", "where to listen: [below](#listen)")
        .without("127.0.0.1:8443, self-signed")
        .value();
    let spot = value.spot();
    let mut all: Vec<_> = match value.list(|value| value.keys(|k| listener(k, "address"))) {
        None => Vec::new(),
        Some(empty) if empty.is_empty() => {
            let what = "empty; name an address, or leave the key out for 127.0.0.1:8443";
            spot.wrong(k.place("listen").unwrap_or_default(), what);
            Vec::new()
        }
        Some(all) => all.into_iter().flatten().filter_map(|it| it.value).collect(),
    };
    if !k.has("listen") {
        let address = Address::Tcp(([127, 0, 0, 1], 8443).into());
        let listen =
            Listen { address, tls: ListenTls::SelfSigned, proxy_protocol: false, app: None };
        all.push(Written {
            listen,
            spot,
            address: At::default(),
            tls: None,
            plain: false,
            proxy_protocol: None,
        });
    }
    all
}

/// Reads one listening address, for which this is UCI's option.
pub(super) fn listener<'a>(k: &mut Keys<'a>, option: &'static str) -> Option<Written<'a>> {
    let address = k
        .key(
            "address",
            "`IP:PORT` (`\"[::]:8443\"` is every address, `localhost:8443` is 127.0.0.1), `unix:/path`, or `systemd:NAME` \
             for a socket handed over under that FileDescriptorName. An `IP` that this machine does not have yet (DHCP, a \
             VPN, a USB gadget) is used once it has come",
        )
        .uci(option)
        .needed::<Address>();
    let files = k
        .key(
            "tls",
            "`self-signed`: an authority of this gateway and a certificate under it, made at the first start and \
             kept; `none`; or a mapping of files: [below](#listen)",
        )
        .without("`self-signed`; `none` for `unix:`")
        .uci("tls")
        .either::<ListenTls, _>(files);
    let plain = k
        .key(
            "plain",
            "must stand beside `tls: none` on any address that other machines may reach (`systemd:` counts as one): whoever \
             is on the way can read passwords and data",
        )
        .uci("plain")
        .maybe::<Accepted>();
    let proxy_protocol = k
        .key(
            "proxy_protocol",
            "each connection begins with a header of the PROXY protocol, version 1 or 2, before TLS. Only \
             `trusted_proxies` may connect then; a `LOCAL` header is the proxy itself",
        )
        .uci("proxy_protocol")
        .or(false);
    let at = k.place("tls");
    let tls = match (files, &address) {
        (Some(Placed { value: Either::Word(word), .. }), _) => word,
        (Some(Placed { value: Either::Map(files), .. }), _) => files?,
        (None, _) if at.is_some() => return None,
        (None, Some(Placed { value: Address::Unix(_), .. })) => ListenTls::Off,
        (None, _) => ListenTls::SelfSigned,
    };
    let Placed { value: address, at: place } = address?;
    let listen = Listen { address, tls, proxy_protocol, app: None };
    let proxy = k.place("proxy_protocol");
    Some(Written {
        listen,
        spot: k.spot(),
        address: place,
        tls: at,
        plain: plain.is_some(),
        proxy_protocol: proxy,
    })
}

fn files(k: &mut Keys<'_>) -> Option<ListenTls> {
    let certificate = k
        .key("certificate", "certificate chain, PEM; read again when it changes")
        .uci("certificate")
        .needed::<PathBuf>();
    let key =
        k.key("key", "private key, PEM; read again when it changes").uci("key").needed::<PathBuf>();
    let client_ca = k
        .key(
            "client_ca",
            "authority of client certificates, PEM; such a listener resumes no TLS session",
        )
        .without("none asked for")
        .uci("client_ca")
        .maybe::<PathBuf>();
    let client_crl = k
        .key(
            "client_crl",
            "the authority's lists of revoked certificates (CRL), PEM; read again when it changes, which ends the \
             sessions of those it names. With a list of each authority in `client_ca` the whole chain is checked, otherwise only \
             the client's own certificate. A list past its date goes on refusing what it names; the log and `doctor` say so",
        )
        .without("none")
        .uci("client_crl")
        .maybe::<PathBuf>();
    if let (Some(crl), false) = (&client_crl, k.has("client_ca")) {
        k.wrong_in("client_crl", crl.at, "goes with `client_ca`, whose list it is");
    }
    Some(ListenTls::Files {
        certificate: certificate?.value,
        key: key?.value,
        client_ca: client_ca.map(|it| it.value),
        client_crl: client_crl.map(|it| it.value),
    })
}

/// Checks all listeners, those of apps included; `open` says that there is no login, and `trusted`
/// names the trusted proxies.
pub(super) fn check(all: &[Written<'_>], open: bool, trusted: &TrustedProxies) {
    // A listener that accepts only proxies must have some to accept.
    let alone = |it: &&Written<'_>| {
        it.listen.proxy_protocol && !matches!(it.listen.address, Address::Unix(_))
    };
    if let (true, Some(one)) = (trusted.addresses.is_empty(), all.iter().find(alone)) {
        let what = "nobody could connect: it accepts trusted proxies only, and `trusted_proxies:` names none";
        one.spot.wrong_in("proxy_protocol", one.proxy_protocol.unwrap_or_default(), what);
    }
    for (index, one) in all.iter().enumerate() {
        let Written { listen: Listen { address, tls, .. }, spot, address: at, .. } = one;
        let any_port = matches!(address, Address::Tcp(socket) if socket.port() == 0);
        let before = all.get(..index).unwrap_or_default();
        if !any_port && before.iter().any(|other| other.listen.address == *address) {
            spot.wrong_in("address", *at, "listened on twice");
        }
        if matches!(tls, ListenTls::Off) && !local(address) && !one.plain {
            let what = "anyone on the network could read passwords and data; use `tls: self-signed`, or add \
                        `plain: accepted` beside `tls: none`";
            spot.wrong_in("tls", one.tls.unwrap_or(*at), what);
        }
        if open && !local(address) {
            let what = "with `auth: none` anyone on the network could use every device; listen on 127.0.0.1, \
                        \"[::1]\" or unix:/path, or remove `auth: none` and add a user";
            spot.wrong_in("address", *at, what);
        }
    }
}

/// Whether only this machine can reach it. A socket from systemd may be anything.
fn local(address: &Address) -> bool {
    match address {
        Address::Tcp(socket) => socket.ip().to_canonical().is_loopback(),
        Address::Unix(_) => true,
        Address::Systemd(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{
        parse,
        resolve::tests::{good, mistakes},
    };

    use super::*;

    #[test]
    fn plain_http_for_the_network_must_be_said_twice() {
        let token = format!(
            "tokens: {{ t: {{ sha256: \"{}\", rights: {{ /metrics: [ read ] }} }} }}\n",
            "1f".repeat(32)
        );
        let with = |listen: &str| format!("{token}listen: [ {listen} ]");
        let error = mistakes(&with("{ address: '0.0.0.0:80', tls: none }"));
        assert!(error.contains("listen[0].tls") && error.contains("plain: accepted"), "{error}");
        for fine in [
            "{ address: '0.0.0.0:80', tls: none, plain: accepted }",
            "{ address: '127.0.0.1:80', tls: none }",
            "{ address: '[::1]:80', tls: none }",
            "{ address: 'unix:/run/w' }",
            "{ address: '0.0.0.0:443', tls: { certificate: /c, key: /k, client_ca: null } }",
            "{ address: '0.0.0.0:443', tls: { certificate: /c, key: /k, client_ca: /a, client_crl: /r } }",
        ] {
            good(&with(fine));
        }
        assert!(mistakes(&with("{ address: 'systemd:w', tls: none }")).contains("plain: accepted"));
        assert_eq!(good(&with("{ address: 'unix:/run/w' }")).0.listen[0].tls, ListenTls::Off);
        let alone = "{ address: '0.0.0.0:443', tls: { certificate: /c, key: /k, client_crl: /r } }";
        assert!(mistakes(&with(alone)).contains("client_crl: goes with `client_ca`"));
        let twice = with("{ address: '[::]:1' }, { address: '[::]:1' }");
        assert!(mistakes(&twice).contains("listened on twice"));
    }

    #[test]
    fn a_listener_for_proxies_needs_one() {
        let with =
            |listen: &str, rest: &str| format!("auth: none\nlisten: [ {{ {listen} }} ]\n{rest}");
        let tcp = "address: '127.0.0.1:1', tls: none, proxy_protocol: true";
        let error = mistakes(&with(tcp, ""));
        assert!(error.contains("w.yaml:2:") && error.contains("nobody could connect"), "{error}");
        assert!(good(&with(tcp, "trusted_proxies: [ 127.0.0.1 ]")).0.listen[0].proxy_protocol);
        assert!(
            good(&with("address: 'unix:/run/w', proxy_protocol: true", "")).0.listen[0]
                .proxy_protocol
        );
    }

    #[test]
    fn no_login_is_for_this_machine_alone() {
        for (address, fine) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("unix:/run/w", true),
            ("[::]:1", false),
            ("systemd:w", false),
        ] {
            let text = format!("auth: none\nlisten: [ {{ address: '{address}' }} ]");
            let parsed = parse(&text, "w", &|_| Err(String::new()));
            assert_eq!(parsed.is_ok(), fine, "{address}");
        }
        assert!(
            mistakes("listen: [ { address: '127.0.0.1:1' } ]").contains("nobody could sign in")
        );
    }
}
