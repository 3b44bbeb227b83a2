//! What a person is asked in a terminal, or a program answers through a pipe.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    thread,
};

use tokio::{runtime::Builder, task::spawn_blocking};

use super::{CommandError, SysExit, stop::stopped, typing::Typing};

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
    let [password] = unseen(["Password: "])?;
    Ok((user, password))
}

/// Something that nobody else should see: typed unseen, or a line of a pipe.
pub(super) fn secret(text: &'static str) -> Result<String, CommandError> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let [secret] = unseen([text])?;
    Ok(secret)
}

/// Something that may be seen while it is typed, or a line of a pipe.
pub(super) fn shown(text: &str) -> Result<String, CommandError> {
    if io::stdin().is_terminal() { seen(text) } else { line() }
}

fn seen(text: &str) -> Result<String, CommandError> {
    let mut err = io::stderr();
    // A prompt that nobody sees does no harm.
    let _ = write!(err, "{text}").and_then(|()| err.flush());
    line()
}

/// Several lines, one after the other, while the terminal shows nothing of what is typed. Ctrl-C
/// leaves it as it was before.
pub(super) fn unseen<const N: usize>(
    texts: [&'static str; N],
) -> Result<[String; N], CommandError> {
    // The caller may be on a runtime, which cannot be waited on there.
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| io_failure(&error))?;
            let typing = Typing::unseen().map_err(|error| io_failure(&error))?;
            let asked = runtime.block_on(async {
                tokio::select! {
                    asked = spawn_blocking(move || texts.map(unshown)) => Some(asked),
                    () = stopped() => None,
                }
            });
            drop(typing);
            // Nobody waits for a line that does not come.
            runtime.shutdown_background();
            match asked {
                Some(Ok(lines)) => all(lines),
                Some(Err(error)) => Err(io_failure(&io::Error::other(error))),
                None => {
                    let _ = writeln!(io::stderr());
                    Err(interrupted())
                }
            }
        });
        asked.join().unwrap_or_else(|_| Err(interrupted()))
    })
}

/// All of them, or the first that failed.
fn all<const N: usize>(
    lines: [Result<String, CommandError>; N],
) -> Result<[String; N], CommandError> {
    let lines: Vec<_> = lines.into_iter().collect::<Result<_, _>>()?;
    lines.try_into().map_err(|_| interrupted())
}

/// A line after its prompt; its end is not shown by the terminal.
fn unshown(text: &str) -> Result<String, CommandError> {
    let line = seen(text);
    let _ = writeln!(io::stderr());
    line
}

/// Ctrl-C.
pub(super) fn interrupted() -> CommandError {
    CommandError::new(SysExit::Interrupted, "interrupted")
}

/// A line of standard input.
pub(super) fn line() -> Result<String, CommandError> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| io_failure(&error))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Standard input that fails.
fn io_failure(error: &io::Error) -> CommandError {
    CommandError::new(SysExit::Io, format!("standard input: {error}"))
}
