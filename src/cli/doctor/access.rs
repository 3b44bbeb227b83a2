//! Who may do what, and from which pages: mistakes that are legal configuration.

use super::{
    Subject,
    finding::{DoctorReport, Id},
    machine::{Machine, text},
};
use crate::{
    auth::{Authority, OwnNames, is_ours},
    config::{Address, Config, ListenTls, Origin, Rights, RightsTable},
};

/// A token that expires within this time, in seconds, is reported.
const TOKEN_WARNING: i64 = 14 * DAY;
const DAY: i64 = 24 * 3600;

/// Programs that people put in front of a gateway.
const PROXIES: [&str; 7] = ["nginx", "caddy", "haproxy", "apache2", "httpd", "traefik", "lighttpd"];

/// Looks at all of it.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let mark = report.mark();
    tokens(config, subject.machine.now, report);
    rights(config, report);
    origins(config, &subject.machine.host, report);
    proxy(config, subject.machine, report);
    let access = &config.access;
    let what = if access.open {
        "everybody on this machine (`auth: none`)".into()
    } else {
        let counts = [
            ("users", access.users.len()),
            ("tokens", access.tokens.len()),
            ("certificates", access.certificates.len()),
        ];
        counts.map(|(word, count)| format!("{word}: {count}")).join(", ")
    };
    report.ok_since(mark, Id::Access, "access", what);
}

fn tokens(config: &Config, now: i64, report: &mut DoctorReport) {
    for (name, token) in &config.access.tokens {
        let Some(end) = token.expires else { continue };
        let place = report.system.place("token", name);
        let (uci, line) = report.system.pick(("", "line"), (" --uci", "section"));
        let fix = [format!(
            "wsbridge token new {name} --rights ... --expires DATE{uci}    # and put its {line} in place of this"
        )];
        if end <= now {
            report.wrong(Id::TokenExpired, &place, "has expired: its users get 401", &fix);
        } else if end - now < TOKEN_WARNING {
            report.hint(
                Id::TokenExpires,
                &place,
                format!("expires in {} days", (end - now) / DAY),
                &fix,
            );
        }
    }
}

fn rights(config: &Config, report: &mut DoctorReport) {
    let access = &config.access;
    let users = access.users.iter().map(|(name, user)| ("user", name, &user.rights));
    let tokens = access.tokens.iter().map(|(name, token)| ("token", name, &token.rights));
    let certificates =
        access.certificates.iter().map(|(name, it)| ("certificate", name, &it.rights));
    let all = users.chain(tokens).chain(certificates);
    for (kind, name, _) in all.filter(|(.., table)| !has_any(config, table)) {
        let fix = report.system.pick(
            format!("{kind}s: {{ {name}: {{ ..., rights: {{ \"*\": [ read, write ] }} }} }}"),
            format!("list right '*=read,write'    # in `config {kind} '{name}'`"),
        );
        let place = report.system.place(kind, name);
        report.hint(Id::NoRights, &place, "has no right on any endpoint", &[fix]);
    }
}

fn has_any(config: &Config, table: &RightsTable) -> bool {
    table.0.iter().any(|(pattern, _)| pattern.starts_with('/'))
        || config.endpoints.keys().any(|name| table.on(name) != Rights::NONE)
}

/// Origins that no page can have, or from which a browser does not let a page reach us.
fn origins(config: &Config, host: &str, report: &mut DoctorReport) {
    let tcp = || config.listen.iter().filter(|listen| !matches!(listen.address, Address::Unix(_)));
    let all_tls = tcp().all(|listen| !matches!(listen.tls, ListenTls::Off));
    let no_tls = tcp().all(|listen| matches!(listen.tls, ListenTls::Off));
    let place = report.system.pick("origins", "list origin");
    for origin in &config.origins {
        let text = origin_text(origin);
        let own = Authority::parse(&origin.host).is_some_and(|asked| {
            is_ours(&asked, OwnNames { local: None, hosts: &config.hosts, own: host, held: None })
        });
        if own && origin.scheme == "http" && all_tls {
            let what = "is this gateway's own name with http, but it listens with TLS only: no page comes from there. \
                        The gateway's own pages need no entry";
            report.wrong(
                Id::OriginOwn,
                place,
                format!("{text} {what}"),
                &[report.system.pick(
                    format!("remove \"{text}\" from origins:"),
                    format!("uci del_list wsbridge.main.origin='{text}'"),
                )],
            );
        } else if origin.scheme == "http" && all_tls {
            let what = "is a page without TLS: anyone on its way can change it and use the rights of its user. Is it https?";
            let host = &origin.host;
            let fix = report.system.pick(
                format!("origins: [ \"https://{host}\" ]"),
                format!("list origin 'https://{host}'"),
            );
            report.hint(Id::OriginHttp, place, format!("{text} {what}"), &[fix]);
        } else if origin.scheme == "https"
            && no_tls
            && config.trusted_proxies.addresses.is_empty()
            && !own
        {
            let what = "is a page with TLS; browsers do not let it open ws:// to another machine, and there is no TLS here";
            let fix = report.system.listen("[::]:8443");
            report.wrong(Id::OriginHttps, place, format!("{text} {what}"), &[fix]);
        }
    }
}

fn origin_text(origin: &Origin) -> String {
    let usual =
        matches!((origin.scheme.as_str(), origin.port), ("http", 80) | ("https", 443) | (_, 0));
    let port = if usual { String::new() } else { format!(":{}", origin.port) };
    format!("{}://{}{port}", origin.scheme, origin.host)
}

/// A proxy on this machine is a single peer to us, unless its headers count.
fn proxy(config: &Config, machine: &Machine, report: &mut DoctorReport) {
    let behind = config.listen.iter().any(|listen| match &listen.address {
        Address::Tcp(socket) => socket.ip().is_loopback() && matches!(listen.tls, ListenTls::Off),
        Address::Unix(_) | Address::Systemd(_) => false,
    });
    if !behind || config.access.open || !config.trusted_proxies.addresses.is_empty() {
        return;
    }
    let program = machine
        .processes()
        .filter_map(|folder| text(&folder.join("comm")))
        .find(|name| PROXIES.contains(&name.as_str()));
    if program.is_none() && config.hosts.is_empty() {
        return;
    }
    let who = program.unwrap_or_else(|| "a proxy".into());
    let what = format!(
        "plain HTTP on loopback looks like {who} in front, whose headers do not count: every client has the \
         proxy's address, and all share one limit and one penalty; https pages are refused"
    );
    report.hint(
        Id::ProxyUntrusted,
        report.system.pick("trusted_proxies", "list trusted_proxy"),
        what,
        &report.system.lines(
            &["trusted_proxies: [ \"127.0.0.1\", \"::1\" ]"],
            &["list trusted_proxy '127.0.0.1'", "list trusted_proxy '::1'"],
        ),
    );
}
