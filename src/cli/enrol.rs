//! `wsbridge enrol`: makes this gateway known to a hub, so that people reach it there, whatever
//! stands between (docs/fleet.md).

use std::{io::IsTerminal as _, path::PathBuf, thread, time::Duration};

use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::{
    CommandError, Outcome, SysExit,
    admin::{self, AdminPlace},
    lent,
    load::{ConfigFile, UCI_FILE, YAML_FILE, load},
    print, prompt,
};
use crate::{
    auth::own_name,
    config::WebAddress,
    home::{EnrolError, Identity, enrol},
    regular_file,
    tls::FleetPin,
};

/// The longest file with a token, in bytes.
const TOKEN_MAX: usize = 4096;
/// How often the running gateway is asked whether it is connected, and the pause between.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `wsbridge enrol`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "`wsbridge hub token new` on the hub prints the line to type here. From then on the gateway calls the hub, by one \
             connection that it dials itself: it need not be reachable from anywhere, and needs no listener. What people may do who come that way is \
             limited by `call_home:` in this gateway's configuration, whatever the hub says.

Examples:
  sudo wsbridge enrol https://hub.example --token wse_... --fingerprint sha256:...
  sudo wsbridge enrol https://hub.example --token-file token --fingerprint sha256:... --name north-7
  wsbridge enrol https://hub.example --fingerprint sha256:... --uci"
)]
pub(crate) struct Args {
    /// The hub's address.
    #[arg(value_name = "URL", value_parser = WebAddress::parse)]
    url: WebAddress,
    /// The token, as the hub has printed it [default: it is asked for, or read from standard input]
    #[arg(
        long,
        value_name = "TOKEN",
        env = "WSBRIDGE_ENROL_TOKEN",
        hide_env_values = true,
        conflicts_with = "token_file"
    )]
    token: Option<String>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The fingerprint of the fleet's authority, as the hub has printed it.
    #[arg(long, value_name = "SHA256", value_parser = pin)]
    fingerprint: FleetPin,
    /// The name that the gateway is to have there, unless the token gives one [default: this machine's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Configuration file
    #[arg(short, long, value_name = "FILE", default_value = YAML_FILE)]
    config: PathBuf,
    /// Read OpenWrt's UCI instead of YAML
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = UCI_FILE, conflicts_with = "config")]
    uci: Option<PathBuf>,
    #[command(flatten)]
    place: AdminPlace,
}

fn pin(text: &str) -> Result<FleetPin, String> {
    FleetPin::parse(text).ok_or_else(|| "it looks like sha256: and 64 hex digits".to_owned())
}

/// Enrols it.
pub(crate) fn run(args: &Args) -> Outcome {
    let source = ConfigFile::named(args.uci.as_ref(), &args.config);
    let (config, _) = load(&source).map_err(|error| CommandError::from(&error))?;
    let token = token(args)?;
    let name = args.name.clone().unwrap_or_else(machine);
    let folder = Identity::folder(&config.state_directory);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot ask anybody: {error}"))
    })?;
    let to = (&args.url, args.fingerprint);
    let made = runtime.block_on(enrol(&folder, to, (token.trim(), &name)));
    let identity = made.map_err(|error| {
        let code = match error {
            EnrolError::Unreached(_) => SysExit::Unavailable,
            EnrolError::Refused(_) => SysExit::Refused,
            EnrolError::NotKept(_) => SysExit::Io,
        };
        CommandError::new(code, error.to_string())
    })?;
    print(&format!("This gateway is {} at {}.\n", identity.gateway, identity.url()))?;
    let told = admin::ask(&args.place, "/api/home", Some(&json!({})));
    if told.is_err() {
        return print("No gateway runs here now; once one does, it calls the hub.\n");
    }
    print(&connected(args, &identity)?)
}

/// Waits until the running gateway is connected, or says why it is not.
fn connected(args: &Args, identity: &Identity) -> Result<String, CommandError> {
    let mut said = Value::Null;
    for _ in 0..LOOKS {
        said = admin::ask(&args.place, "/api/home", None)?;
        let (url, gateway) = (identity.url(), &identity.gateway);
        // Of a hub that it was enrolled at before, it may still say so.
        let here = lent::text(&said, "hub") == url && lent::text(&said, "gateway") == *gateway;
        if here && lent::text(&said, "state") == "connected" {
            return Ok(format!("It is connected: {url}/g/{gateway}/\n"));
        }
        thread::sleep(PAUSE);
    }
    let why = Some(lent::text(&said, "why")).filter(|why| !why.is_empty());
    let why = why.unwrap_or_else(|| "it is still on its way".to_owned());
    Ok(format!("It is not connected yet ({why}); it goes on trying.\n"))
}

fn token(args: &Args) -> Result<String, CommandError> {
    if let Some(token) = &args.token {
        return Ok(token.clone());
    }
    if let Some(file) = &args.token_file {
        let failed = |error: std::io::Error| {
            CommandError::new(SysExit::NoInput, format!("{}: {error}", file.display()))
        };
        let bytes = regular_file::read(file, TOKEN_MAX).map_err(failed)?;
        return Ok(String::from_utf8_lossy(&bytes).trim().to_owned());
    }
    if std::io::stdin().is_terminal() {
        return prompt::secret("Token: ");
    }
    prompt::secret("")
}

/// This machine's name, as far as a gateway may have it.
fn machine() -> String {
    let own = own_name().to_ascii_lowercase();
    let first = own.split('.').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let name: String = first.chars().map(plain).take(63).collect();
    name.trim_matches('-').to_owned()
}
