//! `wsbridge add`: one more endpoint, given by options or in answers; checked together with all the
//! others, put in force, and its address printed.

mod target;
mod uci;
mod yaml;

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};

use rustix::process::{Pid, Signal, kill_process};

use self::target::{Chosen, Flags};
use super::{
    CommandError, Outcome, SysExit, doctor,
    load::{self, ConfigFile, UCI_FILE},
    print,
};
use crate::{
    auth::own_name,
    config::{Address, Config, Listen, ListenTls},
    target::serial::{self, Roots},
};

/// Arguments of `wsbridge add`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without a target it asks which of the ports it finds, or which address. The whole configuration is checked before anything \
             is written; if anything is wrong, nothing is written. The endpoint is written to endpoints.d/NAME.yaml beside the configuration, or on OpenWrt by \
             `uci`, and a running gateway reads it immediately.

Examples:
  sudo wsbridge add
  sudo wsbridge add modem1 --port /dev/ttyUSB0 --baud 115200
  sudo wsbridge add plc1 --tcp 192.0.2.20:502
  sudo wsbridge add boat --udp 192.0.2.40:10110 --local-port 10110
  wsbridge add plc1 --tcp 192.0.2.20:502 --uci"
)]
pub(crate) struct Args {
    /// Its name: the last part of its address
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    target: Flags,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Configuration file
    #[arg(short, long, value_name = "FILE", default_value = "/etc/wsbridge/wsbridge.yaml")]
    config: PathBuf,
    /// Add it to OpenWrt's UCI instead
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = UCI_FILE, conflicts_with = "config")]
    uci: Option<PathBuf>,
}

/// The endpoint to add.
struct NewEndpoint {
    name: String,
    title: Option<String>,
    target: Chosen,
}

/// Adds it.
pub(crate) fn run(args: &Args) -> Outcome {
    let source = ConfigFile::named(args.uci.as_ref(), &args.config);
    let (config, _) = load::load(&source).map_err(|error| CommandError::from(&error))?;
    let roots = Roots::default();
    let found = serial::find(&roots);
    let target = args.target.choose(&found, &roots)?;
    let taken: Vec<&str> = config.endpoints.keys().map(String::as_str).collect();
    let proposed = free(&target.name(&found), &taken);
    let name = match &args.name {
        Some(name) => name.clone(),
        None if io::stdin().is_terminal() => ask("Its name", &proposed)?,
        None => proposed,
    };
    if taken.contains(&name.as_str()) {
        let what =
            format!("there is already an endpoint `{name}`; choose another name, or edit that one");
        return Err(CommandError::new(SysExit::Data, what));
    }
    let endpoint = NewEndpoint { name, title: args.title.clone(), target };
    match &source {
        ConfigFile::Yaml(file) => yaml::add(&source, file, &endpoint)?,
        ConfigFile::Uci(file) => uci::add(&source, file, &endpoint)?,
    }
    print(&format!("{}{}", in_force(&source), address(&config, &endpoint.name)))
}

/// The name, with a number if it is taken.
fn free(name: &str, taken: &[&str]) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut all = std::iter::once(name.to_owned()).chain(numbered);
    all.find(|name| !taken.contains(&name.as_str())).unwrap_or_default()
}

/// What happens with a running gateway.
fn in_force(source: &ConfigFile) -> String {
    match doctor::running(source) {
        None => "No gateway runs with this configuration; once one does, it is at\n".to_owned(),
        // The init script has done that.
        Some(_) if matches!(source, ConfigFile::Uci(_)) => String::new(),
        Some(pid) => {
            told(source, pid).map_or_else(|why| why + "Then it is at\n", |()| String::new())
        }
    }
}

/// Makes a running gateway read its files again; an error says in one line why that failed and what
/// to type.
pub(super) fn told(source: &ConfigFile, pid: Pid) -> Result<(), String> {
    let reload = match source {
        ConfigFile::Yaml(_) => "sudo systemctl reload wsbridge",
        ConfigFile::Uci(_) => "/etc/init.d/wsbridge reload",
    };
    kill_process(pid, Signal::HUP)
        .map_err(|error| format!("The gateway could not be told ({error}): {reload}\n"))
}

/// Where clients find the endpoint, by the first listener that other machines reach.
fn address(config: &Config, name: &str) -> String {
    let Some((place, plain)) = reached(config, |listen| listen.app.is_none()) else {
        return format!("/ws/{name} of the gateway\n");
    };
    let (ws, http) = if plain { ("ws", "http") } else { ("wss", "https") };
    format!("{ws}://{place}/ws/{name}\n{http}://{place}/#/{name}\n")
}

/// Host and port of the first such listener that other machines reach, and whether it is plain.
pub(super) fn reached(config: &Config, fits: impl Fn(&Listen) -> bool) -> Option<(String, bool)> {
    let tcp = |listen: &Listen| match listen.address {
        Address::Tcp(address) => Some((address, matches!(listen.tls, ListenTls::Off))),
        Address::Unix(_) | Address::Systemd(_) => None,
    };
    let mut all: Vec<_> =
        config.listen.iter().filter(|listen| fits(listen)).filter_map(tcp).collect();
    all.sort_by_key(|(address, _)| address.ip().to_canonical().is_loopback());
    let (address, plain) = all.first()?;
    let ip = address.ip().to_canonical();
    let host = if ip.is_loopback() {
        "localhost".to_owned()
    } else if ip.is_unspecified() && config.mdns {
        format!("{}.local", own_name().split('.').next().unwrap_or_default())
    } else if ip.is_unspecified() {
        own_name()
    } else if ip.is_ipv6() {
        format!("[{ip}]")
    } else {
        ip.to_string()
    };
    Some((format!("{host}:{}", address.port()), *plain))
}

/// Asks for a line; an empty answer takes the proposal.
fn ask(question: &str, proposed: &str) -> Result<String, CommandError> {
    let failed =
        |error: io::Error| CommandError::new(SysExit::Io, format!("standard input: {error}"));
    let hint = if proposed.is_empty() { String::new() } else { format!(" [{proposed}]") };
    // A prompt that nobody sees does no harm.
    let _ = write!(io::stderr(), "{question}{hint}: ");
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line).map_err(failed)? == 0 {
        return Err(CommandError::new(SysExit::Data, "nothing was chosen; nothing was added"));
    }
    let line = line.trim();
    Ok(if line.is_empty() { proposed.to_owned() } else { line.to_owned() })
}
