//! `wsbridge man`: the manual pages.

use std::path::PathBuf;

use super::{Code, Failure, Outcome, print};

/// Arguments of `wsbridge man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge man | man -l -
  wsbridge man /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// Directory for the pages of all commands; without it the first page is printed.
    directory: Option<PathBuf>,
}

/// Prints the first page or writes all.
pub(crate) fn run(args: &Args, command: clap::Command) -> Outcome {
    if let Some(directory) = &args.directory {
        return clap_mangen::generate_to(command, directory)
            .map_err(|error| Failure::new(Code::Io, format!("pages into {}: {error}", directory.display())));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::new(Code::Software, error.to_string()))?;
    print(&String::from_utf8_lossy(&page))
}
