//! `wsbridge serve`: the gateway, from its configuration file to its exit code.

use std::{io, path::PathBuf, time::Duration};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use super::{CommandError, Outcome, SysExit, load::load, which::Which};
use crate::{
    config::Config,
    daemon::{self, Again, Fatal, ListeningOn},
};

/// Arguments of `wsbridge serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "SIGHUP applies a changed file; SIGTERM closes every session, drains the lines and exits within 6 s.

Examples:
  wsbridge serve
  wsbridge serve --config ./wsbridge.yaml --log-level debug
  wsbridge serve --uci"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) which: Which,
    /// Log to this socket of syslog's, each line with its level, instead of standard error.
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, require_equals = true, default_missing_value = "/dev/log")]
    pub(super) syslog: Option<PathBuf>,
}

/// Runs the gateway until it is told to stop.
pub(crate) fn run(args: &Args) -> Outcome {
    let source = args.which.source();
    if source.is_stdin() {
        let what = "the daemon reads its configuration again at a reload, so it cannot come from standard input; name a file";
        return Err(CommandError::new(SysExit::Usage, what));
    }
    let read = move || {
        let (config, warnings) = load(&source)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    };
    let config = read().map_err(|error: super::load::LoadError| CommandError::from(&error))?;
    let again: Again = Box::new(move || read().map_err(|error| error.to_string()));
    gateway(config, Some(again), |_, _| ())
}

/// Runs a gateway on a runtime of its own; `ready` is told what runs and where it listens.
pub(super) fn gateway(
    config: Config,
    again: Option<Again>,
    ready: impl FnOnce(&Config, &[ListeningOn]),
) -> Outcome {
    raise_descriptor_limit();
    let runtime = runtime().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot start threads: {error}"))
    })?;
    let outcome =
        runtime.block_on(daemon::run(config, again, ready)).map_err(|error| match &error {
            Fatal::Listen(why) if why.is_denied() => {
                CommandError::new(SysExit::NoPermission, error.to_string())
            }
            Fatal::Listen(daemon::ListenersError::Tls(_)) => {
                CommandError::new(SysExit::Config, error.to_string())
            }
            Fatal::Listen(_) | Fatal::System(_) => {
                CommandError::new(SysExit::Unavailable, error.to_string())
            }
        });
    // A name look-up cannot be cancelled; nobody waits for it.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

/// One worker moves the bytes; the runs so far do not agree on whether two would cost less
/// (docs/performance.md). This thread takes signals and reloads, and password hashes have threads
/// of their own.
fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name("wsbridge").enable_all().build()
}

/// Every session takes one or two descriptors: as many as we may have (`RLIMIT_NOFILE`, soft to
/// hard).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
