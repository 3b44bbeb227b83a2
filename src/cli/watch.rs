//! `wsbridge watch`: what a line says, as it says it.

use std::io::{self, Write as _};

use tokio::runtime::Builder;

use super::{CommandError, Outcome, SysExit, admin::AdminPlace, say::segment, stop::stopped};
use crate::{
    client::{Client, Code, Dial, Error, Event, Events, Open, Role},
    wire::control::Replay,
};

/// Arguments of `wsbridge watch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It only reads: nothing is sent to the device, and whoever writes goes on. Ctrl-C ends it.

Examples:
  sudo wsbridge watch plc1
  sudo wsbridge watch router --last 4000
  sudo wsbridge watch gps | tee today.log"
)]
pub(crate) struct Args {
    /// The endpoint's name.
    endpoint: String,
    /// Begin with the last bytes that it said before.
    #[arg(long, value_name = "BYTES")]
    last: Option<u64>,
    #[command(flatten)]
    place: AdminPlace,
}

/// Watches until somebody wants the end, or the gateway ends it.
pub(crate) fn run(args: &Args) -> Outcome {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot start: {error}"))
    })?;
    runtime.block_on(async {
        // Whoever may not open the socket, or finds none, is told as by the other commands.
        drop(args.place.connect().await?);
        tokio::select! {
            watched = watch(args) => watched,
            () = stopped() => Ok(()),
        }
    })
}

async fn watch(args: &Args) -> Outcome {
    let name = &args.endpoint;
    let dial = Dial::new(format!("ws://localhost/ws/{}", segment(name))).at(args.place.path()?);
    let (client, events) = Client::connect(dial).await.map_err(|error| failed(name, error))?;
    let open = Open {
        role: Role::Observer,
        replay: args.last.map(|bytes| Replay::Bytes { bytes }),
        ..Open::default()
    };
    client.open(open).await.map_err(|error| failed(name, error))?;
    show(name, events).await
}

async fn show(name: &str, mut events: Events) -> Outcome {
    while let Some(event) = events.next().await {
        match event {
            Event::Data { bytes, .. } => {
                let mut out = io::stdout().lock();
                match out.write_all(&bytes).and_then(|()| out.flush()) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    Err(error) => {
                        let what = format!("standard output: {error}");
                        return Err(CommandError::new(SysExit::Io, what));
                    }
                    Ok(()) => {}
                }
            }
            Event::Gap { from, to } => tell(&format!("{} bytes were missed", to - from)),
            Event::Status(status) if status.state == "down" => {
                tell(&format!("the device is not there: {}", status.error.unwrap_or_default()));
            }
            Event::Notice { from, text } => tell(&format!("message from {from}: {text}")),
            Event::Lost(why) => tell(&format!("the gateway is away ({why}); trying again")),
            Event::Gone(why) => {
                return Err(CommandError::new(SysExit::Gone, format!("{name}: {why}")));
            }
            Event::Closed { code: Some(1000), .. } => return Ok(()),
            Event::Closed { code, reason } => {
                let exit = if code.is_some() { SysExit::Refused } else { SysExit::Unavailable };
                return Err(CommandError::new(exit, format!("{name}: {reason}")));
            }
            Event::Signals(_)
            | Event::Config { .. }
            | Event::Line { .. }
            | Event::Time { .. }
            | Event::Lease(_)
            | Event::Status(_)
            | Event::Error { .. }
            | Event::Hello(_)
            | Event::Resumed(_) => {}
        }
    }
    Ok(())
}

/// Beside what the line says.
fn tell(text: &str) {
    // Nothing is left to be done about a closed standard error.
    let _ = writeln!(io::stderr(), "wsbridge: {text}");
}

fn failed(name: &str, error: Error) -> CommandError {
    let (code, why) = match error {
        Error::Refused { status: 403 | 404, .. } => {
            (SysExit::Refused, format!("there is no endpoint {name}"))
        }
        Error::Refused { body, .. } => (SysExit::Refused, format!("{name}: {body}")),
        Error::Failed { code: Code::LineDown, message } => {
            (SysExit::Unavailable, format!("{name}: {message}"))
        }
        Error::Failed { message, .. } => (SysExit::Refused, format!("{name}: {message}")),
        Error::Unreachable(_)
        | Error::Untrusted(_)
        | Error::Foreign(_)
        | Error::Lost
        | Error::Closed(_) => (SysExit::Unavailable, format!("{name}: {error}")),
    };
    CommandError::new(code, why)
}
