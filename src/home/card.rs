//! What a gateway tells its hub about its lines.

use crate::{
    config::Rights,
    http::Bridge,
    wire::home::{CardLine, FromGateway},
};

/// The lines that somebody may at least read who comes by the hub.
pub(super) fn card(bridge: &Bridge) -> FromGateway {
    let config = bridge.config();
    let allow = &config.call_home.allow;
    let shown = config.endpoints.values().filter(|it| allow.on(&it.name).allows(Rights::READ));
    let lines = shown.map(|endpoint| {
        let board = bridge.lines.board(&endpoint.name);
        let board = board.as_ref().map(|board| board.borrow());
        let state = board.as_ref().map_or("", |board| board.state.word());
        let writer = board.as_ref().and_then(|board| board.lease.holder());
        CardLine {
            name: endpoint.name.clone(),
            kind: endpoint.target.kind().to_owned(),
            title: endpoint.title.clone(),
            state: state.to_owned(),
            writer: writer.map(|holder| holder.principal.name.clone()),
        }
    });
    FromGateway::Card { labels: config.call_home.labels.clone(), lines: lines.collect() }
}
