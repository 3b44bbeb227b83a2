//! The files that a configuration names and the daemon reads at its start: certificates, keys,
//! authorities.

use crate::{
    auth::{own_name, unix_now},
    config::{Config, ListenTls, Target},
    target::tls,
    tls::{OwnAuthority, OwnFiles, ServerTls, WantedNames},
};

use super::listens::address;

/// What should be said about the authority of the gateway's own certificate, if there is one that
/// we may read.
pub(super) fn remarks(config: &Config, command: &str) -> Vec<String> {
    if !config.listen.iter().any(|listen| listen.tls == ListenTls::SelfSigned) {
        return Vec::new();
    }
    let file = OwnFiles::under(&config.state_directory).authority;
    match OwnAuthority::read(&file) {
        Ok(authority) => {
            authority.remarks(&WantedNames::new(&own_name(), &config.hosts), unix_now(), command)
        }
        // Only the service and root can see into that folder.
        Err(_) if !file.exists() => Vec::new(),
        Err(error) => vec![format!("{error}; `{command}` makes another one")],
    }
}

/// What cannot be used, one sentence each.
#[derive(Debug, Default)]
pub(super) struct Unusable {
    /// The daemon does not start without these.
    pub(super) fatal: Vec<String>,
    /// The daemon runs, but an endpoint is down until these are fixed.
    pub(super) down: Vec<String>,
}

/// Reads the files that a configuration names.
pub(super) fn unusable(config: &Config) -> Unusable {
    let mut found = Unusable::default();
    for listen in &config.listen {
        // A certificate of our own is made at the start.
        if !matches!(listen.tls, ListenTls::Files { .. }) {
            continue;
        }
        let wanted = WantedNames::default();
        if let Err(error) = ServerTls::open(&listen.tls, &config.state_directory, &wanted) {
            found.fatal.push(format!("listener {}: {error}", address(listen)));
        }
    }
    for endpoint in config.endpoints.values() {
        let Target::Tcp(tcp) = &endpoint.target else { continue };
        if let Some(Err(why)) = tcp.tls.as_ref().map(tls::check) {
            let name = &endpoint.name;
            found.down.push(format!("endpoints.{name}.tcp.tls: {why}; it is down until then"));
        }
    }
    found.fatal.dedup();
    found
}
