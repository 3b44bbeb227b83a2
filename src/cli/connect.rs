//! `wsbridge connect`: a line of a gateway in this terminal, or for programs of this computer, which
//! know only TCP ports and pipes.

mod carry;
mod comport;
mod guard;
mod line;
mod list;
mod pty;
mod stop;
mod tcp;
mod terminal;
mod told;

use std::{net::SocketAddr, path::PathBuf};

use tokio::runtime::Builder;

use self::{line::Line, told::Told};
use super::{
    CommandError, Outcome, SysExit,
    gateway::{Access, Address, Gateway, Kept, TrustArgs},
};

/// Arguments of `wsbridge connect`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Without --tcp, --rfc2217, --pty or --stdio the line is in this terminal; Ctrl-] then ? shows the keys. Without an endpoint in the address it lists those there \
             are. A lost connection is resumed: nothing is lost or sent twice, and the program's connection stays open. DTR and RTS do not move.

To get in: `wsbridge login`, else a token in WSBRIDGE_TOKEN or of --token-file. HTTPS proxies are those of the environment (https_proxy, no_proxy).

Exit codes: 0 quit or ended by the other end, 1 refused, 2 the session is gone, 69 the gateway or its device cannot be reached.

Examples:
  wsbridge connect https://gateway:8443
  wsbridge connect https://gateway:8443/router1 --log router1.log
  wsbridge connect https://gateway:8443/plc1 --tcp 127.0.0.1:5020
  wsbridge connect https://gateway:8443/zigbee --tcp 127.0.0.1:6638 --keep
  wsbridge connect https://gateway:8443/esp32 --rfc2217 127.0.0.1:2217
  wsbridge connect https://gateway:8443/modem1 --pty /tmp/modem1
  ssh -o ProxyCommand='wsbridge connect https://gateway:8443/ssh1 --stdio' root@device"
)]
pub(crate) struct Args {
    /// The gateway and the endpoint: https://HOST:PORT/ENDPOINT, or as the console's address has it.
    #[arg(value_name = "URL", value_parser = Address::read)]
    url: Address,
    /// Listen on this address (or port, of 127.0.0.1): each connection is a session on the line.
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address, groups = ["way", "place"])]
    tcp: Option<SocketAddr>,
    /// Listen on this address as RFC 2217, for programs that also set the baud rate and move DTR and
    /// RTS.
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address, groups = ["way", "place"])]
    rfc2217: Option<SocketAddr>,
    /// Make this a device node (a link to a pty) for programs that open one; settings stay the
    /// endpoint's.
    #[arg(long, value_name = "PATH", groups = ["way", "place"])]
    pty: Option<PathBuf>,
    /// Connect standard input and output to the line.
    #[arg(long, group = "way")]
    stdio: bool,
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
    let kept = Kept::find(&args.url)?;
    let access = Access::find(args.token_file.as_deref(), kept.as_ref())?;
    let gateway = Gateway::new(args.url.clone(), &args.trust, kept.as_ref());
    let told = Told::new();
    let Some(name) = args.url.endpoint.as_deref().filter(|_| !args.json) else {
        return list::list(&gateway, &access, args.json).await;
    };
    if let Some(address) = args.tcp.or(args.rfc2217) {
        let ways = tcp::Ways {
            keep: args.keep,
            many: args.many,
            allow_http: args.allow_http,
            rfc2217: args.rfc2217.is_some(),
        };
        let line = match Line::find(gateway.clone(), access.clone(), name).await {
            Ok(line) => line,
            Err(error) if args.keep && error.code == SysExit::Unavailable as u8 => {
                told.fault(&format!("{}; it is tried with each connection", error.message));
                Line::unknown(gateway, access, name)
            }
            Err(error) => return Err(error),
        };
        return tcp::serve(&line.told(told, args.at_once), address, ways).await;
    }
    let line = Line::find(gateway, access, name).await?.told(told, args.at_once);
    if let Some(path) = &args.pty {
        return pty::serve(&line, path, args.keep).await;
    }
    if args.stdio {
        return carry::stdio(&line).await;
    }
    terminal::terminal(&line, &args.view).await
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
