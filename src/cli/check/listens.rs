//! The listeners, as `check` prints them.

use crate::config::{Address, Config, Listen, ListenTls};

pub(super) fn serves(config: &Config, listen: &Listen) -> String {
    let app = listen.app.as_ref().and_then(|name| config.apps.get(name));
    app.map_or("all".into(), |app| {
        format!("app {}: {}, for {}", app.name, app.directory.display(), app.endpoints.join(", "))
    })
}

pub(super) fn address(listen: &Listen) -> String {
    match &listen.address {
        Address::Tcp(socket) => socket.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
        Address::Systemd(name) => format!("systemd:{name}"),
    }
}

pub(super) fn tls(tls: &ListenTls) -> String {
    match tls {
        ListenTls::Off => "none".into(),
        ListenTls::SelfSigned => "self-signed".into(),
        ListenTls::Files { certificate, client_ca: None, .. } => certificate.display().to_string(),
        ListenTls::Files { certificate, client_ca: Some(ca), client_crl, .. } => {
            let but = client_crl.as_ref().map(|list| format!(" but those of {}", list.display()));
            format!("{}, clients by {}{}", certificate.display(), ca.display(), but.unwrap_or_default())
        }
    }
}
