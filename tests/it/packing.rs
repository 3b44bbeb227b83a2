//! Message borders as a WebSocket client sees them, and the pace at which a device is sent data.

use std::{
    io::{Read, Write},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{
    Daemon, Pty, Raw, Target,
    client::{Frame, upgrade_head},
    daemon::OPEN,
};

/// Payload of the next binary frame.
pub(crate) fn message(client: &mut Raw) -> Vec<u8> {
    loop {
        let Frame { fin, opcode, payload } = client.next().expect("a frame");
        assert!(fin && matches!(opcode, 1 | 2 | 9), "{opcode}: {payload:?}");
        if opcode == 2 {
            return payload;
        }
    }
}

/// A control session, opened; and the offset of its first byte.
fn control(daemon: &Daemon, endpoint: &str) -> (Raw, u64) {
    let mut client = Raw::connect(daemon.address());
    let head = upgrade_head(daemon.address(), endpoint, "Sec-WebSocket-Protocol: wsbridge.v1\r\n");
    client.send(head.as_bytes());
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    tell(&mut client, &json!({ "type": "open", "id": 1, "role": "auto" }));
    let opened = told(&mut client, "opened");
    let at = opened["rx"].as_u64().unwrap();
    (client, at)
}

fn tell(client: &mut Raw, message: &Value) {
    client.frame(1, message.to_string().as_bytes());
}

/// The next message of a type.
fn told(client: &mut Raw, kind: &str) -> Value {
    loop {
        let frame = client.next().expect("a frame");
        if frame.opcode == 1 {
            let message: Value = serde_json::from_slice(&frame.payload).unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }
}

fn line(pty: &Pty, rules: &str) -> Daemon {
    let path = pty.path().display();
    let daemon = Daemon::open(&format!(
        "  line:\n    serial: {{ port: \"{path}\", baud: 115200 }}\n    {rules}\n"
    ));
    daemon.wait_for("device open");
    daemon
}

/// CRC-16 of Modbus, one bit at a time.
pub(crate) fn modbus(body: &[u8]) -> Vec<u8> {
    let mut crc = 0xffff_u16;
    for bit in body.iter().flat_map(|byte| (0..8).map(move |shift| u16::from(*byte >> shift & 1))) {
        crc = if (crc ^ bit) & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 };
    }
    [body, &crc.to_le_bytes()].concat()
}

#[test]
fn a_line_is_one_message_though_it_comes_in_pieces_and_two_come_at_once() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: { delimiter: \"\\r\\n\" }");
    let mut plain = Raw::upgrade(daemon.address(), "line");
    let (mut other, _) = control(&daemon, "line");
    for piece in [b"on".as_slice(), b"e\r", b"\ntwo\r\nthree\r\n", b"fo", b"ur\r\n"] {
        pty.send(piece);
    }
    for client in [&mut plain, &mut other] {
        for wanted in [b"one\r\n".as_slice(), b"two\r\n", b"three\r\n", b"four\r\n"] {
            assert_eq!(message(client), wanted);
        }
    }
}

#[test]
fn a_delimiter_can_be_cut_off_for_plain_clients_and_not_for_those_that_count() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: { delimiter: \"0x3b\", keep: false }");
    let mut plain = Raw::upgrade(daemon.address(), "line");
    let (mut counting, at) = control(&daemon, "line");
    pty.send(b"a;;b;");
    assert_eq!(
        [message(&mut plain), message(&mut plain), message(&mut plain)],
        [&b"a"[..], b"", b"b"]
    );
    let all = [message(&mut counting), message(&mut counting), message(&mut counting)];
    assert_eq!(all, [&b"a;"[..], b";", b"b;"]);
    tell(&mut counting, &json!({ "type": "get", "id": 2 }));
    assert_eq!(told(&mut counting, "ok")["rx"], at + 5);
}

#[test]
fn so_many_bytes_are_one_message_and_the_rest_comes_before_the_close() {
    let source = Target::source(b"abcdefgh".to_vec());
    let endpoint = format!("{}    packing: {{ length: 3 }}\n", source.endpoint("source"));
    let daemon = Daemon::open(&endpoint);
    let mut plain = Raw::upgrade(daemon.address(), "source");
    let (mut other, _) = control(&daemon, "source");
    for client in [&mut plain, &mut other] {
        assert_eq!(
            [message(client), message(client), message(client)],
            [&b"abc"[..], b"def", b"gh"]
        );
        assert!(client.closed().is_some());
    }
}

#[test]
fn a_stop_delivers_what_is_held_back() {
    let mut pty = Pty::new();
    let mut daemon = line(&pty, "packing: { delimiter: \"\\n\" }");
    let mut client = Raw::upgrade(daemon.address(), "line");
    let (mut other, _) = control(&daemon, "line");
    pty.send(b"whole\nhalf");
    assert_eq!([message(&mut client), message(&mut other)], [b"whole\n"; 2]);
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!([message(&mut client), message(&mut other)], [b"half"; 2]);
    assert_eq!(client.closed().map(|(code, _)| code), Some(1001));
    assert_eq!(other.closed().map(|(code, _)| code), Some(1001));
    client.frame(8, &1001_u16.to_be_bytes());
    other.frame(8, &1001_u16.to_be_bytes());
    assert_eq!(daemon.exit().code(), Some(0));
}

#[test]
fn silence_ends_a_message_and_pieces_without_silence_are_one() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: { idle_ms: 400 }");
    let mut client = Raw::upgrade(daemon.address(), "line");
    for burst in [b"first burst".as_slice(), b"second"] {
        let begun = Instant::now();
        for byte in burst {
            pty.send(&[*byte]);
        }
        // That the message arrives is the signal that the silence is over.
        assert_eq!(message(&mut client), burst);
        assert!(begun.elapsed() >= Duration::from_millis(400));
    }
}

#[test]
fn silence_counts_when_the_device_is_silent_and_not_when_the_client_reads() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: { idle_ms: 200 }");
    let mut quick = Raw::upgrade(daemon.address(), "line");
    pty.send(b"one");
    assert_eq!(message(&mut quick), b"one");
    pty.send(b"two");
    assert_eq!(message(&mut quick), b"two");
    // Both are read from the tape together.
    let mut late = Raw::upgrade(daemon.address(), "line?replay=6");
    assert_eq!([message(&mut late), message(&mut late)], [b"one", b"two"]);
}

#[test]
fn a_reload_packs_for_sessions_that_begin_after_it_and_paces_those_that_run() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: none");
    let mut before = Raw::upgrade(daemon.address(), "line");
    let port = format!("serial: {{ port: \"{}\", baud: 115200 }}", pty.path().display());
    let rules = "packing: { idle_ms: 200 }\n    pacing: { line_delay: 100ms }";
    let said = daemon.reload(&format!("{OPEN}  line:\n    {port}\n    {rules}\n"));
    assert!(said.contains("retuned line") || !said.contains("changed"), "{said}");
    let begun = Instant::now();
    before.frame(2, b"a\nb");
    assert_eq!(pty.receive(3), b"a\nb");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let mut after = Raw::upgrade(daemon.address(), "line");
    for half in [b"one", b"two"] {
        pty.send(half);
        assert_eq!(before.data(3), half);
        assert_eq!(message(&mut after), half);
    }
    let mut late = Raw::upgrade(daemon.address(), "line?replay=6");
    assert_eq!([message(&mut late), message(&mut late)], [b"one", b"two"]);
}

#[test]
fn each_modbus_frame_is_one_message_though_answers_follow_without_a_pause() {
    let daemon = Daemon::open("  plc:\n    sim: modbus-rtu\n    packing: { modbus-rtu: true }\n");
    daemon.wait_for("device open");
    let mut plain = Raw::upgrade(daemon.address(), "plc");
    let requests = [
        modbus(&[1, 3, 0, 2, 0, 1]),
        modbus(&[1, 16, 0, 2, 0, 1, 2, 0, 7]),
        modbus(&[1, 3, 0, 2, 0, 1]),
    ];
    let answers =
        [modbus(&[1, 3, 2, 0, 200]), modbus(&[1, 16, 0, 2, 0, 1]), modbus(&[1, 3, 2, 0, 7])];
    let (mut watching, _) = control(&daemon, "plc");
    plain.frame(2, &requests.concat());
    for client in [&mut plain, &mut watching] {
        for answer in &answers {
            assert_eq!(message(client), *answer);
        }
    }
}

#[test]
fn a_tap_on_a_modbus_line_sees_requests_and_answers_and_noise_apart() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: { modbus-rtu: true }");
    let mut client = Raw::upgrade(daemon.address(), "line");
    let frames =
        [modbus(&[7, 3, 0, 0, 0, 2]), modbus(&[7, 3, 4, 0, 1, 0, 2]), modbus(&[7, 0x84, 2])];
    let all = frames.concat();
    pty.send(&all[..11]);
    pty.send(&all[11..]);
    for frame in &frames {
        assert_eq!(message(&mut client), *frame);
    }
    pty.send(&[0xff, 0x55]);
    assert_eq!(message(&mut client), [0xff, 0x55]);
    pty.send(&frames[0]);
    assert_eq!(message(&mut client), frames[0]);
}

#[test]
fn garbage_and_a_frame_in_one_read_are_two_messages() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: { modbus-rtu: true }");
    let mut plain = Raw::upgrade(daemon.address(), "line");
    let (mut counting, at) = control(&daemon, "line");
    let (frame, vendor) = (modbus(&[7, 3, 4, 0, 1, 0, 2]), modbus(&[7, 100, 1, 2, 3, 4, 5]));
    // Noise, an answer, a function that no table has, and what looks like the beginning of a long
    // answer before another one.
    let sent = [&[0xff, 0x55][..], &frame, &vendor, &[7, 3, 200], &frame];
    pty.send(&sent.concat());
    for client in [&mut plain, &mut counting] {
        for wanted in sent {
            assert_eq!(message(client), wanted);
        }
    }
    tell(&mut counting, &json!({ "type": "get", "id": 2 }));
    assert_eq!(told(&mut counting, "ok")["rx"], at + sent.concat().len() as u64);
}

#[test]
fn a_checksum_behind_the_delimiter_belongs_to_the_message() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: { delimiter: \"!\", plus: 4 }");
    let mut client = Raw::upgrade(daemon.address(), "line");
    for piece in [b"/meter\r\n1.8.0(1)\r\n!A".as_slice(), b"1!2/next", b"!beef!"] {
        pty.send(piece);
    }
    assert_eq!(message(&mut client), b"/meter\r\n1.8.0(1)\r\n!A1!2");
    assert_eq!(message(&mut client), b"/next!beef");
}

/// When each of this many messages of `length` bytes had arrived whole at the far end of a bus, and
/// what they were.
fn heard(pty: &mut Pty, count: usize, length: usize) -> Vec<(Instant, Vec<u8>)> {
    (0..count).map(|_| pty.receive(length)).map(|message| (Instant::now(), message)).collect()
}

#[test]
fn requests_of_one_master_in_one_write_and_of_two_masters_are_apart_on_the_wire() {
    let mut pty = Pty::new();
    let path = pty.path().display().to_string();
    // 110 8E1: a character takes 100 ms, a request of 8 bytes 800 ms, 3.5 characters 350 ms.
    let daemon = Daemon::open(&format!(
        "  line:\n    serial: {{ port: \"{path}\", baud: 110, format: 8E1 }}\n    share: everyone\n    packing: {{ modbus-rtu: true }}\n"
    ));
    daemon.wait_for("device open");
    let (mut one, mut other) =
        (Raw::upgrade(daemon.address(), "line"), Raw::upgrade(daemon.address(), "line"));
    let [a, b, c] = [1, 2, 3].map(|unit| modbus(&[unit, 3, 0, 2, 0, 1]));
    one.frame(2, &[a.as_slice(), &b].concat());
    let first = heard(&mut pty, 1, 8);
    // While the first is on the wire.
    other.frame(2, &c);
    let all = [first, heard(&mut pty, 2, 8)].concat();
    let mut messages: Vec<_> = all.iter().map(|(_, message)| message.clone()).collect();
    messages.sort();
    assert_eq!(messages, [a, b, c]);
    // A pty takes immediately what a wire needs time for: two beginnings are 1150 ms apart. A late
    // reader sees less.
    for pair in all.windows(2) {
        let apart = pair[1].0.duration_since(pair[0].0);
        assert!(apart >= Duration::from_millis(600), "{apart:?}");
    }
}

#[test]
fn a_session_that_comes_back_gets_what_was_held_back_once() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "packing: { delimiter: \"\\n\" }");
    let mut lost = Raw::connect(daemon.address());
    let head = |endpoint| {
        upgrade_head(daemon.address(), endpoint, "Sec-WebSocket-Protocol: wsbridge.v1\r\n")
    };
    lost.send(head("line").as_bytes());
    lost.head();
    tell(&mut lost, &json!({ "type": "open", "id": 1 }));
    let opened = told(&mut lost, "opened");
    pty.send(b"whole\nha");
    assert_eq!(message(&mut lost), b"whole\n");
    drop(lost);
    let mut back = Raw::connect(daemon.address());
    back.send(head("line").as_bytes());
    back.head();
    let rx = opened["rx"].as_u64().unwrap() + 6;
    tell(
        &mut back,
        &json!({ "type": "resume", "id": 1, "session": opened["session"], "epoch": opened["epoch"], "rx": rx }),
    );
    assert_eq!(told(&mut back, "resumed")["rx"], rx);
    pty.send(b"lf\n");
    assert_eq!(message(&mut back), b"half\n");
}

#[test]
fn bytes_and_lines_go_out_no_faster_than_the_device_can_bear() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "pacing: { byte_delay: 5ms, line_delay: 100ms }");
    let mut client = Raw::upgrade(daemon.address(), "line");
    let begun = Instant::now();
    client.frame(2, b"ab\r\ncd\n!");
    assert_eq!(pty.receive(1), b"a");
    assert_eq!(pty.receive(2), b"b\r");
    assert!(begun.elapsed() >= Duration::from_millis(10), "{:?}", begun.elapsed());
    assert_eq!(pty.receive(2), b"\nc");
    assert!(begun.elapsed() >= Duration::from_millis(110), "{:?}", begun.elapsed());
    assert_eq!(pty.receive(3), b"d\n!");
    assert!(begun.elapsed() >= Duration::from_millis(215), "{:?}", begun.elapsed());
}

#[test]
fn the_next_line_waits_for_the_prompt_and_no_longer_than_its_time() {
    let pty = Pty::new();
    let daemon = line(&pty, "pacing: { prompt: \"> \", timeout: 10s }");
    let mut client = Raw::upgrade(daemon.address(), "line");
    let mut device = pty.device();
    let shell = thread::spawn(move || {
        let mut lines = Vec::new();
        for _ in 0..3 {
            let mut line = Vec::new();
            while line.last() != Some(&b'\n') {
                let mut byte = [0; 64];
                let n = device.read(&mut byte).unwrap();
                line.extend_from_slice(&byte[..n]);
            }
            // Nothing of the next line arrives before the device has prompted for it, in two
            // pieces.
            lines.push(line);
            device.write_all(b"done\r\n>").unwrap();
            device.write_all(b" ").unwrap();
        }
        lines
    });
    client.frame(2, b"one\ntwo\r\nthree\n");
    assert_eq!(shell.join().unwrap(), [&b"one\n"[..], b"two\r\n", b"three\n"]);

    let mut pty = Pty::new();
    let daemon = line(&pty, "pacing: { prompt: \"> \", timeout: 300ms }");
    let mut client = Raw::upgrade(daemon.address(), "line");
    let begun = Instant::now();
    client.frame(2, b"one\ntwo");
    assert_eq!(pty.receive(7), b"one\ntwo");
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_shared_tcp_line_is_paced_too() {
    let sink = Target::sink();
    let endpoint = format!(
        "  line:\n    tcp: {{ address: \"{}\" }}\n    share: everyone\n    pacing: {{ byte_delay: 20ms }}\n",
        sink.address()
    );
    let daemon = Daemon::open(&endpoint);
    let mut client = Raw::upgrade(daemon.address(), "line");
    let begun = Instant::now();
    client.frame(2, b"abcdef");
    client.frame(8, &1000_u16.to_be_bytes());
    assert_eq!(sink.report().bytes, 6);
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_pause_holds_up_neither_reading_nor_a_flush_nor_a_drain_that_follows_it() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "pacing: { line_delay: 60s }");
    let (mut client, _) = control(&daemon, "line");
    client.frame(2, b"one\ntwo\n");
    assert_eq!(pty.receive(4), b"one\n");
    pty.send(b"still heard");
    assert_eq!(message(&mut client), b"still heard");
    tell(&mut client, &json!({ "type": "config", "id": 2, "baud": 9600, "now": true }));
    assert_eq!(told(&mut client, "ok")["re"], 2);
    // What waits is discarded immediately; then there is nothing left to wait for.
    tell(&mut client, &json!({ "type": "flush", "id": 3, "tx": true }));
    assert_eq!(told(&mut client, "ok")["re"], 3);
    tell(&mut client, &json!({ "type": "drain", "id": 4 }));
    assert_eq!(told(&mut client, "ok")["re"], 4);
}

#[test]
fn a_drain_waits_for_what_the_pace_holds_back() {
    let mut pty = Pty::new();
    let daemon = line(&pty, "pacing: { byte_delay: 50ms }");
    let (mut client, _) = control(&daemon, "line");
    let begun = Instant::now();
    client.frame(2, b"abcd");
    tell(&mut client, &json!({ "type": "drain", "id": 2 }));
    assert_eq!(told(&mut client, "ok")["tx"], 4);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(pty.receive(4), b"abcd");
}
