//! A device node of this computer for tools that know nothing else: a session for as long as a
//! tool has it open.

use std::{io, path::Path};

use tokio::io::split;

use super::{
    super::{CommandError, Outcome, SysExit, stop::stopped},
    carry::carry,
    guard::Opening,
    line::{Line, Parted},
};
use crate::pty::{Node, VisitEnd};

/// The node is of whoever runs this, as a terminal is.
const MODE: u32 = 0o600;

/// Serves tools at a path until somebody wants the end, or the session is gone.
pub(super) async fn serve(line: &Line, path: &Path, keep: bool) -> Outcome {
    let failed = |error: io::Error| {
        CommandError::new(SysExit::Unavailable, format!("{}: {error}", path.display()))
    };
    let mut node = Node::new(path, MODE).map_err(failed)?;
    line.told.announce(&format!("{} of {} is at {}", line.name(), line.gateway(), path.display()));
    loop {
        let served = tokio::select! {
            served = served(line, &node) => served,
            () = stopped() => return Ok(()),
        };
        let (parted, end) = served.map_err(failed)?;
        match parted {
            Parted::Tool(_) if end == VisitEnd::Left => {}
            Parted::Refused(_) => return parted.outcome(),
            Parted::Gone(_) | Parted::Unreachable(_) if !keep => return parted.outcome(),
            Parted::Ended
            | Parted::Tool(_)
            | Parted::Page(_)
            | Parted::Busy(_)
            | Parted::Incomplete(_)
            | Parted::Gone(_)
            | Parted::Unreachable(_) => {
                if let (VisitEnd::Spent, Err(error)) = (end, parted.outcome()) {
                    let name = line.name();
                    line.told.fault(&format!("{name}: the tool was hung up on: {}", error.message));
                }
                node.hang_up().map_err(failed)?;
            }
        }
    }
}

/// One tool, from its coming to its leaving.
async fn served(line: &Line, node: &Node) -> io::Result<(Parted, VisitEnd)> {
    node.visited().await;
    let stream = node.visit()?;
    let visit = std::sync::Arc::clone(stream.visit());
    let mut session = match line.open().await {
        Ok(session) => session,
        Err(parted) => return Ok((parted, VisitEnd::Spent)),
    };
    let (mut from, mut to) = split(stream);
    let parted = tokio::select! {
        biased;
        parted = carry(line, &mut session, (&mut from, &mut to), Opening::Any) => parted,
        _ = visit.over() => Parted::Tool("it was closed".into()),
    };
    session.writer.client.end().await;
    // A tool that leaves has said all.
    let left = visit.is_over();
    drop((from, to));
    Ok((parted, if left { visit.over().await } else { VisitEnd::Spent }))
}
