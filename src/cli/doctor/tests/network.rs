//! Real sockets: addresses that are taken, targets that do not answer or speak something else.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    thread,
};

use super::*;

fn lan(listen: &str) -> String {
    format!("{ALICE}listen: [ {listen} ]\nendpoints: {{ e: {{ sim: echo }} }}")
}

/// The machine's own sockets, which a made-up machine cannot have.
fn real() -> Place {
    let mut place = Place::new();
    place.machine.roots.proc = "/proc".into();
    place
}

#[test]
fn a_port_that_is_taken_is_told_with_its_program() {
    let place = real();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let own = std::process::id();
    for address in [format!("127.0.0.1:{port}"), format!("[::]:{port}"), format!("0.0.0.0:{port}")]
    {
        let found = place.find(&lan(&format!("{{ address: '{address}' }}")));
        found.wrong(
            Id::ListenTaken,
            &[&format!("(pid {own})"), &format!("sudo kill {own}"), "listen: ["],
        );
    }
    place.find(&lan(&format!("{{ address: '[::1]:{port}' }}"))).none(Id::ListenTaken);
    drop(taken);
    place.find(&lan(&format!("{{ address: '127.0.0.1:{port}' }}"))).none(Id::ListenTaken);
}

#[test]
fn an_address_of_another_machine_is_told_with_those_of_this_one() {
    let found = Place::new().find(&lan("{ address: '203.0.113.9:8443' }"));
    found.wrong(Id::ListenNoAddress, &["127.0.0.1", "[::]:8443"]);
}

#[test]
fn an_address_where_a_device_connects_is_told_with_who_may_be_it() {
    let place = Place::new();
    let with = |keys: &str| format!("{ALICE}endpoints: {{ e: {{ tcp: {{ {keys} }} }} }}");
    let told = |keys: &str, id: Id, level: Level, part: &str| {
        place.find(&with(keys)).said(id, level, &[part]);
    };
    told("listen: '127.0.0.1:7007'", Id::Door, Level::Ok, "whoever connects from this machine");
    let open = "listen: '0.0.0.0:7007', from: [ 10.0.0.0/8 ]";
    told(open, Id::DoorOpen, Level::Hint, "whoever connects from 10.0.0.0/8 is the device");
    let known = "listen: '0.0.0.0:7007', from: [ 10.0.0.0/8 ], registration: REG";
    told(known, Id::Door, Level::Ok, "whoever registers from 10.0.0.0/8");
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = with(&format!("listen: '{}'", held.local_addr().unwrap()));
    real().find(&taken).said(Id::DoorTaken, Level::Wrong, &["in use by"]);
}

#[test]
fn a_door_is_told_with_those_it_is_open_to() {
    let place = real();
    let with = |door: &str| {
        format!("{ALICE}endpoints: {{ e: {{ sim: echo, doors: [ {{ {door}, as: alice }} ] }} }}")
    };
    let told = |door: &str, part: &str| {
        place.find(&with(door)).said(Id::Door, Level::Ok, &[part]);
    };
    told("unix: /run/e", "whoever may open the file");
    told("tcp: '127.0.0.1:1'", "every program of this machine");
    let open = with("tcp: '0.0.0.0:1', from: [ 10.0.0.0/8 ], insecure: true");
    place.find(&open).hint(Id::DoorOpen, &["10.0.0.0/8, WITHOUT A LOGIN", "client_ca"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let found = place.find(&with(&format!("tcp: '127.0.0.1:{port}'")));
    found.wrong(Id::DoorTaken, &[&format!("(pid {})", std::process::id()), "a free port"]);
}

#[test]
fn low_ports_are_systemds_to_bind() {
    let place = Place::new();
    let low = lan("{ address: '[::]:443' }");
    place
        .find(&low)
        .wrong(Id::ListenLow, &["ports under 1024", "wsbridge.socket", "systemd:https"]);
    place.write("proc/sys/net/ipv4/ip_unprivileged_port_start", "80\n");
    place.find(&low).none(Id::ListenLow);
    fs::remove_file(place.path("proc/sys/net/ipv4/ip_unprivileged_port_start")).unwrap();
    place.unit("AmbientCapabilities=CAP_NET_BIND_SERVICE\nPrivateUsers=no");
    place.find(&low).none(Id::ListenLow);
}

#[test]
fn loopback_alone_and_plain_http_for_all_are_hints() {
    let place = Place::new();
    let found = place.find(&lan("{ address: '127.0.0.1:8443' }"));
    found.hint(Id::ListenLoopback, &["[::]:8443", "self-signed"]);
    let found = place.find(&lan("{ address: '[::]:8080', tls: none, plain: accepted }"));
    found.hint(Id::ListenPlain, &["tls: self-signed"]);
    found.none(Id::ListenLoopback);
}

#[test]
fn systemds_socket_must_be_there_named_so_and_on() {
    let mut place = Place::new();
    place.machine.ask = |words| {
        (words.first() == Some(&"systemctl") && words.get(1) == Some(&"is-active"))
            .then(|| "active".into())
    };
    let by_systemd = lan("{ address: 'systemd:https' }");
    place.find(&by_systemd).wrong(Id::SocketUnit, &["no wsbridge.socket is installed"]);
    let unit = include_str!("../../../../packaging/systemd/wsbridge.socket");
    place.write("usr/lib/systemd/system/wsbridge.socket", unit);
    place.find(&by_systemd).none(Id::SocketUnit);
    let found = place.find(&lan("{ address: 'systemd:web' }"));
    found.wrong(Id::SocketUnit, &["`https`, not `web`", "systemd:https"]);
    let found = place.find(&lan("{ address: '[::]:443' }"));
    found.wrong(Id::SocketConflict, &["systemd:https", "disable --now wsbridge.socket"]);
    place.machine.ask = |_| None;
    place.find(&by_systemd).wrong(Id::SocketUnit, &["not on", "enable --now wsbridge.socket"]);
}

fn target(target: &str) -> String {
    format!("{PLAIN}endpoints: {{ plc1: {{ {target} }} }}")
}

#[test]
fn targets_are_reached_as_the_daemon_reaches_them() {
    let place = real();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tcp = target(&format!("tcp: {{ address: '{address}' }}"));
    assert!(place.find_with(&tcp, false).one(Id::Target, Level::Ok).is_some());
    drop(listener);
    let found = place.find_with(&tcp, false);
    found.wrong(
        Id::TargetUnreachable,
        &["endpoints.plc1", "refused", &format!("nc -vz 127.0.0.1 {}", address.port())],
    );
    place.find(&tcp).none(Id::TargetUnreachable);
    let nobody = target("tcp: { address: 'plc.invalid:502' }");
    place.find_with(&nobody, false).wrong(
        Id::TargetUnreachable,
        &["plc.invalid cannot be resolved", "getent hosts plc.invalid"],
    );
    let found = place.find_with(&target("tcp: { address: 'unix:/nonexistent/s' }"), false);
    found.wrong(Id::TargetUnreachable, &["ls -l /nonexistent/s"]);
}

#[test]
fn a_target_that_is_connected_already_is_left_alone() {
    let place = real();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _daemons = TcpStream::connect(address).unwrap();
    let found = place.find_with(&target(&format!("tcp: {{ address: '{address}' }}")), false);
    assert!(found.one(Id::Target, Level::Ok).unwrap().what.contains("is connected"));
    listener.set_nonblocking(true).unwrap();
    listener.accept().unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn telnet_behind_tcp_and_raw_tcp_behind_rfc2217_are_told() {
    let place = real();
    let greeting = |bytes: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Ends after the one connection that it serves.
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(bytes).unwrap();
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        (address, server)
    };
    let (address, server) = greeting(&[255, 251, 1, 255, 253, 3]);
    let found = place.find_with(&target(&format!("tcp: {{ address: '{address}' }}")), false);
    found.hint(Id::TargetTelnet, &["speaks telnet", "rfc2217: {", "control: optional"]);
    server.join().unwrap();
    let (address, server) = greeting(b"Login: ");
    let found = place.find_with(
        &target(&format!("rfc2217: {{ address: '{address}', connect_timeout: 1s }}")),
        false,
    );
    found.wrong(Id::TargetTelnet, &["COM-PORT-OPTION", "control: optional", "tcp: { address:"]);
    server.join().unwrap();
}
