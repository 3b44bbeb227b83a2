//! `wsbridge ports`: the serial ports of this machine, what is known of them, and the YAML to paste.

use std::{
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

use crate::target::serial::{self, FoundPort, Roots, Usb};

/// `EX_IOERR` of sysexits.h.
const EX_IOERR: u8 = 74;

/// Serial ports found: stable identity, driver, who holds them, and the YAML to paste.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge ports
  wsbridge ports --json")]
pub(crate) struct Args {
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
    /// Show names without hardware behind them, too (most PCs have ttyS1 to ttyS3 for nothing)
    #[arg(long)]
    pub(crate) all: bool,
}

/// A port as it is printed.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    port: FoundPort,
    /// Processes that have it open, as far as we may see.
    held_by: Vec<String>,
    /// Why the daemon would refuse it.
    warning: Option<String>,
    /// The endpoint to paste under `endpoints:`.
    yaml: String,
}

/// Prints the list; the exit code of the process.
pub(crate) fn run(args: Args, out: &mut dyn Write) -> u8 {
    let roots = Roots::default();
    let rows =
        rows(&roots, args.all, &|device| serial::holders(device).iter().map(ToString::to_string).collect());
    let printed = if args.json { print_json(&rows, out) } else { print(&rows, out) };
    printed.map_or(EX_IOERR, |()| 0)
}

fn rows(roots: &Roots, all: bool, holders: &dyn Fn(&Path) -> Vec<String>) -> Vec<Row> {
    let ports = serial::find(roots);
    let shown = ports.iter().filter(|port| all || port.hardware);
    shown
        .map(|port| Row {
            held_by: holders(&port.device),
            warning: serial::warning(&port.device, roots).map(|found| found.to_string()),
            yaml: yaml(port, &ports),
            port: port.clone(),
        })
        .collect()
}

/// What goes behind `port:`. An adapter is known by its serial number where that tells it from all others, else by the
/// socket it is plugged into; a port of the board by its device file.
pub(super) fn identity(port: &FoundPort, all: &[FoundPort]) -> String {
    let unique = |serial: &str, usb: &Usb, interface: Option<u8>| {
        all.iter().filter(|other| other.fits(usb.id, Some(serial), interface)).count() == 1
    };
    let by_usb = port.usb.as_ref().and_then(|usb| {
        let serial = usb.serial.as_deref()?;
        // Quoted as JSON, which YAML reads: a serial number may look like a number, or hold anything.
        let quoted = serde_json::to_string(serial).ok()?;
        if unique(serial, usb, None) {
            Some(format!("{{ usb: \"{}\", serial: {quoted} }}", usb.id))
        } else if unique(serial, usb, usb.interface) {
            let interface = usb.interface?;
            Some(format!("{{ usb: \"{}\", serial: {quoted}, interface: {interface} }}", usb.id))
        } else {
            None
        }
    });
    by_usb.unwrap_or_else(|| {
        let path = port.by_path.as_deref().unwrap_or(&port.device);
        format!("{{ path: \"{}\" }}", path.display())
    })
}

/// The endpoint to paste.
fn yaml(port: &FoundPort, all: &[FoundPort]) -> String {
    let identity = identity(port, all);
    format!("  {}:\n    serial:\n      port: {identity}\n      baud: 115200\n      format: 8N1\n", port.name)
}

fn print_json(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, rows)?;
    writeln!(out)
}

fn print(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
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

fn print_row(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let usb = row.port.usb.as_ref();
    let product = usb.map(|usb| {
        let words = [usb.manufacturer.as_deref(), usb.product.as_deref()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    writeln!(out, "{}", row.port.device.display())?;
    let facts = [
        ("by-id", path(&row.port.by_id)),
        ("by-path", path(&row.port.by_path)),
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
            // What an adapter says of itself is not ours: no control byte reaches the terminal.
            writeln!(out, "  {label:<10}{}", value.replace(char::is_control, "?"))?;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::serial::tree::Tree;

    fn text(rows: &[Row]) -> String {
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
            text.contains("ttyUSB0:\n    serial:\n      port: { usb: \"0403:6001\", serial: \"A50285BI\" }"),
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
        assert!(rows[3].yaml.contains("serial/by-path/pci-usb-1-3:1.0-port0\" }"), "{}", rows[3].yaml);
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
        assert!(all.contains("  # refused as it is; see the warning above\n  ttyS0:"), "{all}");
        assert!(!all.contains("  ttyS1:"), "{all}");
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
