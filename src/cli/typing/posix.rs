//! The terminal by termios.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// As the terminal was before; restored when dropped, by a panic, too.
#[derive(Debug)]
pub(in crate::cli) struct Typing(Termios, OptionalActions);

impl Typing {
    /// Every key comes as it is typed, and nothing is shown.
    pub(in crate::cli) fn raw() -> io::Result<Self> {
        Self::adjusted(OptionalActions::Drain, Termios::make_raw)
    }

    /// Lines come as ever, and nothing is shown; what was typed before does not count.
    pub(in crate::cli) fn unseen() -> io::Result<Self> {
        Self::adjusted(OptionalActions::Flush, |modes| modes.local_modes.remove(LocalModes::ECHO))
    }

    fn adjusted(when: OptionalActions, adjust: impl FnOnce(&mut Termios)) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut modes = before.clone();
        adjust(&mut modes);
        tcsetattr(io::stdin(), when, &modes)?;
        Ok(Self(before, when))
    }
}

impl Drop for Typing {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(io::stdin(), self.1, &self.0);
    }
}
