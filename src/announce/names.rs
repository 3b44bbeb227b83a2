//! What the gateway is called on its network: the host, and an instance for each service.

use super::{Service, ServiceKind};

/// A label of DNS, in bytes (RFC 1035 section 2.3.4).
const LABEL: usize = 63;

/// The names of one round; each conflict leads to the next ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidates {
    own: String,
    /// Whether avahi runs here: then NAME.local belongs to it, and if two responders disagree about
    /// the addresses of one name, the later one has to change its name.
    avahi: bool,
    /// 1, and one more after each conflict.
    number: u32,
}

impl Candidates {
    /// The first names of a machine that is called `own`.
    pub(super) fn new(own: &str, avahi: bool) -> Self {
        Self {
            own: own.split('.').next().unwrap_or_default().to_ascii_lowercase(),
            avahi,
            number: 1,
        }
    }

    /// Moves on to the next names, after a conflict.
    pub(super) fn change(&mut self) {
        self.number += 1;
    }

    /// The host's label.
    pub(super) fn host(&self) -> String {
        let front = if self.avahi { "wsbridge-" } else { "" };
        let tail = if self.number > 1 { format!("-{}", self.number) } else { String::new() };
        fit(&format!("{front}{}", self.own), &tail)
    }

    /// The host's whole name.
    pub(super) fn host_name(&self) -> String {
        format!("{}.local", self.host())
    }

    /// The label of a service's instance when `before` others of its type and title come first (RFC
    /// 6763 section 4.1: each name once).
    pub(super) fn instance(&self, service: &Service, before: usize) -> String {
        let place = if before > 0 { format!(" ({})", service.address) } else { String::new() };
        let tail = if self.number > 1 { format!(" {}{place}", self.number) } else { place };
        fit(&format!("{} on {}", title(service), self.own), &tail)
    }
}

/// What a service is called.
pub(super) fn title(service: &Service) -> &str {
    match &service.kind {
        ServiceKind::Gateway { .. } => "wsbridge",
        ServiceKind::Rfc2217 { endpoint, .. } => endpoint,
    }
}

/// A label that ends with the whole of `tail`, the front cut to fit.
fn fit(front: &str, tail: &str) -> String {
    let mut end = front.len().min(LABEL.saturating_sub(tail.len()));
    while !front.is_char_boundary(end) {
        end -= 1;
    }
    front.get(..end).unwrap_or_default().to_owned() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_longer_than_a_label_of_dns() {
        let service = Service {
            address: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap(),
            kind: ServiceKind::Gateway { tls: true },
        };
        for avahi in [false, true] {
            let mut names = Candidates::new(&"n".repeat(LABEL), avahi);
            for _ in 0..3 {
                assert!(names.host().len() <= LABEL);
                let instance = names.instance(&service, 1);
                assert!(
                    instance.len() <= LABEL && instance.ends_with("6666]:65535)"),
                    "{instance}"
                );
                names.change();
            }
            assert!(names.host().ends_with("-4"));
        }
    }

    #[test]
    fn a_conflict_changes_every_name_and_beside_avahi_the_host_has_one_of_its_own() {
        let service = Service {
            address: "0.0.0.0:443".parse().unwrap(),
            kind: ServiceKind::Gateway { tls: true },
        };
        let mut names = Candidates::new("Box.lan", false);
        assert_eq!(
            (names.host_name().as_str(), names.instance(&service, 0).as_str()),
            ("box.local", "wsbridge on box")
        );
        names.change();
        assert_eq!(names.host_name(), "box-2.local");
        assert_eq!(names.instance(&service, 0), "wsbridge on box 2");
        assert_eq!(names.instance(&service, 1), "wsbridge on box 2 (0.0.0.0:443)");
        assert_eq!(Candidates::new("Box.lan", true).host_name(), "wsbridge-box.local");
    }
}
