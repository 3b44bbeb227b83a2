//! `wsbridge connect`: a line of a gateway, for programs on another computer.

mod comport;
mod file;
mod programs;
mod pty;
pub(crate) mod terminal;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    process::Stdio,
    thread,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Daemon, Pty, Target, Technician, Wire, access::tokens, cutter::Cutter, noise, page, until,
};

/// What `connect` needs to reach an endpoint of a daemon.
pub(crate) fn url(daemon: &Daemon, endpoint: &str) -> String {
    format!("http://{}/{endpoint}", daemon.address())
}

/// Sends bytes to an echo and gets them back, whatever is cut.
pub(crate) fn echoed(stream: &TcpStream, bytes: &[u8]) {
    thread::scope(|scope| {
        let mut sender = stream;
        scope.spawn(move || sender.write_all(bytes).unwrap());
        let (mut receiver, mut got) = (stream, vec![0; bytes.len()]);
        receiver.read_exact(&mut got).unwrap();
        assert!(got == bytes, "bytes were lost, doubled or swapped");
    });
}

/// Whether a connection ends in the way of one that has not passed on everything.
fn is_reset(mut stream: &TcpStream) -> bool {
    let mut rest = Vec::new();
    matches!(stream.read_to_end(&mut rest), Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

/// Twenty places to cut, spread over this many bytes in each direction.
pub(crate) fn cuts(total: usize) -> Vec<usize> {
    // The first connection asks for the list of endpoints, which comes whole.
    let cuts = (1..21).map(|n| (n * 7919 + 1301) % (total / 10) + 700);
    [usize::MAX].into_iter().chain(cuts).collect()
}

#[test]
fn twenty_cuts_in_a_hundred_megabytes_both_ways_lose_nothing_and_the_programs_connection_stays_open()
 {
    const TOTAL: usize = 100 << 20;
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let cutter = Cutter::start(daemon.address(), cuts(TOTAL));
    let url = format!("http://{}/e", cutter.address());
    let mut connect = Technician::connect(&[&url, "--tcp", "127.0.0.1:0"]);
    let stream = connect.dial();
    echoed(&stream, &noise(TOTAL));
    assert!(cutter.cuts() >= 20, "{} cuts", cutter.cuts());
    // The end of what is sent arrives, and the device answers with its own.
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!((&stream).read(&mut [0; 1]).unwrap(), 0);
    connect.signal(Signal::TERM);
    assert_eq!(connect.exit().code(), Some(0));
}

#[test]
fn twenty_cuts_of_a_serial_line_lose_nothing() {
    const TOTAL: usize = 1 << 20;
    let pty = Pty::new();
    let device = pty.device();
    thread::spawn(move || std::io::copy(&mut &device, &mut &device));
    let daemon = Daemon::open(&format!(
        "  e:\n    serial: {{ port: {} }}\n    history: 1MiB\n",
        pty.path().display()
    ));
    daemon.wait_for("device open");
    let cutter = Cutter::start(daemon.address(), cuts(TOTAL));
    let url = format!("http://{}/e", cutter.address());
    let connect = Technician::connect(&[&url, "--tcp", "127.0.0.1:0"]);
    let stream = connect.dial();
    for piece in noise(TOTAL).chunks(64 << 10) {
        echoed(&stream, piece);
    }
    assert!(cutter.cuts() >= 10, "{} cuts", cutter.cuts());
}

#[test]
fn standard_input_and_output_are_a_connection_and_its_end_waits_for_the_answer() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let mut connect = Technician::connect(&[&url(&daemon, "e"), "--stdio"]);
    let bytes = noise(3 << 20);
    let (mut input, mut output) = connect.pipes();
    let sent = bytes.clone();
    thread::spawn(move || input.write_all(&sent).unwrap());
    let mut got = Vec::new();
    output.read_to_end(&mut got).unwrap();
    assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    assert_eq!(connect.exit().code(), Some(0), "{}", connect.said());
}

#[test]
fn a_device_that_speaks_first_and_ends_is_heard_to_its_last_byte() {
    let bytes = noise(2 << 20);
    let source = Target::source(bytes.clone());
    let daemon = Daemon::open(&source.endpoint("e"));
    let connect = Technician::connect(&[&url(&daemon, "e"), "--tcp", "127.0.0.1:0"]);
    let mut got = Vec::new();
    connect.dial().read_to_end(&mut got).unwrap();
    assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
}

#[test]
fn exit_codes_say_refused_gone_and_unreachable() {
    let echo = Target::echo();
    let daemon =
        Daemon::start(&format!("{}{}", tokens(&[("anna", "read, write")]), echo.endpoint("e")));
    let code = |args: &[&str], token: &str| {
        let (code, _, said) = Technician::connect_with(args, |command| {
            command.env("WSBRIDGE_TOKEN", token);
        })
        .ended();
        (code, said)
    };
    let (refused, said) = code(&[&url(&daemon, "e"), "--stdio"], "wsb_mallory");
    assert_eq!(refused, Some(1), "{said}");
    assert!(said.contains("the token in WSBRIDGE_TOKEN is not good there"), "{said}");
    let (nothing, said) = code(&[&url(&daemon, "e"), "--stdio"], "");
    assert!(nothing == Some(1) && said.contains("sign in with `wsbridge login http://"), "{said}");
    let (unknown, said) = code(&[&url(&daemon, "f"), "--stdio"], "wsb_anna");
    assert!(
        unknown == Some(1) && said.contains("no endpoint `f`") && said.contains("there is e"),
        "{said}"
    );
    let nobody = Target::refuse();
    let (away, said) = code(&[&format!("http://{}/e", nobody.address()), "--stdio"], "");
    assert_eq!(away, Some(69), "{said}");
    let (usage, said) = code(&["https://anna:secret@gw/e"], "");
    assert!(usage == Some(64) && said.contains("no name or password in the address"), "{said}");
}

/// The sessions that the gateway lists, as somebody with every right sees them.
fn post(daemon: &Daemon, path: &str, token: &str) -> String {
    let address = daemon.address();
    crate::harness::Raw::ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        ),
    )
}

fn get(daemon: &Daemon, path: &str, token: &str) -> Value {
    let address = daemon.address();
    let answer = crate::harness::Raw::ask(
        address,
        &format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        ),
    );
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn a_session_that_is_gone_resets_the_programs_connection_and_ends_connect_with_2_unless_it_keeps_on()
 {
    let mut pty = Pty::new();
    let access = tokens(&[("anna", "read, write"), ("boss", "read, takeover")]);
    let daemon =
        Daemon::start(&format!("{access}  e:\n    serial: {{ port: {} }}\n", pty.path().display()));
    daemon.wait_for("device open");
    for keep in [false, true] {
        let url = url(&daemon, "e");
        let mut args = vec![url.as_str(), "--tcp", "127.0.0.1:0"];
        args.extend(keep.then_some("--keep"));
        let mut connect = Technician::connect_with(&args, |command| {
            command.env("WSBRIDGE_TOKEN", "wsb_anna");
        });
        let stream = connect.dial();
        let session = until("the session", || {
            get(&daemon, "/api/sessions", "wsb_boss")["sessions"][0]["id"].as_u64()
        });
        let ended = post(&daemon, &format!("/api/sessions/{session}/end"), "wsb_boss");
        assert!(ended.starts_with("HTTP/1.1 204"), "{ended}");
        assert!(is_reset(&stream));
        if keep {
            let mut again = connect.dial();
            again.write_all(b"again").unwrap();
            daemon.wait_for("device open");
            assert_eq!(pty.receive(5), b"again");
            return;
        }
        assert_eq!(connect.exit().code(), Some(2));
        connect.wait_for("disconnected by an administrator");
    }
}

#[test]
fn what_a_web_page_could_send_does_not_reach_the_device() {
    let mut pty = Pty::new();
    let daemon = Daemon::open(&format!("  e:\n    serial: {{ port: {} }}\n", pty.path().display()));
    daemon.wait_for("device open");
    let connect = Technician::connect(&[&url(&daemon, "e"), "--tcp", "127.0.0.1:0"]);
    for first in [
        &b"POST / HTTP/1.1\r\nHost: 127.0.0.1:5020\r\nContent-Length: 9\r\n\r\nATD0900;\r"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00",
        b"\x00\x03\x00\x08\x21\x12\xa4\x42ATD0900;\r\r\r\r",
        b"POS",
    ] {
        let mut stream = connect.dial();
        stream.write_all(first).unwrap();
        assert!(is_reset(&stream), "{}", first.escape_ascii());
    }
    connect.wait_for("--allow-http lets it through");
    let mut good = connect.dial();
    good.write_all(b"AT\r").unwrap();
    assert_eq!(pty.receive(3), b"AT\r", "and nothing before it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_has_sent_nothing_reads_and_keeps_nobody_from_writing() {
    let mut pty = Pty::new();
    let daemon = Daemon::open(&format!("  e:\n    serial: {{ port: {} }}\n", pty.path().display()));
    daemon.wait_for("device open");
    let connect = Technician::connect(&[&url(&daemon, "e"), "--tcp", "127.0.0.1:0"]);
    let mut silent = connect.dial();
    until("its session", || {
        page(daemon.address(), "/api/sessions").contains("\"id\"").then_some(())
    });
    pty.send(b"$GPGGA");
    let mut got = [0; 6];
    silent.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"$GPGGA");
    // Nobody holds the lease.
    let (mut other, opened) = Wire::opened(&daemon, "e", json!({"role": "writer"})).await;
    assert_eq!(opened["role"], "writer");
    assert_eq!(other.ask("close", json!({})).await["type"], "ok");
    // One that writes gets its place, and after that nobody does.
    let mut writes = connect.dial();
    writes.write_all(b"hello").unwrap();
    assert_eq!(pty.receive(5), b"hello");
    assert!(is_reset(&silent));
    let third = connect.dial();
    assert!(is_reset(&third));
    connect.wait_for("another connection is served");
    // The lease is held now.
    let mut other = Wire::connect(&daemon, "e").await;
    assert_eq!(other.open(json!({"role": "writer"})).await["code"], "busy");
    // A program that comes back immediately finds its place free.
    drop(writes);
    let mut back = until("a place", || {
        let mut back = connect.dial();
        back.write_all(b"back").unwrap();
        pty.has_input().then_some(back)
    });
    assert_eq!(pty.receive(4), b"back");
    back.write_all(b"!").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_line_that_somebody_else_holds_closes_the_program_and_says_who_it_is() {
    let pty = Pty::new();
    let access = tokens(&[("anna", "read, write"), ("bob", "read, write")]);
    let daemon =
        Daemon::start(&format!("{access}  e:\n    serial: {{ port: {} }}\n", pty.path().display()));
    daemon.wait_for("device open");
    let (_bob, _) = Wire::open_as(&daemon, "e", "wsb_bob", json!({})).await;
    let connect =
        Technician::connect_with(&[&url(&daemon, "e"), "--tcp", "127.0.0.1:0"], |command| {
            command.env("WSBRIDGE_TOKEN", "wsb_anna");
        });
    let mut stream = connect.dial();
    stream.write_all(b"hello").unwrap();
    assert!(is_reset(&stream));
    connect.wait_for("held by bob");
    assert!(!pty.has_input());
}

#[test]
fn the_endpoints_are_listed_for_people_and_for_programs() {
    let daemon = Daemon::open("  echo1:\n    sim: echo\n    title: A bench\n");
    let address = format!("http://{}", daemon.address());
    let (code, table, said) = Technician::connect(&[&address]).ended();
    assert_eq!(code, Some(0));
    assert!(table.contains("echo1") && table.contains("A bench"), "{table}");
    assert!(said.contains(&format!("wsbridge connect {address}/echo1")), "{said}");
    let (_, list, _) = Technician::connect(&[&address, "--json"]).ended();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["endpoints"][0]["name"], "echo1");
}

#[test]
fn socat_runs_it_as_one_of_its_ends() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    if !crate::peers::works("socat", &["-V"]) {
        eprintln!("skipped: no socat");
        return;
    }
    // To socat, a colon begins a parameter.
    let url = url(&daemon, "e").replace(':', "\\:");
    let run = format!("EXEC:{} connect {url} --stdio", env!("CARGO_BIN_EXE_wsbridge"));
    let mut socat = std::process::Command::new("socat")
        .args(["-t20", "-", &run])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = noise(100_000);
    let mut input = socat.stdin.take().unwrap();
    let sent = bytes.clone();
    thread::spawn(move || input.write_all(&sent).unwrap());
    let mut got = Vec::new();
    socat.stdout.take().unwrap().read_to_end(&mut got).unwrap();
    assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    assert!(socat.wait().unwrap().success());
}
