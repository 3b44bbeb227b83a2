//! `wsbridge capture`: what passes an endpoint, live, for Wireshark.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use tokio::runtime::Builder;

use super::{
    CommandError, Outcome, SysExit,
    admin::AdminPlace,
    gateway::{Access, Address, Gateway, Kept, TrustArgs},
    known_lines,
};
use crate::dial::{Request, Streamed, stream};

/// Arguments of `wsbridge capture`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Takes the right `recordings` on the endpoint. Without --host it asks the gateway of this machine: for root, and for whoever is in group wsbridge-admin. To get in elsewhere: `wsbridge login`, else a token in WSBRIDGE_TOKEN or of --token-file. Ctrl-C ends it.

Examples:
  wsbridge capture plc1 --host https://gateway:8443 | wireshark -k -i -
  wsbridge capture plc1 --host https://gateway:8443 -w plc1.pcapng
  sudo wsbridge capture plc1 | tshark -i -"
)]
pub(crate) struct Args {
    /// The endpoint
    endpoint: String,
    /// The gateway: https://HOST:PORT
    #[arg(long, value_name = "URL", value_parser = Address::read)]
    host: Option<Address>,
    /// Where to write: a file, or - for standard output
    #[arg(short, value_name = "FILE", default_value = "-")]
    write: PathBuf,
    /// Read the token from this file
    #[arg(long, value_name = "FILE", requires = "host")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    place: AdminPlace,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut out: Box<dyn Write> = if args.write == Path::new("-") {
        if io::stdout().is_terminal() {
            let what = "a capture is nothing for a terminal: add `| wireshark -k -i -`, or name a file with -w";
            return Err(CommandError::new(SysExit::Usage, what));
        }
        Box::new(io::stdout())
    } else {
        let file = File::create(&args.write).map_err(|error| {
            CommandError::new(SysExit::Io, format!("{}: {error}", args.write.display()))
        })?;
        Box::new(file)
    };
    let from = From {
        host: args.host.clone(),
        token_file: args.token_file.clone(),
        trust: args.trust.clone(),
        place: args.place.clone(),
    };
    capture(&from, &args.endpoint, &mut *out)
}

/// Which gateway is asked, and how.
#[derive(Clone, Debug, Default)]
pub(super) struct From {
    pub(super) host: Option<Address>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) trust: TrustArgs,
    pub(super) place: AdminPlace,
}

/// Writes what passes an endpoint until it ends, or nobody reads it any more.
pub(super) fn capture(from: &From, endpoint: &str, out: &mut dyn Write) -> Outcome {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot start: {error}"))
    })?;
    runtime.block_on(async {
        let path = format!("/api/endpoints/{endpoint}/capture");
        let mut gone = false;
        let piece = |bytes: &[u8]| {
            let done = out.write_all(bytes).and_then(|()| out.flush());
            gone = done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
            done
        };
        let ended = match &from.host {
            None => {
                let mut io = from.place.connect().await?;
                let ask = Request { path: &path, ..Request::default() };
                stream(&mut io, "localhost", &ask, piece).await.map_err(|why| broken(&why))
            }
            Some(address) => {
                let kept = Kept::find(address)?;
                let access = Access::find(from.token_file.as_deref(), kept.as_ref())?;
                let gateway = Gateway::new(address.clone(), &from.trust, kept.as_ref());
                known_lines::learn(&gateway, &access).await;
                let streamed = gateway.stream(&path, access.token(), piece).await;
                match streamed? {
                    Streamed::Refused(403 | 404, _) => return Err(not_yours(endpoint)),
                    Streamed::Refused(status, said) => {
                        return Err(gateway.refused(status, &said, &access));
                    }
                    Streamed::Ended => Ok(Streamed::Ended),
                }
            }
        };
        match ended {
            _ if gone => Ok(()),
            Ok(Streamed::Ended) => Ok(()),
            Ok(Streamed::Refused(403 | 404, _)) => Err(not_yours(endpoint)),
            Ok(Streamed::Refused(status, said)) => Err(CommandError::new(
                SysExit::Refused,
                format!("refused with HTTP {status}: {said}"),
            )),
            Err(error) => Err(error),
        }
    })
}

fn not_yours(endpoint: &str) -> CommandError {
    let what = format!(
        "there is no endpoint `{endpoint}`, or you may not capture it: that takes the right `recordings` on it"
    );
    CommandError::new(SysExit::Refused, what)
}

fn broken(why: &str) -> CommandError {
    CommandError::new(SysExit::Unavailable, format!("the gateway{why}"))
}
