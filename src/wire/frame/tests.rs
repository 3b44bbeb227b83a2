//! Tests of the frame decoder and encoder.

use proptest::prelude::*;
use tokio_tungstenite::tungstenite;

use self::differential::{Event, Reading, agree, in_reads, ours};
use super::*;

mod frame {
    pub(super) use super::super::*;
}

#[expect(unreachable_pub, reason = "the fuzz targets use the same file")]
#[path = "../../../fuzz/src/differential.rs"]
mod differential;

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A client's frame, right or wrong: `start` is its first byte.
fn frame(start: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mut buf = [0; HEADER_MAX];
    let length = header(&mut buf, true, Opcode::Binary, payload.len() as u64);
    let mut bytes = buf[HEADER_MAX - length..].to_vec();
    bytes[0] = start;
    let mut payload = payload.to_vec();
    if masked {
        bytes[1] |= 0x80;
        bytes.extend(MASK);
        payload.iter_mut().zip(MASK.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    bytes.extend(payload);
    bytes
}

/// How a stream that arrives in one read ends.
fn error(bytes: &[u8]) -> Option<FrameError> {
    ours(bytes, usize::MAX).error
}

#[test]
fn a_masked_text_frame_is_read_as_in_the_rfc() {
    // RFC 6455 section 5.7: "Hello", masked.
    let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let mut decoder = Decoder::new();
    let (used, item) = decoder.next(&mut bytes).unwrap();
    assert_eq!(
        (used, item),
        (11, Item::Data { range: 6..11, text: true, first: true, last: true })
    );
    assert_eq!(&bytes[6..], b"Hello");
    assert_eq!(decoder.next(&mut []), Ok((0, Item::More)));
}

#[test]
fn a_header_is_as_short_as_can_be_and_ends_where_the_buffer_ends() {
    for (payload, expected) in [
        (0, &[0x82, 0][..]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (65_535, &[0x82, 126, 0xFF, 0xFF]),
        (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let mut buf = [0xEE; HEADER_MAX];
        let length = header(&mut buf, true, Opcode::Binary, payload);
        assert_eq!(&buf[HEADER_MAX - length..], expected);
    }
    let mut buf = [0; HEADER_MAX];
    assert_eq!(header(&mut buf, false, Opcode::Continuation, 1), 2);
    assert_eq!(buf[8..], [0x00, 1]);
}

#[test]
fn every_first_byte_mask_and_length_border_is_taken_or_refused_as_the_rfc_says() {
    for (start, masked) in (0..=255_u8).flat_map(|start| [(start, false), (start, true)]) {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            for inside in [false, true] {
                let mut bytes = if inside { frame(0x02, true, b"begun") } else { Vec::new() };
                bytes.extend(frame(start, masked, &vec![b'a'; length]));
                let control = start & 0x08 != 0;
                let legal = masked
                    && start & 0x70 == 0
                    && match start & 0x0F {
                        0x0 => inside,
                        0x1 | 0x2 => !inside,
                        // Two letters `a` are not a legal close code, and one is not a code.
                        0x8 => length == 0,
                        0x9 | 0xA => length <= 125,
                        _ => false,
                    }
                    && (!control || start & 0x80 != 0);
                let whole = ours(&bytes, usize::MAX);
                assert_eq!(
                    whole.error.is_none(),
                    legal,
                    "{start:#x} {masked} {length} {inside}: {whole:?}"
                );
                for chunk in (1..bytes.len()).take_while(|_| length <= 127) {
                    assert_eq!(ours(&bytes, chunk), whole, "{start:#x}, reads of {chunk}");
                }
            }
        }
    }
}

/// A frame with its length written in this many bytes: 0, 2 or 8 after the second.
fn wide(start: u8, key: [u8; 4], wide: usize, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_be_bytes();
    let mut bytes = vec![start, 0x80 | [length[7], 126, 127][wide.div_ceil(4)]];
    bytes.extend(&length[8 - wide..]);
    bytes.extend(key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// What two reads make of it.
fn in_two(bytes: &[u8], cut: usize) -> Reading {
    let (first, second) = bytes.split_at(cut);
    in_reads([first, second].into_iter())
}

#[test]
fn a_frame_split_at_any_byte_is_the_frame_whatever_its_opcode_bits_mask_and_length() {
    let keys = [[0; 4], [0xFF; 4], MASK];
    let mut seen = 0;
    for start in 0..=255_u8 {
        for (wide_by, length) in [
            (0, 0),
            (0, 1),
            (0, 124),
            (0, 125),
            (2, 126),
            (2, 127),
            (2, 125),
            (8, 126),
            (8, 65_535),
        ] {
            // A Close says something; everything else is text.
            let mut payload = vec![b'a'; length];
            if let Some(code) = payload.get_mut(..2).filter(|_| start & 0x0F == 8) {
                code.copy_from_slice(&1000_u16.to_be_bytes());
            }
            let bytes = wide(start, keys[usize::from(start) % 3], wide_by, &payload);
            let whole = ours(&bytes, usize::MAX);
            // For frames that are refused or longer, only the cuts that can matter: in the header,
            // and around the end.
            let few = length > 127;
            for cut in (1..bytes.len()).filter(|cut| !few || *cut < 16 || cut + 4 > bytes.len()) {
                assert_eq!(
                    in_two(&bytes, cut),
                    whole,
                    "{start:#x} {wide_by} {length}, cut at {cut}"
                );
            }
            agree(&bytes, 1 + length / 2);
            seen += 1;
        }
    }
    for (wide_by, length) in [(2, 65_535), (8, 65_536)] {
        let bytes = wide(0x82, MASK, wide_by, &vec![7; length]);
        let whole = ours(&bytes, usize::MAX);
        assert_eq!(whole.events, [Event::Data { text: false, bytes: vec![7; length] }]);
        for cut in (1..16).chain((1..8).map(|part| part * 8192)).chain(bytes.len() - 4..bytes.len())
        {
            assert_eq!(in_two(&bytes, cut), whole, "{length}, cut at {cut}");
        }
    }
    assert_eq!(seen, 256 * 9);
}

#[test]
fn every_two_reads_of_a_conversation_give_the_same_items() {
    let bytes = [
        frame(0x01, true, "Grüße ".as_bytes()),
        frame(0x89, true, b"ping"),
        frame(0x00, true, b""),
        frame(0x80, true, "aus Köln 🦀".as_bytes()),
        frame(0x82, true, &[0xFF; 127]),
        frame(0x8A, true, b""),
        frame(0x82, true, b""),
        frame(0x88, true, &close_payload(1000, "ende")),
    ]
    .concat();
    let expected = [
        Event::Ping(b"ping".to_vec()),
        Event::Data { text: true, bytes: "Grüße aus Köln 🦀".into() },
        Event::Data { text: false, bytes: vec![0xFF; 127] },
        Event::Pong(Vec::new()),
        Event::Data { text: false, bytes: Vec::new() },
        Event::Close(Some((1000, "ende".into()))),
    ];
    for chunk in 1..=bytes.len() {
        assert_eq!(ours(&bytes, chunk), Reading { events: expected.to_vec(), error: None });
        assert_eq!(in_two(&bytes, chunk), ours(&bytes, chunk));
    }
}

#[test]
fn the_payload_of_a_partly_received_frame_is_handed_out_at_once() {
    let mut decoder = Decoder::new();
    // 2^62 bytes are announced.
    let mut start = [0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'a', b'b'];
    let item = Item::Data { range: 14..16, text: false, first: true, last: false };
    assert_eq!(decoder.next(&mut start), Ok((16, item)));
    let item = Item::Data { range: 0..3, text: false, first: false, last: false };
    assert_eq!(decoder.next(&mut [1, 2, 3]), Ok((3, item)));
    assert!(size_of::<Decoder>() < 256);
}

#[test]
fn a_length_not_in_its_shortest_form_is_refused() {
    for (start, length) in
        [(&[0x82, 0xFE][..], &[0, 125][..]), (&[0x82, 0xFF], &[0, 0, 0, 0, 0, 0, 0xFF, 0xFF])]
    {
        let bytes = [start, length, &MASK].concat();
        assert_eq!(error(&bytes), Some(FrameError::Protocol("length not in its shortest form")));
    }
    // Found by the fuzz target: tungstenite takes this for a Close without payload.
    let bytes = [&[0x88, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0][..], &MASK].concat();
    assert_eq!(error(&bytes), Some(FrameError::Protocol("control frame over 125 bytes")));
    agree(&bytes, 1);
    let bytes = [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(error(&bytes), Some(FrameError::Protocol("length over 63 bits")));
}

#[test]
fn close_codes_that_must_not_be_on_the_wire_are_refused() {
    for code in 0..=u16::MAX {
        let legal = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(parse_close(&code.to_be_bytes()).is_ok(), legal, "{code}");
    }
    assert_eq!(parse_close(&[]), Ok(None));
    assert_eq!(
        error(&frame(0x88, true, &[3])),
        Some(FrameError::Protocol("Close payload of one byte"))
    );
    assert_eq!(error(&frame(0x88, true, &[3, 232, 0xFF])), Some(FrameError::NotUtf8));
    assert_eq!(
        error(&frame(0x88, true, &1005_u16.to_be_bytes())),
        Some(FrameError::Protocol("illegal close code"))
    );
}

#[test]
fn the_reason_of_a_close_is_cut_between_characters() {
    let payload = close_payload(4409, &"ü".repeat(100));
    assert_eq!(payload.len(), 2 + 122);
    assert_eq!(parse_close(&payload), Ok(Some((4409, "ü".repeat(61).as_str()))));
    assert_eq!(close_payload(1000, ""), [3, 232]);
}

#[test]
fn text_fails_at_the_first_byte_that_proves_it_wrong() {
    // Overlong, surrogate, beyond U+10FFFF, lone continuation, never-used byte: with one good byte
    // before, and many after.
    for wrong in
        [&b"\xC0"[..], b"\xE0\x80", b"\xED\xA0", b"\xF4\x90", b"\x80", b"\xFF", b"\xF0\x9F\xA6a"]
    {
        let text = [b"a", wrong].concat();
        let mut bytes = frame(0x81, true, &[&text[..], &[b' '; 100]].concat());
        bytes.truncate(6 + text.len());
        for chunk in 1..=bytes.len() {
            assert_eq!(ours(&bytes, chunk).error, Some(FrameError::NotUtf8), "{wrong:x?}");
        }
        bytes.pop();
        assert_eq!(error(&bytes), None, "{wrong:x?} is not certain a byte before");
    }
}

#[test]
fn a_text_message_must_not_end_within_a_character() {
    let half = frame(0x01, true, b"\xF0\x9F");
    assert_eq!(error(&[half.clone(), frame(0x80, true, b"\xA6\x80")].concat()), None);
    assert_eq!(
        error(&[half.clone(), frame(0x80, true, b"\xA6")].concat()),
        Some(FrameError::NotUtf8)
    );
    assert_eq!(error(&[half, frame(0x80, true, b"")].concat()), Some(FrameError::NotUtf8));
    assert_eq!(error(&frame(0x81, true, b"\xF0\x9F\xA6")), Some(FrameError::NotUtf8));
}

#[test]
fn an_error_ends_the_session_with_its_code() {
    assert_eq!(Ended::from(FrameError::Protocol("x")).code(), Some(1002));
    assert_eq!(Ended::from(FrameError::NotUtf8).code(), Some(1007));
}

/// A frame, mostly legal where it stands alone.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..300),
        (900_u16..5100, "\\PC{0,10}").prop_map(|(code, reason)| close_payload(code, &reason)),
    ];
    let start = prop_oneof![
        8 => prop::sample::select(&[0x81_u8, 0x82, 0x89, 0x8A, 0x01, 0x02, 0x00, 0x80][..]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    (start, prop::bool::weighted(0.98), payload)
        .prop_map(|(start, masked, payload)| frame(start, masked, &payload))
}

proptest! {
    #[test]
    fn any_split_of_a_message_gives_the_same_bytes(
        payload in prop::collection::vec(any::<u8>(), 0..2000), cuts in prop::collection::vec(1_usize..700, 1..8),
    ) {
        let mut bytes = frame(0x82, true, &payload);
        let (mut decoder, mut got, mut cuts) = (Decoder::new(), Vec::new(), cuts.iter().cycle());
        let mut rest = &mut bytes[..];
        while !rest.is_empty() {
            let cut = rest.len().min(*cuts.next().unwrap());
            let (read, behind) = rest.split_at_mut(cut);
            let mut at = 0;
            loop {
                match decoder.next(&mut read[at..]).unwrap() {
                    (_, Item::More) => break,
                    (used, Item::Data { range, .. }) => {
                        got.extend_from_slice(&read[at..][range]);
                        at += used;
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            rest = behind;
        }
        prop_assert_eq!(got, payload);
    }

    #[test]
    fn tungstenite_reads_the_same(frames in prop::collection::vec(any_frame(), 1..8), chunk in 1_usize..400) {
        agree(&frames.concat(), chunk);
    }

    #[test]
    fn tungstenite_reads_the_same_from_noise(bytes in prop::collection::vec(any::<u8>(), 0..200), chunk in 1_usize..40) {
        agree(&bytes, chunk);
    }
}
