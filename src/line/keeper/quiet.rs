//! What the log is told of a device that comes and goes.

use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    line::{Shared, State, output::Gone},
    target::OpenError,
};

/// One log line for a device that goes, one when it is back: not one for each attempt between.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// The end of a private line is its session's, and told there.
    pub(super) private: bool,
    pub(super) last: Option<(String, Instant)>,
}

impl Quiet {
    /// It is open.
    pub(super) fn opened(&mut self, shared: &Shared, notes: &[String]) {
        if let Some((_, since)) = self.last.take() {
            info!(endpoint = shared.name, after = ?since.elapsed(), "device is back");
        } else {
            info!(endpoint = shared.name, "device open");
        }
        for note in notes {
            warn!(endpoint = shared.name, "{note}");
        }
    }

    /// It went, or is not there.
    pub(super) fn failed(&mut self, shared: &Shared, why: &OpenError, gone: Gone) {
        shared.output.set_down(Some(gone));
        shared.set_state(State::Down(why.clone()));
        let text = why.to_string();
        match &mut self.last {
            _ if self.private => {}
            Some((last, _)) if *last == text => {}
            Some((last, _)) => {
                info!(endpoint = shared.name, reason = text, "device still not there");
                *last = text;
            }
            None => {
                warn!(endpoint = shared.name, reason = text, "device not there; trying again until it is");
                self.last = Some((text, Instant::now()));
            }
        }
    }
}
