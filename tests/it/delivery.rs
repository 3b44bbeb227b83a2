//! What was sent arrives, or everybody learns how much did not: the device, the Close, the log and
//! the metrics agree.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::harness::{
    Daemon, PATIENCE, Raw, Target,
    client::masked,
    daemon::OPEN,
    target::{Received, received},
    until,
};

fn close() -> Vec<u8> {
    masked(0x88, &1000_u16.to_be_bytes())
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 167 % 251).unwrap()).collect()
}

/// A number from the log line that reports a session's end.
fn told(daemon: &Daemon, name: &str) -> u64 {
    let line = daemon.wait_for("session closed");
    let number =
        line.split_once(&format!("{name}=")).expect("the name").1.split(' ').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{line}"))
}

fn undelivered(daemon: &Daemon, endpoint: &str) -> u64 {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", daemon.address());
    let page = Raw::ask(daemon.address(), &request);
    let name = format!("wsbridge_undelivered_bytes_total{{endpoint=\"{endpoint}\"}} ");
    let line =
        page.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{page}"));
    line.parse().unwrap()
}

/// A device with a small buffer that takes a few kilobytes at a time and says something each time.
fn printer(pause: Duration) -> Target<Received> {
    Target::narrow(move |mut stream| {
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            all.extend_from_slice(&piece[..read]);
            let _ = stream.write_all(b"#");
            thread::sleep(pause);
        }
        Received::of(&all)
    })
}

#[test]
fn a_close_behind_a_slow_printer_that_reports_is_answered_when_all_is_printed() {
    let printer = printer(Duration::from_millis(20));
    let daemon = Daemon::open(&printer.endpoint("p"));
    let mut client = Raw::upgrade(daemon.address(), "p");
    let bytes = noise(1_200_000);
    let all = [masked(0x82, &bytes), close()].concat();
    let mut to = client.stream().try_clone().unwrap();
    let sending = thread::spawn(move || to.write_all(&all).unwrap());
    assert_eq!(
        client.closed(),
        Some((1000, String::new())).map(|(code, _)| (code, "closed by the client".into()))
    );
    sending.join().unwrap();
    assert_eq!(printer.report(), Received::of(&bytes));
    assert_eq!((told(&daemon, "lost_to_target"), undelivered(&daemon, "p")), (0, 0));
}

/// Bytes that a client's kernel has not sent, or has sent without an acknowledgement
/// (`/proc/net/tcp`, see proc(5)).
fn unsent(client: &Raw) -> u64 {
    let port = format!(":{:04X}", client.stream().local_addr().unwrap().port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = rows.find(|row| row.get(1).is_some_and(|local| local.ends_with(&port)));
    let queues = own.expect("the connection")[4].split_once(':').unwrap();
    u64::from_str_radix(queues.0, 16).unwrap()
}

#[test]
fn a_client_that_does_not_wait_for_the_answer_does_not_end_the_drain() {
    let printer = printer(Duration::from_millis(5));
    let daemon = Daemon::open(&printer.endpoint("p"));
    let bytes = noise(600_000);
    let mut client = Raw::upgrade(daemon.address(), "p");
    client.send(&[masked(0x82, &bytes), close()].concat());
    // Its own kernel throws away what has not gone out if there is something that it has not read.
    until("all of it out", || (unsent(&client) == 0).then_some(()));
    drop(client);
    assert_eq!(printer.report(), Received::of(&bytes));
    // Nobody was there to hear the printer's last reports.
    let unheard = told(&daemon, "lost_to_client");
    assert_eq!((told(&daemon, "lost_to_target"), undelivered(&daemon, "p")), (0, unheard));
}

#[test]
fn what_a_device_does_not_take_is_told_in_the_close_the_log_and_the_metrics() {
    let over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&over);
    // Reads nothing, and at the end counts what its kernel had taken.
    let stuck = Target::narrow(move |stream: TcpStream| {
        while !end.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        received(&stream).bytes
    });
    let endpoint =
        format!("{}    limits: {{ linger: 500ms, linger_max: 1s }}\n", stuck.endpoint("p"));
    // Its end is queued after what we do not read: a ping meets a closed socket.
    let daemon = Daemon::start(&format!("dead_after: 5s\n{OPEN}{endpoint}"));
    let all = [masked(0x82, &noise(9_000_000)), close()].concat();
    let client = Raw::upgrade(daemon.address(), "p");
    let mut to = client.stream().try_clone().unwrap();
    thread::spawn(move || to.write_all(&all));
    // More than can be on its way: the client notices, its Close is not seen, and it gives up.
    thread::sleep(Duration::from_millis(300));
    client.stream().shutdown(std::net::Shutdown::Both).unwrap();
    drop(client);
    let (taken, lost) = (told(&daemon, "to_target"), told(&daemon, "lost_to_target"));
    assert!(lost > 0 && lost < taken, "{lost} of {taken}");
    over.store(true, Ordering::Relaxed);
    let got = stuck.report();
    assert!(taken - lost <= got, "{lost} of {taken} said to be lost, {got} arrived");
    assert_eq!(undelivered(&daemon, "p"), lost);
}

#[test]
fn a_close_that_a_stuck_device_does_not_let_be_true_is_4451_with_the_number() {
    let stuck = Target::narrow(|stream: TcpStream| {
        thread::sleep(Duration::from_secs(5));
        received(&stream).bytes
    });
    let endpoint =
        format!("{}    limits: {{ linger: 500ms, linger_max: 1s }}\n", stuck.endpoint("p"));
    let daemon = Daemon::open(&endpoint);
    let mut client = Raw::upgrade(daemon.address(), "p");
    // More than the device's kernel takes, less than ours holds for it.
    let bytes = noise(120_000);
    client.send(&[masked(0x82, &bytes), close()].concat());
    let (code, reason) = client.closed().unwrap();
    let lost = told(&daemon, "lost_to_target");
    assert_eq!((code, reason), (4451, format!("{} of 120000 bytes delivered", 120_000 - lost)));
    assert_eq!(undelivered(&daemon, "p"), lost);
    assert!(120_000 - lost <= stuck.report());
}

#[test]
fn three_hundred_resets_under_a_write_are_three_hundred_times_1011() {
    const TIMES: usize = 300;
    let reset = Target::reset(40_000);
    let daemon = Daemon::open(&reset.endpoint("r"));
    let piece = masked(0x82, &noise(60_000)).repeat(20);
    let mut other = Vec::new();
    for _ in 0..TIMES {
        let mut client = Raw::upgrade(daemon.address(), "r");
        let mut to = client.stream().try_clone().unwrap();
        let all = piece.clone();
        let sending = thread::spawn(move || to.write_all(&all).is_ok());
        let close = client.closed();
        if close
            .as_ref()
            .is_none_or(|(code, reason)| *code != 1011 || !reason.contains("not delivered"))
        {
            other.push(close);
        }
        drop(client);
        sending.join().unwrap();
    }
    assert!(other.is_empty(), "{} of {TIMES}: {:?}", other.len(), other.first());
    assert_eq!(daemon.log().matches("code=1000").count(), 0);
}

#[test]
fn a_stop_has_six_seconds_whatever_moves_and_the_rest_is_counted() {
    let printer = printer(Duration::from_millis(100));
    let mut daemon = Daemon::open(&printer.endpoint("p"));
    let mut client = Raw::upgrade(daemon.address(), "p");
    client.send(&masked(0x82, &noise(900_000)));
    let begun = Instant::now();
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(client.closed().map(|(code, _)| code), Some(1001));
    client.send(&close());
    assert_eq!(daemon.exit().code(), Some(0));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let log = daemon.log();
    let line =
        log.lines().find(|line| line.contains("session closed")).expect("the end of the session");
    assert!(!line.contains("lost_to_target=0 "), "{line}");
    assert!(!log.contains("without waiting longer"), "{log}");
}
