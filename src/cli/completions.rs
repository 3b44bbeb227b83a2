//! `wsbridge completions`: a shell's completion script.

use clap_complete::Shell;

use super::{CommandError, Outcome, SysExit, print};

/// Arguments of `wsbridge completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge completions bash > /etc/bash_completion.d/wsbridge
  wsbridge completions zsh > \"${fpath[1]}/_wsbridge\"
  wsbridge completions fish > ~/.config/fish/completions/wsbridge.fish")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, mut command: clap::Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "wsbridge", &mut script);
    let script = String::from_utf8(script)
        .map_err(|error| CommandError::new(SysExit::Software, error.to_string()))?;
    print(&script)
}
