//! What clients call this gateway: the names and addresses that a certificate of its own has to
//! cover.

use std::{collections::BTreeSet, net::IpAddr};

/// The names of the machine and of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WantedNames {
    own: String,
    hosts: Vec<String>,
}

impl WantedNames {
    /// The names of a machine called `own_name`, and those in `hosts:`.
    pub(crate) fn new(own_name: &str, hosts: &[String]) -> Self {
        let bare = |host: &String| {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            host.trim_start_matches('[').trim_end_matches(']').to_owned()
        };
        Self { own: own_name.to_ascii_lowercase(), hosts: hosts.iter().map(bare).collect() }
    }

    /// The machine's name.
    pub(super) fn own(&self) -> &str {
        &self.own
    }

    /// Names that somebody chose: the machine's name in its forms, `localhost`, and `hosts:`, which
    /// may also contain addresses.
    pub(super) fn chosen(&self) -> BTreeSet<String> {
        let short = self.own.split('.').next().unwrap_or_default();
        let mut all: BTreeSet<_> = self.hosts.iter().cloned().collect();
        all.insert("localhost".to_owned());
        if !short.is_empty() {
            all.extend([
                self.own.clone(),
                format!("{short}.local"),
                // For where avahi holds NAME.local.
                format!("wsbridge-{short}.local"),
            ]);
        }
        all.retain(|name| name.parse::<IpAddr>().is_ok() || is_name(name));
        all
    }

    /// Everything that a certificate made now covers: the chosen names, loopback, and every address
    /// of every interface.
    pub(crate) fn all(&self) -> BTreeSet<String> {
        let mut all = self.chosen();
        all.extend(["127.0.0.1", "::1"].map(str::to_owned));
        all.extend(addresses().iter().map(ToString::to_string));
        all
    }

    /// What a certificate in use has to cover: IPv6 addresses come and go daily (RFC 8981), and are
    /// no reason to make another.
    pub(super) fn lasting(&self) -> BTreeSet<String> {
        let mut all = self.chosen();
        all.extend(addresses().iter().filter(|ip| ip.is_ipv4()).map(ToString::to_string));
        all
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// The addresses of all interfaces. Link-local IPv6 addresses need a zone, which no certificate can
/// name.
fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let lasting = |address: &IpAddr| match address {
        IpAddr::V4(address) => !address.is_unspecified(),
        IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_unspecified(),
    };
    interfaces.iter().map(if_addrs::Interface::ip).filter(lasting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_host_what_the_configuration_names_and_addresses() {
        let hosts = ["Gateway.Example.", "[2001:db8::7]", "192.0.2.1"].map(str::to_owned);
        let all = WantedNames::new("Box.lan", &hosts).all();
        for name in [
            "localhost",
            "box.lan",
            "box.local",
            "wsbridge-box.local",
            "gateway.example",
            "2001:db8::7",
            "192.0.2.1",
            "127.0.0.1",
            "::1",
        ] {
            assert!(all.contains(name), "{name} is missing in {all:?}");
        }
        assert!(!WantedNames::new("", &[]).all().iter().any(|name| name.contains("local.")));
    }
}
