//! Serial lines, on ptys: every byte value, one writer, what is drained and what is not, devices
//! that come and go.

use std::{
    fs,
    io::Read,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::harness::{
    Daemon, Pty, Raw,
    client::{masked, status},
    noise, until,
};

/// An endpoint on this device.
fn line(name: &str, path: &Path) -> String {
    format!("  {name}:\n    serial: {{ port: {}, baud: 115200 }}\n", path.display())
}

/// Upgrades, once the device is open.
fn opened(daemon: &Daemon, endpoint: &str) -> Raw {
    until("the device", || {
        let (raw, head) = Raw::handshake(daemon.address(), endpoint, "");
        (status(&head) == 101).then_some(raw)
    })
}

fn metric(daemon: &Daemon, name: &str) -> u64 {
    let page = crate::harness::page(daemon.address(), "/metrics");
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn all_256_values_pass_a_pty_both_ways() {
    let all: Vec<u8> = (0..=255).cycle().take(4096).collect();
    let mut pty = Pty::new();
    let daemon = Daemon::open(&line("tty", pty.path()));
    let mut client = opened(&daemon, "tty");
    client.frame(2, &all);
    assert_eq!(pty.receive(all.len()), all);
    pty.send(&all);
    assert_eq!(client.data(all.len()), all);
}

#[test]
fn a_megabyte_each_way_at_once_arrives_byte_for_byte() {
    let bytes = noise(1_000_000);
    let mut pty = Pty::new();
    let daemon = Daemon::open(&line("tty", pty.path()));
    let mut client = opened(&daemon, "tty");
    let (mut device, sent) = (pty.device(), bytes.clone());
    let sending = thread::spawn(move || std::io::Write::write_all(&mut device, &sent).unwrap());
    let (mut stream, sent) = (client.stream().try_clone().unwrap(), bytes.clone());
    let talking = thread::spawn(move || {
        for piece in sent.chunks(64 * 1024) {
            std::io::Write::write_all(&mut stream, &masked(0x82, piece)).unwrap();
        }
    });
    let hearing = thread::spawn(move || client.data(1_000_000));
    assert!(pty.receive(bytes.len()) == bytes);
    assert!(hearing.join().unwrap() == bytes);
    sending.join().unwrap();
    talking.join().unwrap();
}

#[test]
fn a_second_client_gets_409_that_names_the_holder_or_4409_in_a_page() {
    let mut pty = Pty::new();
    let daemon = Daemon::open(&format!("{}    share: exclusive\n", line("tty", pty.path())));
    let mut first = opened(&daemon, "tty");
    let (mut second, head) = Raw::handshake(daemon.address(), "tty", "");
    assert!(head.starts_with("HTTP/1.1 409 "), "{head}");
    assert!(second.rest().contains("in use by anyone"));
    let origin = format!("Origin: http://{}\r\n", daemon.address());
    let (mut page, head) = Raw::handshake(daemon.address(), "tty", &origin);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (code, reason) = page.closed().unwrap();
    assert_eq!(code, 4409);
    assert!(reason.starts_with("in use by anyone since "), "{reason}");

    // The first notices nothing, and the line is free when it leaves.
    first.frame(2, b"mine");
    assert_eq!(pty.receive(4), b"mine");
    first.frame(8, &1000_u16.to_be_bytes());
    assert_eq!(first.closed().map(|(code, _)| code), Some(1000));
    let mut third = opened(&daemon, "tty");
    third.frame(2, b"now");
    assert_eq!(pty.receive(3), b"now");
}

#[test]
fn what_a_client_sent_is_with_the_device_before_its_close_is_answered() {
    let bytes = noise(60_000);
    let pty = Pty::new();
    let daemon = Daemon::open(&line("tty", pty.path()));
    let mut client = opened(&daemon, "tty");
    client.send(&[masked(0x82, &bytes), masked(0x88, &1000_u16.to_be_bytes())].concat());
    let mut device = pty.device();
    let reading = thread::spawn(move || {
        let mut got = vec![0; 60_000];
        device.read_exact(&mut got).unwrap();
        got
    });
    assert_eq!(client.closed().map(|(code, _)| code), Some(1000));
    // The driver holds nothing back once the Close has been sent.
    assert!(reading.join().unwrap() == bytes);
    assert_eq!(metric(&daemon, "wsbridge_undelivered_bytes_total{endpoint=\"tty\"}"), 0);
}

#[test]
fn what_cannot_be_drained_in_time_is_counted_and_logged() {
    let pty = Pty::new();
    let endpoint = format!("{}    limits: {{ linger: 1s }}\n", line("tty", pty.path()));
    let daemon = Daemon::open(&endpoint);
    let mut client = opened(&daemon, "tty");
    // Nobody reads the device's end: the driver takes a few KiB, and the rest stays here.
    let bytes = noise(60_000);
    client.send(&[masked(0x82, &bytes), masked(0x88, &1000_u16.to_be_bytes())].concat());
    let (code, reason) = client.closed().unwrap();
    let said = daemon.wait_for("session closed");
    let lost = said
        .split_once("lost_to_target=")
        .unwrap()
        .1
        .split(' ')
        .next()
        .unwrap()
        .parse::<u64>()
        .unwrap();
    assert!((1..=60_000).contains(&lost), "{said}");
    assert_eq!(
        (code, reason),
        (4451, format!("{} of 60000 bytes delivered", 60_000 - lost)),
        "{said}"
    );
    let counted = until("the count", || {
        Some(metric(&daemon, "wsbridge_undelivered_bytes_total{endpoint=\"tty\"}"))
            .filter(|count| *count > 0)
    });
    assert!((1..=60_000).contains(&counted), "{counted} for {lost}");
}

#[test]
fn a_device_that_is_missing_at_the_start_is_503_and_serves_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tty");
    let mut pty = Pty::new();
    let daemon = Daemon::open(&line("tty", &path));
    assert_eq!(Raw::status(daemon.address(), "tty", ""), 503);
    let origin = format!("Origin: http://{}\r\n", daemon.address());
    let (mut page, _) = Raw::handshake(daemon.address(), "tty", &origin);
    assert_eq!(page.closed().map(|(code, _)| code), Some(4450));
    symlink(pty.path(), &path).unwrap();
    let mut client = opened(&daemon, "tty");
    client.frame(2, b"hello");
    assert_eq!(pty.receive(5), b"hello");
    daemon.wait_for("device is back");
}

#[test]
fn an_unplugged_device_closes_its_session_with_1011_behind_its_last_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tty");
    let mut pty = Pty::new();
    symlink(pty.path(), &path).unwrap();
    let daemon = Daemon::open(&line("tty", &path));
    let mut client = opened(&daemon, "tty");
    pty.send(b"last words");
    assert_eq!(client.data(10), b"last words");
    drop(pty);
    assert_eq!(client.closed().map(|(code, _)| code), Some(1011));
    drop(client);
    // Plugged in again, it serves again.
    let mut pty = Pty::new();
    fs::remove_file(&path).unwrap();
    symlink(pty.path(), &path).unwrap();
    let mut client = opened(&daemon, "tty");
    client.frame(2, b"back");
    assert_eq!(pty.receive(4), b"back");
}

#[test]
fn a_stale_uucp_lock_is_ignored() {
    let folder = Path::new("/run/lock");
    let pty = Pty::new();
    let name = pty.path().strip_prefix("/dev").unwrap().to_string_lossy().replace('/', "_");
    let file = folder.join(format!("LCK..{name}"));
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    if fs::write(&file, format!("{:>10}\n", dead.id())).is_err() {
        eprintln!("skipped: {} cannot be written", folder.display());
        return;
    }
    let daemon = Daemon::open(&line("tty", pty.path()));
    opened(&daemon, "tty");
    let holder = fs::read_to_string(&file).unwrap();
    assert_ne!(holder.trim(), dead.id().to_string());
    drop(daemon);
    let _ = fs::remove_file(&file);
}

#[test]
fn a_killed_daemon_leaves_nothing_that_keeps_its_successor_from_the_device() {
    let mut pty = Pty::new();
    let mut first = Daemon::open(&line("tty", pty.path()));
    let _client = opened(&first, "tty");
    first.signal(Signal::KILL);
    first.exit();
    let begun = Instant::now();
    let second = Daemon::open(&line("tty", pty.path()));
    let mut client = opened(&second, "tty");
    client.frame(2, b"again");
    assert_eq!(pty.receive(5), b"again");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
