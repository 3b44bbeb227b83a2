//! A configuration as people read it: its listeners, its endpoints, and who may do what.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{
    super::table::table,
    doors,
    explain::principals,
    listens::{address, hsts, proxies, serves, tls},
};
use crate::config::{
    Config, Endpoint, OpenWhen, Pacing, Packing, PortControl, PortIdentity, Rights, Share,
    SimDevice, Target, duration_text, size_text,
};

/// Prints it.
pub(super) fn print(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let listeners = config.listen.iter();
    let listeners: Vec<_> = listeners
        .map(|listen| [address(listen), tls(&listen.tls), serves(config, listen)])
        .collect();
    writeln!(out, "{}", table(["LISTEN", "TLS", "SERVES"], &listeners))?;
    if let Some(counted) = proxies(config) {
        writeln!(out, "{counted}\n")?;
    }
    if let Some(promise) = hsts(config) {
        writeln!(out, "{promise}\n")?;
    }

    let endpoints = config.endpoints.values().map(|endpoint| {
        [
            endpoint.name.clone(),
            target(&endpoint.target),
            share(endpoint),
            packing(endpoint.packing),
            pacing(&endpoint.pacing),
            // A dedicated connection keeps nothing.
            endpoint.share.map_or_else(|| "-".into(), |_| size_text(endpoint.history as u64)),
            limits(endpoint),
            endpoint.title.clone().unwrap_or_default(),
        ]
    });
    let heading =
        ["ENDPOINT", "TARGET", "SHARE", "PACKING", "PACING", "HISTORY", "LIMITS", "TITLE"];
    writeln!(out, "{}", table(heading, &endpoints.collect::<Vec<_>>()))?;
    let doors = doors::rows(&config.endpoints);
    if !doors.is_empty() {
        writeln!(out, "{}", table(["DOOR", "ENDPOINT", "OPEN TO", "AS", "LENDS"], &doors))?;
    }

    let mut rights = Vec::new();
    if config.access.open {
        rights.push(["anyone on this machine".into(), "*".into(), Rights::ALL.words().join(" ")]);
    }
    for (who, own) in principals(&config.access) {
        let pages =
            own.0.iter().map(|(pattern, _)| pattern).filter(|pattern| pattern.starts_with('/'));
        let before = rights.len();
        for name in config.endpoints.keys().chain(pages) {
            let may = own.on(name);
            if may != Rights::NONE {
                rights.push([who.clone(), name.clone(), may.words().join(" ")]);
            }
        }
        if rights.len() == before {
            rights.push([who, "-".into(), "nothing".into()]);
        }
    }
    out.write_all(table(["WHO", "ENDPOINT", "MAY"], &rights).as_bytes())
}

fn target(target: &Target) -> String {
    match target {
        Target::Tcp(tcp) => {
            let tls = if tcp.tls.is_some() { " tls" } else { "" };
            format!("tcp {}{tls}", tcp.address)
        }
        Target::DialIn(device) => format!("tcp at {}, {}", device.listen, device.open_to()),
        Target::Rfc2217(remote) => {
            let plain = match remote.control {
                PortControl::Required => "",
                PortControl::Optional => " or plain telnet",
            };
            format!("rfc2217 {}, {}{plain}", remote.tcp.address, remote.settings)
        }
        Target::Serial(serial) => {
            let port = match &serial.port {
                PortIdentity::Path(path) => path.display().to_string(),
                PortIdentity::Usb { id, serial, interface } => {
                    let serial = serial.as_ref().map(|text| format!(" {text}")).unwrap_or_default();
                    let interface =
                        interface.map(|number| format!(" interface {number}")).unwrap_or_default();
                    format!("usb {id}{serial}{interface}")
                }
            };
            let rs485 = if serial.rs485.is_some() { " rs485" } else { "" };
            format!("serial {port}, {}{rs485}", serial.settings)
        }
        Target::Udp(udp) => {
            let local = udp.local_port.map(|port| format!(" local port {port}"));
            format!("udp {udp}{}", local.unwrap_or_default())
        }
        Target::Sim(sim) => format!("sim {}", device(sim.device)),
    }
}

fn device(device: SimDevice) -> &'static str {
    match device {
        SimDevice::Modem => "modem",
        SimDevice::ModbusRtu => "modbus-rtu",
        SimDevice::ModbusTcp => "modbus-tcp",
        SimDevice::Console => "console",
        SimDevice::Echo => "echo",
        SimDevice::EchoTcp => "echo-tcp",
        SimDevice::Source => "source",
        SimDevice::Nmea => "nmea",
    }
}

fn share(endpoint: &Endpoint) -> String {
    let word = match endpoint.share {
        None => return "dedicated".into(),
        Some(Share::Exclusive) => "exclusive",
        Some(Share::OneWriter) => "one-writer",
        Some(Share::Everyone) => "everyone",
    };
    match endpoint.open {
        OpenWhen::Always => word.into(),
        OpenWhen::OnDemand => format!("{word}, on demand"),
    }
}

fn packing(packing: Packing) -> String {
    match packing {
        Packing::None => "none".into(),
        Packing::Idle(idle) => format!("idle {}", duration_text(idle)),
        Packing::Delimiter { bytes, keep, plus } => {
            let cut = if keep { "" } else { ", cut off" };
            let plus = if plus == 0 { String::new() } else { format!(" and {plus} bytes") };
            format!("ends with \"{}\"{plus}{cut}", bytes.as_slice().escape_ascii())
        }
        Packing::Length(length) => format!("{length} bytes"),
        Packing::ModbusRtu { .. } => "modbus-rtu".into(),
    }
}

fn pacing(pacing: &Pacing) -> String {
    let delay = |word: &str, time: Duration| {
        (!time.is_zero()).then(|| format!("{word} {}", duration_text(time)))
    };
    let prompt =
        pacing.prompt.as_ref().map(|prompt| format!("prompt \"{}\"", prompt.text.escape_ascii()));
    let all = [delay("byte", pacing.byte_delay), delay("line", pacing.line_delay), prompt];
    let words = all.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if words.is_empty() { "none".into() } else { words }
}

fn limits(endpoint: &Endpoint) -> String {
    let limits = endpoint.limits;
    let mut all = vec![format!("{} sessions", limits.sessions)];
    all.extend(limits.idle.map(|idle| format!("idle {}", duration_text(idle))));
    all.extend(limits.rate.map(|rate| format!("{}/s", size_text(rate))));
    let lease = endpoint.lease_idle.filter(|_| endpoint.share.is_some());
    all.extend(lease.map(|idle| format!("lease {}", duration_text(idle))));
    all.join(", ")
}
