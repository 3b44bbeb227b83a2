//! `wsbridge ports`: the serial ports of this machine, what is known about them, and the YAML or
//! UCI to paste.

use std::{
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

use crate::{
    config::uci,
    target::serial::{self, FoundPort, Roots, Usb},
};

/// `EX_IOERR` of sysexits.h.
const EX_IOERR: u8 = 74;

/// Serial ports found: stable identity, driver, who holds them, and the YAML to paste.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge ports
  wsbridge ports --json
  wsbridge ports --uci >> /etc/config/wsbridge")]
pub(crate) struct Args {
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
    /// Print only the sections for OpenWrt's UCI
    #[arg(long, conflicts_with = "json")]
    pub(crate) uci: bool,
    /// Also show names without hardware behind them (most PCs have ttyS1 to ttyS3 for nothing)
    #[arg(long)]
    pub(crate) all: bool,
}

/// A port, as it is printed.
#[derive(Debug, Serialize)]
struct PortRow {
    #[serde(flatten)]
    port: FoundPort,
    /// Processes that have it open, as far as we can see.
    held_by: Vec<String>,
    /// Why the daemon would refuse it.
    warning: Option<String>,
    /// The endpoint to paste under `endpoints:`.
    yaml: String,
    /// The section of OpenWrt's /etc/config/wsbridge.
    uci: String,
}

/// Prints the list; the exit code of the process.
pub(crate) fn run(args: Args, out: &mut dyn Write) -> u8 {
    let roots = Roots::default();
    let rows = rows(&roots, args.all, &|device| {
        serial::holders(device).iter().map(ToString::to_string).collect()
    });
    let printed = match (args.json, args.uci) {
        (true, _) => print_json(&rows, out),
        (_, true) => print_uci(&rows, out),
        _ => print(&rows, out),
    };
    printed.map_or(EX_IOERR, |()| 0)
}

fn rows(roots: &Roots, all: bool, holders: &dyn Fn(&Path) -> Vec<String>) -> Vec<PortRow> {
    let ports = serial::find(roots);
    let shown = ports.iter().filter(|port| all || port.hardware);
    shown
        .map(|port| PortRow {
            held_by: holders(&port.device),
            warning: serial::warning(&port.device, roots).map(|found| found.to_string()),
            yaml: yaml(port, &ports),
            uci: section(port, &ports),
            port: port.clone(),
        })
        .collect()
}

/// How the configuration says which port it is. An adapter is identified by its serial number if
/// that tells it from all others, otherwise by the socket it is plugged into; a port on the board,
/// by its device file.
enum Identity {
    Usb { id: String, serial: String, interface: Option<u8> },
    Path(String),
}

fn identity(port: &FoundPort, all: &[FoundPort]) -> Identity {
    let unique = |serial: &str, usb: &Usb, interface: Option<u8>| {
        all.iter().filter(|other| other.fits(usb.id, Some(serial), interface)).count() == 1
    };
    let by_usb = port.usb.as_ref().and_then(|usb| {
        let serial = usb.serial.clone()?;
        let interface = match (unique(&serial, usb, None), usb.interface) {
            (true, _) => None,
            (false, Some(interface)) if unique(&serial, usb, usb.interface) => Some(interface),
            _ => return None,
        };
        Some(Identity::Usb { id: usb.id.to_string(), serial, interface })
    });
    let path = port.by_path.as_deref().unwrap_or(&port.device);
    by_usb.unwrap_or_else(|| Identity::Path(path.display().to_string()))
}

/// A name for its endpoint: the adapter's product, or the device's name.
pub(super) fn name_of(port: &FoundPort) -> String {
    let product = port.usb.as_ref().and_then(|usb| usb.product.as_deref()).unwrap_or_default();
    slug(product, &port.name)
}

/// A text in the letters that an endpoint's name may have; `otherwise` if nothing is left of it.
pub(super) fn slug(text: &str, otherwise: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.collect::<Vec<_>>().join("-").chars().take(40).collect();
    if slug.is_empty() { otherwise.to_lowercase() } else { slug.trim_end_matches('-').to_owned() }
}

/// [`name_of`], with a number if several ports have one product.
fn name(port: &FoundPort, all: &[FoundPort]) -> String {
    let own = name_of(port);
    let same = |other: &&FoundPort| other.hardware && name_of(other) == own;
    let before = all.iter().filter(same).position(|other| other.device == port.device).unwrap_or(0);
    if before == 0 { own } else { format!("{own}-{}", before + 1) }
}

/// The value for `port:`.
pub(super) fn yaml_identity(port: &FoundPort, all: &[FoundPort]) -> String {
    // Quoted as JSON, which YAML can read: a serial number may look like a number, or contain
    // anything.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match identity(port, all) {
        Identity::Path(path) => format!("{{ path: {} }}", quoted(&path)),
        Identity::Usb { id, serial, interface } => {
            let interface =
                interface.map(|number| format!(", interface: {number}")).unwrap_or_default();
            format!("{{ usb: \"{id}\", serial: {}{interface} }}", quoted(&serial))
        }
    }
}

/// The endpoint to paste under `endpoints:`.
fn yaml(port: &FoundPort, all: &[FoundPort]) -> String {
    let identity = yaml_identity(port, all);
    format!(
        "  {}:\n    serial:\n      port: {identity}\n      baud: 115200\n      format: 8N1\n",
        name(port, all)
    )
}

/// The options of OpenWrt's UCI that identify the port.
pub(super) fn uci_identity(port: &FoundPort, all: &[FoundPort]) -> Vec<String> {
    let quoted = uci::quoted;
    match identity(port, all) {
        Identity::Path(path) => vec![format!("option port {}", quoted(&path))],
        Identity::Usb { id, serial, interface } => {
            let interface = interface.map(|number| format!("option interface '{number}'"));
            let usb = [format!("option usb '{id}'"), format!("option serial {}", quoted(&serial))];
            usb.into_iter().chain(interface).collect()
        }
    }
}

/// The section to paste into OpenWrt's file.
fn section(port: &FoundPort, all: &[FoundPort]) -> String {
    let identity = format!("\t{}\n", uci_identity(port, all).join("\n\t"));
    let name = name(port, all);
    // UCI allows no `-` in the name of a section, and a section without a name cannot be referred
    // to.
    let mut head = uci::section("endpoint", &name.replace('-', "_"));
    if name.contains('-') {
        head.extend(["\toption name '", &name, "'\n"]);
    }
    format!(
        "\n{head}\toption type 'serial'\n{identity}\toption baud '115200'\n\toption format '8N1'\n"
    )
}

fn print_json(rows: &[PortRow], out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, rows)?;
    writeln!(out)
}

/// Prints what can be used as it is: a port with a warning would be refused.
fn print_uci(rows: &[PortRow], out: &mut dyn Write) -> io::Result<()> {
    let mut usable = rows.iter().filter(|row| row.port.hardware && row.warning.is_none());
    usable.try_for_each(|row| out.write_all(row.uci.as_bytes()))
}

fn print(rows: &[PortRow], out: &mut dyn Write) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(
            out,
            "No serial port found.\n\
             A USB adapter that is plugged in but not listed has no driver in this kernel: see `dmesg`.\n\
             In a container, hand the device in (`--device /dev/ttyUSB0`) and mount /sys and /run/udev."
        );
    }
    for row in rows {
        print_row(row, out)?;
    }
    writeln!(out, "To publish one, paste its lines into the configuration:\n\nendpoints:")?;
    for row in rows.iter().filter(|row| row.port.hardware) {
        if row.warning.is_some() {
            writeln!(out, "  # refused as it is; see the warning above")?;
        }
        write!(out, "{}", row.yaml)?;
    }
    Ok(())
}

fn print_row(row: &PortRow, out: &mut dyn Write) -> io::Result<()> {
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let usb = row.port.usb.as_ref();
    let links: Vec<_> = row.port.links.iter().map(|link| link.display().to_string()).collect();
    let product = usb.map(|usb| {
        let words = [usb.manufacturer.as_deref(), usb.product.as_deref()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    writeln!(out, "{}", row.port.device.display())?;
    let facts = [
        ("by-id", path(&row.port.by_id)),
        ("by-path", path(&row.port.by_path)),
        ("links", (!row.port.links.is_empty()).then(|| links.join(" "))),
        ("driver", row.port.driver.clone()),
        ("usb", usb.map(|usb| usb.id.to_string())),
        ("serial", usb.and_then(|usb| usb.serial.clone())),
        ("interface", usb.and_then(|usb| usb.interface).map(|number| number.to_string())),
        ("product", product),
        ("hardware", (!row.port.hardware).then(|| "none behind this name".into())),
        ("held by", (!row.held_by.is_empty()).then(|| row.held_by.join(", "))),
        ("warning", row.warning.clone()),
    ];
    for (label, value) in facts {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            // What an adapter says about itself is not ours to trust: no control byte reaches the
            // terminal.
            writeln!(out, "  {label:<10}{}", value.replace(char::is_control, "?"))?;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::serial::tree::Tree;

    fn text(rows: &[PortRow]) -> String {
        let mut out = Vec::new();
        print(rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_unique_serial_number_is_the_identity_to_paste() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "A50285BI", 0));
        let rows = rows(&tree.roots, false, &|_| vec!["picocom (pid 123)".into()]);
        let text = text(&rows);
        assert!(
            text.contains(
                "usb-rs232-cable:\n    serial:\n      port: { usb: \"0403:6001\", serial: \"A50285BI\" }"
            ),
            "{text}"
        );
        assert!(text.contains("held by   picocom (pid 123)"), "{text}");
        assert!(text.contains("product   USB-RS232 Cable"), "{text}");
    }

    #[test]
    fn two_ports_of_one_adapter_differ_by_interface_and_twins_by_their_socket() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6010", "FT1", 0));
        tree.usb("ttyUSB1", "1-1", ("0403:6010", "FT1", 1));
        tree.usb("ttyUSB2", "1-2", ("1a86:7523", "0001", 0));
        tree.usb("ttyUSB3", "1-3", ("1a86:7523", "0001", 0));
        let rows = rows(&tree.roots, false, &|_| Vec::new());
        assert!(rows[1].yaml.contains("serial: \"FT1\", interface: 1 }"), "{}", rows[1].yaml);
        let names: Vec<_> =
            rows.iter().map(|row| row.yaml.split(':').next().unwrap().trim()).collect();
        let product = "usb-rs232-cable";
        assert_eq!(
            names,
            [product, &format!("{product}-2"), &format!("{product}-3"), &format!("{product}-4")]
        );
        assert!(
            rows[3].yaml.contains("serial/by-path/pci-usb-1-3:1.0-port0\" }"),
            "{}",
            rows[3].yaml
        );
    }

    #[test]
    fn what_is_to_be_pasted_is_a_configuration() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6010", "FT'1", 0));
        tree.usb("ttyUSB1", "1-1", ("0403:6010", "FT'1", 1));
        tree.tty("ttyS0", "sys/devices/serial0", "serial8250", 4);
        let rows = rows(&tree.roots, false, &|_| Vec::new());
        let yaml: String = rows.iter().map(|row| row.yaml.as_str()).collect();
        let yaml = crate::config::parse(&format!("auth: none\nendpoints:\n{yaml}"), "y", &|_| {
            Err(String::new())
        });
        let mut out = b"config wsbridge main\noption auth none\n".to_vec();
        print_uci(&rows, &mut out).unwrap();
        let uci = String::from_utf8(out).unwrap();
        let uci = crate::config::parse_uci(&uci, "u", &|_| Err(String::new())).unwrap().0;
        assert_eq!(uci.endpoints, yaml.unwrap().0.endpoints);
        assert_eq!(uci.endpoints.len(), 3);
    }

    #[test]
    fn links_that_udev_made_by_a_rule_are_shown() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
        tree.write("sys/devices/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0/dev", "188:0\n");
        tree.write(
            "run/udev/data/c188:0",
            "S:serial/by-id/usb-A1-if00-port0\nS:modem1\nE:ID_BUS=usb\nS:serial/by-path/x\n",
        );
        let rows = rows(&tree.roots, false, &|_| Vec::new());
        let modem = tree.roots.dev.join("modem1");
        assert_eq!(rows[0].port.links.first(), Some(&modem));
        assert!(text(&rows).contains(&format!("links     {}\n", modem.display())));
    }

    #[test]
    fn names_without_hardware_are_hidden_and_consoles_warned_of() {
        let tree = Tree::new();
        tree.tty("ttyS0", "sys/devices/serial0", "serial8250", 4);
        tree.tty("ttyS1", "sys/devices/serial1", "serial8250", 0);
        tree.write("sys/class/tty/console/active", "ttyS0\n");
        let found = rows(&tree.roots, false, &|_| Vec::new());
        assert_eq!(found.len(), 1);
        assert!(found[0].warning.as_ref().unwrap().contains("kernel's console"));
        let all = text(&rows(&tree.roots, true, &|_| Vec::new()));
        assert!(all.contains("hardware  none behind this name"), "{all}");
        assert!(all.contains("  # refused as it is; see the warning above\n  ttys0:"), "{all}");
        assert!(!all.contains("  ttys1:"), "{all}");
    }

    #[test]
    fn nothing_found_says_what_to_look_at() {
        assert!(text(&[]).contains("dmesg"));
        let mut out = Vec::new();
        print_json(&[], &mut out).unwrap();
        assert_eq!(out, b"[]\n");
    }

    #[test]
    fn json_gives_every_fact_by_name() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
        let mut out = Vec::new();
        print_json(&rows(&tree.roots, false, &|_| Vec::new()), &mut out).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value[0]["usb"]["id"], "0403:6001");
        assert_eq!(value[0]["driver"], "ftdi_sio");
        assert!(value[0]["yaml"].as_str().unwrap().contains("A1"));
    }
}
