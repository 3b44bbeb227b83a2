//! The fast path for many small frames: payloads are unmasked and moved together in one pass.

use std::ops::Range;

use super::Decoder;

impl Decoder {
    /// Takes whole single-frame binary messages from `input[at..]` while there are any, and moves
    /// their payloads together after `kept`, which is never past `at`; the first one stays where it
    /// is. Returns `at` after the last one; whatever comes there, including a mistake, is for
    /// [`next`](Self::next).
    pub fn gather(&self, input: &mut [u8], mut at: usize, kept: &mut Range<usize>) -> usize {
        if self.frame.is_some() || self.message.is_some() || !self.head.bytes().is_empty() {
            return at;
        }
        while let Some((start, length, mask)) = whole(input.get(at..).unwrap_or_default()) {
            let from = at + start;
            at = from + length;
            if Range::is_empty(kept) {
                unmask(input.get_mut(from..at).unwrap_or_default(), mask);
                *kept = from..at;
            } else {
                move_unmasked(input, (from, kept.end), length, mask);
                kept.end += length;
            }
        }
        at
    }
}

/// The lengths of header and payload, and the mask, if the input begins with a whole single-frame
/// binary message that is shorter than 64 KiB and has its length in the shortest form.
fn whole(input: &[u8]) -> Option<(usize, usize, [u8; 4])> {
    let (start, length, mask) = match *input {
        [0x82, short @ 0x80..=0xFD, a, b, c, d, ..] => (6, usize::from(short & 0x7F), [a, b, c, d]),
        [0x82, 0xFE, high, low, a, b, c, d, ..] => {
            (8, usize::from(u16::from_be_bytes([high, low])), [a, b, c, d])
        }
        _ => return None,
    };
    let shortest = start == 6 || length > 125;
    (shortest && input.len() - start >= length).then_some((start, length, mask))
}

/// Unmasks `length` bytes while moving them to the front: in one pass as soon as the gap left by
/// headers is large enough for both places, which it soon is among small frames.
fn move_unmasked(input: &mut [u8], (from, to): (usize, usize), length: usize, mask: [u8; 4]) {
    if from - to < length {
        unmask(input.get_mut(from..from + length).unwrap_or_default(), mask);
        input.copy_within(from..from + length, to);
        return;
    }
    let Some((left, right)) = input.split_at_mut_checked(from) else { return };
    let (Some(place), Some(payload)) = (left.get_mut(to..to + length), right.get(..length)) else {
        return;
    };
    let wide = widen(mask);
    let (words, tail) = payload.as_chunks();
    let (word_places, tail_places) = place.as_chunks_mut();
    for (place, word) in word_places.iter_mut().zip(words) {
        *place = (u128::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for ((place, byte), key) in tail_places.iter_mut().zip(tail).zip(mask.iter().cycle()) {
        *place = byte ^ key;
    }
}

/// 16 bytes at a time, however the optimiser treats loops.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (words, tail) = payload.as_chunks_mut();
    let wide = widen(mask);
    for word in words {
        *word = (u128::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

fn widen([a, b, c, d]: [u8; 4]) -> u128 {
    u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{FrameError, Item};
    use super::*;

    fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(0x80 | u8::try_from(short).unwrap()),
            long @ 126..=0xFFFF => {
                frame.push(0xFE);
                frame.extend(u16::try_from(long).unwrap().to_be_bytes());
            }
            longer => {
                frame.push(0xFF);
                frame.extend((longer as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    /// The whole payload of a stream that comes in the given pieces, and what it ended with.
    fn payload(
        stream: &[u8],
        pieces: &[usize],
        short: bool,
    ) -> (Vec<u8>, Option<FrameError>, Decoder) {
        let (mut decoder, mut all, mut rest) = (Decoder::new(), Vec::new(), stream);
        for size in pieces.iter().copied().cycle() {
            let (piece, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            let (mut input, mut at, mut kept) = (piece.to_vec(), 0, 0..0);
            while at < input.len() {
                if short {
                    at = decoder.gather(&mut input, at, &mut kept);
                }
                match decoder.next(&mut input[at..]) {
                    Ok((used, Item::Data { range, .. })) => {
                        let (start, length) = (at + range.start, range.len());
                        input.copy_within(start..start + length, kept.end);
                        kept.end += length;
                        at += used;
                    }
                    Ok((used, _)) => at += used,
                    Err(error) => {
                        all.extend_from_slice(&input[kept.clone()]);
                        return (all, Some(error), decoder);
                    }
                }
            }
            all.extend_from_slice(&input[kept.clone()]);
            if rest.is_empty() {
                break;
            }
        }
        (all, None, decoder)
    }

    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        let first = prop_oneof![
            20 => Just(0x82_u8),
            1 => Just(0x02), 1 => Just(0x80), 1 => Just(0x00), 1 => Just(0x81), 1 => Just(0x89), 1 => any::<u8>(),
        ];
        let length =
            prop_oneof![10 => 0..130_usize, 2 => 500..530_usize, 1 => 65_530..65_540_usize];
        (first, any::<[u8; 4]>(), length, any::<u8>()).prop_map(|(first, mask, length, seed)| {
            let payload: Vec<u8> = (0..=250)
                .cycle()
                .map(|byte: u8| seed.wrapping_add(byte) & 0x7F)
                .take(length)
                .collect();
            frame(first, mask, &payload)
        })
    }

    proptest! {
        #[test]
        fn the_short_way_gives_the_same_bytes_and_the_same_mistakes(
            frames in prop::collection::vec(any_frame(), 1..20),
            pieces in prop::collection::vec(1..70_000_usize, 1..8),
            broken in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut stream = frames.concat();
            if let Some((at, byte)) = broken {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            let (long, long_end, _) = payload(&stream, &pieces, false);
            let (short, short_end, _) = payload(&stream, &pieces, true);
            prop_assert_eq!(long_end, short_end);
            prop_assert!(long == short);
        }
    }

    #[test]
    fn every_length_and_every_cut_of_small_frames_gives_the_payload() {
        let bytes: Vec<u8> = (0..=255).cycle().take(700).collect();
        for length in (0..=140).chain(505..=520) {
            let mask = [1, 2, 3, 4];
            let stream = [
                frame(0x82, mask, &bytes[..length]),
                frame(0x82, mask, &bytes[length..length + 9]),
            ]
            .concat();
            for cut in 1..stream.len() {
                let (got, end, _) = payload(&stream, &[cut, stream.len()], true);
                assert_eq!((got.as_slice(), end), (&bytes[..length + 9], None));
            }
        }
    }

    #[test]
    fn a_length_that_is_not_in_its_shortest_form_is_left_to_the_strict_way() {
        let mut stream = vec![0x82, 0xFE, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5];
        assert_eq!(Decoder::new().gather(&mut stream, 0, &mut (0..0)), 0);
        let mut masked_not = vec![0x82, 0x05, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(Decoder::new().gather(&mut masked_not, 0, &mut (0..0)), 0);
    }
}
