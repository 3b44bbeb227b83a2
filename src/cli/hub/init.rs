//! `wsbridge hub init`: one key in the configuration, and the first token.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    super::{
        CommandError, Outcome, SysExit, add,
        admin::{self, AdminPlace},
        doctor,
        load::{ConfigFile, YAML_FILE, load},
        print,
    },
    line,
};
use crate::{config::WebAddress, regular_file};

/// How often a gateway that was told to read its configuration is asked whether it is a hub now, and
/// the pause between.
const LOOKS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `wsbridge hub init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It adds `hub:` to the configuration, after checking the whole, and has a running gateway read it. The hub's keys are \
                        made in the state directory; whoever has them has the fleet: back them up as you would a private key.

Examples:
  sudo wsbridge hub init --public https://hub.example
  sudo wsbridge hub init --public https://hub.example:8443 --config /etc/wsbridge/wsbridge.yaml"
)]
pub(super) struct Args {
    /// Where gateways and browsers find this machine. TLS has to end here, not at a proxy.
    #[arg(long, value_name = "URL", value_parser = WebAddress::parse)]
    public: WebAddress,
    /// Configuration file
    #[arg(short, long, value_name = "FILE", default_value = YAML_FILE)]
    config: PathBuf,
}

/// Makes it one.
pub(super) fn run(args: &Args, place: &AdminPlace) -> Outcome {
    let source = ConfigFile::Yaml(args.config.clone());
    let (config, _) = load(&source).map_err(|error| CommandError::from(&error))?;
    match &config.hub {
        Some(hub) => print(&format!("This is a hub already: {}.\n", hub.public.0.text))?,
        None => write(args, &source)?,
    }
    let Some(pid) = doctor::running(&source) else {
        return print(
            "No gateway runs with this configuration. Once one does: sudo wsbridge hub token new\n",
        );
    };
    if let Err(why) = add::told(&source, pid) {
        return print(&format!("{why}Then: sudo wsbridge hub token new\n"));
    }
    let token = first_token(place)?;
    print(&format!(
        "Type this at a gateway within a day; the token is shown this once:\n\n{}",
        line(&token)
    ))
}

/// Adds the key at the end of the file, if the whole is right with it: tried out in a draft beside it.
/// The file stays the one it was, with its owner and mode.
fn write(args: &Args, source: &ConfigFile) -> Outcome {
    let file = source.path();
    let failed = |error: io::Error| {
        CommandError::new(SysExit::Io, format!("{}: {error}; nothing was changed", file.display()))
    };
    let text = fs::read_to_string(file).map_err(failed)?;
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let key = format!("{end}\nhub:\n  public: {}\n", args.public.text);
    let draft = file.with_extension("yaml.draft");
    regular_file::replace(&draft, 0o600, format!("{text}{key}").as_bytes()).map_err(failed)?;
    let tried = load(&ConfigFile::Yaml(draft.clone()));
    // It was only to be read.
    let _ = fs::remove_file(&draft);
    tried.map_err(|error| CommandError::from(&error))?;
    let mut open = fs::OpenOptions::new().append(true).open(file).map_err(failed)?;
    open.write_all(key.as_bytes()).and_then(|()| open.sync_all()).map_err(failed)?;
    print(&format!("{} has `hub:` now.\n", file.display()))
}

/// Asks for a token until the gateway has read its configuration.
fn first_token(place: &AdminPlace) -> Result<Value, CommandError> {
    let wanted = json!({ "uses": 1, "seconds": 24 * 3600, "labels": {} });
    let mut said = Err(CommandError::new(SysExit::Unavailable, "the gateway is no hub yet"));
    for _ in 0..LOOKS {
        said = admin::ask(place, "/api/hub/tokens", Some(&wanted));
        if said.is_ok() {
            break;
        }
        thread::sleep(PAUSE);
    }
    said
}
