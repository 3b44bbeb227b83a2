//! `wsbridge man`: the manual pages.

mod markdown;
mod pages;

use std::{fs, io, path::PathBuf};

use self::pages::ManPage;
use super::{CommandError, Outcome, SysExit, print};

/// Arguments of `wsbridge man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge man | man -l -
  sudo wsbridge man /usr/local/share/man
  man wsbridge.yaml")]
pub(crate) struct Args {
    /// Directory for all pages, which go into man1 and man5 below it; without it the first page is
    /// printed.
    directory: Option<PathBuf>,
}

/// Prints the first page or writes all.
pub(crate) fn run(args: &Args, command: clap::Command) -> Outcome {
    let pages = pages::all(command)
        .map_err(|error| CommandError::new(SysExit::Software, error.to_string()))?;
    let Some(directory) = &args.directory else {
        return print(pages.first().map_or("", |page| &page.text));
    };
    for ManPage { name, section, text } in pages {
        let folder = directory.join(format!("man{section}"));
        let path = folder.join(format!("{name}.{section}"));
        let written: io::Result<()> =
            fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(|error| {
            CommandError::new(SysExit::Io, format!("{}: {error}", path.display()))
        })?;
    }
    Ok(())
}
