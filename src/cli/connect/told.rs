//! What is said on standard error: how the connection is, to people; what went wrong, to everybody.

use std::io::{self, IsTerminal as _, Write as _};

/// Who is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// Standard error is somebody's terminal.
    person: bool,
    /// The terminal is raw: a line begins where the cursor is told to go.
    raw: bool,
}

impl Told {
    /// As standard error is.
    pub(super) fn new() -> Self {
        Self { person: io::stderr().is_terminal(), raw: false }
    }

    /// On a terminal that is raw.
    pub(super) fn raw(self) -> Self {
        Self { raw: true, ..self }
    }

    /// How the connection is.
    pub(super) fn state(self, text: &str) {
        if self.person {
            self.line(text);
        }
    }

    /// Where something is that was to be opened: for people, and for whoever reads a log.
    pub(super) fn announce(self, text: &str) {
        self.line(text);
    }

    /// What went wrong.
    pub(super) fn fault(self, text: &str) {
        self.line(text);
    }

    fn line(self, text: &str) {
        let (before, after) = if self.raw { ("\r\n", "\r\n") } else { ("", "\n") };
        // Nothing is left to be done about a closed standard error.
        let _ = write!(io::stderr(), "{before}wsbridge: {text}{after}");
    }
}
