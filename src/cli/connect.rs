//! `wsbridge connect`: a line of a gateway in this terminal, or for programs of this computer, which
//! know only TCP ports and pipes.

mod carry;
mod comport;
mod file;
mod guard;
mod line;
mod list;
#[cfg(unix)]
mod pty;
#[cfg(not(unix))]
#[path = "connect/no_pty.rs"]
mod pty;
mod tcp;
mod terminal;
mod told;

use std::{net::SocketAddr, path::PathBuf};

use tokio::runtime::Builder;

use self::{line::Line, told::Told};
use super::{
    CommandError, Outcome, SysExit,
    gateway::{Access, Address, Gateway, Kept, TrustArgs},
    offered::Offered,
    stop::stopped,
};
use crate::config::KnownResets;

/// Arguments of `wsbridge connect`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Without --tcp, --rfc2217, --pty, --stdio or --file the line is in this terminal; Ctrl-] then ? shows the keys. Without an endpoint in the address it lists those there \
             are. A lost connection is resumed: nothing is lost or sent twice, and the program's connection stays open. DTR and RTS do not move.

To get in: `wsbridge login`, else a token in WSBRIDGE_TOKEN or of --token-file. HTTPS proxies are those of the environment (https_proxy, no_proxy).

--file serves several lines at once, as --keep serves one; what is in the file: docs/connect.md. A line that is refused or away says so and is tried again; the others go on.

Exit codes: 0 quit or ended by the other end, 1 refused, 2 the session is gone, 69 the gateway or its device cannot be reached, 78 the file is wrong.

Examples:
  wsbridge connect https://gateway:8443
  wsbridge connect https://gateway:8443/router1 --log router1.log
  wsbridge connect https://gateway:8443/plc1 --tcp 127.0.0.1:5020
  wsbridge connect https://gateway:8443/zigbee --tcp 127.0.0.1:6638 --keep
  wsbridge connect https://gateway:8443/esp32 --rfc2217 127.0.0.1:2217 --resets esp
  wsbridge connect https://gateway:8443/modem1 --pty /tmp/modem1
  wsbridge connect --file ~/.config/wsbridge/lines.yaml
  ssh -o ProxyCommand='wsbridge connect https://gateway:8443/ssh1 --stdio' root@device"
)]
pub(crate) struct Args {
    /// The gateway and the endpoint: https://HOST:PORT/ENDPOINT, or as the console's address has it.
    #[arg(value_name = "URL", value_parser = Address::read, required_unless_present = "file")]
    url: Option<Address>,
    /// Listen on this address (or port, of 127.0.0.1): each connection is a session on the line.
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address, groups = ["way", "place"])]
    tcp: Option<SocketAddr>,
    /// Listen on this address as RFC 2217, for programs that also set the baud rate and move DTR and
    /// RTS.
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address, groups = ["way", "place"])]
    rfc2217: Option<SocketAddr>,
    /// Do the resets of these chips, which esptool and its like send, with the timing that they need.
    #[arg(long, value_name = "CHIPS", requires = "rfc2217", value_parser = Offered { read: resets, words: &["esp"] })]
    resets: Option<KnownResets>,
    /// Make this a device node (a link to a pty) for programs that open one; settings stay the
    /// endpoint's.
    #[arg(long, value_name = "PATH", groups = ["way", "place"])]
    pty: Option<PathBuf>,
    /// Connect standard input and output to the line.
    #[arg(long, group = "way")]
    stdio: bool,
    /// Serve the lines of this file, each at its own address or device node.
    #[arg(
        long,
        value_name = "FILE",
        group = "way",
        conflicts_with_all = ["url", "many", "at_once", "allow_http", "token_file", "ca", "fingerprint"]
    )]
    file: Option<PathBuf>,
    /// Print the endpoints as JSON.
    #[arg(long, group = "way")]
    json: bool,
    /// Go on when the session is gone or the gateway is away: the next connection begins another.
    #[arg(long, requires = "place")]
    keep: bool,
    /// Let several connections in at once: one writes, the others read along.
    #[arg(long, conflicts_with_all = ["pty", "stdio"])]
    many: bool,
    /// Begin as the writer at once, not with the first byte: for a program that listens on an
    /// exclusive endpoint.
    #[arg(long)]
    at_once: bool,
    /// Pass on what begins like HTTP, TLS or STUN, which a web page could have sent.
    #[arg(long, conflicts_with_all = ["pty", "stdio"])]
    allow_http: bool,
    /// Read the token from this file.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    view: terminal::ViewArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// An address to listen on; a port alone is one of this machine's own.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.replace("localhost:", "127.0.0.1:")
        .parse()
        .map_err(|_| format!("`{text}` is not ADDRESS:PORT, like 127.0.0.1:5020"))
}

fn resets(text: &str) -> Result<KnownResets, String> {
    if text == "esp" { Ok(KnownResets::Esp) } else { Err(format!("`{text}` is not esp")) }
}

/// Connects, until it is over.
pub(crate) fn run(args: &Args) -> Outcome {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot start: {error}"))
    })?;
    let outcome = runtime.block_on(connect(args));
    // Nobody waits for a read of standard input or a name look-up.
    runtime.shutdown_background();
    outcome
}

async fn connect(args: &Args) -> Outcome {
    if let Some(file) = &args.file {
        return file::serve(file).await;
    }
    // Without a file there is one: the command line would not have been read otherwise.
    let Some(url) = &args.url else { return Ok(()) };
    let kept = Kept::find(url)?;
    let access = Access::find(args.token_file.as_deref(), kept.as_ref())?;
    let gateway = Gateway::new(url.clone(), &args.trust, kept.as_ref());
    let told = Told::new();
    let Some(name) = url.endpoint.as_deref().filter(|_| !args.json) else {
        return list::list(&gateway, &access, args.json).await;
    };
    if let Some(place) = args.place() {
        return place.serve((gateway, access, name), told, args.at_once).await;
    }
    let line = Line::find(gateway, access, name).await?.told(told, args.at_once);
    if args.stdio {
        return carry::stdio(&line).await;
    }
    terminal::terminal(&line, &args.view).await
}

impl Args {
    fn place(&self) -> Option<Place> {
        let ways = tcp::Ways {
            keep: self.keep,
            many: self.many,
            allow_http: self.allow_http,
            rfc2217: self.rfc2217.map(|_| self.resets.unwrap_or(KnownResets::None)),
        };
        let port = self.tcp.or(self.rfc2217).map(|address| Place::Port(address, ways));
        port.or_else(|| self.pty.clone().map(|path| Place::Node(path, self.keep)))
    }
}

/// Where programs of this computer find a line.
#[derive(Debug)]
enum Place {
    /// At a TCP port.
    Port(SocketAddr, tcp::Ways),
    /// At a device node, which may outlive a session that is gone.
    Node(PathBuf, bool),
}

impl Place {
    fn keeps(&self) -> bool {
        let (Self::Port(_, tcp::Ways { keep, .. }) | Self::Node(_, keep)) = self;
        *keep
    }

    /// Serves programs there until somebody wants the end, or it comes.
    async fn serve(
        &self,
        (gateway, access, name): (Gateway, Access, &str),
        told: Told,
        at_once: bool,
    ) -> Outcome {
        let found = tokio::select! {
            found = Line::find(gateway.clone(), access.clone(), name) => found,
            () = stopped() => return Ok(()),
        };
        let line = match found {
            Err(error) if self.keeps() && error.code == SysExit::Unavailable as u8 => {
                told.fault(&format!("{}; it is tried with each connection", error.message));
                Line::unknown(gateway, access, name)
            }
            found => found?,
        };
        let line = line.told(told, at_once);
        match self {
            Self::Port(address, ways) => tcp::serve(&line, *address, *ways).await,
            Self::Node(path, keep) => pty::serve(&line, path, *keep).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_this_machine() {
        for text in ["5020", ":5020", "127.0.0.1:5020", "localhost:5020"] {
            assert_eq!(listen_address(text).unwrap().to_string(), "127.0.0.1:5020");
        }
        assert_eq!(listen_address("[::]:1").unwrap().to_string(), "[::]:1");
        assert!(listen_address("gw:1").unwrap_err().contains("not ADDRESS:PORT"));
    }
}
