//! What a configuration names and the daemon reads at its start: certificates, keys, authorities.

use crate::{
    auth::own_name,
    config::{Config, ListenTls, Target},
    target::tls,
    tls::ServerTls,
};

use super::listens::address;

/// Why the daemon could not use them, one sentence each.
pub(super) fn unusable(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    for listen in &config.listen {
        // One of its own is made at the start.
        if !matches!(listen.tls, ListenTls::Files { .. }) {
            continue;
        }
        if let Err(error) = ServerTls::open(&listen.tls, &config.state_directory, &own_name()) {
            wrong.push(format!("listener {}: {error}", address(listen)));
        }
    }
    for endpoint in config.endpoints.values() {
        let Target::Tcp(tcp) = &endpoint.target else { continue };
        if let Some(Err(why)) = tcp.tls.as_ref().map(tls::check) {
            wrong.push(format!("endpoints.{}.tcp.tls: {why}", endpoint.name));
        }
    }
    wrong.dedup();
    wrong
}
