//! The gateway's services on the local network, announced by multicast DNS (RFC 6762) so that nobody needs an address.

use std::{net::SocketAddr, path::Path, thread, time::Duration};

use mdns_sd::{DaemonEvent, IfKind, Receiver, ServiceDaemon, ServiceInfo};

/// What avahi-daemon(8) listens on while it runs.
const AVAHI: &str = "/run/avahi-daemon/socket";

/// How long the goodbyes may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// How often the responder looks for addresses that came or went, in seconds.
const LOOK_AGAIN: u32 = 30;

/// A label of DNS, in bytes (RFC 1035 section 2.3.4).
const LABEL: usize = 63;

/// A listener other machines reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// What is announced now; dropped, it is announced no longer.
#[derive(Default)]
pub struct Announcer {
    services: Vec<Service>,
    responder: Option<ServiceDaemon>,
}

impl std::fmt::Debug for Announcer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announcer").field("services", &self.services).finish_non_exhaustive()
    }
}

impl Announcer {
    /// Announces these and nothing else. What only this machine reaches is left out; that it cannot be done is logged.
    ///
    /// `own` is this machine's name. Blocks while what was announced says goodbye.
    pub fn announce(&mut self, own: &str, services: Vec<Service>) {
        let services: Vec<_> = services
            .into_iter()
            .filter(|service| !service.address.ip().to_canonical().is_loopback())
            .collect();
        if services == self.services {
            return;
        }
        self.stop();
        if services.is_empty() {
            return;
        }
        match start(own, &services, Path::new(AVAHI).exists()) {
            Ok((responder, host)) => {
                tracing::info!("announced as {host} by multicast DNS");
                (self.services, self.responder) = (services, Some(responder));
            }
            Err(error) => tracing::warn!("not announced by multicast DNS: {error}"),
        }
    }

    /// Says goodbye, so that nobody finds what has gone.
    fn stop(&mut self) {
        self.services.clear();
        let told = self.responder.take().and_then(|responder| responder.shutdown().ok());
        if let Some(told) = told {
            let _ = told.recv_timeout(GOODBYE);
        }
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn start(own: &str, services: &[Service], avahi: bool) -> Result<(ServiceDaemon, String), mdns_sd::Error> {
    let host = host(own, avahi);
    let mut records = Vec::new();
    let mut before = Vec::new();
    for service in services {
        records.extend(describe(own, &host, service, &before)?);
        before.push(*service);
    }
    let responder = ServiceDaemon::new()?;
    responder.set_ip_check_interval(LOOK_AGAIN)?;
    let told = responder.monitor()?;
    for record in records {
        responder.register(record)?;
    }
    // It ends with the responder.
    thread::Builder::new()
        .name("mdns".to_owned())
        .spawn(move || listen(&told))
        .map_err(|error| mdns_sd::Error::Msg(error.to_string()))?;
    Ok((responder, host.trim_end_matches('.').to_owned()))
}

/// What the responder tells, for the log.
fn listen(told: &Receiver<DaemonEvent>) {
    for event in told {
        if let DaemonEvent::NameChange(change) = event {
            tracing::warn!(
                interface = change.intf_name,
                "another machine has the name {}; announced as {} there",
                change.original,
                change.new_name
            );
        }
    }
}

/// The name the records point to. Where avahi runs, NAME.local is its own: two responders that differ about the
/// addresses of one name make the later one change its name.
fn host(own: &str, avahi: bool) -> String {
    let short = short(own);
    if avahi {
        let short = &short[..short.len().min(LABEL - "wsbridge-".len())];
        format!("wsbridge-{short}.local.")
    } else {
        format!("{short}.local.")
    }
}

/// The first label of a name, in lower case.
fn short(own: &str) -> String {
    own.split('.').next().unwrap_or_default().to_ascii_lowercase()
}

/// The records of a service that comes after others: one for whoever looks for web pages, one for whoever looks for
/// gateways.
fn describe(
    own: &str,
    host: &str,
    service: &Service,
    before: &[Service],
) -> Result<[ServiceInfo; 2], mdns_sd::Error> {
    // An instance is named once among those of its type (RFC 6763 section 4.1).
    let instance = |taken: bool| {
        let place = if taken { format!(" ({})", service.address) } else { String::new() };
        let mut name = format!("wsbridge on {}", short(own));
        name.truncate(LABEL - place.len());
        name + &place
    };
    let web = if service.tls { "_https._tcp.local." } else { "_http._tcp.local." };
    let web_taken = before.iter().any(|other| other.tls == service.tls);
    let tls = if service.tls { "1" } else { "0" };
    Ok([
        record(web, &instance(web_taken), host, service.address, &[("path", "/")])?,
        record(
            "_wsbridge._tcp.local.",
            &instance(!before.is_empty()),
            host,
            service.address,
            &[("tls", tls)],
        )?,
    ])
}

fn record(
    kind: &str,
    instance: &str,
    host: &str,
    address: SocketAddr,
    text: &[(&str, &str)],
) -> Result<ServiceInfo, mdns_sd::Error> {
    let mut info = ServiceInfo::new(kind, instance, host, "", address.port(), text)?.enable_addr_auto();
    let reached = match address {
        SocketAddr::V4(all) if all.ip().is_unspecified() => IfKind::IPv4,
        SocketAddr::V6(all) if all.ip().is_unspecified() => IfKind::All,
        SocketAddr::V4(_) | SocketAddr::V6(_) => IfKind::Addr(address.ip()),
    };
    info.set_interfaces(vec![reached]);
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(address: &str, tls: bool) -> Service {
        Service { address: address.parse().unwrap(), tls }
    }

    #[test]
    fn a_name_is_no_longer_than_a_label_of_dns() {
        let own = "n".repeat(LABEL);
        for avahi in [false, true] {
            assert!(host(&own, avahi).trim_end_matches(".local.").len() <= LABEL);
        }
        let services =
            [service("0.0.0.0:8443", true), service("[2001:db8:1111:2222:3333:4444:5555:6666]:65535", true)];
        for info in describe(&own, "n.local.", &services[1], &services[..1]).unwrap() {
            let fullname = info.get_fullname();
            let instance = fullname.split("._").next().unwrap();
            assert!(instance.len() <= LABEL, "{fullname}");
            assert!(instance.ends_with("6666]:65535)"), "{fullname}");
        }
    }

    #[test]
    fn instances_of_one_type_have_different_names() {
        let services =
            [service("0.0.0.0:80", false), service("0.0.0.0:443", true), service("192.0.2.7:443", true)];
        let names: Vec<_> = (0..3)
            .flat_map(|at| describe("Box.lan", "box.local.", &services[at], &services[..at]).unwrap())
            .map(|info| info.get_fullname().to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "wsbridge on box._http._tcp.local.",
                "wsbridge on box._wsbridge._tcp.local.",
                "wsbridge on box._https._tcp.local.",
                "wsbridge on box (0\\.0\\.0\\.0:443)._wsbridge._tcp.local.",
                "wsbridge on box (192\\.0\\.2\\.7:443)._https._tcp.local.",
                "wsbridge on box (192\\.0\\.2\\.7:443)._wsbridge._tcp.local.",
            ]
        );
    }

    #[test]
    fn beside_avahi_the_host_has_a_name_of_its_own() {
        assert_eq!(host("Box.lan", false), "box.local.");
        assert_eq!(host("Box.lan", true), "wsbridge-box.local.");
    }

    #[test]
    fn loopback_alone_is_announced_to_nobody() {
        let mut announcer = Announcer::default();
        announcer.announce("box", vec![service("127.0.0.1:1", true), service("[::1]:1", true)]);
        assert!(announcer.responder.is_none() && announcer.services.is_empty());
    }
}
