//! Data, windows, acknowledgements, scrollback, gaps.

use std::time::Duration;

use serde_json::json;
use wsbridge::client::{Client, Dial, Event, Open};

use super::{code, on_pty};
use crate::harness::{Daemon, Target, Wire};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn data_beyond_the_window_close_with_4400() {
    let (daemon, _pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    // A pty that nobody reads takes a few KiB, the queue 64.
    for _ in 0..16 {
        wire.send(&[0; 16 * 1024]).await;
    }
    assert_eq!(wire.closed().await, (4400, "bad message: more data than the window".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bytes_are_acknowledged_each_quarter_window_or_when_all_are_done() {
    let (daemon, mut pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(b"x").await;
    assert_eq!(wire.told("ack").await["tx"], 1);
    wire.send(&vec![0; 65536]).await;
    pty.receive(65537);
    let mut last = 1;
    while last < 65537 {
        let ack = wire.told("ack").await["tx"].as_u64().unwrap();
        assert!(ack > last && (ack == 65537 || ack - last >= 16384), "{last} then {ack}");
        last = ack;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_gets_no_more_than_its_window_and_the_next_when_it_says_so() {
    let source = Target::source(vec![1; 200_000]);
    let daemon = Daemon::open(&source.endpoint("e"));
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({"window": 5000})).await;
    assert_eq!(wire.receive(5000).await.len(), 5000);
    assert!(wire.silent(Duration::from_millis(200)).await);
    wire.say(json!({"type": "ack", "rx": 1250})).await;
    assert_eq!(wire.receive(1250).await.len(), 1250);
    assert!(wire.silent(Duration::from_millis(200)).await);
    // A session's own connection waits for it: not a byte is lost, and its end comes after the last
    // one.
    let mut got = 6250;
    while got < 200_000 {
        wire.say(json!({"type": "ack", "rx": got})).await;
        let most = 5000.min(200_000 - got);
        got += wire.receive(most).await.len();
    }
    wire.say(json!({"type": "ack", "rx": got})).await;
    assert_eq!(wire.closed().await.0, 1000);
    assert!(wire.passed.iter().all(|told| told["type"] != "gap"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn scrollback_is_the_last_bytes_or_everything_from_an_offset() {
    let (daemon, mut pty) = on_pty();
    let (mut first, opened) = Wire::opened(&daemon, "e", json!({})).await;
    pty.send(b"0123456789");
    first.receive(10).await;
    let epoch = opened["epoch"].clone();
    for (replay, rx, text) in [
        (json!({"bytes": 4}), 6, "6789"),
        (json!({"bytes": 400}), 0, "0123456789"),
        (json!({"from": 3, "epoch": epoch}), 3, "3456789"),
        (json!({"from": 300, "epoch": epoch}), 10, ""),
        (json!({"from": 3, "epoch": "another"}), 0, "0123456789"),
    ] {
        let (mut wire, opened) =
            Wire::opened(&daemon, "e", json!({"role": "observer", "replay": replay})).await;
        assert_eq!((&opened["rx"], &opened["live"]), (&json!(rx), &json!(10)), "{replay}");
        assert_eq!(wire.receive(text.len()).await, text.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_stops_reading_is_told_exactly_what_it_missed_and_costs_nobody_a_byte() {
    const TOTAL: u64 = 50 << 20;
    const HISTORY: u64 = 256 << 10;
    let echo = Target::echo();
    let daemon = Daemon::open(&format!("{}    share: one-writer\n", echo.endpoint("e")));
    let (mut viewer, opened) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    assert_eq!(opened["rx"], 0);

    let (writer, mut events) = Client::connect(Dial::new(daemon.url("e"))).await.unwrap();
    writer.open(Open::default()).await.unwrap();
    let chunk: Vec<u8> = (0..64 * 1024_u32).map(|n| (n % 251) as u8).collect();
    let mut moved = 0_u64;
    while moved < TOTAL {
        writer.write(&chunk).await.unwrap();
        let end = moved + chunk.len() as u64;
        while moved < end {
            match events.next().await.unwrap() {
                Event::Data { at, bytes } => {
                    assert_eq!(at, moved);
                    moved += bytes.len() as u64;
                }
                Event::Gap { .. } | Event::Closed { .. } | Event::Lost(_) => {
                    panic!("the writer lost bytes")
                }
                _ => {}
            }
        }
    }
    // The viewer's window is full of the beginning, and it acknowledges that only now.
    assert_eq!(viewer.receive(65536).await, chunk);
    viewer.say(json!({"type": "ack", "rx": 65536})).await;
    let gap = viewer.told("gap").await;
    assert_eq!((&gap["from"], &gap["to"]), (&json!(65536), &json!(TOTAL - HISTORY)));
    let mut at = TOTAL - HISTORY;
    while at < TOTAL {
        assert_eq!(
            viewer.receive(16384).await,
            chunk[usize::try_from(at).unwrap() % 65536..][..16384]
        );
        at += 16384;
        viewer.say(json!({"type": "ack", "rx": at})).await;
    }
    writer.write(b"live").await.unwrap();
    assert_eq!(viewer.receive(4).await, b"live");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_time_of_bytes_after_a_pause_comes_before_them() {
    let (daemon, mut pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({"times": true})).await;
    let (mut other, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    for at in [0, 4] {
        // This test is about a pause.
        tokio::time::sleep(Duration::from_millis(20)).await;
        pty.send(b"tick");
        let time = wire.told("time").await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!((&time["at"], wire.data.len()), (&json!(at), 0));
        assert!(u128::from(time["ms"].as_u64().unwrap()).abs_diff(now.as_millis()) < 20_000);
        assert_eq!(wire.receive(4).await, b"tick");
    }
    other.receive(8).await;
    assert!(other.passed.iter().all(|told| told["type"] != "time"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn flush_discards_what_was_not_sent_or_not_read() {
    let (daemon, mut pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(&vec![7; 60_000]).await;
    let flushed = wire.ask("flush", json!({"tx": true})).await;
    assert_eq!(flushed["type"], "ok", "{flushed}");
    // The acknowledgement may have come before the answer.
    if wire.passed.iter().all(|told| told["tx"] != 60_000) {
        wire.until(|told| told["tx"] == 60_000).await;
    }
    wire.send(b"next").await;
    wire.until(|told| told["tx"] == 60_004).await;
    // At most what the kernel had taken comes before what was sent after the flush.
    let got = pty.receive(4);
    assert!(got == b"next" || got == [7; 4], "{got:?}");

    pty.send(b"unread");
    let flushed = wire.ask("flush", json!({"rx": true})).await;
    // The offset says which bytes follow: all earlier ones were discarded, wherever they were.
    let rx = flushed["rx"].as_u64().unwrap();
    wire.data.clear();
    pty.send(b"fresh");
    while !wire.data.ends_with(b"fresh") {
        let more = wire.receive(wire.data.len() + 1).await;
        wire.data.splice(..0, more);
    }
    assert!(
        rx + wire.data.len() as u64 <= 11 && wire.data.len() <= 11,
        "{:?} behind {rx}",
        wire.data
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn drain_answers_when_everything_before_it_is_with_the_device() {
    let (daemon, mut pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(&vec![1; 50_000]).await;
    wire.say(json!({"type": "drain", "id": 1})).await;
    wire.ask("ping", json!({})).await;
    assert!(wire.passed.iter().all(|told| told["re"] != 1), "{:?}", wire.passed);
    pty.receive(50_000);
    let done = wire.until(|told| told["re"] == 1).await;
    assert_eq!((&done["type"], &done["tx"]), (&json!("ok"), &json!(50_000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_clean_close_sends_what_was_taken() {
    let (daemon, mut pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(&vec![3; 50_000]).await;
    wire.close(1000).await;
    assert_eq!(pty.receive(50_000), vec![3; 50_000]);
    assert!(matches!(wire.closed().await, (1000, _)));
    let (mut next, opened) = Wire::opened(&daemon, "e", json!({"role": "writer"})).await;
    assert_eq!(opened["role"], "writer", "{opened}");
    assert_eq!(code(&next.ask("lease", json!({"op": "grant"})).await), "bad_message");
}
