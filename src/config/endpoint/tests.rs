//! What an endpoint may say, what is filled in, what cannot go together.

use super::*;
use crate::{
    config::{DeadManStep, PortIdentity, parse},
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
        read("{ serial: { port: { usb: 0403:6001, serial: 00123, interface: 1 }, format: 7E2, baud: 20000000 } }").unwrap();
    let Target::Serial(serial) = &endpoint.target else { panic!("{endpoint:?}") };
    let id = UsbId { vid: 0x0403, pid: 0x6001 };
    assert_eq!(
        serial.port,
        PortIdentity::Usb { id, serial: Some("00123".into()), interface: Some(1) }
    );
    assert_eq!(serial.settings.to_string(), "20000000 7E2 none");
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
        ("{ serial: { port: /dev/ttyS1, baud: 0 } }", "not from 1 to 20000000"),
        ("{ serial: { port: /dev/ttyS1, baud: 4294967296 } }", "not a whole number"),
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

#[test]
fn the_steps_for_a_lost_writer_fit_the_target_and_stand_one_by_one() {
    for (endpoint, told) in [
        (
            "{ tcp: { address: \"127.0.0.1:1\" }, on_writer_lost: [ { send: a } ] }",
            "own connection",
        ),
        (
            "{ tcp: { address: \"127.0.0.1:1\" }, share: one-writer, on_writer_lost: [ { break: 1s } ] }",
            "`break` is for serial ports",
        ),
        (
            "{ udp: { address: \"127.0.0.1:1\" }, on_writer_lost: [ { signals: { dtr: false } } ] }",
            "`signals` is for serial ports",
        ),
        ("{ serial: { port: /dev/a }, on_writer_lost: [] }", "0 steps"),
        ("{ serial: { port: /dev/a }, on_writer_lost: [ { after: 1s } ] }", "0 steps"),
        (
            "{ serial: { port: /dev/a }, on_writer_lost: [ { send: a }, { after: 1s } ] }",
            "stand in the first item",
        ),
        (
            "{ serial: { port: /dev/a }, on_writer_lost: [ { after: 1s, send: a } ] }",
            "an item of their own",
        ),
        (
            "{ serial: { port: /dev/a }, on_writer_lost: [ { send: a, break: 1s } ] }",
            "one step an item",
        ),
        ("{ serial: { port: /dev/a }, on_writer_lost: [ { sned: a } ] }", "did you mean `send`"),
        (
            "{ serial: { port: /dev/a }, on_writer_lost: [ { wait: 6s }, { wait: 5s } ] }",
            "take at most 10s",
        ),
    ] {
        let error = read(endpoint).unwrap_err();
        assert!(error.contains(told), "{endpoint}\n{error}");
    }
    let endpoint = read(
        "{ serial: { port: /dev/a }, on_writer_lost: [ { after: 0s, on_return: true }, { send: \"\\e\" }, { signals: { dtr: \
         false } }, { break: 250ms }, { restore: settings } ] }",
    );
    let rule = endpoint.unwrap().dead_man.clone().unwrap();
    assert_eq!((rule.after, rule.on_return, rule.steps.len()), (Some(Duration::ZERO), true, 4));
    assert_eq!(rule.steps[0], DeadManStep::Send(vec![0x1b]));
}
