//! Listening addresses, and what protects those that other machines reach.

use super::{
    Access, Address, Listen, ListenTls,
    raw::{self, At, OneOf, Placed},
    report::Report,
};

/// Resolves the listeners; without any, loopback with a certificate of our own.
pub(super) fn resolve(
    raw: Option<&[Placed<raw::Listen>]>,
    access: &Access,
    report: &mut Report,
) -> Vec<Listen> {
    let Some(raw) = raw else {
        let address = Address::Tcp(([127, 0, 0, 1], 8443).into());
        return vec![Listen { address, tls: ListenTls::SelfSigned }];
    };
    if raw.is_empty() {
        report.wrong(
            At::default(),
            "listen",
            "empty; name an address, or leave the key out for 127.0.0.1:8443",
        );
    }
    let mut all: Vec<Listen> = Vec::new();
    for (index, Placed { value, .. }) in raw.iter().enumerate() {
        let path = format!("listen[{index}]");
        let Some(listen) = listener(value, &path, report) else { continue };
        let any_port = matches!(&listen.address, Address::Tcp(socket) if socket.port() == 0);
        if !any_port && all.iter().any(|other| other.address == listen.address) {
            report.wrong(value.address.at, &format!("{path}.address"), "listened on twice");
        }
        let plain = matches!(listen.tls, ListenTls::Off);
        if plain && !local(&listen.address) && value.plain.is_none() {
            let what = "anyone on the network could read passwords and data; use `tls: self-signed`, or add \
                        `plain: accepted` beside `tls: none`";
            report.wrong(
                value.tls.as_ref().map_or(value.address.at, |tls| tls.at),
                &format!("{path}.tls"),
                what,
            );
        }
        if access.open && !local(&listen.address) {
            let what = "with `auth: none` anyone on the network could use every device; listen on 127.0.0.1, \
                        \"[::1]\" or unix:/path, or remove `auth: none` and add a user";
            report.wrong(value.address.at, &format!("{path}.address"), what);
        }
        all.push(listen);
    }
    all
}

fn listener(raw: &raw::Listen, path: &str, report: &mut Report) -> Option<Listen> {
    if let Some(plain) = &raw.plain {
        report.read(&format!("{path}.plain"), plain);
    }
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
            ListenTls::Files { certificate: certificate?, key: key?, client_ca: client_ca.flatten() }
        }
    };
    Some(Listen { address: address?, tls })
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
        ] {
            good(&with(fine));
        }
        assert!(mistakes(&with("{ address: 'systemd:w', tls: none }")).contains("plain: accepted"));
        assert_eq!(good(&with("{ address: 'unix:/run/w' }")).0.listen[0].tls, ListenTls::Off);
        let twice = with("{ address: '[::]:1' }, { address: '[::]:1' }");
        assert!(mistakes(&twice).contains("listened on twice"));
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
