//! What it costs to keep what passes a serial line, beside the same line that nobody keeps.

use std::path::PathBuf;

use crate::{
    Options, Outcome,
    relay::{Bridge, Relay},
    serial::{Line, Pace, paced, transfer},
    table::{Row, Table},
    transfer::{Device, Load, Way},
};

/// A line without, and with what `record:` can ask for.
const KEPT: [(&str, &str); 5] = [
    ("not kept", ""),
    // A key of the whole file, behind its last endpoint.
    ("audited alone", "audit: {}\n"),
    ("pcapng", "    record: {}\n"),
    ("required", "    record: { required: true }\n"),
    ("required, sync", "    record: { required: true, sync: true }\n"),
];

/// The rows: each of them is a ratio to the line that is not kept, taken one right after the other.
pub(crate) fn rows((options, device): (&Options, &Device), table: &mut Table) -> Outcome<()> {
    let mut lines: Vec<(&str, Line, Relay, Bridge)> = Vec::new();
    for (name, keys) in KEPT {
        let line = Line::new()?;
        let paths: &[PathBuf] = std::slice::from_ref(&line.path);
        let bridge = Bridge::with_lines(&options.bridge, device.port, (paths, "exclusive", keys))?;
        lines.push((name, line, bridge.relay("wsbridge", "/ws/line0"), bridge));
    }
    let scale = |bytes: u64| if options.quick { bytes / 8 } else { bytes };
    for (way, direction) in [(Way::Down, "device → browser"), (Way::Up, "browser → device")] {
        for (piece, size, total) in [(64, "64-byte", 2 << 20), (1024, "1 KiB", 16 << 20)] {
            // Each piece of a synced record waits for the disk: less of it tells enough.
            let few = |name: &str| name == "required, sync" && way == Way::Up;
            measure(&lines, table, &format!("serial, KEPT: {direction}, {size}"), |name, it| {
                let load =
                    Load { way, piece, total: scale(if few(name) { total / 8 } else { total }) };
                Ok(transfer(it.0, it.1, load)?.cpu)
            })?;
        }
        let what = format!("line at 3 Mbaud, KEPT: {direction}");
        let pace = Pace { way, seconds: if options.quick { 1 } else { 4 } };
        measure(&lines, table, &what, |_, (line, relay)| paced(line, relay, pace))?;
    }
    Ok(())
}

fn measure(
    lines: &[(&str, Line, Relay, Bridge)],
    table: &mut Table,
    what: &str,
    cost: impl Fn(&str, (&Line, &Relay)) -> Outcome<f64>,
) -> Outcome<()> {
    let mut unkept = None;
    for (name, line, relay, _) in lines {
        let figure = cost(name, (line, relay))?;
        let Some(base) = unkept else {
            unkept = Some(figure);
            continue;
        };
        let row = Row::new(what.replace("KEPT", name), "CPU s/GB", Some("not kept")).goal(1.1, 1.2);
        table.add(&row, "not kept", base);
        table.add(&row, "wsbridge", figure);
    }
    Ok(())
}
