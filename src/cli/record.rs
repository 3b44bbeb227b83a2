//! `wsbridge record`: the recordings of this gateway: listed, exported, played.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{CommandError, Outcome, SysExit, load, print, table::table, which::Which};
use crate::{
    config::{Config, RecordFormat, read_duration},
    record::{self, Kind, Recording, View, convert, format_of, plain, replay, words},
};

/// Arguments of `wsbridge record`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: RecordCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RecordCommand {
    /// List the recordings of this gateway.
    List(ListArgs),
    /// Write a recording to a file or standard output, as it is or in another form.
    Export(ExportArgs),
    /// Play a recording in this terminal.
    Play(PlayArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge record list
  wsbridge record list plc1 --json")]
struct ListArgs {
    /// Only this endpoint's
    endpoint: Option<String>,
    /// Configuration that says where they are
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Which recording.
#[derive(Debug, clap::Args)]
struct ChosenArgs {
    /// An endpoint, whose newest recording is meant, or a recording's file
    #[arg(value_name = "ENDPOINT|FILE")]
    which: String,
    /// Configuration that says where they are
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge record export plc1 -o plc1.pcapng
  wsbridge record export plc1 --format text | less
  wsbridge record export /var/lib/wsbridge/recordings/router/2026-11-30T04-22-33Z.pcapng --format cast -o router.cast")]
struct ExportArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
    /// The form: pcapng, cast, raw (the device's bytes) or text [default: as it is]
    #[arg(long, value_name = "FORM", value_parser = view)]
    format: Option<View>,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Ctrl-C ends it.

Examples:
  wsbridge record play router
  wsbridge record play router --speed 4 --idle-limit 2s")]
struct PlayArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
    /// How many times as fast as it was
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// The longest pause
    #[arg(long, value_name = "TIME", value_parser = read_duration)]
    idle_limit: Option<Duration>,
    /// Tell of signals, settings, writers and gaps, too
    #[arg(long)]
    notes: bool,
}

fn view(text: &str) -> Result<View, String> {
    View::of(text).ok_or_else(|| format!("`{text}` is none of pcapng, cast, raw and text"))
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (0.01..=10_000.0).contains(speed));
    speed.ok_or_else(|| format!("`{text}` is not a number from 0.01 to 10000"))
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Outcome {
    match &args.command {
        RecordCommand::List(args) => list(args),
        RecordCommand::Export(args) => export(args),
        RecordCommand::Play(args) => play(args),
    }
}

fn configured(file: Option<&PathBuf>) -> Result<(Config, String), CommandError> {
    let source = Which::at(file.cloned()).source();
    let (config, _) = load::load(&source).map_err(|error| CommandError::from(&error))?;
    Ok((config, source.name().clone()))
}

/// An endpoint's folder and what is in it.
fn found(
    config: &Config,
    endpoint: &str,
) -> Result<Option<(PathBuf, Vec<Recording>)>, CommandError> {
    let Some(known) = config.endpoints.get(endpoint) else { return Ok(None) };
    let Some(folder) = record::folder(config, known) else { return Ok(None) };
    let files = record::list(&folder).map_err(|error| unreadable(&folder, &error))?;
    Ok(Some((folder, files)))
}

fn unreadable(path: &Path, error: &io::Error) -> CommandError {
    let code = if error.kind() == io::ErrorKind::PermissionDenied {
        SysExit::NoPermission
    } else if error.kind() == io::ErrorKind::NotFound {
        SysExit::NoInput
    } else {
        SysExit::Io
    };
    let advice = if code == SysExit::NoPermission {
        "; put sudo before the command, or be in the group of the folder (wsbridge)"
    } else {
        ""
    };
    CommandError::new(code, format!("{}: {error}{advice}", path.display()))
}

fn list(args: &ListArgs) -> Outcome {
    let (config, source) = configured(args.config.as_ref())?;
    let names: Vec<_> = match &args.endpoint {
        Some(name) if !config.endpoints.contains_key(name) => {
            return Err(CommandError::new(
                SysExit::NoInput,
                format!("{source}: there is no endpoint `{name}`"),
            ));
        }
        Some(name) => vec![name],
        None => config.endpoints.keys().collect(),
    };
    let mut all = Vec::new();
    for name in names {
        if let Some((folder, files)) = found(&config, name)? {
            all.extend(files.into_iter().map(|file| (name.as_str(), folder.clone(), file)));
        }
    }
    if args.json {
        let all: Vec<_> = all.iter().map(|(name, folder, file)| told(name, folder, file)).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&all).unwrap_or_default()));
    }
    if all.is_empty() {
        return print("There is no recording. An endpoint with `record: {}` is recorded.\n");
    }
    let rows: Vec<_> = all
        .iter()
        .map(|(name, folder, file)| {
            let open = if file.open { "being written" } else { "" };
            let path = folder.join(file.file()).display().to_string();
            [(*name).to_owned(), file.size.to_string(), path, open.to_owned()]
        })
        .collect();
    print(&table(["ENDPOINT", "BYTES", "FILE", ""], &rows))
}

fn told(endpoint: &str, folder: &Path, file: &Recording) -> Value {
    let changed = file.changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    json!({
        "endpoint": endpoint, "file": folder.join(file.file()), "bytes": file.size,
        "changed": changed.as_secs(), "open": file.open,
    })
}

impl ChosenArgs {
    /// The file, its kind, and what it is called.
    fn open(&self) -> Result<(File, RecordFormat, String), CommandError> {
        let path = Path::new(&self.which);
        let (path, name) = if self.which.contains('/') || path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (path.to_owned(), name)
        } else {
            (self.newest()?, self.which.clone())
        };
        let format = format_of(&path).ok_or_else(|| {
            let what = "not a recording: its name does not end with .pcapng, .cast or .raw";
            CommandError::new(SysExit::Data, format!("{}: {what}", path.display()))
        })?;
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        Ok((file, format, name))
    }

    fn newest(&self) -> Result<PathBuf, CommandError> {
        let (config, source) = configured(self.config.as_ref())?;
        let name = &self.which;
        if !config.endpoints.contains_key(name) {
            let what = format!(
                "{source}: there is no endpoint `{name}`; `wsbridge record list` shows what there is"
            );
            return Err(CommandError::new(SysExit::NoInput, what));
        }
        let (folder, files) = found(&config, name)?.ok_or_else(|| {
            let what = format!("{source}: `{name}` is not recorded; it has no `record:`");
            CommandError::new(SysExit::Config, what)
        })?;
        let newest = files.last().map(|file| folder.join(file.file()));
        newest.ok_or_else(|| {
            let what = format!("{}: there is no recording yet", folder.display());
            CommandError::new(SysExit::NoInput, what)
        })
    }
}

fn export(args: &ExportArgs) -> Outcome {
    let (file, format, name) = args.chosen.open()?;
    let view = args.format.unwrap_or(View::File(format));
    let binary = view == View::File(RecordFormat::Pcapng);
    if args.output.is_none() && binary && io::stdout().is_terminal() {
        let what = "pcapng is nothing for a terminal: name a file with -o, or give --format text";
        return Err(CommandError::new(SysExit::Usage, what));
    }
    let done = match &args.output {
        Some(path) => {
            let mut out = File::create(path).map_err(|error| unreadable(path, &error))?;
            convert(file, (format, &name), view, &mut out)
        }
        None => convert(file, (format, &name), view, &mut io::stdout().lock())
            .and_then(|()| io::stdout().flush()),
    };
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CommandError::new(SysExit::Data, format!("{name}: {error}"))),
        Ok(()) => Ok(()),
    }
}

fn play(args: &PlayArgs) -> Outcome {
    let (file, format, name) = args.chosen.open()?;
    let mut last = None;
    let mut out = io::stdout().lock();
    let played = replay(file, format, |piece, bytes| {
        let since = Duration::from_nanos(piece.at.saturating_sub(last.unwrap_or(piece.at)));
        last = Some(piece.at);
        let most = args.idle_limit.unwrap_or(Duration::MAX);
        let pause = since.min(most).div_f64(args.speed);
        if !pause.is_zero() {
            sleep(pause);
        }
        if piece.kind == Kind::FromDevice {
            out.write_all(bytes)?;
            return out.flush();
        }
        if piece.kind == Kind::ToDevice || !args.notes {
            return Ok(());
        }
        let text = plain(&words(piece.kind, &String::from_utf8_lossy(bytes)));
        writeln!(io::stderr(), "\r-- {text}\r")
    });
    match played {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CommandError::new(SysExit::Data, format!("{name}: {error}"))),
        Ok(()) => Ok(()),
    }
}
