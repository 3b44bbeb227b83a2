//! Measures wsbridge side by side with raw relays and other bridges, interleaved, every byte
//! verified.
//!
//! `cargo bench --bench relay -- [--quick] [--rounds N] [--only WORD] [--pinned] [--instructions]
//! [--bridge FILE] [--against FILE]` prints a Markdown table; docs/performance.md says how to read
//! it. A relay that is not installed is left out.

mod client;
mod connections;
mod doors;
mod frames;
mod instructions;
mod machine;
mod pattern;
mod peers;
mod place;
mod process;
mod recording;
mod relay;
mod rounds;
mod serial;
mod table;
mod transfer;

use std::{
    fmt::Write as _,
    io::{Write as _, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

use crate::{rounds::Rounds, table::Table};

/// What goes wrong in a benchmark ends it with a sentence.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Ends with this sentence.
pub(crate) fn fail<T>(why: String) -> Outcome<T> {
    Err(why.into())
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Less data, fewer rounds: to see that it works, not what it costs.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    /// Only measurements whose name has this in it.
    pub(crate) only: Option<String>,
    pub(crate) instructions: bool,
    /// Relays on one processor, the load on another.
    pub(crate) pinned: bool,
    /// The program under test.
    pub(crate) bridge: PathBuf,
    /// Another build of it, for the column "other".
    pub(crate) against: Option<PathBuf>,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self {
            quick: false,
            rounds: 0,
            only: None,
            instructions: false,
            pinned: false,
            bridge: env!("CARGO_BIN_EXE_wsbridge").into(),
            against: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                // What cargo passes to every benchmark.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--instructions" => options.instructions = true,
                "--pinned" => options.pinned = true,
                "--rounds" => options.rounds = value()?.parse()?,
                "--only" => options.only = Some(value()?),
                "--bridge" => options.bridge = value()?.into(),
                "--against" => options.against = Some(value()?.into()),
                _ => {
                    return fail(format!(
                        "unknown argument {word}; see the head of benches/relay/main.rs"
                    ));
                }
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 1 } else { 5 };
        }
        Ok(options)
    }
}

/// A line for whoever waits.
pub(crate) fn say(line: &str) {
    // Nobody waits if stderr is closed.
    let _ = writeln!(stderr(), "{line}");
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("relay benchmark: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let options = Options::read(std::env::args().skip(1))?;
    raise_descriptor_limit()?;
    if options.pinned {
        process::pin()?;
    }
    let mut table = Table::default();
    let mut text = format!("{}\n", machine::describe());
    if options.instructions {
        instructions::rows(&options.bridge, &mut table)?;
    } else {
        let mut rounds = Rounds::new(options, &mut table)?;
        for line in rounds.versions() {
            writeln!(text, "{line}")?;
        }
        rounds.run()?;
    }
    write!(text, "\n{}", table.markdown()?)?;
    Ok(stdout().write_all(text.as_bytes())?)
}

/// Both ends of a thousand connections are ours.
fn raise_descriptor_limit() -> Outcome<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?)
}
