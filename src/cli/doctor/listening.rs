//! Addresses to listen on: free, ours, permitted, and reachable for those they are meant for.

use std::net::{IpAddr, SocketAddr};

use super::{
    Subject,
    finding::{DoctorReport, Id},
    machine::Machine,
    service::daemon_of,
    system::System,
    unit::UnitFile,
};
use crate::{
    config::{Address, Config, Listen, ListenTls},
    listen::{self, address_text},
};

/// The socket the packages install.
const SOCKET: &str = "wsbridge.socket";

/// Looks at all of it.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let socket = UnitFile::read(subject.machine, SOCKET);
    for listen in &config.listen {
        let place = address_text(&listen.address);
        let mark = report.mark();
        match &listen.address {
            Address::Tcp(address) => {
                let held = socket.as_ref().is_some_and(|unit| holds(unit, address.port()));
                if held && is_active(subject.machine) {
                    conflict(&place, socket.as_ref(), report);
                } else {
                    taken(subject, *address, &place, report);
                }
                available(subject, *address, &place, report);
            }
            Address::Systemd(name) => {
                handed(subject.machine, socket.as_ref(), name, &place, report);
            }
            Address::Unix(_) => {}
        }
        plain(listen, &place, report);
        let tls = if matches!(listen.tls, ListenTls::Off) { "plain HTTP" } else { "TLS" };
        report.ok_since(mark, Id::Listen, &place, tls);
    }
    reach(config, report);
}

/// Another program has the port.
fn taken(subject: &Subject<'_>, address: SocketAddr, place: &str, report: &mut DoctorReport) {
    let proc = &subject.machine.roots.proc;
    let all = listen::listening(proc, address.port());
    let Some(other) = all.iter().find(|socket| collide(socket.local.ip(), address.ip())) else {
        return;
    };
    let ours = subject.running.map(|running| running.pid);
    match other.owner(proc) {
        Some(process) if Some(process.pid) == ours => {}
        Some(process) => {
            let (system, moved) = (report.system, moved(address));
            let another = system.pick(
                format!("listen: [ {{ address: \"{moved}\" }} ]    # or another port"),
                format!("list listen '{moved}'    # or another port"),
            );
            let other = daemon_of(&proc.join(process.pid.to_string()));
            let kill = format!("kill {}    # if that program is not needed", process.pid);
            let (mut who, mut end) = (process.to_string(), system.root(&kill));
            if let Some(other) = other {
                who = format!("{process}, the gateway that runs with {}", other.path().display());
                end = "end that gateway before this one starts".into();
            }
            let fix = [end, another];
            report.wrong(Id::ListenTaken, place, format!("the port is in use by {who}"), &fix);
        }
        None if ours.is_some() => {}
        None => {
            let seen = format!("something already listens on {}; sudo shows what", other.local);
            report.unseen(Id::ListenTaken, place, seen);
        }
    }
}

/// The program that has a port where this gateway would listen; none where the gateway itself has
/// it, or nobody.
pub(super) fn holder(subject: &Subject<'_>, address: SocketAddr) -> Option<String> {
    let proc = &subject.machine.roots.proc;
    let all = listen::listening(proc, address.port());
    let other = all.iter().find(|socket| collide(socket.local.ip(), address.ip()))?;
    let ours = subject.running.map(|running| running.pid);
    match other.owner(proc) {
        Some(process) => (Some(process.pid) != ours).then(|| process.to_string()),
        None => ours.is_none().then(|| "another program".to_owned()),
    }
}

fn moved(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), if address.port() == 8443 { 9443 } else { 8443 })
}

/// Whether two sockets on one port would take each other's connections.
fn collide(one: IpAddr, other: IpAddr) -> bool {
    let takes = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    one.to_canonical() == other.to_canonical() || takes(one, other) || takes(other, one)
}

/// The address is not this machine's, or the port is not for everybody.
fn available(subject: &Subject<'_>, address: SocketAddr, place: &str, report: &mut DoctorReport) {
    let ip = address.ip().to_canonical();
    let known = if_addrs::get_if_addrs().unwrap_or_default();
    if !ip.is_unspecified() && !ip.is_loopback() && known.iter().all(|known| known.ip() != ip) {
        let has: Vec<_> = known.iter().map(|known| known.ip().to_string()).collect();
        let what = format!("this machine has no such address; it has {}", has.join(", "));
        let port = address.port();
        let fix = report.system.pick(
            format!("listen: [ {{ address: \"[::]:{port}\" }} ]    # every address"),
            format!("list listen '[::]:{port}'    # every address"),
        );
        report.wrong(Id::ListenNoAddress, place, what, &[fix]);
    }
    let first = subject.machine.text("proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first = first.and_then(|first| first.parse().ok()).unwrap_or(1024);
    let capable = subject.unit.is_some_and(|unit| {
        unit.words("AmbientCapabilities").contains(&"CAP_NET_BIND_SERVICE")
            && !unit.is_on("PrivateUsers")
    });
    let may = address.port() >= first
        || capable
        || subject.account.is_root()
        || subject.running.is_some();
    if !may && address.port() != 0 {
        let what = format!("{} may not listen on ports under {first}", subject.account.name);
        let fix = match report.system {
            System::Linux => vec![
                format!(
                    "sudo systemctl enable --now {SOCKET}    # ListenStream={} in it",
                    address.port()
                ),
                report.system.listen("systemd:https"),
            ],
            System::OpenWrt => vec![
                format!("list listen '{}'    # a port that everybody may have", moved(address)),
                "option user 'root'    # or this".into(),
            ],
        };
        report.wrong(Id::ListenLow, place, what, &fix);
    }
}

fn plain(listen: &Listen, place: &str, report: &mut DoctorReport) {
    let lan = match &listen.address {
        Address::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Address::Systemd(_) => true,
        Address::Unix(_) => false,
    };
    if lan && matches!(listen.tls, ListenTls::Off) {
        let what = "plain HTTP for the network: passwords, tokens and data can be read on the way";
        let fix = report.system.lines(
            &["tls: self-signed    # in place of `tls: none`"],
            &["option tls 'self-signed'    # in place of 'none'"],
        );
        report.hint(Id::ListenPlain, place, what, &fix);
    }
}

/// Only this machine can reach it, although there are users and no proxy.
fn reach(config: &Config, report: &mut DoctorReport) {
    let mut tcp = Vec::new();
    for listen in &config.listen {
        let Address::Tcp(address) = &listen.address else { return };
        if matches!(listen.tls, ListenTls::Off) || !address.ip().to_canonical().is_loopback() {
            return;
        }
        tcp.push(address);
    }
    let Some(first) = tcp.first() else { return };
    if !config.access.open && config.trusted_proxies.addresses.is_empty() {
        let fix = report.system.listen(&format!("[::]:{}", first.port()));
        let what = "only this machine reaches the gateway; other machines get no answer";
        let place = report.system.pick("listen", "list listen");
        report.hint(Id::ListenLoopback, place, what, &[fix]);
    }
}

fn name(unit: &UnitFile) -> &str {
    unit.last("FileDescriptorName").unwrap_or(SOCKET)
}

fn holds(unit: &UnitFile, port: u16) -> bool {
    unit.lines("ListenStream")
        .iter()
        .any(|address| address.rsplit(':').next().is_some_and(|last| last.parse() == Ok(port)))
}

fn is_active(machine: &Machine) -> bool {
    machine.has_systemd() && (machine.ask)(&["systemctl", "is-active", SOCKET]).is_some()
}

/// systemd has the port that the daemon should bind itself.
fn conflict(place: &str, socket: Option<&UnitFile>, report: &mut DoctorReport) {
    let name = socket.map_or(SOCKET, name);
    let fix = [
        format!("listen: [ {{ address: \"systemd:{name}\" }} ]    # take systemd's socket"),
        format!("sudo systemctl disable --now {SOCKET}    # or bind the port oneself"),
    ];
    report.wrong(Id::SocketConflict, place, format!("{SOCKET} has this port already"), &fix);
}

/// `systemd:NAME` needs a socket with that name that is enabled.
fn handed(
    machine: &Machine,
    socket: Option<&UnitFile>,
    wanted: &str,
    place: &str,
    report: &mut DoctorReport,
) {
    let start =
        "sudo systemctl enable --now wsbridge.socket && sudo systemctl restart wsbridge".to_owned();
    match socket {
        None => {
            let what = format!("no {SOCKET} is installed that could hand over a socket");
            let fix = [
                "sudo install -m 644 packaging/systemd/wsbridge.socket /etc/systemd/system/".into(),
                start,
            ];
            report.wrong(Id::SocketUnit, place, what, &fix);
        }
        Some(unit) if name(unit) != wanted => {
            let what = format!("{SOCKET} hands over `{}`, not `{wanted}`", name(unit));
            let fix = format!("listen: [ {{ address: \"systemd:{}\" }} ]", name(unit));
            report.wrong(Id::SocketUnit, place, what, &[fix]);
        }
        Some(_) if machine.has_systemd() && !is_active(machine) => {
            report.wrong(Id::SocketUnit, place, format!("{SOCKET} is not on"), &[start]);
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_collide_where_one_takes_the_others_connections() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (one, other, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("0.0.0.0", "127.0.0.1", true),
            ("::", "127.0.0.1", true),
            ("::1", "::", true),
            ("0.0.0.0", "::1", false),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::1", false),
        ] {
            assert_eq!(collide(ip(one), ip(other)), expected, "{one} {other}");
            assert_eq!(collide(ip(other), ip(one)), expected, "{other} {one}");
        }
    }
}
