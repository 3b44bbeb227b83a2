//! Certificates and keys: readable, matching, valid now, and issued for the names that clients use.

use std::{collections::BTreeSet, io, net::IpAddr, path::Path};

use super::{
    Subject,
    account::{Want, is_public},
    finding::{DoctorReport, Id},
    machine::Machine,
    system::System,
};
use crate::{
    auth::{Authority, OwnNames, is_ours},
    config::{Address, Listen, ListenTls},
    regular_file,
    tls::{Facts, OwnAuthority, OwnFiles, ServerTls, WantedNames, day as date, lists_due},
};

/// A certificate that expires within this time, in seconds, is reported.
const CERTIFICATE_WARNING: i64 = 30 * 24 * 3600;
const DAY: i64 = 24 * 3600;

/// Looks at every certificate of the listeners, each once.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let mut seen = Vec::new();
    for listen in &config.listen {
        if matches!(listen.tls, ListenTls::Off) || seen.contains(&&listen.tls) {
            continue;
        }
        seen.push(&listen.tls);
        let addresses =
            config.listen.iter().filter(|other| other.tls == listen.tls).filter_map(tcp);
        one(subject, listen, &addresses.collect::<Vec<_>>(), report);
    }
}

/// The address of a TCP listener, if it names one.
fn tcp(listen: &Listen) -> Option<IpAddr> {
    match listen.address {
        Address::Tcp(socket) => {
            Some(socket.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
        }
        Address::Unix(_) | Address::Systemd(_) => None,
    }
}

fn one(subject: &Subject<'_>, listen: &Listen, addresses: &[IpAddr], report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let self_signed = matches!(listen.tls, ListenTls::SelfSigned);
    let (certificate, key, client_ca, client_crl) = match &listen.tls {
        ListenTls::Off => return,
        ListenTls::SelfSigned => {
            let OwnFiles { certificate, key, .. } = OwnFiles::under(&config.state_directory);
            (certificate, key, None, None)
        }
        ListenTls::Files { certificate, key, client_ca, client_crl } => {
            (certificate.clone(), key.clone(), client_ca.clone(), client_crl.clone())
        }
    };
    let place = certificate.display().to_string();
    let mark = report.mark();
    let facts = match Facts::of(&certificate) {
        Ok(facts) => facts,
        Err(_) if is_hidden(&certificate) => {
            return report.unseen(Id::Certificate, &place, "certificate, its names and dates");
        }
        Err(_) if self_signed && !certificate.exists() => {
            return report.ok(Id::Certificate, &place, "made at the first start");
        }
        Err(error) => {
            let fix = [format!("openssl x509 -noout -text -in {place}")];
            return report.wrong(
                Id::CertificateWrong,
                &place,
                bare(&place, &error.to_string()),
                &fix,
            );
        }
    };
    dates(subject.machine, &place, &facts, self_signed, report);
    if self_signed {
        own(subject, &place, &facts, report);
    } else {
        pair(listen, &key, report);
        names(subject, &place, &facts, addresses, report);
        readable(subject, &certificate, report);
    }
    readable(subject, &key, report);
    secret(&key, report);
    if let Some(ca) = client_ca {
        authority(subject, &ca, report);
    }
    if let Some(crl) = client_crl {
        list(subject, &crl, report);
    }
    let days = (facts.until - subject.machine.now) / DAY;
    report.ok_since(mark, Id::Certificate, &place, format!("good for {days} days"));
}

/// A text without the place it begins with.
fn bare<'a>(place: &str, text: &'a str) -> &'a str {
    text.strip_prefix(place).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text)
}

fn is_hidden(file: &Path) -> bool {
    regular_file::open(file).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// How to get a new certificate; our own is made at the start.
fn renewal(system: System, self_signed: bool) -> Vec<String> {
    if self_signed {
        vec![system.restart()]
    } else {
        let command = system.pick("sudo certbot renew", "/etc/init.d/acme renew");
        vec![format!(
            "{command}    # or whatever makes it; the daemon reads a changed file by itself"
        )]
    }
}

fn dates(
    machine: &Machine,
    place: &str,
    facts: &Facts,
    self_signed: bool,
    report: &mut DoctorReport,
) {
    let (from, until) = (date(facts.from), date(facts.until));
    if facts.from > machine.now {
        let what = format!(
            "is valid from {from}, and it is {} here: is the clock right?",
            date(machine.now)
        );
        report.wrong(
            Id::CertificateEarly,
            place,
            what,
            &report.system.lines(&["timedatectl"], &["date"]),
        );
    } else if facts.until < machine.now {
        let fix = renewal(report.system, self_signed);
        report.wrong(
            Id::CertificateExpired,
            place,
            format!("expired on {until}; clients refuse it"),
            &fix,
        );
    } else if facts.until - machine.now < CERTIFICATE_WARNING && !self_signed {
        let days = (facts.until - machine.now) / DAY;
        let what = format!("expires on {until}, in {days} days");
        let fix = renewal(report.system, self_signed);
        report.hint(Id::CertificateExpires, place, what, &fix);
    }
}

/// Checks key and certificate with the daemon's own loader.
fn pair(listen: &Listen, key: &Path, report: &mut DoctorReport) {
    let place = key.display().to_string();
    if is_hidden(key) {
        return report.unseen(
            Id::CertificateWrong,
            &place,
            "whether the key belongs to its certificate",
        );
    }
    // For these three kinds the daemon's loader makes nothing; a self-signed pair it would make.
    if let Err(error) =
        ServerTls::open(&listen.tls, Path::new("/nonexistent"), &WantedNames::default())
    {
        let text = error.to_string();
        let (file, what) = text.split_once(": ").unwrap_or((&place, &text));
        let fix = [
            "openssl pkey -pubout -in KEY    # must print the same as:".to_owned(),
            "openssl x509 -noout -pubkey -in CERTIFICATE".into(),
        ];
        report.wrong(Id::CertificateWrong, file, what, &fix);
    }
}

/// A file that the daemon has to read.
fn readable(subject: &Subject<'_>, file: &Path, report: &mut DoctorReport) {
    let (place, user) = (file.display().to_string(), &subject.account.name);
    match subject.account.may(file, Want::Read) {
        Ok(false) => {
            let [group, mode] = [format!("chgrp wsbridge {place}"), format!("chmod 640 {place}")];
            let (group, mode) = (report.system.root(&group), report.system.root(&mode));
            let fix = format!("{group} && {mode}    # and the folders above it: o+x");
            let what = format!("{user}, who runs the daemon, may not read it");
            report.wrong(Id::CertificateUnread, &place, what, &[fix]);
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            report.unseen(Id::CertificateUnread, &place, format!("whether {user} may read it"));
        }
        Ok(true) | Err(_) => {}
    }
}

/// A key that everybody can read is no secret.
fn secret(key: &Path, report: &mut DoctorReport) {
    if is_public(key).unwrap_or(false) {
        let place = key.display().to_string();
        let what = "every user of this machine may read this private key";
        let fix = [report.system.root(&format!("chmod o= {place}"))];
        report.wrong(Id::KeyReadable, &place, what, &fix);
    }
}

fn authority(subject: &Subject<'_>, ca: &Path, report: &mut DoctorReport) {
    let place = ca.display().to_string();
    readable(subject, ca, report);
    // If it is not an authority, that was reported with the pair.
    if let Ok(facts) = Facts::of(ca)
        && facts.until < subject.machine.now
    {
        let what = format!(
            "this authority expired on {}; no client certificate of it passes",
            date(facts.until)
        );
        report.wrong(
            Id::CertificateExpired,
            &place,
            what,
            &["put the authority's present certificate there".into()],
        );
    }
}

/// The list of an authority's revoked certificates.
fn list(subject: &Subject<'_>, crl: &Path, report: &mut DoctorReport) {
    let place = crl.display().to_string();
    readable(subject, crl, report);
    // If it is not a list, that was reported with the pair.
    if let Ok(Some(due)) = lists_due(crl)
        && due < subject.machine.now
    {
        let what = format!(
            "this list of revoked certificates was due to be replaced on {}; what it names is still refused, but what has been \
             revoked since is not known",
            date(due)
        );
        report.wrong(
            Id::CertificateExpired,
            &place,
            what,
            &["put the authority's new list there".into()],
        );
    }
}

/// Names that clients use, and names that the daemon answers to.
fn names(
    subject: &Subject<'_>,
    place: &str,
    facts: &Facts,
    addresses: &[IpAddr],
    report: &mut DoctorReport,
) {
    let Some(config) = subject.config else { return };
    for host in config.hosts.iter().filter(|host| !facts.covers(host)) {
        let key = report.system.pick("hosts:", "list host");
        let what = format!(
            "is not for `{host}` of `{key}`, but for {}; clients that ask for it are warned",
            listed(facts)
        );
        let fix = report.system.pick(
            format!("a certificate with that name, like: sudo certbot certonly --expand -d {host}"),
            format!("a certificate with that name: `list domains '{host}'` in /etc/config/acme"),
        );
        report.wrong(Id::CertificateName, place, what, &[fix]);
    }
    for address in addresses.iter().filter(|address| !facts.covers(&address.to_string())) {
        let what =
            format!("is not for {address}, which is listened on: clients have to use a name of it");
        report.hint(
            Id::CertificateAddress,
            place,
            what,
            &[format!("use https://{}/", facts.names.first().map_or("NAME", String::as_str))],
        );
    }
    let unknown: Vec<&String> = facts
        .names
        .iter()
        .filter(|name| !name.starts_with('*') && !goes_by(subject, name))
        .collect();
    if unknown.is_empty() {
        return;
    }
    let all: BTreeSet<&str> = unknown
        .iter()
        .map(|name| name.as_str())
        .chain(config.hosts.iter().map(String::as_str))
        .collect();
    let fix = match report.system {
        System::Linux => {
            vec![format!("hosts: [ {} ]", all.into_iter().collect::<Vec<_>>().join(", "))]
        }
        System::OpenWrt => all.into_iter().map(|name| format!("list host '{name}'")).collect(),
    };
    let key = report.system.pick("hosts:", "list host");
    let told = unknown.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let what =
        format!("is for {told}, which `{key}` does not have: whoever asks for that name gets 421");
    if unknown.len() == facts.names.len() && facts.addresses.is_empty() {
        report.wrong(Id::HostMissing, place, what, &fix);
    } else {
        report.hint(Id::HostMissing, place, what, &fix);
    }
}

fn listed(facts: &Facts) -> String {
    let all: Vec<String> = facts
        .names
        .iter()
        .cloned()
        .chain(facts.addresses.iter().map(ToString::to_string))
        .collect();
    if all.is_empty() { "no name at all".into() } else { all.join(", ") }
}

/// Judged by the daemon's own rule.
fn goes_by(subject: &Subject<'_>, name: &str) -> bool {
    let hosts = subject.config.map_or(&[][..], |config| &config.hosts);
    Authority::parse(name).is_some_and(|asked| {
        is_ours(&asked, OwnNames { local: None, hosts, own: &subject.machine.host, held: None })
    })
}

/// Our own certificate: the daemon renews it for all names that its authority may sign for. For
/// other names somebody has to make a new authority.
fn own(subject: &Subject<'_>, place: &str, facts: &Facts, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let file = OwnFiles::under(&config.state_directory).authority;
    let wanted = WantedNames::new(&subject.machine.host, &config.hosts);
    if !file.exists() {
        let lacking: Vec<String> =
            wanted.all().into_iter().filter(|name| !facts.covers(name)).collect();
        if !lacking.is_empty() {
            let what = format!("was made before this machine had the name {}", lacking.join(", "));
            let fix = subject.source.typed("ca new");
            report.hint(Id::CertificateName, place, what, &[fix]);
        }
        return;
    }
    let place = file.display().to_string();
    let command = subject.source.typed("ca new --replace");
    let authority = match OwnAuthority::read(&file) {
        Ok(authority) => authority,
        Err(error) => {
            let what = bare(&place, &error.to_string()).to_owned();
            return report.wrong(Id::CertificateWrong, &place, what, &[command]);
        }
    };
    let outside = authority.outside(&wanted);
    if !outside.is_empty() {
        let what = format!(
            "may not sign for {}, so clients that ask for it are warned; every device has to trust the new one",
            outside.join(", ")
        );
        report.hint(Id::CertificateName, &place, what, std::slice::from_ref(&command));
    }
    if authority.ends_soon(subject.machine.now) {
        let what = format!(
            "this authority ends on {}, and every certificate of it; every device has to trust the new one",
            date(authority.until)
        );
        report.hint(Id::CertificateExpires, &place, what, &[command]);
    }
}
