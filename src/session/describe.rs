//! An endpoint and its line in the words of `wsbridge.v1`, for `hello`, the bus and `status`.

use crate::{
    config::{Endpoint, Rights},
    line::{self, Board, rfc3339},
    target::Caps,
    wire::control::{self, Holder},
};

/// An endpoint as it is described to a client.
pub(super) fn describe(
    endpoint: &Endpoint,
    rights: Rights,
    board: Option<&Board>,
) -> control::Endpoint {
    let able = board.map_or_else(Caps::default, |board| board.caps);
    // Known before the target is open; a client has to know it before it sends.
    let able = Caps { datagrams: endpoint.target.has_datagrams(), ..able };
    control::Endpoint {
        name: endpoint.name.clone(),
        kind: endpoint.target.kind().to_owned(),
        // An endpoint without a line is reached only when somebody opens it.
        state: board.map_or("closed", |board| board.state.word()).to_owned(),
        error: board.and_then(error),
        since: board.and_then(down_since),
        title: endpoint.title.clone(),
        usb: board.and_then(|board| board.usb).or_else(|| endpoint.target.stated_usb()),
        caps: caps(able),
        macros: endpoint.macros.keys().cloned().collect(),
        rights: rights.words().into_iter().map(str::to_owned).collect(),
        writer: board.and_then(writer),
        observers: board.map_or(0, Board::observers),
    }
}

/// A line's state, as every client is told. What the line can do is known once it is up, and may
/// then be another adapter's.
pub(super) fn status(board: &Board) -> control::Status {
    let is_up = board.state == line::LineState::Up;
    control::Status {
        state: board.state.word().to_owned(),
        error: error(board),
        since: down_since(board),
        caps: is_up.then(|| caps(board.caps)),
        usb: board.usb,
        ..control::Status::default()
    }
}

/// Why a device is not there.
fn error(board: &Board) -> Option<String> {
    board.state.settled().and_then(Result::err).map(|why| why.to_string())
}

/// Since when it has not been there.
fn down_since(board: &Board) -> Option<String> {
    matches!(board.state, line::LineState::Down(_)).then(|| rfc3339(board.since))
}

/// Capabilities, in the words of the specification.
fn caps(caps: Caps) -> Vec<String> {
    let words: [(bool, &[&str]); 8] = [
        (caps.settings, &["config"]),
        (caps.signals, &["dtr", "rts"]),
        (caps.brk, &["break"]),
        (caps.inputs, &["cts", "dsr", "dcd", "ri"]),
        (caps.errors, &["errors"]),
        (caps.drain, &["drain"]),
        (caps.gap, &["gap"]),
        (caps.datagrams, &["datagrams"]),
    ];
    let given = words.iter().filter(|(has, _)| *has).flat_map(|(_, words)| words.iter());
    given.chain(&["times", "take"]).map(|word| (*word).to_owned()).collect()
}

pub(super) fn holder(holder: &line::Holder) -> Holder {
    Holder { user: holder.principal.name.clone(), since: rfc3339(holder.since), away: holder.away }
}

/// Who holds a line's lease, as `hello` and the bus say it.
pub(super) fn writer(board: &Board) -> Option<Holder> {
    board.lease.holder().map(holder)
}
