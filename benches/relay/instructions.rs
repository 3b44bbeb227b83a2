//! User-space instructions per message, per KiB, per connection, counted by callgrind: what a weak
//! machine will feel, without its clock. The kernel's part, the larger one, is not in them.

use std::{fs, path::Path, process::Command};

use crate::{
    Outcome,
    connections::open,
    fail,
    relay::{Bridge, Relay, find},
    table::{Row, Table},
    transfer::{Device, Load, Way, float, round_trips, transfer},
};

/// What is done so and so often in one run.
type Work<'a> = &'a dyn Fn(&Device, &Bridge, u64) -> Outcome<()>;

/// A kind of work, how often it is done in the short run and in the long one, and the unit.
struct Count<'a> {
    what: &'a str,
    unit: &'static str,
    times: (u64, u64),
    work: Work<'a>,
}

/// Adds the rows, or says why it cannot.
pub(crate) fn rows(program: &Path, table: &mut Table) -> Outcome<()> {
    let Some(valgrind) = find("valgrind") else {
        return fail("valgrind is missing; type: sudo apt install valgrind".into());
    };
    let move_bytes = |device: &Device, relay: &Relay, way, piece, count: u64| {
        transfer(device, relay, Load { way, piece, total: count * piece as u64 }).map(drop)
    };
    let counts = [
        Count {
            what: "64-byte round trip",
            unit: "instructions/trip",
            times: (200, 1200),
            work: &|device, bridge, n| {
                round_trips(device, &bridge.ws, usize::try_from(n)?).map(drop)
            },
        },
        Count {
            what: "browser → device, 64-byte frames",
            unit: "instructions/frame",
            times: (16_384, 81_920),
            work: &|device, bridge, n| move_bytes(device, &bridge.ws, Way::Up, 64, n),
        },
        Count {
            what: "browser → device, 1 KiB frames",
            unit: "instructions/KiB",
            times: (4096, 20_480),
            work: &|device, bridge, n| move_bytes(device, &bridge.ws, Way::Up, 1024, n),
        },
        Count {
            what: "device → browser, 64 KiB pieces",
            unit: "instructions/64 KiB",
            times: (64, 576),
            work: &|device, bridge, n| move_bytes(device, &bridge.ws, Way::Down, 65_536, n),
        },
        Count {
            what: "connection, ws",
            unit: "instructions/connection",
            times: (20, 120),
            work: &|device, bridge, n| open(device, &bridge.ws, usize::try_from(n)?).map(drop),
        },
        Count {
            what: "connection, wss",
            unit: "instructions/connection",
            times: (10, 40),
            work: &|device, bridge, n| open(device, &bridge.wss, usize::try_from(n)?).map(drop),
        },
    ];
    let device = Device::new()?;
    for count in counts {
        let run = |times| {
            counted(&valgrind, program, &device, |bridge| (count.work)(&device, bridge, times))
        };
        let (few, many) = (run(count.times.0)?, run(count.times.1)?);
        let row = Row::new(count.what, count.unit, None);
        let each = (float(many) - float(few)) / float(count.times.1 - count.times.0);
        table.add(&row, "wsbridge", each);
    }
    Ok(())
}

/// Instructions of a whole run, from start to SIGTERM.
fn counted(
    valgrind: &Path,
    program: &Path,
    device: &Device,
    work: impl FnOnce(&Bridge) -> Outcome<()>,
) -> Outcome<u64> {
    let folder = tempfile::tempdir()?;
    let (log, out) = (folder.path().join("log"), folder.path().join("callgrind.out"));
    let mut command = Command::new(valgrind);
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(format!("--log-file={}", log.display())).arg(program);
    let bridge = Bridge::start_with(command, device.port, (&[], "exclusive", ""))?;
    work(&bridge)?;
    bridge.started.stop()?;
    let log = fs::read_to_string(log)?;
    let collected = log.lines().find_map(|line| line.split_once("Collected :"));
    match collected.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) => Ok(count),
        None => fail(format!("callgrind gave no count: {log}")),
    }
}
