//! `wsbridge serve`: the gateway, from its configuration file to its exit code.

use std::{
    io,
    path::PathBuf,
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

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
    /// Log to this syslog socket, each line with its level, instead of to standard error.
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
    let again: Again = Box::new(move || read().map_err(|error| error.brief()));
    gateway(config, Some(again), |_, _| ())
}

/// Runs a gateway on a runtime of its own; `ready` is told what runs and where it listens.
pub(super) fn gateway(
    config: Config,
    again: Option<Again>,
    ready: impl FnOnce(&Config, &[ListeningOn]),
) -> Outcome {
    raise_descriptor_limit();
    let worker = Worker::start().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot start threads: {error}"))
    })?;
    let outcome =
        worker.handle.block_on(daemon::run(config, again, ready)).map_err(|error| match &error {
            Fatal::Listen(why) if why.is_denied() => {
                CommandError::new(SysExit::NoPermission, error.to_string())
            }
            Fatal::Listen(daemon::ListenersError::Tls(_)) => {
                CommandError::new(SysExit::Config, error.to_string())
            }
            Fatal::Listen(_) | Fatal::System(_) | Fatal::Record { .. } => {
                CommandError::new(SysExit::Unavailable, error.to_string())
            }
        });
    worker.stop();
    outcome
}

/// The thread that moves the bytes and runs every task. The thread that starts it handles signals
/// and reloads, so that reading a configuration holds up no session; passwords are hashed and files
/// read on threads of their own.
struct Worker {
    handle: Handle,
    /// The worker runs until this is dropped.
    running: oneshot::Sender<()>,
    thread: JoinHandle<Runtime>,
}

impl Worker {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("wsbridge".into()).spawn(move || {
            let _ = runtime.block_on(stopped);
            runtime
        })?;
        Ok(Self { handle, running, thread })
    }

    fn stop(self) {
        drop(self.running);
        if let Ok(runtime) = self.thread.join() {
            // A name look-up cannot be cancelled, and nobody waits for it.
            runtime.shutdown_timeout(Duration::from_millis(100));
        }
    }
}

/// Every session takes one or two descriptors: raises the limit as far as we may (`RLIMIT_NOFILE`,
/// soft to hard).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
