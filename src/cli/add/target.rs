//! What a new endpoint reaches: one of the ports that are there, or an address.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use crate::{
    cli::{
        CommandError, SysExit,
        add::ask,
        ports::{name_of, slug, uci_identity, yaml_identity},
    },
    config::uci,
    target::serial::{self, FoundPort, Roots},
};

/// The speed proposed for a serial line.
const BAUD: u32 = 115_200;

/// Options that say what it reaches.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// A serial port, by any of its names; it is recorded by what tells its adapter from all others
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tcp", "rfc2217", "udp"])]
    port: Option<PathBuf>,
    /// A raw TCP port
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["rfc2217", "udp"])]
    tcp: Option<String>,
    /// A UDP port of another machine
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "rfc2217")]
    udp: Option<String>,
    /// The UDP port on this machine that the device sends to
    #[arg(long, value_name = "PORT", requires = "udp")]
    local_port: Option<u16>,
    /// A serial port on another box, by RFC 2217
    #[arg(long, value_name = "HOST:PORT")]
    rfc2217: Option<String>,
    /// Speed of the serial line
    #[arg(long, value_name = "BAUD", conflicts_with_all = ["tcp", "udp"])]
    baud: Option<u32>,
    /// Format of the serial line, like 8N1 or 7E1
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["tcp", "udp"])]
    format: Option<String>,
}

/// What was chosen, in the form in which it is written.
pub(super) enum Chosen {
    /// How YAML and UCI name the port, the port itself if it is there, and the line's settings.
    Serial {
        yaml: String,
        uci: Vec<String>,
        port: Option<usize>,
        line: LineSettings,
    },
    Rfc2217 {
        address: String,
        line: LineSettings,
    },
    Tcp {
        address: String,
    },
    Udp {
        address: String,
        local_port: Option<u16>,
    },
}

/// Settings of a line; those not given stay out of the file.
pub(super) struct LineSettings {
    baud: Option<u32>,
    format: Option<String>,
}

impl Flags {
    /// What the options say, or otherwise whoever sits at the terminal.
    pub(super) fn choose(
        &self,
        found: &[FoundPort],
        roots: &Roots,
    ) -> Result<Chosen, CommandError> {
        if let Some(address) = &self.tcp {
            return Ok(Chosen::Tcp { address: address.clone() });
        }
        if let Some(address) = &self.udp {
            return Ok(Chosen::Udp { address: address.clone(), local_port: self.local_port });
        }
        if let Some(address) = &self.rfc2217 {
            let line = LineSettings { baud: self.baud, format: self.format.clone() };
            return Ok(Chosen::Rfc2217 { address: address.clone(), line });
        }
        if let Some(path) = &self.port {
            let device = path.canonicalize().unwrap_or_else(|_| path.clone());
            let port = found.iter().position(|port| port.device == *path || port.device == device);
            let by_path = path.display().to_string();
            return match port {
                Some(port) => self.serial(found, port, roots),
                // A port that will be plugged in later, or one that the kernel does not list (a
                // pty).
                None => Ok(Chosen::Serial {
                    yaml: format!("{{ path: {} }}", serde_json::Value::from(by_path.as_str())),
                    uci: vec![format!("option port {}", uci::quoted(&by_path))],
                    port: None,
                    line: LineSettings { baud: self.baud, format: self.format.clone() },
                }),
            };
        }
        if io::stdin().is_terminal() {
            return self.asked(found, roots);
        }
        let what = "say what it reaches: --port /dev/..., --tcp HOST:PORT, --udp HOST:PORT or --rfc2217 HOST:PORT; `wsbridge ports` lists the ports";
        Err(CommandError::new(SysExit::Usage, what))
    }

    fn asked(&self, found: &[FoundPort], roots: &Roots) -> Result<Chosen, CommandError> {
        let ports: Vec<(usize, &FoundPort)> =
            found.iter().enumerate().filter(|(_, port)| port.hardware).collect();
        let mut err = io::stderr();
        for (number, (_, port)) in (1..).zip(&ports) {
            let product = port.usb.as_ref().and_then(|usb| usb.product.clone()).unwrap_or_default();
            let warning =
                serial::warning(&port.device, roots).map(|it| format!("  (refused: {it})"));
            let line = format!(
                "{number:>3}  {}  {product}{}",
                port.device.display(),
                warning.unwrap_or_default()
            );
            // What an adapter says about itself is not ours to trust.
            let _ = writeln!(err, "{}", line.replace(char::is_control, "?"));
        }
        let first = if ports.is_empty() { "" } else { "1" };
        let chosen = ask("Number of a serial port, or HOST:PORT", first)?;
        if let Some((index, _)) =
            chosen.parse::<usize>().ok().and_then(|number| ports.get(number.checked_sub(1)?))
        {
            let baud = match self.baud {
                Some(baud) => baud,
                None => ask("Baud rate", &BAUD.to_string())?.parse().map_err(|_| {
                    CommandError::new(
                        SysExit::Data,
                        "a baud rate is a number like 9600; nothing was added",
                    )
                })?,
            };
            let flags = Self {
                port: None,
                tcp: None,
                rfc2217: None,
                udp: None,
                local_port: None,
                baud: Some(baud),
                format: self.format.clone(),
            };
            return flags.serial(found, *index, roots);
        }
        if chosen.contains(':') {
            return Ok(Chosen::Tcp { address: chosen });
        }
        Err(CommandError::new(
            SysExit::Data,
            format!("`{chosen}` is neither a number of the list nor HOST:PORT; nothing was added"),
        ))
    }

    /// A port on the list that the gateway would accept, at a speed that it can do.
    fn serial(
        &self,
        found: &[FoundPort],
        index: usize,
        roots: &Roots,
    ) -> Result<Chosen, CommandError> {
        let Some(port) = found.get(index) else {
            return Err(CommandError::new(SysExit::Software, "a port of no list"));
        };
        if let Some(warning) = serial::warning(&port.device, roots) {
            return Err(CommandError::new(SysExit::Data, format!("{warning}; nothing was added")));
        }
        let baud = self.baud.unwrap_or(BAUD);
        if let Some(slowest) = port.slowest().filter(|slowest| baud < *slowest) {
            let device = port.device.display();
            let what =
                format!("the adapter of {device} cannot do {baud} baud; {slowest} is its slowest");
            return Err(CommandError::new(SysExit::Data, what));
        }
        Ok(Chosen::Serial {
            yaml: yaml_identity(port, found),
            uci: uci_identity(port, found),
            port: Some(index),
            line: LineSettings { baud: Some(baud), format: self.format.clone() },
        })
    }
}

impl Chosen {
    /// A name to propose: the adapter's product, or the host.
    pub(super) fn name(&self, found: &[FoundPort]) -> String {
        match self {
            Self::Serial { port: Some(index), .. } => {
                found.get(*index).map(name_of).unwrap_or_default()
            }
            Self::Serial { yaml, .. } => slug(yaml.rsplit('/').next().unwrap_or_default(), "line"),
            Self::Rfc2217 { address, .. } | Self::Tcp { address } => slug(address, "tcp"),
            Self::Udp { address, .. } => slug(address, "udp"),
        }
    }

    /// Its lines below the endpoint's name.
    pub(super) fn yaml(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let settings = |line: &LineSettings| {
            let baud = line.baud.map(|baud| format!("    baud: {baud}\n")).unwrap_or_default();
            let format =
                line.format.as_ref().map(|format| format!("    format: {}\n", quoted(format)));
            baud + &format.unwrap_or_default()
        };
        match self {
            Self::Serial { yaml, line, .. } => {
                format!("  serial:\n    port: {yaml}\n{}", settings(line))
            }
            Self::Rfc2217 { address, line } => {
                format!("  rfc2217:\n    address: {}\n{}", quoted(address), settings(line))
            }
            Self::Tcp { address } => format!("  tcp:\n    address: {}\n", quoted(address)),
            Self::Udp { address, local_port } => {
                let local = local_port.map(|port| format!("    local_port: {port}\n"));
                format!("  udp:\n    address: {}\n{}", quoted(address), local.unwrap_or_default())
            }
        }
    }

    /// The options of UCI, each as `NAME` and value.
    pub(super) fn uci(&self) -> Vec<(String, String)> {
        let own = |option: &str, value: &str| (option.to_owned(), value.to_owned());
        let settings = |line: &LineSettings| {
            let baud = line.baud.map(|baud| ("baud".to_owned(), baud.to_string()));
            baud.into_iter().chain(line.format.clone().map(|format| ("format".to_owned(), format)))
        };
        match self {
            Self::Serial { uci, line, .. } => {
                let identity = uci.iter().filter_map(|option| {
                    let (name, value) = option.strip_prefix("option ")?.split_once(' ')?;
                    let value = value.strip_prefix('\'')?.strip_suffix('\'')?.replace("'\\''", "'");
                    Some((name.to_owned(), value))
                });
                std::iter::once(own("type", "serial"))
                    .chain(identity)
                    .chain(settings(line))
                    .collect()
            }
            Self::Rfc2217 { address, line } => [own("type", "rfc2217"), own("address", address)]
                .into_iter()
                .chain(settings(line))
                .collect(),
            Self::Tcp { address } => vec![own("type", "tcp"), own("address", address)],
            Self::Udp { address, local_port } => [own("type", "udp"), own("address", address)]
                .into_iter()
                .chain(local_port.map(|port| own("local_port", &port.to_string())))
                .collect(),
        }
    }
}
