//! Endpoints: targets, the rules for them, and what may not go together.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Endpoint, EndpointLimits, OpenWhen, PortIdentity, Rs485, SerialTarget, Share, SimDevice, SimTarget,
    Target, packing,
    port::{Frame, all_macros, settings, signals},
    raw::{self, At, Leaf, Named, OneOf, Placed},
    report::Report,
    rfc2217, tcp,
    units::{Size, duration_text, size_text},
    words::{PortPath, is_name},
};
use crate::settings::{Flow, Step};

/// Resolves all endpoints.
pub(super) fn resolve(
    raw: &Named<Placed<raw::Endpoint>>,
    dead_after: Duration,
    report: &mut Report,
) -> BTreeMap<String, Arc<Endpoint>> {
    if raw.0.is_empty() {
        report.odd(At::default(), "endpoints", "none; nothing is published");
    }
    let mut all = BTreeMap::new();
    for (name, Placed { value, .. }) in &raw.0 {
        let path = format!("endpoints.{}", name.text);
        if !is_name(&name.text) {
            let what =
                "no name for an endpoint; use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit";
            report.wrong(name.at, &path, what);
        }
        if let Some(endpoint) = endpoint(name, value, &path, dead_after, report) {
            all.insert(name.text.clone(), Arc::new(endpoint));
        }
    }
    all
}

fn endpoint(
    name: &Leaf<String>,
    raw: &raw::Endpoint,
    path: &str,
    dead_after: Duration,
    report: &mut Report,
) -> Option<Endpoint> {
    let kinds = [raw.serial.is_some(), raw.rfc2217.is_some(), raw.tcp.is_some(), raw.sim.is_some()];
    if kinds.iter().filter(|there| **there).count() != 1 {
        report.wrong(
            name.at,
            path,
            "has no target or several; write exactly one of `serial:`, `rfc2217:`, `tcp:` and `sim:`",
        );
        return None;
    }
    let (target, macros) = reached(raw, path, dead_after, report);
    let title = raw.title.as_ref().and_then(|title| report.read(&format!("{path}.title"), title));
    let least = Size(4096);
    let bounds = (least, Size(256 << 10), Size(64 << 20));
    let history =
        report.within(&format!("{path}.history"), raw.history.as_ref(), bounds, |size| size_text(size.0));
    let base64 = report.or(&format!("{path}.base64"), raw.base64.as_ref(), false);
    let named = raw.subprotocols.iter();
    let named = named.filter_map(|leaf| report.read(&format!("{path}.subprotocols"), leaf));
    let subprotocols = named.map(|name| name.0).collect();

    let written = raw.share.as_ref().and_then(|leaf| report.read(&format!("{path}.share"), leaf));
    // A device that takes one connection should not be held for ever; a tty that is opened again moves DTR.
    let held = written.is_none() || target.as_ref().is_none_or(is_line);
    let usually = if held { OpenWhen::Always } else { OpenWhen::OnDemand };
    let open = report.or(&format!("{path}.open"), raw.open.as_ref(), usually);
    let target = target?;
    let limits = limits(&raw.limits, &target, &format!("{path}.limits"), report);
    let share = written.or(is_line(&target).then_some(Share::OneWriter));
    let packing = packing::packing(raw.packing.as_ref(), &target, &format!("{path}.packing"), report);
    let slow = packing::pacing(raw.pacing.as_ref(), share, &format!("{path}.pacing"), report);
    let lease_idle = raw.lease_idle.as_ref().map(|leaf| {
        let bounds = (Duration::from_secs(1), Duration::from_secs(600), Duration::from_secs(30 * 86_400));
        report.within(&format!("{path}.lease_idle"), Some(leaf), bounds, duration_text)
    });
    if let (None, Some(leaf)) = (share, &raw.open) {
        report.odd(leaf.at, &format!("{path}.open"), "has no effect: each session has its own connection");
    }
    if let (None | Some(Share::Everyone), Some(leaf)) = (share, &raw.lease_idle) {
        report.odd(
            leaf.at,
            &format!("{path}.lease_idle"),
            "has no effect: nobody needs a lease to write here",
        );
    }
    let history = usize::try_from(history.0).unwrap_or(usize::MAX);
    Some(Endpoint {
        name: name.text.clone(),
        title,
        target,
        share,
        history,
        open,
        lease_idle,
        packing,
        pacing: slow,
        base64,
        subprotocols,
        limits,
        macros,
    })
}

/// The target of an endpoint, and the macros of its port.
fn reached(
    raw: &raw::Endpoint,
    path: &str,
    dead_after: Duration,
    report: &mut Report,
) -> (Option<Target>, BTreeMap<String, Vec<Step>>) {
    let mut macros = BTreeMap::new();
    let target = if let Some(serial) = &raw.serial {
        let path = format!("{path}.serial");
        macros = all_macros(&serial.value.macros, &path, report);
        serial_target(&serial.value, &path, report).map(Target::Serial)
    } else if let Some(remote) = &raw.rfc2217 {
        let path = format!("{path}.rfc2217");
        macros = all_macros(&remote.macros, &path, report);
        rfc2217::resolve(remote, &path, dead_after, report).map(Target::Rfc2217)
    } else if let Some(tcp) = &raw.tcp {
        tcp::tcp_target(tcp, &format!("{path}.tcp"), dead_after, report).map(Target::Tcp)
    } else {
        let device = raw.sim.as_ref().and_then(|sim| report.read(&format!("{path}.sim"), sim));
        device.map(|device| Target::Sim(SimTarget { device }))
    };
    (target, macros)
}

/// Whether there is one device for all sessions, not a connection for each.
fn is_line(target: &Target) -> bool {
    match target {
        Target::Serial(_) | Target::Rfc2217(_) => true,
        Target::Tcp(_) => false,
        Target::Sim(sim) => match sim.device {
            SimDevice::Modem | SimDevice::ModbusRtu | SimDevice::Console | SimDevice::Echo => true,
            SimDevice::ModbusTcp | SimDevice::EchoTcp | SimDevice::Source => false,
        },
    }
}

fn limits(raw: &raw::EndpointLimits, target: &Target, path: &str, report: &mut Report) -> EndpointLimits {
    let sessions = (1, 16, 10_000);
    let sessions =
        report.within(&format!("{path}.sessions"), raw.sessions.as_ref(), sessions, |n| n.to_string());
    let day = Duration::from_secs(86_400);
    let second = Duration::from_secs(1);
    let idle = raw.idle.as_ref().map(|leaf| {
        report.within(&format!("{path}.idle"), Some(leaf), (second, day, 365 * day), duration_text)
    });
    // A serial line may stand still for as long as its device holds it (flow control) and be well.
    let usually = if is_line(target) { 30 * second } else { 5 * second };
    let linger = (Duration::ZERO, usually, 3600 * second);
    let linger = report.within(&format!("{path}.linger"), raw.linger.as_ref(), linger, duration_text);
    let linger_max = (Duration::ZERO, 600 * second, 3600 * second);
    let linger_max =
        report.within(&format!("{path}.linger_max"), raw.linger_max.as_ref(), linger_max, duration_text);
    let rate = raw.rate.as_ref().and_then(|leaf| report.read(&format!("{path}.rate"), leaf));
    let sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
    EndpointLimits { sessions, idle, rate: rate.map(|rate| rate.0), linger, linger_max }
}

fn serial_target(raw: &raw::Serial, path: &str, report: &mut Report) -> Option<SerialTarget> {
    let port = port(&raw.port, &format!("{path}.port"), report);
    let rs485 = raw.rs485.as_ref().map(|raw| rs485(&raw.value, &format!("{path}.rs485"), report));
    let written = Frame { baud: &raw.baud, format: &raw.format, flow: &raw.flow };
    let settings = settings(written, path, report);
    if let (Some(written), Flow::Hardware) = (&raw.rs485, settings.flow) {
        let what = "RTS cannot switch the direction and control the flow; use `flow: none`";
        report.wrong(written.at, &format!("{path}.rs485"), what);
    }
    let (on_open, on_release) = signals(&raw.signals, path, report);
    let low_latency = report.or(&format!("{path}.low_latency"), raw.low_latency.as_ref(), true);
    let allow_console = report.or(&format!("{path}.allow_console"), raw.allow_console.as_ref(), false);
    Some(SerialTarget { port: port?, settings, rs485, on_open, on_release, low_latency, allow_console })
}

fn port(raw: &Placed<OneOf<PortPath, raw::Port>>, path: &str, report: &mut Report) -> Option<PortIdentity> {
    let map = match &raw.value {
        OneOf::Word(text, _) => {
            return report.read_text::<PortPath>(path, text, raw.at).map(|path| PortIdentity::Path(path.0));
        }
        OneOf::Map(map) => map,
    };
    match (&map.usb, &map.path) {
        (Some(usb), None) => {
            let id = report.read(&format!("{path}.usb"), usb);
            let serial = map.serial.as_ref().and_then(|leaf| report.read(&format!("{path}.serial"), leaf));
            let interface = map.interface.as_ref().map(|leaf| {
                report.within(&format!("{path}.interface"), Some(leaf), (0, 0, 255), |n| n.to_string())
            });
            let interface = interface.and_then(|number| u8::try_from(number).ok());
            Some(PortIdentity::Usb { id: id?, serial, interface })
        }
        (None, Some(device)) if map.serial.is_none() && map.interface.is_none() => {
            report.read(&format!("{path}.path"), device).map(|path| PortIdentity::Path(path.0))
        }
        _ => {
            let what = "write a path, or { usb: \"VID:PID\" } with `serial` and `interface` as needed; `wsbridge \
                        ports` prints what to paste";
            report.wrong(raw.at, path, what);
            None
        }
    }
}

fn rs485(raw: &raw::Rs485, path: &str, report: &mut Report) -> Rs485 {
    let mut flag =
        |key, leaf: Option<&Leaf<bool>>, default| report.or(&format!("{path}.{key}"), leaf, default);
    let rts_on_send = flag("rts_on_send", raw.rts_on_send.as_ref(), true);
    let rts_after_send = flag("rts_after_send", raw.rts_after_send.as_ref(), false);
    let rx_during_tx = flag("rx_during_tx", raw.rx_during_tx.as_ref(), false);
    let terminate = flag("terminate", raw.terminate.as_ref(), false);
    // The kernel cuts longer ones (RS485_MAX_RTS_DELAY).
    let bounds = (Duration::ZERO, Duration::ZERO, Duration::from_millis(100));
    let mut delay = |key, leaf: Option<&Leaf<Duration>>| {
        report.within(&format!("{path}.{key}"), leaf, bounds, duration_text)
    };
    let delay_before = delay("delay_before", raw.delay_before.as_ref());
    let delay_after = delay("delay_after", raw.delay_after.as_ref());
    Rs485 { rts_on_send, rts_after_send, rx_during_tx, terminate, delay_before, delay_after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::parse,
        settings::{Levels, Settings, UsbId},
    };

    fn read(endpoint: &str) -> Result<Arc<Endpoint>, String> {
        let text = format!("auth: none\nendpoints:\n  e: {endpoint}\n");
        let parsed = parse(&text, "w.yaml", &|_| Err(String::new())).map_err(|error| error.to_string());
        parsed.map(|(config, _)| Arc::clone(&config.endpoints["e"]))
    }

    #[test]
    fn defaults_are_filled_in() {
        let endpoint = read("{ serial: { port: /dev/ttyS1 } }").unwrap();
        let Target::Serial(serial) = &endpoint.target else { panic!("{endpoint:?}") };
        assert_eq!(serial.settings, Settings::default());
        assert!(
            serial.on_open.is_empty()
                && serial.on_release.is_empty()
                && serial.low_latency
                && !serial.allow_console
        );
        assert_eq!(
            (endpoint.share, endpoint.history, endpoint.base64),
            (Some(Share::OneWriter), 256 << 10, false)
        );
        assert_eq!(endpoint.limits.idle, None);
        let endpoint = read("{ tcp: { address: 'plc:502', keepalive: 0s } }").unwrap();
        let Target::Tcp(tcp) = &endpoint.target else { panic!("{endpoint:?}") };
        assert_eq!(
            (endpoint.share, tcp.keepalive, tcp.connect_timeout),
            (None, None, Duration::from_secs(5))
        );
        assert_eq!(read("{ sim: modem }").unwrap().share, Some(Share::OneWriter));
        assert_eq!(read("{ sim: echo-tcp }").unwrap().share, None);
        let shared = read("{ tcp: { address: 'plc:502' }, share: everyone }").unwrap();
        assert_eq!((shared.open, endpoint.lease_idle), (OpenWhen::OnDemand, None));
    }

    #[test]
    fn words_that_look_like_numbers_need_no_quotes() {
        let endpoint =
            read("{ serial: { port: { usb: 0403:6001, serial: 00123, interface: 1 }, format: 7E2, baud: 4294967295 } }").unwrap();
        let Target::Serial(serial) = &endpoint.target else { panic!("{endpoint:?}") };
        let id = UsbId { vid: 0x0403, pid: 0x6001 };
        assert_eq!(serial.port, PortIdentity::Usb { id, serial: Some("00123".into()), interface: Some(1) });
        assert_eq!(serial.settings.to_string(), "4294967295 7E2 none");
    }

    #[test]
    fn macros_are_steps_of_bounded_number_and_time() {
        let macros = |steps: &str| {
            read(&format!("{{ serial: {{ port: /dev/ttyS1, macros: {{ m: [ {steps} ] }} }} }}"))
        };
        let endpoint =
            macros("{ rts: true, dtr: false, wait_ms: 100 }, { rts: false, break: true }").unwrap();
        let steps = &endpoint.macros["m"];
        assert_eq!(steps[0].change, Levels { dtr: Some(false), rts: Some(true), brk: None });
        assert_eq!(steps[0].hold, Duration::from_millis(100));
        assert_eq!(steps[1].change.brk, Some(true));
        for wrong in ["", "{ wait_ms: 10001 }", &"{ dtr: true }, ".repeat(33)] {
            assert!(macros(wrong).unwrap_err().contains("1 to 32 steps"), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_go_together_is_refused_with_a_way_out() {
        for (endpoint, part) in [
            ("{}", "exactly one of"),
            ("{ sim: echo, tcp: { address: 'h:1' } }", "exactly one of"),
            ("{ serial: { port: /dev/ttyS1, baud: 0 } }", "not from 1 to 4294967295"),
            ("{ serial: { port: /dev/ttyS1, baud: 4294967296 } }", "no whole number"),
            ("{ serial: { port: /dev/ttyS1, flow: rtscts, rs485: {} } }", "flow: none"),
            ("{ serial: { port: { serial: A1 } } }", "wsbridge ports"),
            ("{ serial: { port: /dev/ttyS1, signals: { on_open: up } } }", "`keep`"),
            ("{ sim: echo, share: one-wirter }", "did you mean `one-writer`?"),
            ("{ tcp: { address: 'h:1', tls: { key: /k } } }", "go together"),
            ("{ tcp: { address: 'unix:/s', tls: {} } }", "server_name"),
            ("{ sim: echo, history: 1KiB }", "not from 4KiB to 64MiB"),
            ("{ sim: ehco }", "did you mean `echo`?"),
        ] {
            let error = read(endpoint).unwrap_err();
            assert!(error.contains(part) && error.contains("w.yaml:3:"), "{endpoint}\n{error}");
        }
    }

    #[test]
    fn null_is_the_same_as_leaving_a_key_out() {
        let endpoint = read("{ title: null, serial: { port: /dev/ttyS1, rs485: null } }").unwrap();
        assert_eq!(endpoint, read("{ serial: { port: /dev/ttyS1 } }").unwrap());
    }
}
