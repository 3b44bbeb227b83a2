//! `wsbridge audit`: whether the record is whole, its key, and proofs of single lines.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use super::{
    CommandError, Outcome, SysExit,
    admin::{self, AdminPlace},
    lent, load, print,
    which::Which,
};
use crate::audit::{self, Broken, Proof, Verified, VerifierKey};

/// Arguments of `wsbridge audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    /// Say whether the record is whole.
    Verify(VerifyArgs),
    /// Prove that one line is in the record, without showing the others.
    Prove(ProveArgs),
    /// Sign the record of the running gateway with a new key from here on.
    RotateKey(RotateArgs),
    /// Print the key that verifies the record's checkpoints, to be kept elsewhere.
    #[command(after_help = "Examples:\n  wsbridge audit key")]
    Key(PlaceArgs),
}

/// Where the record is.
#[derive(Debug, clap::Args)]
struct PlaceArgs {
    /// Folder of the record, or one of its files [default: that of the configuration]
    #[arg(value_name = "DIR|FILE")]
    place: Option<PathBuf>,
    /// Configuration that says where the record is
    #[arg(short, long, value_name = "FILE", conflicts_with = "place")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 whole, 1 not whole, 2 not readable.

Examples:
  wsbridge audit verify
  wsbridge audit verify /var/lib/wsbridge/audit --checkpoint kept-elsewhere.txt --key gw1/0a1b2c3d+1a2b3c4d+AZ..
  wsbridge audit verify --proof line-4711.json --key gw1/0a1b2c3d+1a2b3c4d+AZ..")]
struct VerifyArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Checkpoints that were kept elsewhere; may be given several times
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The key as you kept it; without it the record's own word is taken for its key
    #[arg(long, value_name = "NAME+NUMBER+KEY")]
    key: Option<VerifierKey>,
    /// Verify a proof of one line instead, as `audit prove` prints it
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["place", "config", "checkpoint"])]
    proof: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The old key signs for the new one in a line of the record, so that `verify` follows. Keep the new key, which is printed, where you kept the old one: what the old one signs from now on counts no more.

Examples:
  sudo wsbridge audit rotate-key"
)]
struct RotateArgs {
    #[command(flatten)]
    place: AdminPlace,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge audit prove 4711 > line-4711.json")]
struct ProveArgs {
    /// Number of the line (`n`)
    number: u64,
    #[command(flatten)]
    place: PlaceArgs,
}

/// A proof as it is printed and read.
#[derive(Deserialize, Serialize)]
struct ProofFile {
    /// The line, without its line feed.
    line: String,
    /// Its number.
    index: u64,
    /// Hashes from the line to the root, in base64.
    path: Vec<String>,
    /// The checkpoint with that root, signed.
    checkpoint: String,
}

/// Not whole.
const BROKEN: u8 = 1;
/// Not readable.
const UNREADABLE: u8 = 2;

/// Runs it.
pub(crate) fn run(args: &Args) -> Outcome {
    match &args.command {
        AuditCommand::Verify(VerifyArgs { proof: Some(file), key: Some(key), .. }) => {
            verify_proof(file, key)
        }
        AuditCommand::Verify(args) => verify(args),
        AuditCommand::Prove(args) => prove(args),
        AuditCommand::RotateKey(args) => {
            let told = admin::ask(&args.place, "/api/audit/key", Some(&serde_json::json!({})))?;
            print(&format!("{}\n", lent::text(&told, "key")))
        }
        AuditCommand::Key(place) => {
            let place = place.find()?;
            let Verified { key, .. } = judged(&place, audit::verify(&place, &[], None))?;
            print(&format!("{key}\n"))
        }
    }
}

impl PlaceArgs {
    fn find(&self) -> Result<PathBuf, CommandError> {
        if let Some(place) = &self.place {
            return Ok(place.clone());
        }
        let source = Which::at(self.config.clone()).source();
        let (config, _) = load::load(&source).map_err(|error| CommandError::from(&error))?;
        audit::folder(&config).ok_or_else(|| {
            let why = format!("{}: it has no `audit`, so no record is kept", source.name());
            CommandError::new(SysExit::Config, why)
        })
    }
}

fn verify(args: &VerifyArgs) -> Outcome {
    let place = args.place.find()?;
    let mut elsewhere = Vec::new();
    for file in &args.checkpoint {
        let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        for note in audit::checkpoints(&text) {
            elsewhere.push(note.map_err(|error| broken(&format!("{}: {error}", file.display())))?);
        }
    }
    let found = judged(&place, audit::verify(&place, &elsewhere, args.key.as_ref()))?;
    print(&said(&found, args.key.is_some()))
}

/// What a whole record is told as.
fn said(found: &Verified, is_key_given: bool) -> String {
    let Verified { origin, key, lines: (first, end), signed, torn, lost, .. } = found;
    let whole = format!("whole: {origin}, lines {first} to {}\n", end.saturating_sub(1));
    let signed = match *signed {
        0 => "no checkpoint yet: nothing shows that it was not made anew, or its end cut off\n"
            .to_owned(),
        all if all >= *end => "signed to its end\n".to_owned(),
        some => format!(
            "signed up to line {}; the {} after it are chained, but their end could be cut off unnoticed\n",
            some - 1,
            end - some
        ),
    };
    let torn = match torn {
        0 => String::new(),
        bytes => format!("its last line was not written whole ({bytes} bytes)\n"),
    };
    let lost = match lost {
        0 => String::new(),
        events => format!("{events} events could not be recorded: the lines `lost` say when\n"),
    };
    let own = if is_key_given {
        String::new()
    } else {
        format!(
            "by its own key, {key}\nwhoever has the gateway could have made all of it anew: compare that key, or give --key and --checkpoint from elsewhere\n"
        )
    };
    [whole, signed, torn, lost, own].concat()
}

fn prove(args: &ProveArgs) -> Outcome {
    let place = args.place.find()?;
    let proof = judged(&place, audit::prove(&place, args.number))?;
    let Some(Proof { line, path, checkpoint }) = proof else {
        let why = format!("line {} is not kept, or not signed yet", args.number);
        return Err(CommandError::new(SysExit::Unavailable, why));
    };
    let path = path.iter().map(|hash| BASE64.encode(hash)).collect();
    let checkpoint = checkpoint.text();
    let file = ProofFile { line, index: args.number, path, checkpoint };
    // It has no map, so it can be written.
    print(&format!("{}\n", serde_json::to_string_pretty(&file).unwrap_or_default()))
}

fn verify_proof(file: &Path, key: &VerifierKey) -> Outcome {
    let bytes = fs::read(file).map_err(|error| unreadable(file, &error))?;
    let read = read_proof(&bytes);
    let (number, proof) =
        read.ok_or_else(|| broken(&format!("{}: not a proof", file.display())))?;
    if !proof.holds(number, key) {
        return Err(broken("the proof does not hold: another line, another record or another key"));
    }
    let size = proof.checkpoint.checkpoint.size;
    print(&format!("proved: line {number} of {size}\n{}\n", proof.line))
}

fn read_proof(bytes: &[u8]) -> Option<(u64, Proof)> {
    let ProofFile { line, index, path, checkpoint } = serde_json::from_slice(bytes).ok()?;
    let path = path.iter().map(|hash| BASE64.decode(hash).ok()?.try_into().ok());
    let (path, checkpoint) = (path.collect::<Option<_>>()?, checkpoint.parse().ok()?);
    Some((index, Proof { line, path, checkpoint }))
}

/// What a judgement gives, or the exit that follows from it.
fn judged<T>(place: &Path, judged: io::Result<Result<T, Broken>>) -> Result<T, CommandError> {
    match judged {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(broken(&error.to_string())),
        Err(error) => Err(unreadable(place, &error)),
    }
}

fn broken(what: &str) -> CommandError {
    CommandError { code: BROKEN, message: format!("not whole: {what}") }
}

fn unreadable(place: &Path, error: &io::Error) -> CommandError {
    CommandError { code: UNREADABLE, message: format!("{}: {error}", place.display()) }
}
