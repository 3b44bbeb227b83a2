//! The listeners, as `check` prints them.

use crate::config::{Address, Config, HeaderFamily, Listen, ListenTls, duration_text};

pub(super) fn serves(config: &Config, listen: &Listen) -> String {
    let app = listen.app.as_ref().and_then(|name| config.apps.get(name));
    let who = if listen.proxy_protocol { "all, through trusted proxies only" } else { "all" };
    app.map_or(who.into(), |app| {
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

/// Whose word about clients counts, and which part of it.
pub(super) fn proxies(config: &Config) -> Option<String> {
    let trusted = &config.trusted_proxies;
    let all: Vec<_> =
        trusted.addresses.iter().map(|(ip, length)| format!("{ip}/{length}")).collect();
    let mut counts = match trusted.headers {
        HeaderFamily::XForwarded => {
            vec!["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port"]
        }
        HeaderFamily::Forwarded => vec!["Forwarded"],
    };
    let mut not = Vec::new();
    for (name, named) in
        [("X-Forwarded-Host", trusted.host), ("X-Forwarded-Prefix", trusted.prefix)]
    {
        if named { counts.push(name) } else { not.push(name) }
    }
    let but = if not.is_empty() {
        String::new()
    } else {
        format!("; not {}, which `also: [ host, prefix ]` would add", not.join(", "))
    };
    (!all.is_empty()).then(|| {
        format!("of trusted proxies ({}) count: {}{but}", all.join(", "), counts.join(", "))
    })
}

/// What browsers are told about HTTPS, and what that means beyond the gateway.
pub(super) fn hsts(config: &Config) -> Option<String> {
    let hsts = config.hsts?;
    if hsts.is_zero() {
        return Some("hsts: browsers forget that they must use HTTPS".into());
    }
    let days = duration_text(hsts);
    Some(format!(
        "hsts: for {days} browsers use only HTTPS on every port of the name they used, other services of this machine included"
    ))
}

pub(super) fn tls(tls: &ListenTls) -> String {
    match tls {
        ListenTls::Off => "none".into(),
        ListenTls::SelfSigned => "self-signed".into(),
        ListenTls::Files { certificate, client_ca: None, .. } => certificate.display().to_string(),
        ListenTls::Files { certificate, client_ca: Some(ca), client_crl, .. } => {
            let but = client_crl.as_ref().map(|list| format!(" but those of {}", list.display()));
            format!(
                "{}, clients by {}{}",
                certificate.display(),
                ca.display(),
                but.unwrap_or_default()
            )
        }
    }
}
