//! Messages in streams that arrive in pieces.

use proptest::prelude::*;

use super::*;
use crate::wire::modbus::crc16;

const LONGEST: usize = 1000;
const SILENCE: Duration = Duration::from_millis(4);
const MODBUS: Packing = Packing::ModbusRtu { silence: SILENCE };

fn delimiter(bytes: &[u8], keep: bool, plus: usize) -> Packing {
    Packing::Delimiter { bytes: Delimiter::new(bytes).unwrap(), keep, plus }
}

/// The messages of a stream read in these pieces, and after them those that its end yields.
fn messages<P: AsRef<[u8]>>(rule: Packing, pieces: &[P]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut framer, mut all, mut rest) = (Framer::new(rule, LONGEST), Vec::new(), Vec::new());
    for piece in pieces {
        framer.push(piece.as_ref(), |message| all.push(message.to_vec()));
    }
    framer.end(|message| rest.push(message.to_vec()));
    assert_eq!(framer.held(), 0);
    (all, rest)
}

fn framed(body: &[u8]) -> Vec<u8> {
    [body, &crc16(body).to_le_bytes()].concat()
}

#[test]
fn a_delimiter_split_over_reads_is_found() {
    let pieces: [&[u8]; 4] = [b"one\r", b"\ntwo\r\n\r", b"\nthr", b"ee"];
    let (all, rest) = messages(delimiter(b"\r\n", true, 0), &pieces);
    assert_eq!(
        (all, rest),
        ([&b"one\r\n"[..], b"two\r\n", b"\r\n"].map(Vec::from).to_vec(), vec![b"three".to_vec()])
    );
    let (all, _) = messages(delimiter(b"\r\n", false, 0), &pieces);
    assert_eq!(all, [&b"one"[..], b"two", b""]);
}

#[test]
fn a_checksum_behind_the_delimiter_belongs_to_the_message_even_where_it_looks_like_one() {
    let stream = b"/meter\r\n1!A1B2/x!!!!!tail!";
    let wanted = [&b"/meter\r\n1!A1B2"[..], b"/x!!!!!"];
    for cut in 1..stream.len() {
        let pieces: Vec<&[u8]> = stream.chunks(cut).collect();
        let (all, rest) = messages(delimiter(b"!", true, 4), &pieces);
        assert_eq!((all, rest), (wanted.map(Vec::from).to_vec(), vec![b"tail!".to_vec()]), "{cut}");
    }
}

#[test]
fn a_message_that_never_ends_is_cut_at_the_longest_there_may_be() {
    for rule in [delimiter(b"\n", true, 0), Packing::Idle(SILENCE)] {
        let (all, rest) = messages(rule, &[vec![0; LONGEST], vec![0; 3]]);
        assert_eq!((all, rest), (vec![vec![0; LONGEST]], vec![vec![0; 3]]));
    }
}

#[test]
fn modbus_frames_in_one_read_are_two_messages_and_garbage_before_one_is_a_third() {
    let (request, response) = (framed(&[1, 3, 0, 2, 0, 1]), framed(&[1, 3, 2, 0, 200]));
    let both = [request.as_slice(), &response].concat();
    for (read, wanted) in [
        (both.clone(), vec![request.clone(), response.clone()]),
        (
            [&[0xff, 0x55][..], &both].concat(),
            vec![vec![0xff, 0x55], request.clone(), response.clone()],
        ),
        (
            [&request[..], &[0], &response[..]].concat(),
            vec![request.clone(), vec![0], response.clone()],
        ),
    ] {
        for cut in 1..=read.len() {
            let pieces: Vec<&[u8]> = read.chunks(cut).collect();
            assert_eq!(messages(MODBUS, &pieces), (wanted.clone(), Vec::new()), "{read:?} {cut}");
        }
    }
}

#[test]
fn silence_ends_what_is_no_frame_and_a_torn_frame_is_given_more_time() {
    let mut framer = Framer::new(MODBUS, LONGEST);
    assert_eq!(framer.silence(), None);
    framer.push(&[1, 99, 7], |message| panic!("{message:?}"));
    assert_eq!(framer.silence(), Some(SILENCE));
    framer.end(|message| assert_eq!(message, [1, 99, 7]));
    framer.push(&[1, 3, 8, 0], |message| panic!("{message:?}"));
    assert_eq!(framer.silence(), Some(TORN));
}

#[test]
fn a_frame_behind_what_looked_like_a_longer_one_is_found_when_silence_has_ended_it() {
    let (frame, vendor) = (framed(&[7, 6, 0, 2, 0, 9]), framed(&[7, 101, 1, 2]));
    let noise = [1, 3, 200];
    let (all, rest) = messages(MODBUS, &[[&noise[..], &frame, &frame, &vendor].concat(), vec![5]]);
    assert_eq!(all, Vec::<Vec<u8>>::new());
    assert_eq!(rest, [noise.to_vec(), frame.clone(), frame, vendor, vec![5]]);
}

fn rules() -> impl Strategy<Value = Packing> {
    prop_oneof![
        Just(Packing::Idle(SILENCE)),
        (1_usize..9).prop_map(Packing::Length),
        Just(MODBUS),
        (prop::collection::vec(0_u8..3, 1..5), 0_usize..4)
            .prop_map(|(bytes, plus)| delimiter(&bytes, true, plus)),
    ]
}

proptest! {
    #[test]
    fn messages_are_the_stream_and_each_obeys_the_rule(
        rule in rules(),
        most in 5_usize..20,
        pieces in prop::collection::vec((prop::collection::vec(0_u8..3, 0..12), any::<bool>()), 0..12),
    ) {
        let (mut framer, mut all, mut input) = (Framer::new(rule, most), Vec::new(), Vec::new());
        for (piece, pause) in &pieces {
            if *pause {
                framer.end(|message| all.push((message.to_vec(), true)));
            }
            framer.push(piece, |message| all.push((message.to_vec(), false)));
            prop_assert!(framer.held() < most);
            input.extend_from_slice(piece);
        }
        framer.end(|message| all.push((message.to_vec(), true)));
        let output: Vec<u8> = all.iter().flat_map(|(message, _)| message).copied().collect();
        prop_assert_eq!(output, input);
        for (at, (message, silence)) in all.iter().enumerate() {
            let obeys = *silence || message.len() == most || match rule {
                Packing::Length(length) => message.len() == length.min(most),
                Packing::Delimiter { bytes, plus, .. } => {
                    let bytes = bytes.as_slice();
                    let ends = message.windows(bytes.len()).position(|window| window == bytes);
                    ends.is_some_and(|at| at + bytes.len() + plus == message.len())
                }
                Packing::ModbusRtu { .. } => {
                    let next = all.get(at + 1).map_or(&[][..], |(next, _)| next);
                    modbus::head(message, 0) == FrameStart::Frame(message.len())
                        || modbus::head(next, 0) == FrameStart::Frame(next.len()) || next.len() == most
                }
                Packing::Idle(_) => false,
                Packing::None => true,
            };
            prop_assert!(obeys, "{message:?}");
        }
    }
}
