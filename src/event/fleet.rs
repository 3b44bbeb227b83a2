//! What is told of a hub's gateways: to the log and to the record.

use std::time::Duration;

use serde_json::json;

use super::named::{detail, name};
use crate::{
    audit::Entry,
    auth::{ClientAddress, PrincipalId},
    span::readable,
};

/// Something about a gateway of a hub's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FleetEvent<'a> {
    /// It was enrolled.
    Enrolled { client: ClientAddress },
    /// Somebody revoked it.
    Revoked { by: &'a PrincipalId },
    /// Two machines show its certificate.
    Cloned { client: ClientAddress },
    /// Somebody says that there is one machine again.
    Cleared { by: &'a PrincipalId },
    /// It has called in.
    Came { client: ClientAddress, version: &'a str },
    /// Its control socket has ended.
    Left { why: &'a str },
    /// Somebody reaches it.
    Reached {
        who: &'a PrincipalId,
        client: ClientAddress,
        /// The path of the gateway's.
        path: &'a str,
    },
    /// Somebody's socket to it has ended.
    Parted {
        who: &'a PrincipalId,
        client: ClientAddress,
        path: &'a str,
        to_client: u64,
        to_gateway: u64,
        lasted: Duration,
    },
}

/// Logs it.
pub(super) fn log(gateway: &str, event: FleetEvent<'_>) {
    match event {
        FleetEvent::Enrolled { client } => {
            tracing::info!(gateway, peer = %client, "gateway enrolled");
        }
        FleetEvent::Revoked { by } => tracing::info!(gateway, by = by.name, "gateway revoked"),
        FleetEvent::Cloned { client } => {
            tracing::warn!(gateway, peer = %client, "two machines have this gateway's certificate: nobody reaches either until that is decided (`wsbridge hub clear` or `wsbridge hub revoke`)");
        }
        FleetEvent::Cleared { by } => tracing::info!(gateway, by = by.name, "gateway cleared"),
        FleetEvent::Came { client, version } => {
            tracing::info!(gateway, peer = %client, version, "gateway connected");
        }
        FleetEvent::Left { why } => tracing::info!(gateway, why, "gateway gone"),
        FleetEvent::Reached { who, client, path } => {
            tracing::info!(gateway, path, principal = who.name, peer = %client, "gateway reached");
        }
        FleetEvent::Parted { who, client, path, to_client, to_gateway, lasted } => {
            let (principal, lasted) = (who.name.as_str(), readable(lasted));
            tracing::info!(gateway, path, principal, peer = %client, to_client, to_gateway, lasted, "gateway left");
        }
    }
}

/// Its line of the record.
pub(super) fn entry(gateway: &str, event: FleetEvent<'_>) -> Entry {
    let of = |what: &'static str, said: serde_json::Value| {
        let mut said = detail(said);
        said.insert("gateway".to_owned(), gateway.into());
        Entry { what, detail: said, ..Entry::default() }
    };
    let peer = |client: ClientAddress| Some(client.to_string());
    match event {
        FleetEvent::Enrolled { client } => {
            Entry { peer: peer(client), ..of("gateway_enrolled", json!({})) }
        }
        FleetEvent::Revoked { by } => {
            Entry { who: Some(name(by)), ..of("gateway_revoked", json!({})) }
        }
        FleetEvent::Cloned { client } => {
            Entry { peer: peer(client), ..of("gateway_cloned", json!({})) }
        }
        FleetEvent::Cleared { by } => {
            Entry { who: Some(name(by)), ..of("gateway_cleared", json!({})) }
        }
        FleetEvent::Came { client, version } => {
            let said = of("gateway_came", json!({ "version": version }));
            Entry { peer: peer(client), ..said }
        }
        FleetEvent::Left { why } => of("gateway_left", json!({ "why": why })),
        FleetEvent::Reached { who, client, path } => {
            let said = of("gateway_reached", json!({ "path": path }));
            Entry { who: Some(name(who)), peer: peer(client), ..said }
        }
        FleetEvent::Parted { who, client, path, to_client, to_gateway, lasted } => {
            let said = of(
                "gateway_parted",
                json!({
                    "path": path, "to_client": to_client, "to_gateway": to_gateway,
                    "lasted": lasted.as_secs_f64(),
                }),
            );
            Entry { who: Some(name(who)), peer: peer(client), ..said }
        }
    }
}
