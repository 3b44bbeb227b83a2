//! Devices that are slow but alive: none is cut off, no byte is lost, and a Close is answered when
//! that is true.

use std::{
    env,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use crate::{
    harness::{
        Daemon, PATIENCE, Pty, Raw, Target,
        client::masked,
        daemon::OPEN,
        noise, page,
        target::{Received, received},
        until,
    },
    rfc2217::Ser2net,
};

/// The shortest time there is.
const DEAD_AFTER: Duration = Duration::from_secs(5);

/// A daemon that considers a target dead that has acknowledged nothing for [`DEAD_AFTER`].
fn daemon(endpoints: &str) -> Daemon {
    Daemon::start(&format!("dead_after: {}s\n{OPEN}{endpoints}", DEAD_AFTER.as_secs()))
}

/// Sends all of it and immediately a Close, as scripts do; returns the answer.
fn deliver(daemon: &Daemon, endpoint: &str, bytes: &[u8]) -> (u16, String) {
    let mut client = Raw::upgrade(daemon.address(), endpoint);
    client.stream().set_read_timeout(None).unwrap();
    let all = [masked(0x82, bytes), masked(0x88, &1000_u16.to_be_bytes())].concat();
    let mut to = client.stream().try_clone().unwrap();
    to.set_write_timeout(None).unwrap();
    let sending = thread::spawn(move || to.write_all(&all).unwrap());
    let close = client.closed().expect("a Close");
    sending.join().unwrap();
    close
}

fn undelivered(daemon: &Daemon, endpoint: &str) -> u64 {
    let page = page(daemon.address(), "/metrics");
    let name = format!("wsbridge_undelivered_bytes_total{{endpoint=\"{endpoint}\"}} ");
    let line =
        page.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{page}"));
    line.parse().unwrap()
}

/// All four places: the Close, the log, the metrics; the device is the caller's.
fn all_arrived(daemon: &Daemon, endpoint: &str, close: &(u16, String)) {
    assert_eq!(*close, (1000, "closed by the client".to_owned()), "{endpoint}");
    let of_it = format!("session closed endpoint={endpoint} ");
    let line = daemon.wait_for(&of_it);
    assert!(line.contains(" lost_to_target=0 "), "{line}");
    assert_eq!(undelivered(daemon, endpoint), 0, "{endpoint}");
}

/// Takes nothing for more than twice that time, then everything.
fn paused(mut stream: &TcpStream) -> Received {
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    thread::sleep(DEAD_AFTER.mul_f32(2.2));
    let mut all = first.to_vec();
    stream.read_to_end(&mut all).unwrap();
    Received::of(&all)
}

/// Takes 40 KB a second.
fn trickling(mut stream: &TcpStream) -> Received {
    let (mut all, mut piece) = (Vec::new(), [0; 2048]);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        all.extend_from_slice(&piece[..read]);
        thread::sleep(Duration::from_millis(50));
    }
    Received::of(&all)
}

#[test]
fn a_device_that_is_paused_or_trickles_for_longer_than_dead_after_gets_every_byte() {
    let devices =
        [Target::narrow(|stream| paused(&stream)), Target::narrow(|stream| trickling(&stream))];
    let shared =
        [Target::narrow(|stream| paused(&stream)), Target::narrow(|stream| trickling(&stream))];
    let mut endpoints = String::new();
    for (name, device) in ["paused", "trickling"].iter().zip(&devices) {
        endpoints.push_str(&device.endpoint(name));
        endpoints.push_str("    limits: { linger: 1m }\n");
    }
    for (name, device) in ["line-paused", "line-trickling"].iter().zip(&shared) {
        endpoints.push_str(&device.endpoint(name));
        endpoints.push_str("    limits: { linger: 1m }\n    share: one-writer\n");
    }
    let daemon = daemon(&endpoints);
    let bytes = noise(500_000);
    let names = ["paused", "trickling", "line-paused", "line-trickling"];
    thread::scope(|scope| {
        for name in names {
            let (daemon, bytes) = (&daemon, &bytes);
            scope.spawn(move || {
                let close = deliver(daemon, name, bytes);
                all_arrived(daemon, name, &close);
            });
        }
    });
    for (name, device) in names.iter().zip(devices.iter().chain(&shared)) {
        // A shared line keeps its connection for a moment, for whoever comes back.
        assert_eq!(device.report(), Received::of(&bytes), "{name}");
    }
    assert!(!daemon.log().contains("nothing acknowledged"), "{}", daemon.log());
}

#[test]
fn a_close_on_a_shared_tcp_line_is_answered_when_the_device_has_it_and_not_before() {
    let read = Arc::new(AtomicBool::new(false));
    let go = Arc::clone(&read);
    let device = Target::narrow(move |stream: TcpStream| {
        while !go.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        received(&stream)
    });
    let daemon = Daemon::open(&format!("{}    share: one-writer\n", device.endpoint("p")));
    let bytes = noise(200_000);
    thread::scope(|scope| {
        let (sender, closed) = channel();
        let (daemon, bytes) = (&daemon, &bytes);
        scope.spawn(move || sender.send(deliver(daemon, "p", bytes)));
        assert!(
            closed.recv_timeout(Duration::from_secs(2)).is_err(),
            "answered while the device reads nothing"
        );
        read.store(true, Ordering::Relaxed);
        all_arrived(daemon, "p", &closed.recv_timeout(PATIENCE).unwrap());
    });
    assert_eq!(device.report(), Received::of(&bytes));
}

#[test]
fn what_a_shared_tcp_device_had_not_acknowledged_when_it_reset_is_counted() {
    let device = Target::narrow(|mut stream: TcpStream| {
        let mut some = vec![0; 10_000];
        stream.read_exact(&mut some).unwrap();
        thread::sleep(Duration::from_millis(500));
        let unread = rustix::io::ioctl_fionread(&stream).unwrap();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        10_000 + unread
    });
    let daemon = Daemon::open(&format!("{}    share: one-writer\n", device.endpoint("p")));
    let mut client = Raw::upgrade(daemon.address(), "p");
    client.send(&masked(0x82, &noise(300_000)));
    // The device's kernel had these, and the gateway had the kernel's word for it; the rest is
    // lost, and counted.
    let acknowledged = device.report();
    let lost = until("a count", || Some(undelivered(&daemon, "p")).filter(|lost| *lost > 0));
    assert!(lost + acknowledged >= 300_000, "{lost} + {acknowledged}");
    daemon.wait_for("the device went before it took these");
}

#[test]
fn user_timeout_cuts_who_is_slow_too_and_that_is_told() {
    let device = Target::narrow(|stream| paused(&stream));
    let tcp = format!("  p:\n    tcp: {{ address: \"{}\", user_timeout: 1s }}\n", device.address());
    let daemon = daemon(&tcp);
    let mut client = Raw::upgrade(daemon.address(), "p");
    client.send(&masked(0x82, &noise(200_000)));
    let (code, reason) = client.closed().expect("a Close");
    assert_eq!(code, 1011, "{reason}");
    assert!(reason.contains("not delivered"), "{reason}");
    let lost = until("a count", || Some(undelivered(&daemon, "p")).filter(|lost| *lost > 0));
    assert!(daemon.wait_for("session closed").contains(&format!(" lost_to_target={lost} ")));
}

const A_SECOND: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Reads the far end of a pty at this many bytes a second: up to `total`, or what is there when
/// everything is `over`.
fn paced(line: &Pty, speed: usize, total: usize, over: &AtomicBool) -> Vec<u8> {
    let (mut far, begun) = (line.device(), Instant::now());
    let (mut all, mut piece) = (Vec::new(), [0; 512]);
    while all.len() < total {
        let last = over.load(Ordering::Relaxed);
        if poll(&mut [PollFd::new(&far, PollFlags::IN)], Some(&A_SECOND)).unwrap() == 0 {
            if last {
                break;
            }
            continue;
        }
        let read = far.read(&mut piece).unwrap();
        all.extend_from_slice(&piece[..read]);
        let due = Duration::from_millis((all.len() * 1000 / speed) as u64);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    all
}

/// What a pty may hold: 64 KiB of the kernel's tty buffers, and 4 KiB of the line discipline. It
/// always tells ser2net that its output queue is empty, and ser2net flushes it when the client has
/// gone, which on a UART costs nothing.
const PTY_HOLDS: usize = 80 * 1024;

/// ser2net in front of a line with that speed, and a script that sends 300,000 bytes and closes.
fn behind_ser2net(layer: &str, endpoint: impl Fn(u16) -> String) {
    const TOTAL: usize = 300_000;
    // 9600 baud are 960 bytes a second: five minutes, to be run by hand.
    let speed = env::var("WSBRIDGE_FAR_SPEED").map_or(25_000, |speed| speed.parse().unwrap());
    let Some(far) = Ser2net::start(layer) else { return };
    let daemon = daemon(&endpoint(far.port));
    let bytes = noise(TOTAL);
    let over = AtomicBool::new(false);
    let (close, came) = thread::scope(|scope| {
        let came = scope.spawn(|| paced(&far.pty, speed, TOTAL, &over));
        let close = until("a session", || {
            // It is ready when it accepts a session: a connection that only looks would open its
            // device.
            let close = deliver(&daemon, "far", &bytes);
            (close.0 != 4450).then_some(close)
        });
        over.store(true, Ordering::Relaxed);
        (close, came.join().unwrap())
    });
    all_arrived(&daemon, "far", &close);
    assert!(bytes.starts_with(&came), "what came is not what was sent");
    assert!(came.len() + PTY_HOLDS >= TOTAL, "only {} bytes came", came.len());
}

#[test]
fn three_hundred_thousand_bytes_pass_a_slow_rfc2217_port_of_ser2net() {
    behind_ser2net("telnet(rfc2217),", |port| {
        format!(
            "  far:\n    rfc2217: {{ address: \"127.0.0.1:{port}\", baud: 9600 }}\n    limits: {{ linger: 10s }}\n"
        )
    });
}

#[test]
fn three_hundred_thousand_bytes_pass_a_slow_raw_port_of_ser2net() {
    behind_ser2net("", |port| format!("  far:\n    tcp: {{ address: \"127.0.0.1:{port}\" }}\n"));
}
