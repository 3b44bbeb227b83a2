//! Modbus RTU frames: their length by function code, their checksum.

/// Longest frame (MODBUS over Serial Line V1.02, section 2.5.1).
pub const FRAME_MOST: usize = 256;

/// What the beginning of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A whole frame of so many bytes.
    Frame(usize),
    /// It may become a frame.
    Open,
    /// It is none: only silence ends it.
    Strange,
}

/// Looks for a frame at the beginning of `bytes`. Requests and responses differ in length for most functions; the
/// shortest length that the function allows and the checksum confirms is the frame's.
pub fn head(bytes: &[u8]) -> Head {
    let Some(function) = bytes.get(1) else { return Head::Open };
    let mut open = false;
    let mut lengths = lengths(*function, bytes);
    lengths.sort_unstable();
    for length in lengths {
        match length {
            Length::Is(length) if length > FRAME_MOST => {}
            Length::Is(length) => match bytes.get(..length) {
                Some(frame) if intact(frame) => return Head::Frame(length),
                Some(_) => {}
                None => open = true,
            },
            Length::Unknown => open = true,
            Length::Not => {}
        }
    }
    if open { Head::Open } else { Head::Strange }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Length {
    /// So many bytes, address and checksum included.
    Is(usize),
    /// The bytes that tell have not come.
    Unknown,
    /// There is no such frame.
    Not,
}

/// Lengths of request and response (MODBUS Application Protocol V1.1b3, section 6).
fn lengths(function: u8, bytes: &[u8]) -> [Length; 2] {
    // A frame of `fixed` bytes and as many more as the byte at `at` says.
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

/// Read FIFO Queue counts with 16 bits.
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

fn intact(frame: &[u8]) -> bool {
    frame.split_last_chunk().is_some_and(|(body, sum)| crc16(body).to_le_bytes() == *sum)
}

/// CRC-16 of MODBUS over Serial Line V1.02, section 6.2.2: polynomial 0xA001 reflected, from 0xFFFF; sent low byte
/// first.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [body, &crc16(body).to_le_bytes()].concat()
    }

    #[test]
    fn requests_and_responses_of_every_function_are_known_by_their_last_byte() {
        let bodies: [&[u8]; 16] = [
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
        for body in bodies {
            let frame = framed(body);
            for short in 0..frame.len() {
                assert_eq!(head(&frame[..short]), Head::Open, "{body:?} {short}");
            }
            assert_eq!(head(&frame), Head::Frame(frame.len()));
            assert_eq!(head(&[frame.as_slice(), &[1, 3]].concat()), Head::Frame(frame.len()));
        }
    }

    #[test]
    fn a_wrong_checksum_or_an_unknown_function_is_no_frame() {
        assert_eq!(head(&[1, 6, 0, 2, 0, 9, 0, 0]), Head::Strange);
        assert_eq!(head(&[1, 99]), Head::Strange);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_frame_longer_than_there_may_be(bytes: Vec<u8>) {
            if let Head::Frame(length) = head(&bytes) {
                prop_assert!((4..=FRAME_MOST).contains(&length) && length <= bytes.len());
            }
        }
    }
}
