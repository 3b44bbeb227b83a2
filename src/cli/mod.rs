//! The command line: one file for each sub-command, exit codes of sysexits(3).

#[cfg(unix)]
mod add;
#[cfg(unix)]
mod admin;
#[cfg(unix)]
mod audit;
#[cfg(unix)]
mod ca;
#[cfg(unix)]
mod capture;
#[cfg(unix)]
mod check;
mod completions;
mod connect;
#[cfg(unix)]
mod demo;
#[cfg(unix)]
mod doctor;
#[cfg(unix)]
mod enrol;
#[cfg(unix)]
mod extcap;
mod gateway;
#[cfg(unix)]
mod grant;
#[cfg(unix)]
mod here;
#[cfg(unix)]
mod hub;
#[cfg(unix)]
mod import;
#[cfg(unix)]
mod kick;
#[cfg(unix)]
mod known_lines;
#[cfg(unix)]
mod lent;
#[cfg(unix)]
mod load;
mod login;
mod man;
mod offered;
#[cfg(unix)]
mod passwd;
#[cfg(unix)]
mod ports;
mod prompt;
#[cfg(unix)]
mod record;
#[cfg(unix)]
mod request;
#[cfg(unix)]
mod say;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod sessions;
#[cfg(unix)]
mod shown;
mod stop;
mod table;
#[cfg(unix)]
mod token;
#[cfg(unix)]
mod totp;
mod typing;
#[cfg(unix)]
mod watch;
#[cfg(unix)]
mod which;
#[cfg(unix)]
mod wish;
#[cfg(unix)]
mod wrap;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use self::offered::Offered;
use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

/// Authenticated WebSocket endpoints for serial lines and raw TCP ports.
#[derive(Debug, Parser)]
#[command(name = "wsbridge", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    /// What is logged: error, warn, info, debug, trace, or a list like `info,wsbridge::auth=debug`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "WSBRIDGE_LOG",
        default_value = "info",
        value_parser = Offered { read: filter, words: &LEVELS },
        hide_possible_values = true
    )]
    log_level: String,
    #[command(subcommand)]
    command: Command,
}

/// What shells offer for `--log-level`; a list of targets can take more forms than can be shown.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[expect(clippy::unnecessary_wraps, reason = "it is read where the log is started")]
fn filter(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

#[cfg(unix)]
const EXAMPLES: &str = "\
Examples:
  wsbridge demo                       A gateway with simulated devices, no configuration needed
  wsbridge ports                      The serial ports of this machine, and the YAML to paste
  wsbridge add                        Publish one of them, or a TCP port
  wsbridge check /etc/wsbridge/wsbridge.yaml
  wsbridge doctor                     What is wrong here, and what to type
  wsbridge serve
  wsbridge connect https://gateway:8443/plc1 --tcp 127.0.0.1:5020   On another computer";

#[cfg(not(unix))]
const EXAMPLES: &str = "\
Examples:
  wsbridge login https://gateway:8443
  wsbridge connect https://gateway:8443                               What there is
  wsbridge connect https://gateway:8443/plc1 --tcp 127.0.0.1:5020";

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(unix)]
    #[command(flatten)]
    Here(here::HereCommand),
    /// Reach a line of a gateway from this computer.
    Connect(connect::Args),
    /// Sign in at a gateway, for `connect`.
    Login(login::Args),
    /// End the sign-in at a gateway.
    Logout(login::LogoutArgs),
    /// Print a shell's completions.
    Completions(completions::Args),
    /// Print the manual page, or write all of them into a directory.
    Man(man::Args),
}

/// The configuration that a command line of the daemon names; `None` for any other command.
#[cfg(unix)]
fn served(words: &[&str]) -> Option<load::ConfigFile> {
    let Command::Here(here::HereCommand::Serve(args)) = Cli::try_parse_from(words).ok()?.command
    else {
        return None;
    };
    Some(args.which.source())
}

/// The outcome of a command.
pub(crate) type Outcome = Result<(), CommandError>;

/// Why a command failed: one line for people, one code for scripts.
#[derive(Debug)]
pub(crate) struct CommandError {
    code: u8,
    message: String,
}

/// The exit codes in use: those of sysexits(3), and below them `connect`'s own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SysExit {
    /// The other end said no.
    Refused = 1,
    /// The session at the other end is gone.
    Gone = 2,
    /// The command was used wrongly (`EX_USAGE`).
    Usage = 64,
    /// The input is wrong (`EX_DATAERR`).
    Data = 65,
    /// A file cannot be read (`EX_NOINPUT`).
    NoInput = 66,
    /// Something needed is taken or missing: an address, a service (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// A mistake of ours (`EX_SOFTWARE`).
    Software = 70,
    /// Input or output failed (`EX_IOERR`).
    Io = 74,
    /// Not permitted (`EX_NOPERM`).
    NoPermission = 77,
    /// The configuration is wrong (`EX_CONFIG`).
    Config = 78,
    /// Somebody pressed Ctrl-C, as shells say it.
    Interrupted = 130,
}

impl CommandError {
    /// A failure and its sentence.
    pub(crate) fn new(code: SysExit, message: impl Into<String>) -> Self {
        Self { code: code as u8, message: message.into() }
    }
}

/// Runs the command that was typed.
pub fn run() -> ExitCode {
    // Wireshark calls us by another name, with words of its own.
    #[cfg(unix)]
    if let Some(words) = extcap::called() {
        return concluded(extcap::answer(&words));
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    concluded(dispatch(cli))
}

/// The exit code of an outcome, once whoever typed the command has been told.
fn concluded(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // What was wrong has already been reported.
        Err(CommandError { code, message }) if message.is_empty() => ExitCode::from(code),
        Err(failure) => {
            // Nothing can be done about a closed standard error.
            let _ = writeln!(io::stderr(), "wsbridge: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(cli: Cli) -> Outcome {
    match cli.command {
        #[cfg(unix)]
        Command::Here(command) => command.run(&cli.log_level),
        Command::Connect(args) => connect::run(&args),
        Command::Login(args) => login::run(&args),
        Command::Logout(args) => login::logout(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
    }
}

/// The outcome of a command that has itself reported what was wrong.
#[cfg(unix)]
fn told(code: u8) -> Outcome {
    if code == 0 { Ok(()) } else { Err(CommandError { code, message: String::new() }) }
}

/// Prints help, the version, or what was wrong with the command line.
fn explain(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SysExit::Usage as u8)
    }
}

/// Prints to standard output; a reader that has gone (`| head`) is not a failure.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::new(SysExit::Io, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let mut leaves: Vec<_> = command.get_subcommands().collect();
            if leaves.is_empty() {
                leaves.push(command);
            }
            for leaf in leaves {
                let shown = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(shown.contains("wsbridge "), "{} has no example", leaf.get_name());
            }
        }
    }

    #[test]
    fn a_paragraph_of_help_is_one_line_so_that_it_wraps_at_the_terminals_width() {
        for command in Cli::command().get_subcommands() {
            for leaf in iter::once(command).chain(command.get_subcommands()) {
                let shown = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
                let prose = shown.split("Examples:").next().unwrap_or_default();
                for paragraph in prose.split("\n\n") {
                    assert!(
                        !paragraph.trim_end().contains('\n'),
                        "{}: {paragraph}",
                        leaf.get_name()
                    );
                }
            }
        }
    }
}
