//! `wsbridge doctor`: examines this machine and the configuration, and says what is wrong and what
//! to type.
//!
//! Each family of checks has a file of its own with a function `look`. Checks only read; the one
//! thing they touch is a target on the network, to which they connect for a moment.

mod access;
mod account;
mod audit;
mod certificates;
mod clock;
mod configuration;
mod doors;
mod finding;
mod key_switch;
mod listening;
mod machine;
mod neighbours;
mod ports;
mod print;
mod sandbox;
mod service;
mod system;
mod targets;
#[cfg(test)]
mod tests;
mod unit;
mod usb;
mod wanted;

use std::io::{self, IsTerminal, Write};

use self::{
    account::SystemAccount,
    finding::{DoctorReport, Level},
    machine::Machine,
    service::RunningDaemon,
    system::System,
    unit::UnitFile,
};
use super::{load::ConfigFile, which::Which, wrap::width};
use crate::config::{Config, UciInstance};

/// Arguments of `wsbridge doctor`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong (there may be hints), 1 something is wrong, 64 wrong usage, 74 cannot print. \
             As root it sees everything; as another user it says what it could not see. Every finding's name, like [port-in-use], has \
             a line in doctor.md.

Examples:
  sudo wsbridge doctor
  wsbridge doctor ./wsbridge.yaml --no-connect
  wsbridge doctor --uci               On OpenWrt
  sudo wsbridge doctor --json | jq '.findings[] | select(.level == \"wrong\")'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Do not connect to targets on the network
    #[arg(long)]
    no_connect: bool,
}

/// What is examined.
struct Subject<'a> {
    machine: &'a Machine,
    source: &'a ConfigFile,
    /// `None` if it is wrong, absent, or not ours to read.
    config: Option<&'a Config>,
    running: Option<&'a RunningDaemon>,
    unit: Option<&'a UnitFile>,
    /// How procd should run it, if the configuration is UCI's.
    instance: Option<&'a UciInstance>,
    /// The account that the daemon runs as.
    account: &'a SystemAccount,
}

/// Looks, and prints what was found. Returns an exit code: 0, 1 (something is wrong) or 74 (cannot
/// print).
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> u8 {
    let report = look(&Machine::this(), args);
    let colour = io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|word| word.is_empty());
    let style = print::Style { colour, width: width(io::stdout()) };
    let printed =
        if args.json { print::json(&report, out) } else { print::text(&report, style, out) };
    match printed {
        // A reader that has gone (`| head`) is not a failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => 74,
        _ => u8::from(report.count(Level::Wrong) > 0),
    }
}

/// The gateway that runs with a configuration.
pub(super) fn running(source: &ConfigFile) -> Option<rustix::process::Pid> {
    let running = RunningDaemon::find(&Machine::this(), source)?;
    rustix::process::Pid::from_raw(i32::try_from(running.pid).ok()?)
}

/// Looks at everything, what others depend on first: a file that cannot be read explains most of
/// what follows.
fn look(machine: &Machine, args: &Args) -> DoctorReport {
    let source = args.which.source();
    let mut report = DoctorReport::new(System::of(&source));
    let unit =
        UnitFile::read(machine, service::SERVICE_UNIT).filter(|_| report.system == System::Linux);
    let instance = configuration::instance(machine, &source);
    let running = RunningDaemon::find(machine, &source);
    let account = service::account(machine, running.as_ref(), unit.as_ref(), instance.as_ref());
    let loaded = configuration::look(machine, &source, unit.as_ref(), &mut report);
    let subject = Subject {
        machine,
        source: &source,
        config: loaded.as_ref().map(|loaded| &loaded.config),
        running: running.as_ref(),
        unit: unit.as_ref(),
        instance: instance.as_ref(),
        account: &account,
    };
    access::look(&subject, &mut report);
    key_switch::look(&subject, &mut report);
    audit::look(&subject, &mut report);
    service::look(&subject, &mut report);
    clock::look(machine, &mut report);
    certificates::look(&subject, &mut report);
    listening::look(&subject, &mut report);
    doors::look(&subject, &mut report);
    ports::look(&subject, &mut report);
    if !args.no_connect {
        targets::look(&subject, &mut report);
    }
    report
}
