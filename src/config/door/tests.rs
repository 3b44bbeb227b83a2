//! Doors: what is read, what is refused, and in which words.

use std::sync::Arc;

use super::*;
use crate::config::resolve::tests::{good, mistakes};

const PEOPLE: &str = "tokens:\n  ci:\n    sha256: \"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f\"\n    rights: { \"*\": [ read, write, signals ] }\n";

fn text(door: &str) -> String {
    format!("{PEOPLE}endpoints:\n  e:\n    sim: echo\n    doors: [ {{ {door} }} ]\n")
}

fn read(door: &str) -> Door {
    let (config, _) = good(&text(door));
    Arc::clone(&config.endpoints["e"]).doors[0].clone()
}

#[test]
fn a_door_lends_reading_and_writing_of_somebody() {
    let door = read("tcp: '127.0.0.1:2001', as: ci");
    assert_eq!(door.way, DoorWay::Tcp("127.0.0.1:2001".parse().unwrap()));
    assert_eq!(door.who.as_deref(), Some("ci"));
    assert_eq!(door.lends, Rights::READ.with(Rights::WRITE));
    assert!(door.screened && !door.hold);
    let door = read(
        "rfc2217: '[::1]:2217', as: ci, rights: [ read, write, signals ], http: allow, hold: true",
    );
    assert!(door.lends.allows(Rights::SIGNALS) && !door.screened && door.hold);
    assert_eq!(read("unix: /run/e, as: ci").way, DoorWay::Unix("/run/e".into()));
    assert_eq!(read("unix: /run/e, as: ci").way.to_string(), "unix /run/e");
    let node = read("pty: /run/wsbridge/e, as: ci, rights: [ read, write, settings ], hold: true");
    assert_eq!(node.way, DoorWay::Pty("/run/wsbridge/e".into()));
    assert!(node.way.is_local() && node.open_to().contains("group"));
    let tls = read("tls: '127.0.0.1:1', as: ci").way;
    assert_eq!(*tls.tls(), ListenTls::SelfSigned);
}

#[test]
fn other_machines_come_in_only_where_it_is_said_twice() {
    for (door, fine) in [
        ("tcp: '0.0.0.0:1', as: ci", false),
        ("tcp: '0.0.0.0:1', as: ci, from: [ 10.0.0.0/8 ]", false),
        ("tcp: '0.0.0.0:1', as: ci, insecure: true", false),
        ("tcp: '0.0.0.0:1', as: ci, insecure: true, from: [ 10.0.0.0/8 ]", true),
        ("rfc2217: '[::]:1', as: ci", false),
        ("tls: '[::]:1', as: ci", false),
        ("tls: '[::]:1', certificate: /c, key: /k, client_ca: /a", true),
    ] {
        if fine {
            read(door);
        } else {
            let told = mistakes(&text(door));
            assert!(told.contains("w.yaml:8:") && told.contains("insecure: true"), "{told}");
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_a_way_out() {
    for (door, part) in [
        ("as: ci", "leads nowhere; write exactly one of `tcp:`"),
        ("tcp: '127.0.0.1:1', unix: /s, as: ci", "exactly one of"),
        ("tcp: '127.0.0.1:1'", "nobody could come in; write `as: NAME`"),
        ("tcp: '127.0.0.1:1', as: bob", "there is no user or token `bob`"),
        ("tcp: 'localhost', as: ci", "IP:PORT"),
        ("tcp: '127.0.0.1:8443', as: ci", "taken by another door or listener"),
        ("unix: /s, from: [ 10.0.0.0/8 ], as: ci", "only TCP has networks"),
        ("pty: /s, from: [ 10.0.0.0/8 ], as: ci", "only TCP has networks"),
        ("pty: /s, insecure: true, as: ci", "no other machine reaches a device node"),
        ("pty: /s, http: allow, as: ci", "no web page reaches a device node"),
        ("pty: /s, banner: true, as: ci", "only `rfc2217` can carry it"),
        ("tls: '127.0.0.1:1', client_ca: /a, as: ci", "goes with `certificate`"),
        ("tcp: '127.0.0.1:1', as: ci, http: yes", "not known here"),
    ] {
        let told = mistakes(&text(door));
        assert!(told.contains(part), "{door}\n{told}");
    }
    let udp = text("tcp: '127.0.0.1:1', as: ci").replace("sim: echo", "sim: nmea");
    assert!(mistakes(&udp).contains("keeps no borders"));
    let (_, warnings) = good(&text("tcp: '127.0.0.1:1', as: ci, rights: [ read, settings ]"));
    assert!(format!("{warnings:?}").contains("bytes alone pass here"), "{warnings:?}");
    let (_, warnings) = good(&text("pty: /s, as: ci, rights: [ read, settings, signals ]"));
    assert!(format!("{warnings:?}").contains("a node has no modem lines"), "{warnings:?}");
    let (_, warnings) = good(&text("pty: /s, as: ci, rights: [ read, settings ]"));
    assert!(!format!("{warnings:?}").contains("has no effect"), "{warnings:?}");
}

#[test]
fn a_door_is_announced_where_somebody_could_come_by_it() {
    let told = |door: &str, more: &str| {
        let (config, warnings) = good(&format!("{more}{}", text(door)));
        let told = warnings.iter().map(ToString::to_string).collect::<String>();
        (config.endpoints["e"].doors[0].announced, told)
    };
    let open = "rfc2217: '192.0.2.1:1', as: ci, from: [ 192.0.2.0/24 ], insecure: true";
    assert_eq!(told(open, ""), (false, String::new()));
    assert_eq!(told(&format!("{open}, announce: true"), ""), (true, String::new()));
    let (_, silent) = told(&format!("{open}, announce: true"), "mdns: false\n");
    assert!(silent.contains("no effect with `mdns: false`"), "{silent}");
    let (_, local) = told("rfc2217: '127.0.0.1:1', as: ci, announce: true", "");
    assert!(local.contains("only this machine reaches the door"), "{local}");
    let (_, raw) = told("tcp: '127.0.0.1:1', as: ci, announce: true", "");
    assert!(raw.contains("only `rfc2217` is looked for"), "{raw}");
}
