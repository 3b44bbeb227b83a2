//! A raw door beside socat, the relay that it is: the same bytes, no frames.

use std::time::Duration;

use crate::{
    Options, Outcome, connections,
    relay::{Bridge, Relay},
    table::{Row, Table},
    transfer::{Device, Load, Way, transfer},
};

/// Clients that are idle at a time.
const IDLE: usize = 200;

/// What a byte through a door costs, and what a client that is idle costs.
pub(crate) fn rows(
    (options, device): (&Options, &Device),
    table: &mut Table,
    socat: Option<&Relay>,
) -> Outcome<()> {
    let bridge = Bridge::start(&options.bridge, device.port)?;
    for (way, direction) in [(Way::Down, "device → tool"), (Way::Up, "tool → device")] {
        for (piece, size, total) in [(1024, "1 KiB", 128 << 20), (65_536, "64 KiB", 512 << 20)] {
            let what = format!("door: {direction}, {size} pieces");
            let row = Row::new(what, "CPU s/GB", Some("socat")).goal(1.0, 1.2);
            let load = Load { way, piece, total: if options.quick { total / 8 } else { total } };
            for relay in socat.into_iter().chain([&bridge.door]) {
                table.add(&row, relay.name, transfer(device, relay, load)?.cpu);
            }
        }
    }
    let row = |what: &str, unit| Row::new(what, unit, None);
    let fresh = Bridge::start(&options.bridge, device.port)?;
    let (memory, growth) = connections::memory(device, &fresh.door, IDLE)?;
    table.add(&row("memory of an idle client of a door, of 200", "KiB"), "wsbridge", memory);
    table.add(&row("its growth after traffic, door", "KiB"), "wsbridge", growth);
    let time = Duration::from_secs(if options.quick { 2 } else { 10 });
    let cpu = connections::idle(device, &fresh.door, IDLE, time)?;
    table.add(&row("200 idle clients of a door", "% of a core"), "wsbridge", cpu);
    Ok(())
}
