//! Frames: what RFC 6455 allows and what it does not, floods of them, and the subprotocols of plain
//! mode.

use std::{io::Write, thread};

use crate::harness::{
    Daemon, Raw, Target,
    client::{Frame, masked},
    target::Received,
};

/// The memory the daemon may need in addition to what it had before.
const BOUND: usize = 1 << 20;

fn close(code: u16) -> Vec<u8> {
    masked(0x88, &code.to_be_bytes())
}

#[test]
fn empty_frames_are_no_ops() {
    let sink = Target::sink();
    let daemon = Daemon::open(&sink.endpoint("sink"));
    let mut client = Raw::upgrade(daemon.address(), "sink");
    for (first, payload) in [
        (0x82, &b""[..]),
        (0x81, b""),
        (0x02, b""),
        (0x00, b""),
        (0x80, b""),
        (0x82, b"one"),
        (0x01, b""),
        (0x00, b" two"),
        (0x80, b""),
        (0x82, b""),
    ] {
        client.send(&masked(first, payload));
    }
    client.send(&close(1000));
    assert_eq!(client.closed().map(|(code, _)| code), Some(1000));
    assert_eq!(sink.report(), Received::of(b"one two"));
}

#[test]
fn a_frame_that_announces_a_terabyte_takes_no_memory_and_its_bytes_flow() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let before = daemon.memory();
    let mut client = Raw::upgrade(daemon.address(), "echo");
    client.send(
        &[&[0x82, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4], b"first bytes of many"]
            .concat(),
    );
    assert_eq!(client.data(19), b"first bytes of many");
    let grown = daemon.memory().saturating_sub(before);
    assert!(grown < BOUND, "{grown}");
}

/// Sends this many copies of a frame, then data, which must come back; returns how much memory that
/// took.
fn flood(first: u8, payload: &[u8], count: usize) -> usize {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let mut client = Raw::upgrade(daemon.address(), "echo");
    client.frame(2, b"warm");
    client.data(4);
    let before = daemon.memory();
    let mut stream = client.stream().try_clone().unwrap();
    let many = masked(first, payload).repeat(1000);
    let sending = thread::spawn(move || {
        for _ in 0..count / 1000 {
            stream.write_all(&many).unwrap();
        }
        stream.write_all(&masked(0x82, b"end")).unwrap();
    });
    let mut most = 0;
    while !sending.is_finished() {
        most = most.max(daemon.memory());
        thread::yield_now();
    }
    sending.join().unwrap();
    let ends = |frame: &Frame| frame.opcode <= 2 && frame.payload.ends_with(b"end");
    while !ends(&client.next().unwrap()) {}
    most.max(daemon.memory()).saturating_sub(before)
}

#[test]
fn floods_of_pings_and_empty_frames_take_no_memory() {
    for (what, first, payload) in
        [("ping", 0x89, &[7_u8; 125][..]), ("pong", 0x8a, b"x"), ("empty", 0x82, b"")]
    {
        let grown = flood(first, payload, 100_000);
        eprintln!("{what} flood: {grown} bytes more");
        assert!(grown <= 1 << 20, "{what}: {grown}");
    }
}

#[test]
fn a_flood_of_fragments_takes_no_memory() {
    let sink = Target::sink();
    let daemon = Daemon::open(&sink.endpoint("sink"));
    let mut client = Raw::upgrade(daemon.address(), "sink");
    let before = daemon.memory();
    client.send(&masked(0x02, b"."));
    let many = masked(0x00, b".").repeat(1000);
    for _ in 0..100 {
        client.send(&many);
    }
    let grown = daemon.memory().saturating_sub(before);
    client.send(&[masked(0x80, b""), close(1000)].concat());
    assert_eq!(sink.report().bytes, 100_001);
    assert!(grown <= 1 << 20, "{grown}");
}

#[test]
fn a_client_that_breaks_rfc_6455_is_closed_with_1002() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let control = masked(0x89, &[0; 126]);
    let mut wide = vec![0x82, 0xff];
    wide.extend([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    for (what, bytes) in [
        ("unmasked", vec![0x82, 1, b'x']),
        ("RSV1", masked(0xc2, b"x")),
        ("RSV2", masked(0xa2, b"x")),
        ("RSV3", masked(0x92, b"x")),
        ("reserved data opcode", masked(0x83, b"x")),
        ("reserved control opcode", masked(0x8b, b"x")),
        ("16-bit length for 5", vec![0x82, 0xfe, 0, 5, 0, 0, 0, 0]),
        ("64-bit length for 256", wide),
        ("length with the highest bit", vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("control frame over 125", control),
        ("fragmented control frame", masked(0x09, b"x")),
        ("continuation of nothing", masked(0x80, b"x")),
        ("message inside a message", [masked(0x02, b"x"), masked(0x82, b"y")].concat()),
        ("Close of one byte", masked(0x88, b"x")),
        ("Close with 1005", close(1005)),
        ("Close with 1006", close(1006)),
        ("Close with 999", close(999)),
        ("Close with 5000", close(5000)),
    ] {
        let mut client = Raw::upgrade(daemon.address(), "echo");
        client.send(&bytes);
        assert_eq!(client.closed().map(|(code, _)| code), Some(1002), "{what}");
        client.half_close();
        assert_eq!(client.next(), None, "{what}");
    }
}

#[test]
fn the_subprotocols_of_plain_mode_are_answered_as_the_protocol_says() {
    let echo = Target::echo();
    let allowed = format!("{}    base64: true\n", echo.endpoint("allowed"));
    let daemon = Daemon::open(&format!("{}{allowed}", echo.endpoint("echo")));
    let offer = |name: &str, offer: &str| {
        let (client, head) =
            Raw::handshake(daemon.address(), name, &format!("Sec-WebSocket-Protocol: {offer}\r\n"));
        let answer = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("sec-websocket-protocol: ").map(str::to_owned)
        });
        (client, crate::harness::client::status(&head), answer)
    };
    let (mut client, status, answer) = offer("echo", "base64, binary");
    assert_eq!((status, answer.as_deref()), (101, Some("binary")));
    client.frame(2, b"hello");
    assert_eq!(client.data(5), b"hello");

    assert_eq!(offer("echo", "base64").1, 400);
    assert_eq!(offer("echo", "chat").1, 400);

    let (mut client, status, answer) = offer("allowed", "base64");
    assert_eq!((status, answer.as_deref()), (101, Some("base64")));
    client.frame(1, b"aGVsbG8=");
    let frame = client.next().unwrap();
    assert_eq!((frame.opcode, frame.payload.as_slice()), (1, &b"aGVsbG8="[..]));
}

#[test]
fn what_a_dumb_terminal_ends_its_lines_with_becomes_what_the_device_wants() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    for (query, wanted) in [("cr", "ATI\rATZ\r"), ("lf", "ATI\nATZ\n"), ("crlf", "ATI\r\nATZ\r\n")]
    {
        let (mut client, head) =
            Raw::handshake(daemon.address(), &format!("/ws/echo?frames=text&eol={query}"), "");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The second line's end is cut in two.
        client.frame(1, b"ATI\n");
        client.frame(1, b"ATZ\r");
        client.frame(1, b"\n");
        let got = client.data(wanted.len());
        assert_eq!(String::from_utf8(got).unwrap(), wanted, "{query}");
        // Nothing came of the second half: the answer to the Close counts what the device was sent.
        client.frame(8, &1000_u16.to_be_bytes());
        assert_eq!(client.closed(), Some((1000, "closed by the client".into())), "{query}");
    }
    assert_eq!(Raw::status(daemon.address(), "/ws/echo?eol=none", ""), 400);
}

#[test]
fn dumb_terminals_get_text_frames_and_websockify_clients_their_token() {
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("echo"));
    let (mut client, head) = Raw::handshake(daemon.address(), "/ws/echo?frames=text", "");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.frame(2, b"gr\xc3\xbc\xff");
    let mut text = Vec::new();
    while !text.ends_with("\u{fffd}".as_bytes()) {
        let frame = client.next().unwrap();
        assert_eq!(frame.opcode, 1);
        text.extend(frame.payload);
    }
    assert_eq!(String::from_utf8(text).unwrap(), "gr\u{fc}\u{fffd}");

    let (mut client, head) = Raw::handshake(
        daemon.address(),
        "/websockify?token=echo",
        "Sec-WebSocket-Protocol: binary\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.frame(2, b"hello");
    assert_eq!(client.data(5), b"hello");
}
