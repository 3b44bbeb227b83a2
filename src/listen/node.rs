//! A door that is a device node: one tool after another, each from its coming to its leaving.

use std::{future::pending, io, path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::guests::{DoorRules, Guests};
use crate::{
    http::Bridge,
    line::Board,
    pty::{Node, Visit, VisitEnd},
    stream::Stream,
    wire::close::Ended,
};

/// Whoever is in the node's group may open it.
const MODE: u32 = 0o660;

/// Pause before a node that could not be made anew is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Such a door, its node made.
#[derive(Debug)]
pub(super) struct NodeDoor(Node);

impl NodeDoor {
    /// Makes the node.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self(Node::new(path, MODE)?))
    }

    /// Serves tools until the bridge's stop token is cancelled or the door is closed; then its link
    /// goes, and each session ends by itself.
    pub(super) async fn run(self, bridge: Arc<Bridge>, mut rules: watch::Receiver<DoorRules>) {
        let mut guests = Guests::default();
        let mut now = Present { node: self.0, visit: None, spent: None };
        let stop = bridge.stop.clone();
        loop {
            let endpoint = rules.borrow().endpoint.clone();
            let mut speed = LineSpeed::of(&bridge, &endpoint);
            if now.visit.is_none()
                && let Some(speed) = speed.now(&bridge, &endpoint)
                && let Err(error) = now.node.set_speed(speed)
            {
                tracing::debug!(%error, "a node keeps its speed");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = rules.changed() => {
                    let ended = if changed.is_ok() { Ended::Restarting } else { Ended::Removed };
                    guests.end(&ended);
                    if changed.is_err() {
                        return;
                    }
                }
                end = over(now.visit.as_deref()) => {
                    now.visit = None;
                    if end == VisitEnd::Spent {
                        now.hang_up(&endpoint);
                    }
                }
                () = due(now.spent) => now.hang_up(&endpoint),
                () = now.node.visited(), if now.is_free() => {
                    match now.node.visit() {
                        Ok(stream) => {
                            now.visit = Some(Arc::clone(stream.visit()));
                            let rules = rules.borrow().clone();
                            guests.enter_node(&bridge, rules, Stream::from(stream));
                        }
                        Err(error) => now.fail(&endpoint, &error),
                    }
                }
                () = speed.changed() => {}
            }
        }
    }
}

/// How the node stands.
struct Present {
    node: Node,
    /// Of the tool that is there.
    visit: Option<Arc<Visit>>,
    /// It has to be made anew, and this is when that is tried again.
    spent: Option<Instant>,
}

impl Present {
    fn is_free(&self) -> bool {
        self.visit.is_none() && self.spent.is_none()
    }

    /// Ends whatever has the node open: the next tool opens another one.
    fn hang_up(&mut self, endpoint: &str) {
        let again = self.spent.is_some();
        match self.node.hang_up() {
            Ok(()) => self.spent = None,
            Err(_) if again => self.spent = Some(Instant::now() + RETRY),
            Err(error) => self.fail(endpoint, &error),
        }
    }

    fn fail(&mut self, endpoint: &str, error: &io::Error) {
        tracing::error!(endpoint, "device node: {error}; trying again");
        self.spent = Some(Instant::now() + RETRY);
    }
}

async fn over(visit: Option<&Visit>) -> VisitEnd {
    match visit {
        Some(visit) => visit.over().await,
        None => pending().await,
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// The speed of the line that a node leads to.
struct LineSpeed {
    board: Option<watch::Receiver<Board>>,
    applied: watch::Receiver<u64>,
}

impl LineSpeed {
    fn of(bridge: &Bridge, endpoint: &str) -> Self {
        let applied = bridge.lines.applied();
        Self { board: bridge.lines.board(endpoint), applied }
    }

    /// As it is, or will be once the device is open; `None` of one that has none.
    fn now(&mut self, bridge: &Bridge, endpoint: &str) -> Option<u32> {
        let board = self.board.as_mut().and_then(|board| board.borrow_and_update().settings);
        let configured =
            || bridge.config().endpoints.get(endpoint).and_then(|it| it.target.settings());
        Some(board.or_else(configured)?.baud)
    }

    /// Ready when it may be another.
    async fn changed(&mut self) {
        let line = async {
            match &mut self.board {
                // One that has ended has a successor, or will have.
                Some(board) => board.changed().await.is_ok(),
                None => false,
            }
        };
        tokio::select! {
            changed = line => {
                if !changed {
                    let _ = self.applied.changed().await;
                }
            }
            _ = self.applied.changed() => {}
        }
    }
}
