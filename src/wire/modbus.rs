//! Modbus RTU frames: their length by function code, their checksum, and where one begins after
//! garbage.

/// The longest frame (MODBUS over Serial Line V1.02, section 2.5.1).
pub(crate) const FRAME_MOST: usize = 256;

/// The shortest frame: address, function, checksum.
const FRAME_LEAST: usize = 4;

/// The highest address of a device; higher ones are reserved.
const ADDRESS_MOST: u8 = 247;

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameStart {
    /// A whole frame of that many bytes.
    Frame(usize),
    /// This many bytes that are not a frame, with a whole one after them.
    Garbage(usize),
    /// Something that may become a frame: its function says how many bytes have yet to come.
    Open,
    /// Something whose length no function tells: it goes on until a checksum fits, or until
    /// silence.
    Strange,
}

/// Looks for a frame at the beginning of `bytes`. For most functions requests and responses differ
/// in length; the frame has the shortest length that the function allows and the checksum confirms.
/// If no length in the table fits, whatever is complete first is taken: a frame of another length,
/// or a whole frame in the table after garbage. The first `seen` bytes were [`FrameStart::Strange`]
/// before.
pub(crate) fn head(bytes: &[u8], seen: usize) -> FrameStart {
    if seen == 0 {
        let known = by_table(bytes);
        if known != FrameStart::Strange {
            return known;
        }
    }
    let own = by_checksum(bytes, seen);
    let behind = behind(bytes, seen);
    match (own, behind) {
        (Some(length), Some((_, end))) if length <= end => FrameStart::Frame(length),
        (_, Some((start, _))) => FrameStart::Garbage(start),
        (Some(length), None) => FrameStart::Frame(length),
        (None, None) => FrameStart::Strange,
    }
}

/// How much garbage comes before a whole frame in what silence has ended; `None` if there is no
/// frame in it.
pub(crate) fn garbage(bytes: &[u8]) -> Option<usize> {
    behind(bytes, 0).map(|(start, _)| start)
}

/// The frame at the beginning, according to the table.
fn by_table(bytes: &[u8]) -> FrameStart {
    let Some(function) = bytes.get(1) else { return FrameStart::Open };
    let mut open = false;
    let mut lengths = lengths(*function, bytes);
    lengths.sort_unstable();
    for length in lengths {
        match length {
            Length::Is(length) if length > FRAME_MOST => {}
            Length::Is(length) => match bytes.get(..length) {
                Some(frame) if is_intact(frame) => return FrameStart::Frame(length),
                Some(_) => {}
                None => open = true,
            },
            Length::Unknown => open = true,
            Length::Not => {}
        }
    }
    if open { FrameStart::Open } else { FrameStart::Strange }
}

/// The length at which a checksum fits, for a frame that is not in the table.
fn by_checksum(bytes: &[u8], seen: usize) -> Option<usize> {
    let mut crc = Crc::default();
    for (at, byte) in bytes.iter().take(FRAME_MOST).enumerate() {
        crc.add(*byte);
        let length = at + 1;
        if length >= FRAME_LEAST && length > seen && crc.0 == 0 {
            return Some(length);
        }
    }
    None
}

/// Of the whole frames that begin after the first byte, the one that ends first: where it begins
/// and ends. Those that ended within the first `seen` bytes were looked at before.
fn behind(bytes: &[u8], seen: usize) -> Option<(usize, usize)> {
    let first = seen.saturating_sub(FRAME_MOST).max(1);
    let mut found: Option<(usize, usize)> = None;
    for start in first..bytes.len() {
        let (_, rest) = bytes.split_at(start);
        let [address, function, ..] = rest else { break };
        if *address > ADDRESS_MOST || !is_public(*function) {
            continue;
        }
        for length in lengths(*function, rest) {
            let Length::Is(length) = length else { continue };
            let end = start + length;
            let earlier = found.is_none_or(|(_, before)| end < before);
            if end > seen
                && earlier
                && length <= FRAME_MOST
                && rest.get(..length).is_some_and(is_intact)
            {
                found = Some((start, end));
            }
        }
    }
    found
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Length {
    /// This many bytes, including address and checksum.
    Is(usize),
    /// The bytes that would tell have not arrived.
    Unknown,
    /// There is no such frame.
    Not,
}

/// Whether the table has a function, or the exception of one.
fn is_public(function: u8) -> bool {
    lengths(function & 0x7f, &[]) != [Length::Not; 2]
}
/// Lengths of request and response (MODBUS Application Protocol V1.1b3, section 6).
fn lengths(function: u8, bytes: &[u8]) -> [Length; 2] {
    // A frame of `fixed` bytes, plus as many as the byte at `at` says.
    let counted = |fixed: usize, at: usize| match bytes.get(at) {
        Some(count) => Length::Is(fixed + usize::from(*count)),
        None => Length::Unknown,
    };
    let is = Length::Is;
    match function {
        1..=4 => [is(8), counted(5, 2)],
        5 | 6 | 8 => [is(8), Length::Not],
        7 => [is(4), is(5)],
        11 => [is(4), is(8)],
        12 | 17 => [is(4), counted(5, 2)],
        15 | 16 => [counted(9, 6), is(8)],
        20 | 21 => [counted(5, 2), Length::Not],
        22 => [is(10), Length::Not],
        23 => [counted(13, 10), counted(5, 2)],
        24 => [is(6), fifo(bytes)],
        43 => [is(7), identification(bytes)],
        // An exception.
        0x80.. => [is(5), Length::Not],
        _ => [Length::Not; 2],
    }
}

/// Read FIFO Queue has a 16-bit count.
fn fifo(bytes: &[u8]) -> Length {
    match bytes.get(2..4) {
        Some([high, low]) => Length::Is(6 + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => Length::Unknown,
    }
}

/// Read Device Identification lists objects: number, length, text.
fn identification(bytes: &[u8]) -> Length {
    let Some(objects) = bytes.get(7) else { return Length::Unknown };
    let mut at = 8;
    for _ in 0..*objects {
        match bytes.get(at + 1) {
            Some(length) => at += 2 + usize::from(*length),
            None => return Length::Unknown,
        }
        if at > FRAME_MOST {
            return Length::Not;
        }
    }
    Length::Is(at + 2)
}

/// Over a frame that includes its own checksum, the sum is 0.
fn is_intact(frame: &[u8]) -> bool {
    frame.len() >= FRAME_LEAST && crc16(frame) == 0
}

/// CRC-16 of MODBUS over Serial Line V1.02, section 6.2.2: polynomial 0xA001 reflected, starting
/// from 0xFFFF; sent low byte first.
pub(crate) fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = Crc::default();
    for byte in bytes {
        crc.add(*byte);
    }
    crc.0
}

/// A checksum in progress.
#[derive(Clone, Copy)]
struct Crc(u16);

impl Default for Crc {
    fn default() -> Self {
        Self(0xFFFF)
    }
}

impl Crc {
    fn add(&mut self, byte: u8) {
        let [low, high] = self.0.to_le_bytes();
        let index = usize::from(low ^ byte);
        self.0 = TABLE.get(index).map_or(0, |of_byte| of_byte ^ u16::from(high));
    }
}

/// What each byte does to the checksum.
const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u16;
    while byte < 256 {
        let (mut crc, mut bit) = (byte, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "a constant: the compiler checks it")]
        {
            table[byte as usize] = crc;
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [body, &crc16(body).to_le_bytes()].concat()
    }

    const BODIES: [&[u8]; 16] = [
        &[1, 1, 0, 0, 0, 9],
        &[1, 1, 2, 0xff, 1],
        &[1, 3, 0, 2, 0, 1],
        &[1, 3, 2, 0, 200],
        &[1, 6, 0, 2, 0, 9],
        &[1, 7],
        &[1, 7, 0x6d],
        &[1, 16, 0, 2, 0, 1, 2, 0, 7],
        &[1, 16, 0, 2, 0, 1],
        &[1, 17, 2, 0, 0xff],
        &[1, 22, 0, 4, 0, 0xf2, 0, 0x25],
        &[1, 23, 0, 3, 0, 6, 0, 14, 0, 1, 2, 0, 255],
        &[1, 24, 0, 4, 0, 1, 1, 0xb8],
        &[1, 43, 14, 1, 0],
        &[1, 43, 14, 1, 1, 0, 0, 2, 0, 2, b'a', b'b', 1, 1, b'c'],
        &[1, 0x83, 2],
    ];

    #[test]
    fn requests_and_responses_of_every_function_are_known_by_their_last_byte() {
        for body in BODIES {
            let frame = framed(body);
            for short in 0..frame.len() {
                assert_eq!(head(&frame[..short], 0), FrameStart::Open, "{body:?} {short}");
            }
            assert_eq!(head(&frame, 0), FrameStart::Frame(frame.len()));
            assert_eq!(
                head(&[frame.as_slice(), &[1, 3]].concat(), 0),
                FrameStart::Frame(frame.len())
            );
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // MODBUS over Serial Line V1.02, appendix B, and a well-known request.
        assert_eq!(crc16(&[2, 7]), 0x1241);
        assert_eq!(crc16(&[1, 3, 0, 0, 0, 10]).to_le_bytes(), [0xc5, 0xcd]);
    }

    #[test]
    fn a_wrong_checksum_and_an_unknown_function_go_on_until_one_fits() {
        assert_eq!(head(&[1, 6, 0, 2, 0, 9, 0, 0], 0), FrameStart::Strange);
        assert_eq!(head(&[1, 99], 0), FrameStart::Strange);
        let vendor = framed(&[1, 100, 7, 8, 9, 10, 11]);
        for short in 2..vendor.len() {
            assert_eq!(head(&vendor[..short], 0), FrameStart::Strange);
        }
        let seen = vendor.len() - 1;
        assert_eq!(
            (head(&vendor, 0), head(&vendor, seen)),
            (FrameStart::Frame(9), FrameStart::Frame(9))
        );
        // Diagnostics with more data than the usual two bytes.
        let long = framed(&[1, 8, 0, 0, 1, 2, 3, 4]);
        assert_eq!(head(&long[..8], 0), FrameStart::Strange);
        assert_eq!(head(&long, 0), FrameStart::Frame(long.len()));
    }

    #[test]
    fn a_frame_behind_garbage_is_found_by_its_last_byte() {
        for noise in [&[0xff][..], &[0], &[0xff, 0x55], &[1, 99, 7, 7, 7, 7, 7, 7, 7, 7]] {
            for body in BODIES {
                let frame = framed(body);
                let all = [noise, &frame].concat();
                let short = &all[..all.len() - 1];
                if head(short, 0) == FrameStart::Strange {
                    assert_eq!(
                        head(&all, short.len()),
                        FrameStart::Garbage(noise.len()),
                        "{noise:?} {body:?}"
                    );
                }
                assert_eq!(garbage(&all), Some(noise.len()));
                assert_eq!(garbage(&frame), None);
            }
        }
        assert_eq!(
            head(&[&[0xff, 0x55][..], &framed(&[1, 3, 0, 2, 0, 1])].concat(), 0),
            FrameStart::Garbage(2)
        );
    }

    #[test]
    fn the_frame_that_ends_first_is_the_first() {
        let two = [&[0xff][..], &framed(&[1, 3, 0, 2, 0, 1]), &framed(&[1, 3, 2, 0, 200])].concat();
        assert_eq!(head(&two, 0), FrameStart::Garbage(1));
        assert_eq!(head(&two[1..], 0), FrameStart::Frame(8));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_frame_longer_than_there_may_be(bytes in prop::collection::vec(0_u8..9, 0..600)) {
            match head(&bytes, 0) {
                FrameStart::Frame(length) => prop_assert!((4..=FRAME_MOST).contains(&length) && length <= bytes.len()),
                FrameStart::Garbage(start) => prop_assert!(start > 0 && start + 4 <= bytes.len()),
                FrameStart::Open | FrameStart::Strange => {}
            }
        }

        /// Garbage that was seen before changes nothing, however the stream was cut.
        #[test]
        fn what_was_seen_before_is_not_looked_at_again_and_nothing_is_missed(
            noise in prop::collection::vec(any::<u8>(), 2..40),
            body in prop::sample::select(BODIES.to_vec()),
            cut in 0_usize..60,
        ) {
            let all = [noise.as_slice(), &framed(body)].concat();
            let cut = cut.min(all.len());
            if head(&all[..cut], 0) == FrameStart::Strange {
                prop_assert_eq!(head(&all, cut), head(&all, 0));
            }
        }
    }
}
