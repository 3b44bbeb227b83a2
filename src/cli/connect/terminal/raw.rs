//! The user's terminal, raw for as long as this lives.

use std::io;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// As it was before; restored when dropped, by a panic, too.
#[derive(Debug)]
pub(super) struct Raw(Termios);

impl Raw {
    /// Every key comes as it is typed, and nothing is echoed.
    pub(super) fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
