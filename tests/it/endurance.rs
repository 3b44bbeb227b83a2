//! Under load and at its limits: a stop with bytes in flight, a thousand sessions, no file
//! descriptor left.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::harness::{
    Daemon, Raw, Target, client::upgrade_head, daemon::OPEN, noise, page, target::Received, until,
};

/// The CPU time a daemon has used, in ticks of 10 ms.
fn ticks(daemon: &Daemon) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.id())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn sigterm_under_load_delivers_what_was_read_and_exits_0_within_6_seconds() {
    let (sink, flood) = (Target::sink(), Target::source(noise(40_000_000)));
    let mut daemon = Daemon::open(&format!("{}{}", sink.endpoint("sink"), flood.endpoint("flood")));
    let mut up = Raw::upgrade(daemon.address(), "sink");
    let mut down = Raw::upgrade(daemon.address(), "flood");
    up.frame(2, &noise(1_000_000));
    down.data(1_000_000);
    let begun = Instant::now();
    daemon.signal(Signal::TERM);
    let reading = thread::spawn(move || {
        let code = down.closed().map(|(code, _)| code);
        down.frame(8, &1001_u16.to_be_bytes());
        code
    });
    assert_eq!(up.closed().map(|(code, _)| code), Some(1001));
    up.frame(8, &1001_u16.to_be_bytes());
    assert_eq!(reading.join().unwrap(), Some(1001));
    assert_eq!(sink.report(), Received::of(&noise(1_000_000)));
    assert_eq!(daemon.exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[test]
fn a_thousand_sessions_leave_no_descriptor_behind() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let session = |last: bool| {
        let mut client = Raw::upgrade(daemon.address(), "echo");
        client.frame(2, b"x");
        assert_eq!(client.data(1), b"x");
        // Every other client leaves without a word.
        if last {
            client.frame(8, &1000_u16.to_be_bytes());
            client.rest();
        }
    };
    session(true);
    until("the first to end", || daemon.log().contains("session closed").then_some(()));
    let before = daemon.descriptors();
    for round in 0..1000 {
        session(round % 2 == 0);
    }
    let page = || page(daemon.address(), "/metrics");
    until("all to end", || {
        page().contains("wsbridge_sessions_open{endpoint=\"echo\"} 0\n").then_some(())
    });
    until("the descriptors", || (daemon.descriptors() <= before + 1).then_some(()));
    assert!(page().contains("wsbridge_sessions_total{endpoint=\"echo\"} 1001\n"));
}

#[test]
fn a_daemon_out_of_descriptors_refuses_and_does_not_spin() {
    let echo = Target::echo();
    let config = format!(
        "limits: {{ connections: 200, per_address: 200, unauthenticated: 200 }}\n{OPEN}{}",
        echo.endpoint("echo")
    );
    let daemon = Daemon::start_with(&config, |command| {
        let inner = std::mem::replace(command, Command::new("sh"));
        command
            .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
            .arg(inner.get_program())
            .args(inner.get_args());
        for (name, value) in inner.get_envs() {
            value.map(|value| command.env(name, value));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    });
    let held: Vec<_> =
        (0..100).map(|_| std::net::TcpStream::connect(daemon.address()).unwrap()).collect();
    until("all descriptors to be taken", || (daemon.descriptors() >= 60).then_some(()));
    let before = ticks(&daemon);
    let begun = Instant::now();
    until("a second", || (begun.elapsed() > Duration::from_secs(1)).then_some(()));
    let busy = ticks(&daemon) - before;
    assert!(busy < 20, "{busy} of 100 ticks");
    drop(held);
    until("a session", || {
        let mut raw = Raw::connect(daemon.address());
        raw.send(upgrade_head(daemon.address(), "echo", "").as_bytes());
        raw.head().starts_with("HTTP/1.1 101 ").then_some(())
    });
}
