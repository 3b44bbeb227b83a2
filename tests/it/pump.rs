//! The pump: bytes in both directions, in order, none lost, none doubled, in bounded memory.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{
    Daemon, PATIENCE, Raw, Target, client::masked, daemon::OPEN, noise, target::Received, until,
};

const MEGA: usize = 1_000_000;
/// The memory the daemon may need in addition to what it had before, however much it is offered.
const BOUND: usize = 1 << 20;

/// Sends frames of 64 KiB in a thread of its own.
fn send_all(client: &Raw, bytes: Arc<Vec<u8>>, sent: Arc<AtomicUsize>) -> thread::JoinHandle<()> {
    let mut stream = client.stream().try_clone().unwrap();
    // A test may keep its target from reading for as long as it likes.
    stream.set_write_timeout(None).unwrap();
    thread::spawn(move || {
        for piece in bytes.chunks(64 * 1024) {
            stream.write_all(&masked(0x82, piece)).unwrap();
            sent.fetch_add(piece.len(), Ordering::Relaxed);
        }
    })
}

fn close(code: u16) -> Vec<u8> {
    masked(0x88, &code.to_be_bytes())
}

/// Waits until a counter no longer moves.
fn stalled(count: &AtomicUsize) -> usize {
    let mut last = (count.load(Ordering::Relaxed), Instant::now());
    until("a stall", || {
        let now = count.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(300)).then_some(now)
    })
}

#[test]
fn ten_megabytes_before_a_targets_close_arrive_before_the_close_frame() {
    let bytes = noise(10 * MEGA);
    let source = Target::source(bytes.clone());
    let daemon = Daemon::open(&source.endpoint("source"));
    let mut client = Raw::upgrade(daemon.address(), "source");
    assert_eq!(client.drain(), (Received::of(&bytes), Some(1000)));
}

#[test]
fn ten_megabytes_before_a_clients_close_arrive_at_the_target() {
    let bytes = Arc::new(noise(10 * MEGA));
    let sink = Target::sink();
    let daemon = Daemon::open(&sink.endpoint("sink"));
    let mut client = Raw::upgrade(daemon.address(), "sink");
    send_all(&client, Arc::clone(&bytes), Arc::default()).join().unwrap();
    client.send(&close(1000));
    assert_eq!(sink.report(), Received::of(&bytes));
    assert_eq!(client.closed().map(|(code, _)| code), Some(1000));
}

#[test]
fn ten_megabytes_before_a_clients_connection_ends_without_a_close_arrive_at_the_target() {
    let bytes = Arc::new(noise(10 * MEGA));
    let sink = Target::sink();
    let daemon = Daemon::open(&sink.endpoint("sink"));
    let client = Raw::upgrade(daemon.address(), "sink");
    send_all(&client, Arc::clone(&bytes), Arc::default()).join().unwrap();
    client.half_close();
    assert_eq!(sink.report(), Received::of(&bytes));
}

#[test]
fn a_hundred_megabytes_both_ways_at_once_arrive_byte_for_byte() {
    let bytes = Arc::new(noise(100 * MEGA));
    let sent = Arc::clone(&bytes);
    let both = Target::serve(move |stream: TcpStream| {
        let (mut writer, sent) = (stream.try_clone().unwrap(), Arc::clone(&sent));
        let writing = thread::spawn(move || {
            writer.write_all(&sent).and_then(|()| writer.shutdown(Shutdown::Write))
        });
        let received = crate::harness::target::received(&stream);
        writing.join().unwrap().unwrap();
        received
    });
    let daemon = Daemon::open(&both.endpoint("both"));
    let mut client = Raw::upgrade(daemon.address(), "both");
    let sending = send_all(&client, Arc::clone(&bytes), Arc::default());
    let expected = Received::of(&bytes);
    assert_eq!(client.drain(), (Received::of(&bytes), Some(1000)));
    sending.join().unwrap();
    client.send(&close(1000));
    assert_eq!(both.report(), expected);
}

#[test]
fn a_clients_close_is_a_half_close_and_the_targets_last_words_still_come() {
    let last = noise(MEGA);
    let target = Target::last_words(last.clone());
    let daemon = Daemon::open(&target.endpoint("plc"));
    let mut client = Raw::upgrade(daemon.address(), "plc");
    client.frame(2, b"question");
    client.send(&close(1000));
    assert_eq!(client.drain(), (Received::of(&last), Some(1000)));
    assert_eq!(target.report(), Received::of(b"question"));
}

#[test]
fn a_targets_half_close_is_a_close_frame_and_the_clients_last_words_still_arrive() {
    let last = noise(MEGA);
    let target = Target::serve(|stream: TcpStream| {
        stream.shutdown(Shutdown::Write).unwrap();
        crate::harness::target::received(&stream)
    });
    let daemon = Daemon::open(&target.endpoint("plc"));
    let mut client = Raw::upgrade(daemon.address(), "plc");
    assert_eq!(client.closed().map(|(code, _)| code), Some(1000));
    client.send(&[masked(0x82, &last), close(1000)].concat());
    assert_eq!(target.report(), Received::of(&last));
}

#[test]
fn a_client_that_does_not_read_costs_no_memory_and_loses_nothing() {
    let bytes = Arc::new(noise(64 << 20));
    let (counted, offered) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&bytes));
    let count = Arc::clone(&counted);
    let source = Target::serve(move |mut stream: TcpStream| {
        for piece in offered.chunks(64 * 1024) {
            stream.write_all(piece).unwrap();
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let daemon = Daemon::open(&source.endpoint("source"));
    let before = daemon.memory();
    let mut client = Raw::upgrade(daemon.address(), "source");
    let taken = stalled(&counted);
    let grown = daemon.memory().saturating_sub(before);
    eprintln!("slow client: {grown} bytes more for {taken} of {} taken", bytes.len());
    assert!(grown < BOUND && taken < bytes.len(), "{grown} {taken}");
    assert_eq!(client.drain(), (Received::of(&bytes), Some(1000)));
}

#[test]
fn a_target_that_does_not_read_costs_no_memory_and_loses_nothing() {
    let bytes = Arc::new(noise(64 << 20));
    let (go, wait) = channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let sink = Target::serve(move |stream: TcpStream| {
        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        crate::harness::target::received(&stream)
    });
    let daemon = Daemon::open(&sink.endpoint("sink"));
    let before = daemon.memory();
    let mut client = Raw::upgrade(daemon.address(), "sink");
    let counted = Arc::new(AtomicUsize::new(0));
    let sending = send_all(&client, Arc::clone(&bytes), Arc::clone(&counted));
    let taken = stalled(&counted);
    let grown = daemon.memory().saturating_sub(before);
    eprintln!("slow target: {grown} bytes more for {taken} of {} taken", bytes.len());
    assert!(grown < BOUND && taken < bytes.len(), "{grown} {taken}");
    go.send(()).unwrap();
    sending.join().unwrap();
    client.send(&close(1000));
    assert_eq!(sink.report(), Received::of(&bytes));
}

/// Configuration with the shortest time a client may be silent.
fn impatient(endpoints: &str) -> String {
    format!("dead_after: 5s\n{OPEN}{endpoints}")
}

#[test]
fn a_client_that_answers_no_ping_is_told_4408_and_its_target_is_released() {
    let sink = Target::sink();
    let daemon = Daemon::start(&impatient(&sink.endpoint("sink")));
    let mut client = Raw::upgrade(daemon.address(), "sink");
    let begun = Instant::now();
    assert_eq!(client.closed().map(|(code, _)| code), Some(4408));
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(sink.report().bytes, 0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn a_stopped_client_process_releases_its_target_in_time() {
    let sink = Target::sink();
    let daemon = Daemon::start(&impatient(&sink.endpoint("sink")));
    let client = Raw::upgrade(daemon.address(), "sink");
    let socket: std::os::fd::OwnedFd = client.stream().try_clone().unwrap().into();
    let mut holder = std::process::Command::new("cat")
        .stdin(socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Now only the process holds the connection.
    drop(client);
    kill_process(Pid::from_child(&holder), Signal::STOP).unwrap();
    let begun = Instant::now();
    assert_eq!(sink.report().bytes, 0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    daemon.wait_for("no answer to pings");
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_client_whose_pong_waits_behind_data_is_not_killed() {
    let (echo, source) = (Target::echo(), Target::source(noise(64 << 20)));
    let daemon = Daemon::start(&impatient(&format!(
        "{}{}",
        echo.endpoint("echo"),
        source.endpoint("source")
    )));
    // One sends a frame so slowly that no pong could come in between; the other reads slowly and
    // never answers.
    let mut sender = Raw::upgrade(daemon.address(), "echo");
    let mut reader = Raw::upgrade(daemon.address(), "source");
    let frame = masked(0x82, &noise(60_000));
    for piece in frame.chunks(frame.len() / 35) {
        sender.send(piece);
        reader.data(300_000);
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(sender.data(60_000), noise(60_000));
    sender.frame(10, b"");
    assert!(!daemon.log().contains("session closed"), "{}", daemon.log());
}

#[test]
fn a_dead_client_is_noticed_though_its_target_keeps_sending() {
    let ticker = Target::serve(|mut stream: TcpStream| {
        while stream.write_all(b".").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let daemon = Daemon::start(&impatient(&ticker.endpoint("ticker")));
    let _client = Raw::upgrade(daemon.address(), "ticker");
    daemon.wait_for("no answer to pings");
    ticker.report();
}

#[test]
fn a_session_idle_both_ways_is_closed_with_4440_whatever_pings_there_are() {
    let echo = Target::echo();
    let endpoint = format!("{}    limits: {{ idle: 4s }}\n", echo.endpoint("echo"));
    let daemon = Daemon::start(&impatient(&endpoint));
    let mut client = Raw::upgrade(daemon.address(), "echo");
    client.frame(9, b"still there?");
    assert_eq!(client.closed().map(|(code, _)| code), Some(4440));
}

#[test]
fn a_rate_is_kept_both_ways() {
    let echo = Target::echo();
    let endpoint = format!("{}    limits: {{ rate: 100KiB/s }}\n", echo.endpoint("echo"));
    let daemon = Daemon::open(&endpoint);
    let mut client = Raw::upgrade(daemon.address(), "echo");
    let bytes = noise(300 * 1024);
    let begun = Instant::now();
    client.send(&masked(0x82, &bytes));
    assert_eq!(client.data(bytes.len()), bytes);
    let took = begun.elapsed();
    assert!((Duration::from_millis(1500)..Duration::from_secs(8)).contains(&took), "{took:?}");
}
