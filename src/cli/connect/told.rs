//! What is said on standard error: how the connection is, to people; what went wrong, to everybody.

use std::io::{self, IsTerminal as _, Write as _};

/// Who is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// Standard error is somebody's terminal.
    person: bool,
}

impl Told {
    /// As standard error is.
    pub(super) fn new() -> Self {
        Self { person: io::stderr().is_terminal() }
    }

    /// How the connection is.
    pub(super) fn state(self, text: &str) {
        if self.person {
            line(text);
        }
    }

    /// Where something is that was to be opened: for people, and for whoever reads a log.
    #[expect(clippy::unused_self, reason = "whoever tells need not know who hears")]
    pub(super) fn announce(self, text: &str) {
        line(text);
    }

    /// What went wrong.
    #[expect(clippy::unused_self, reason = "whoever tells need not know who hears")]
    pub(super) fn fault(self, text: &str) {
        line(text);
    }
}

fn line(text: &str) {
    // Nothing is left to be done about a closed standard error.
    let _ = writeln!(io::stderr(), "wsbridge: {text}");
}
