//! Listening addresses, and what protects those that other machines reach.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    Access, TrustedProxies,
    raw::{self, At, OneOf, Placed},
    report::Report,
};

/// One listening address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: Address,
    /// How it is protected.
    pub tls: ListenTls,
    /// Each connection begins with a header of the PROXY protocol, from a trusted proxy alone.
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenTls {
    /// Plain HTTP: loopback or unix sockets, or said twice with `plain: accepted`.
    Off,
    /// A key and certificate of our own making, kept in the state directory.
    SelfSigned,
    /// PEM files, read again when they change.
    Files {
        /// Certificate chain.
        certificate: PathBuf,
        /// Private key.
        key: PathBuf,
        /// Authority of client certificates; `None` asks for none.
        client_ca: Option<PathBuf>,
        /// Lists of revoked client certificates.
        client_crl: Option<PathBuf>,
    },
}

/// Resolves the listeners, those of apps behind the others; without any of ours, loopback with a certificate of our own.
pub(super) fn resolve(
    file: &raw::File,
    access: &Access,
    trusted: &TrustedProxies,
    report: &mut Report,
) -> Vec<Listen> {
    let mut all: Vec<Listen> = Vec::new();
    match file.listen.as_deref() {
        None => {
            let address = Address::Tcp(([127, 0, 0, 1], 8443).into());
            all.push(Listen { address, tls: ListenTls::SelfSigned, proxy_protocol: false, app: None });
        }
        Some([]) => {
            let what = "empty; name an address, or leave the key out for 127.0.0.1:8443";
            report.wrong(At::default(), "listen", what);
        }
        Some(raw) => {
            for (index, Placed { value, .. }) in raw.iter().enumerate() {
                add(&mut all, value, &format!("listen[{index}]"), access, report);
            }
        }
    }
    for (name, Placed { value, .. }) in &file.apps.0 {
        let path = format!("apps.{}.listen", name.text);
        if add(&mut all, &value.listen.value, &path, access, report)
            && let Some(listen) = all.last_mut()
        {
            listen.app = Some(name.text.clone());
        }
    }
    someone_connects(file, &all, trusted, report);
    all
}

/// Listeners that take proxies alone take somebody.
fn someone_connects(file: &raw::File, listens: &[Listen], trusted: &TrustedProxies, report: &mut Report) {
    let mut alone = listens.iter().filter(|listen| listen.proxy_protocol);
    if trusted.addresses.is_empty() && alone.any(|listen| !matches!(listen.address, Address::Unix(_))) {
        let raw = file.listen.iter().flatten().map(|listen| &listen.value);
        let mut raw = raw.chain(file.apps.0.iter().map(|(_, app)| &app.value.listen.value));
        let leaf = raw.find_map(|listen| listen.proxy_protocol.as_ref());
        let what = "nobody could connect: it takes trusted proxies alone, and `trusted_proxies:` names none";
        report.wrong(leaf.map_or(At::default(), |leaf| leaf.at), "listen", what);
    }
}

/// Checks a listener and adds it; false when there is none to add.
fn add(all: &mut Vec<Listen>, raw: &raw::Listen, path: &str, access: &Access, report: &mut Report) -> bool {
    let Some(listen) = listener(raw, path, report) else { return false };
    let any_port = matches!(&listen.address, Address::Tcp(socket) if socket.port() == 0);
    if !any_port && all.iter().any(|other| other.address == listen.address) {
        report.wrong(raw.address.at, &format!("{path}.address"), "listened on twice");
    }
    let plain = matches!(listen.tls, ListenTls::Off);
    if plain && !local(&listen.address) && raw.plain.is_none() {
        let what = "anyone on the network could read passwords and data; use `tls: self-signed`, or add \
                    `plain: accepted` beside `tls: none`";
        let at = raw.tls.as_ref().map_or(raw.address.at, |tls| tls.at);
        report.wrong(at, &format!("{path}.tls"), what);
    }
    if access.open && !local(&listen.address) {
        let what = "with `auth: none` anyone on the network could use every device; listen on 127.0.0.1, \
                    \"[::1]\" or unix:/path, or remove `auth: none` and add a user";
        report.wrong(raw.address.at, &format!("{path}.address"), what);
    }
    all.push(listen);
    true
}

fn listener(raw: &raw::Listen, path: &str, report: &mut Report) -> Option<Listen> {
    if let Some(plain) = &raw.plain {
        report.read(&format!("{path}.plain"), plain);
    }
    let proxy_protocol = report.or(&format!("{path}.proxy_protocol"), raw.proxy_protocol.as_ref(), false);
    let address = report.read(&format!("{path}.address"), &raw.address);
    let path = format!("{path}.tls");
    let tls = match &raw.tls {
        None if matches!(address, Some(Address::Unix(_))) => ListenTls::Off,
        None => ListenTls::SelfSigned,
        Some(Placed { value: OneOf::Word(text, _), at }) => report.read_text(&path, text, *at)?,
        Some(Placed { value: OneOf::Map(files), .. }) => {
            let certificate = report.read(&format!("{path}.certificate"), &files.certificate);
            let key = report.read(&format!("{path}.key"), &files.key);
            let client_ca = files.client_ca.as_ref().map(|ca| report.read(&format!("{path}.client_ca"), ca));
            let client_crl = files.client_crl.as_ref().map(|crl| {
                if files.client_ca.is_none() {
                    report.wrong(
                        crl.at,
                        &format!("{path}.client_crl"),
                        "goes with `client_ca`, whose list it is",
                    );
                }
                report.read(&format!("{path}.client_crl"), crl)
            });
            ListenTls::Files {
                certificate: certificate?,
                key: key?,
                client_ca: client_ca.flatten(),
                client_crl: client_crl.flatten(),
            }
        }
    };
    Some(Listen { address: address?, tls, proxy_protocol, app: None })
}

/// Whether only this machine reaches it. What systemd hands over may be anything.
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
        let with = |listen: &str, rest: &str| format!("auth: none\nlisten: [ {{ {listen} }} ]\n{rest}");
        let tcp = "address: '127.0.0.1:1', tls: none, proxy_protocol: true";
        let error = mistakes(&with(tcp, ""));
        assert!(error.contains("w.yaml:2:") && error.contains("nobody could connect"), "{error}");
        assert!(good(&with(tcp, "trusted_proxies: [ 127.0.0.1 ]")).0.listen[0].proxy_protocol);
        assert!(good(&with("address: 'unix:/run/w', proxy_protocol: true", "")).0.listen[0].proxy_protocol);
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
        assert!(mistakes("listen: [ { address: '127.0.0.1:1' } ]").contains("nobody could sign in"));
    }
}
