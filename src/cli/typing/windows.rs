//! The console of Windows.

use std::{io, os::windows::io::AsHandle as _};

use crate::sys::console::ConsoleMode;

/// As the console was before; restored when dropped, by a panic, too.
#[derive(Debug)]
pub(in crate::cli) struct Typing {
    input: ConsoleMode,
    /// Where it was changed, too.
    output: Option<ConsoleMode>,
}

impl Typing {
    /// Every key comes as it is typed, nothing is shown of it, and what the line says is shown as in
    /// a terminal.
    pub(in crate::cli) fn raw() -> io::Result<Self> {
        let input = ConsoleMode::of(io::stdin().as_handle())?;
        // Without a console there is nothing to be changed about what is shown.
        let output = ConsoleMode::of(io::stdout().as_handle()).ok();
        let typing = Self { input, output };
        input.raw().set(io::stdin().as_handle())?;
        if let Some(output) = output {
            // One before Windows 10 has no such mode.
            let _ = output.shows_sequences().set(io::stdout().as_handle());
        }
        Ok(typing)
    }

    /// Lines come as ever, and nothing is shown.
    pub(in crate::cli) fn unseen() -> io::Result<Self> {
        let input = ConsoleMode::of(io::stdin().as_handle())?;
        input.unseen().set(io::stdin().as_handle())?;
        Ok(Self { input, output: None })
    }
}

impl Drop for Typing {
    fn drop(&mut self) {
        // The console may be gone.
        let _ = self.input.set(io::stdin().as_handle());
        if let Some(output) = self.output {
            let _ = output.set(io::stdout().as_handle());
        }
    }
}
