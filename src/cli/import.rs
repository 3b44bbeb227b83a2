//! `wsbridge import`: a configuration of ser2net, websockify or ttyd, written as ours.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use super::{CommandError, Outcome, SysExit, print, told};
use crate::{
    config::{Import, ImportKind, MAX_FILE, import},
    regular_file,
};

/// The exit code if something has no equivalent here.
const PARTLY: u8 = 3;

/// Arguments of `wsbridge import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It prints a configuration and changes nothing. What has no equivalent stays as a comment, with its line; the exit \
             code is 0 if everything was taken over, 3 if something was not, and 65 or 66 if the file cannot be read.

A port that ser2net opened to everybody becomes a door for only this machine, unless --from says who may come.

Examples:
  wsbridge import /etc/ser2net.yaml | wsbridge check -
  wsbridge import --endpoints --from 192.168.1.0/24 /etc/ser2net.yaml | sudo tee /etc/wsbridge/endpoints.d/ser2net.yaml
  wsbridge import /etc/websockify/tokens.conf
  wsbridge import /etc/systemd/system/ttyd.service
  wsbridge import -- ttyd -p 7681 -W picocom -b 115200 /dev/ttyUSB0
  wsbridge import --uci --endpoints /etc/config/ser2net >> /etc/config/wsbridge"
)]
pub(crate) struct Args {
    /// The file, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "command")]
    file: Option<PathBuf>,
    /// A command line instead
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "file")]
    command: Vec<String>,
    /// What it was written for, if that cannot be recognised
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Who may come to ports that were open to everybody: addresses or networks
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', num_args = 1)]
    from: Vec<String>,
    /// Only the endpoints, for a file in endpoints.d
    #[arg(long)]
    endpoints: bool,
    /// Write UCI, for OpenWrt
    #[arg(long)]
    uci: bool,
}

/// A kind of file, as it is typed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// ser2net 4: YAML
    Ser2net,
    /// ser2net before 4: a line for each port
    Ser2netConf,
    /// ser2net on OpenWrt: /etc/config/ser2net
    Ser2netUci,
    /// websockify's tokens
    Tokens,
    /// Command lines of ttyd, websockify or ser2net, in a script or a unit
    Command,
}

/// Prints what the file says.
pub(crate) fn run(args: &Args) -> Outcome {
    let (text, name) = match &args.file {
        Some(file) => (text(file)?, file.display().to_string()),
        None => (typed(&args.command), "this command".to_owned()),
    };
    let kind = match args.kind {
        Some(kind) => Some(kind.meant()),
        None if args.file.is_none() => Some(ImportKind::Commands),
        None => None,
    };
    let request = Import {
        text: &text,
        kind,
        from: &args.from,
        uci: args.uci,
        endpoints_only: args.endpoints,
    };
    let made = import(&request)
        .map_err(|why| CommandError::new(SysExit::Data, format!("{name}: {why}")))?;
    print(&made.text)?;
    let endpoints = counted(made.endpoints, "endpoint");
    let left = match made.left {
        0 => "everything was taken over".to_owned(),
        left => format!("something of {} was not; the comments say what", counted(left, "line")),
    };
    // Somebody who reads only the output sees the comments.
    let _ = writeln!(io::stderr(), "{name}: {endpoints}, {left}");
    if made.left == 0 { Ok(()) } else { told(PARTLY) }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A command line in one text, its words in quotes.
fn typed(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c));
        if plain { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn text(file: &Path) -> Result<String, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError {
        code: 66,
        message: format!("{}: {error}", file.display()),
    };
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        bytes
    } else {
        regular_file::read(file, MAX_FILE).map_err(|error| failed(&error))?
    };
    String::from_utf8(bytes).map_err(|_| {
        CommandError::new(
            SysExit::Data,
            format!("{}: not UTF-8; such a file is not read", file.display()),
        )
    })
}

impl Kind {
    fn meant(self) -> ImportKind {
        match self {
            Self::Ser2net => ImportKind::Ser2netYaml,
            Self::Ser2netConf => ImportKind::Ser2netConf,
            Self::Ser2netUci => ImportKind::Ser2netUci,
            Self::Tokens => ImportKind::Tokens,
            Self::Command => ImportKind::Commands,
        }
    }
}
