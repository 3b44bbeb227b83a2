//! What is shown to a person beside what a program takes.

use std::io::{self, IsTerminal as _, Write as _};

use super::{CommandError, Outcome, SysExit};

/// Tells a person what the next line is and where it goes; a pipe gets only the lines.
pub(super) fn caption(text: &str) {
    if io::stdout().is_terminal() {
        // The lines say enough without it.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Shows a secret on a line of its own on standard error; standard output gets the lines to append
/// to a configuration.
pub(super) fn secret(told: &str, text: &str) -> Outcome {
    let mut err = io::stderr().lock();
    // A program takes the line; a person is told what it is.
    let told = if err.is_terminal() { format!("{told}\n") } else { String::new() };
    writeln!(err, "{told}{text}")
        .map_err(|error| CommandError::new(SysExit::Io, format!("standard error: {error}")))
}
