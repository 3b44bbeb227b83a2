//! What a person is asked in a terminal, or a program answers through a pipe.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::{CommandError, SysExit, typing::Typing};

/// A user and a password to sign in with: typed, the password unseen, or the latter a line of a pipe.
pub(super) fn sign_in(user: Option<&str>) -> Result<(String, String), CommandError> {
    if !io::stdin().is_terminal() {
        let user = user.ok_or_else(|| {
            let what = "standard input is no terminal: name the user with --user";
            CommandError::new(SysExit::Usage, what)
        })?;
        return Ok((user.to_owned(), line()?));
    }
    let user = match user {
        Some(user) => user.to_owned(),
        None => seen("User: ")?,
    };
    let typing = Typing::unseen().map_err(|error| io_failure(&error))?;
    let password = unseen("Password: ")?;
    drop(typing);
    Ok((user, password))
}

fn seen(text: &str) -> Result<String, CommandError> {
    let mut err = io::stderr();
    // A prompt that nobody sees does no harm.
    let _ = write!(err, "{text}").and_then(|()| err.flush());
    line()
}

/// The same where the terminal does not show what is typed, not even the end of the line.
pub(super) fn unseen(text: &str) -> Result<String, CommandError> {
    let line = seen(text);
    let _ = writeln!(io::stderr());
    line
}

/// A line of standard input.
pub(super) fn line() -> Result<String, CommandError> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| io_failure(&error))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Standard input that fails.
pub(super) fn io_failure(error: &io::Error) -> CommandError {
    CommandError::new(SysExit::Io, format!("standard input: {error}"))
}
