//! What happens to a target's and a client's last bytes, and to a line's settings between its
//! sessions.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    os::unix::fs::symlink,
    path::PathBuf,
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use rustix::termios::tcgetattr;
use serde_json::json;

use super::{code, on_pty};
use crate::harness::{Daemon, Pty, Raw, Target, Wire, client::masked, wire::Came};

/// Bytes that the other side's kernel has not taken: `tx_queue` of `proc_net_tcp(5)`.
fn unacknowledged(stream: &TcpStream) -> u64 {
    let hex = |port: u16| format!("0100007F:{port:04X}");
    let ends = [stream.local_addr().unwrap().port(), stream.peer_addr().unwrap().port()].map(hex);
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().find(|line| line.contains(&ends.join(" "))).expect("the connection");
    let queues = line.split_whitespace().nth(4).unwrap();
    u64::from_str_radix(queues.split(':').next().unwrap(), 16).unwrap()
}

/// Everything that comes until the Close, acknowledged: how many bytes, and the Close's code.
async fn to_the_end(wire: &mut Wire) -> (usize, u16) {
    let mut bytes = wire.data.len();
    loop {
        match wire.next().await {
            Came::Data(data) => {
                bytes += data.len();
                wire.say(json!({"type": "ack", "rx": bytes})).await;
            }
            Came::Json(told) => wire.passed.push(told),
            Came::Close(code, _) => return (bytes, code),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_target_that_takes_nothing_any_more_is_heard_to_its_end() {
    // More than a private line keeps.
    const ALL: usize = 256 * 1024 + 16_000;
    let (gone, hung_up) = channel();
    let target = Target::serve(move |mut stream: TcpStream| {
        stream.write_all(&vec![1; ALL]).unwrap();
        // What the sender still has is lost with a reset.
        while unacknowledged(&stream) > 0 {
            thread::yield_now();
        }
        drop(stream);
        gone.send(()).unwrap();
    });
    let daemon = Daemon::open(&target.endpoint("e"));
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({"window": 4096})).await;
    hung_up.recv().unwrap();
    // Its answer is a reset; the second write fails.
    for _ in 0..5 {
        wire.send(b"into nothing").await;
        wire.ask("ping", json!({})).await;
    }
    wire.say(json!({"type": "ack", "rx": wire.data.len()})).await;
    let (bytes, _) = to_the_end(&mut wire).await;
    assert_eq!(bytes, ALL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_target_that_resets_is_an_error_and_one_that_ends_is_none() {
    let reset = Target::reset(4);
    let source = Target::source(vec![1; 10]);
    let daemon = Daemon::open(&format!("{}{}", reset.endpoint("reset"), source.endpoint("source")));
    let (mut wire, _) = Wire::opened(&daemon, "reset", json!({})).await;
    wire.send(b"four").await;
    assert_eq!(to_the_end(&mut wire).await, (0, 1011));
    let (mut wire, _) = Wire::opened(&daemon, "source", json!({})).await;
    assert_eq!(to_the_end(&mut wire).await, (10, 1000));
}

/// A target that talks all the time and reads slowly; it reports how much it received.
fn slow_talker(pause: Duration) -> Target<usize> {
    Target::narrow(move |mut stream: TcpStream| {
        // Its client is behind.
        let mut talk = stream.try_clone().unwrap();
        thread::spawn(move || while talk.write_all(&[1; 4096]).is_ok() {});
        let (mut bytes, mut piece) = (0, [0; 512]);
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            bytes += read;
            // This test is about a slow target.
            thread::sleep(pause);
        }
        stream.shutdown(Shutdown::Both).ok();
        bytes
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_drain_has_sent_is_not_overtaken_by_a_reset() {
    // A shared line is kept open for 2 s after its last session.
    for (more, pause) in [("", 2), ("    share: one-writer\n    open: on-demand\n", 25)] {
        let target = slow_talker(Duration::from_millis(pause));
        let daemon = Daemon::open(&format!("{}{more}", target.endpoint("e")));
        let (mut wire, _) = Wire::opened(&daemon, "e", json!({"window": 4096})).await;
        wire.send(&vec![7; 60_000]).await;
        assert_eq!(wire.ask("close", json!({"drain": true})).await["type"], "ok");
        assert_eq!(target.report(), 60_000, "{more}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reload_that_changes_only_time_outs_leaves_one_line() {
    let target = Target::echo();
    let config = |keepalive: &str| {
        let target = format!("{{ address: \"{}\", keepalive: {keepalive} }}", target.address());
        format!(
            "auth: none\nlisten: [ {{ address: \"127.0.0.1:0\", tls: none }} ]\nendpoints:\n  e: {{ tcp: {target}, share: one-writer }}\n"
        )
    };
    let daemon = Daemon::start(&config("30s"));
    let (mut wire, opened) = Wire::opened(&daemon, "e", json!({})).await;
    let told = daemon.reload(&config("60s"));
    assert!(told.contains("retuned e"), "{told}");
    let (mut other, seen) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    assert_eq!(seen["epoch"], opened["epoch"]);
    assert_eq!(code(&other.open(json!({"role": "writer"})).await), "busy");
    wire.send(b"on").await;
    assert_eq!(wire.receive(2).await, b"on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_open_without_settings_begins_with_the_configured_ones() {
    let (daemon, pty) = on_pty();
    let speed = || tcgetattr(pty.device()).unwrap().output_speed();
    let fast = json!({"config": {"baud": 19_200}});
    let (mut wire, _) = Wire::opened(&daemon, "e", fast.clone()).await;
    assert_eq!(speed(), 19_200);
    // On the same socket: there is no moment without a session.
    let opened = wire.open(json!({})).await;
    assert_eq!((&opened["config"]["baud"], speed()), (&json!(9600), 9600));
    // While somebody is watching.
    let (_other, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    wire.open(fast).await;
    wire.ask("close", json!({})).await;
    let opened = wire.open(json!({"role": "writer"})).await;
    assert_eq!((&opened["config"]["baud"], speed()), (&json!(9600), 9600));
}

/// A daemon whose device is away after the session that had changed its settings has left; and
/// where the device is expected.
async fn left_while_away() -> (tempfile::TempDir, PathBuf, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("tty");
    let pty = Pty::new();
    symlink(pty.path(), &link).unwrap();
    let daemon = Daemon::open(&format!("  e:\n    serial: {{ port: {} }}\n", link.display()));
    daemon.wait_for("device open");
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({"config": {"baud": 19_200}})).await;
    std::fs::remove_file(&link).unwrap();
    drop(pty);
    wire.until(|told| told["type"] == "status" && told["state"] == "down").await;
    wire.ask("close", json!({})).await;
    (folder, link, daemon)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_device_that_comes_back_to_nobody_is_as_configured() {
    let (_folder, link, daemon) = left_while_away().await;
    let back = Pty::new();
    symlink(back.path(), &link).unwrap();
    daemon.wait_for("device is back");
    assert_eq!(tcgetattr(back.device()).unwrap().output_speed(), 9600);
    let (_, opened) = Wire::opened(&daemon, "e", json!({})).await;
    assert_eq!(opened["config"]["baud"], 9600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_device_that_comes_back_to_others_than_had_it_is_as_configured() {
    let (_folder, link, daemon) = left_while_away().await;
    let (mut other, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    let back = Pty::new();
    symlink(back.path(), &link).unwrap();
    other.until(|told| told["type"] == "status" && told["state"] == "up").await;
    assert_eq!(tcgetattr(back.device()).unwrap().output_speed(), 9600);
    assert_eq!(other.ask("get", json!({})).await["config"]["baud"], 9600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_an_open_does_not_name_is_as_configured() {
    let (daemon, _pty) = on_pty();
    let (mut wire, _) =
        Wire::opened(&daemon, "e", json!({"config": {"baud": 19_200, "stop": 2}})).await;
    // Somebody is watching, so that nothing is undone in between.
    let (_other, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    let opened = wire.open(json!({"config": {"baud": 300}})).await;
    assert_eq!((&opened["config"]["baud"], &opened["config"]["stop"]), (&json!(300), &json!(1)));
    // A change names everything that changes; and whoever takes the line over has it as it runs,
    // except for what is named.
    wire.ask("config", json!({"stop": 2})).await;
    let (_third, opened) =
        Wire::opened(&daemon, "e", json!({"take": true, "config": {"baud": 1200}})).await;
    assert_eq!((&opened["config"]["baud"], &opened["config"]["stop"]), (&json!(1200), &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_under_way_to_a_target_that_ended_its_own_side_alone_arrives() {
    let target = Target::serve(|mut stream: TcpStream| {
        let mut all = vec![0];
        stream.read_exact(&mut all).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let daemon = Daemon::open(&target.endpoint("e"));
    let v1 = "Sec-WebSocket-Protocol: wsbridge.v1\r\n";
    let (mut raw, head) = Raw::handshake(daemon.address(), "e", v1);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    raw.frame(1, br#"{"type":"open"}"#);
    raw.frame(2, b"x");
    // Half a frame before its Close, half after it.
    let late = masked(0x82, &vec![7; 30_000]);
    raw.send(&late[..10_000]);
    assert_eq!(raw.closed().map(|(code, _)| code), Some(1000));
    raw.send(&late[10_000..]);
    raw.frame(2, b"last");
    raw.frame(8, &1000_u16.to_be_bytes());
    let all = target.report();
    assert_eq!((all.len(), all.ends_with(b"\x07last")), (30_005, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_device_that_is_not_there_is_down_and_not_opening_at_each_try() {
    let daemon = Daemon::open("  e:\n    serial: { port: /dev/wsbridge-has-no-such-port }\n");
    daemon.wait_for("device not there");
    let mut bus = Wire::connect(&daemon, "").await;
    assert_eq!(bus.told("hello").await["endpoints"][0]["state"], "down");
    // Several tries.
    assert!(bus.silent(Duration::from_secs(3)).await);
    assert!(bus.passed.iter().all(|told| told["type"] != "status"), "{:?}", bus.passed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_device_that_ends_as_soon_as_it_is_open_is_tried_at_growing_pauses_and_logged_once() {
    let target = Target::serve(drop);
    let daemon =
        Daemon::open(&format!("{}    share: one-writer\n    open: always\n", target.endpoint("e")));
    let began = Instant::now();
    // 200, 400, 800 and 1600 ms lie between them.
    for _ in 0..5 {
        target.report();
    }
    assert!(began.elapsed() >= Duration::from_millis(2500), "{:?}", began.elapsed());
    let log = daemon.log();
    let said = |text: &str| log.matches(text).count();
    assert_eq!(
        (said("device not there"), said("device open"), said("device is back")),
        (1, 1, 0),
        "{log}"
    );
}
