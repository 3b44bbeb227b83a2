//! `wsbridge demo`: a gateway on loopback with simulated devices.

use std::{
    fmt::Write,
    io::{self, IsTerminal},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use super::{CommandError, Outcome, SysExit, print, serve};
use crate::{config, http};

/// Arguments of `wsbridge demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Nothing is kept: no file is written, no device of this machine is touched.

Examples:
  wsbridge demo
  wsbridge demo --listen 127.0.0.1:9000
  wsbridge demo --print-config > wsbridge.yaml")]
pub(crate) struct Args {
    /// Where to listen, on loopback [default: 127.0.0.1:8080, or the next free port].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Print the demo's configuration, as a start for your own, and do nothing else.
    #[arg(long)]
    print_config: bool,
}

/// The port tried first; a hundred more follow.
const FIRST_PORT: u16 = 8080;

/// The address in the examples, which is replaced by the real one.
const EXAMPLE: &str = "127.0.0.1:8080";

const PYTHON: &str = include_str!("../../docs/examples/modem.py");
const JAVASCRIPT: &str = include_str!("../../docs/examples/modem.js");

/// Endpoint, simulated device, title.
const DEMO_ENDPOINTS: [(&str, &str, &str); 8] = [
    ("modem", "modem", "Hayes modem: AT, ATI, ATD123, then +++ and ATH (serial line)"),
    ("console", "console", "Router console: boot log, help, show version, reload (serial line)"),
    ("plc", "modbus-tcp", "Modbus TCP PLC: holding registers 0 to 199, coils 0 to 99"),
    ("plc-rtu", "modbus-rtu", "Modbus RTU PLC, unit 1 (serial line)"),
    ("echo", "echo", "Sends back what it gets (serial line)"),
    ("echo-tcp", "echo-tcp", "Sends back what it gets (TCP)"),
    ("source", "source", "Numbered lines without end, as fast as they are read (TCP)"),
    ("boat", "nmea", "A boat's position, wind and depth each second: NMEA 0183 (UDP)"),
];

/// Runs the demo until it is stopped.
pub(crate) fn run(args: &Args) -> Outcome {
    if args.print_config {
        return print(&config_text(args.listen.unwrap_or_else(|| loopback(FIRST_PORT))));
    }
    let address = free_address(args.listen)?;
    let text = config_text(address);
    let no_secrets = |_: &config::SecretSource| Err("the demo has no secrets".to_owned());
    let (mut config, _) = config::parse(&text, "the demo's configuration", &no_secrets)
        .map_err(|error| CommandError::new(SysExit::Usage, error.to_string()))?;
    // It is for whoever looks at it, and a gateway of this machine may have that place.
    config.admin = config::AdminSocket::Off;
    let announcement = announcement(address, io::stdout().is_terminal(), http::has_page());
    serve::gateway(config, None, move |_, _| drop(print(&announcement)))
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The requested address, or the first free port from 8080 on. The daemon binds it again a moment
/// later.
fn free_address(asked: Option<SocketAddr>) -> Result<SocketAddr, CommandError> {
    let bind =
        |address: SocketAddr| TcpListener::bind(address).and_then(|listener| listener.local_addr());
    let taken = |address, error| {
        CommandError::new(SysExit::Unavailable, format!("cannot listen on {address}: {error}"))
    };
    if let Some(address) = asked {
        return bind(address).map_err(|error| taken(address, error));
    }
    let free = (FIRST_PORT..=FIRST_PORT + 100).find_map(|port| bind(loopback(port)).ok());
    free.map_or_else(|| bind(loopback(0)).map_err(|error| taken(loopback(0), error)), Ok)
}

/// The demo's configuration, as a file to start from.
pub(crate) fn config_text(address: SocketAddr) -> String {
    let mut text = format!(
        "\
# The configuration of `wsbridge demo`. To make it yours: put `serial:` or `tcp:` in place of `sim:`, and users or
# tokens in place of `auth: none`; docs/guide.md shows how. `wsbridge check FILE` says what a file means.
listen:
  - address: \"{address}\"
    tls: none                 # plain HTTP is for loopback
auth: none                    # whoever reaches this address may do everything
endpoints:
"
    );
    for (name, device, title) in DEMO_ENDPOINTS {
        // Writing to a String cannot fail.
        let _ = write!(text, "  {name}:\n    title: \"{title}\"\n    sim: {device}\n");
    }
    text
}

/// What the demo prints once it is listening: addresses, and things to paste.
pub(crate) fn announcement(address: SocketAddr, colour: bool, page: bool) -> String {
    let (bold, dim, plain) = if colour { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let open = if page {
        format!("Open {bold}http://{address}/{plain} in a browser, or connect to")
    } else {
        format!(
            "{bold}There is no page to open in a browser{plain}: this program was built without it. Install Node.js 18 or\n\
             newer with npm (Debian: sudo apt install npm), build again, and start the demo again. Without it, connect to"
        )
    };
    let mut text = format!(
        "wsbridge demo: simulated devices, no login, this machine only. Ctrl-C ends it.\n\n{open}\n\n"
    );
    for (name, _, title) in DEMO_ENDPOINTS {
        let url = format!("ws://{address}/ws/{name}");
        let _ = writeln!(text, "  {bold}{url:<36}{plain} {title}");
    }
    let example = |source: &str| source.replace(EXAMPLE, &address.to_string());
    let _ = write!(
        text,
        "
{bold}A terminal{plain} {dim}(then type help and Enter):{plain}

websocat --binary ws://{address}/ws/console

{bold}Python{plain} {dim}(paste into a shell; needs `pip install websockets`):{plain}

python3 - <<'END'
{python}END

{bold}JavaScript{plain} {dim}(paste into Node.js 22{console}):{plain}

{javascript}
",
        python = example(PYTHON),
        javascript = example(JAVASCRIPT),
        console = if page { ", or on that page into the developer tools' console" } else { "" },
    );
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_configuration_is_valid_and_has_every_simulated_device() {
        let (config, warnings) =
            config::parse(&config_text(loopback(8099)), "demo", &|_| Err("no secrets".to_owned()))
                .unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(config.endpoints.len(), DEMO_ENDPOINTS.len());
        let schema: serde_json::Value = serde_json::from_str(&config::schema()).unwrap();
        let devices = "/properties/endpoints/anyOf/0/additionalProperties/anyOf/0/properties/sim/anyOf/0/enum";
        let devices = schema.pointer(devices).unwrap().as_array().unwrap();
        let shown: BTreeSet<_> = DEMO_ENDPOINTS.iter().map(|(_, device, _)| *device).collect();
        assert_eq!(devices.iter().filter_map(|word| word.as_str()).collect::<BTreeSet<_>>(), shown);
        assert!(
            config
                .endpoints
                .values()
                .all(|endpoint| matches!(endpoint.target, config::Target::Sim(_)))
        );
        assert!(config.access.open);
    }

    #[test]
    fn the_announcement_shows_the_real_address_alone_and_colours_only_when_told() {
        let text = announcement(loopback(9123), false, true);
        assert!(!text.contains("8080") && !text.contains('\x1b'));
        for (name, ..) in DEMO_ENDPOINTS {
            assert!(text.contains(&format!("ws://127.0.0.1:9123/ws/{name} ")));
        }
        assert!(announcement(loopback(9123), true, true).contains("\x1b[1m"));
    }

    #[test]
    fn the_announcement_says_how_to_get_a_page_that_is_not_in_the_build() {
        let page = announcement(loopback(9123), false, true);
        assert!(page.contains("Open http://127.0.0.1:9123/ in a browser") && !page.contains("npm"));
        let none = announcement(loopback(9123), false, false);
        assert!(none.contains("There is no page") && none.contains("sudo apt install npm"));
        assert!(!none.contains("Open http") && !none.contains("that page"));
        assert!(none.contains("ws://127.0.0.1:9123/ws/modem "));
    }

    #[test]
    fn the_python_example_is_at_most_20_lines_and_both_use_the_demos_names() {
        assert!(PYTHON.lines().count() <= 20);
        for example in [PYTHON, JAVASCRIPT] {
            assert_eq!(example.matches(EXAMPLE).count(), 1);
            assert!(example.contains("modem") && example.contains("plc"));
        }
    }

    #[test]
    fn a_taken_port_gives_the_next_one_and_an_asked_one_an_error() {
        let held = TcpListener::bind(loopback(0)).unwrap();
        let taken = held.local_addr().unwrap();
        assert!(free_address(Some(taken)).is_err());
        assert!(free_address(None).unwrap().ip().is_loopback());
        assert_ne!(free_address(Some(loopback(0))).unwrap().port(), 0);
    }
}
