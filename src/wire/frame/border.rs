//! Where frames end, for a relay that passes them on unread: it follows their headers alone
//! (RFC 6455 section 5.2).

/// The place in a stream of frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Borders {
    /// The bytes of a header that has begun.
    header: [u8; HEADER_MOST],
    have: usize,
    /// Bytes of payload until the frame ends.
    left: u64,
}

/// The longest header in bytes: two, a length of eight, a mask of four.
const HEADER_MOST: usize = 14;

impl Borders {
    /// Whether a frame may begin here.
    pub(crate) fn is_at_one(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Goes on by these bytes, at most to the end of the frame they are in; returns how many that
    /// are.
    pub(crate) fn up_to_next(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while self.left == 0 {
            let (Some(byte), Some(place)) = (bytes.get(at), self.header.get_mut(self.have)) else {
                return at;
            };
            *place = *byte;
            (at, self.have) = (at + 1, self.have + 1);
            if let Some(length) = self.payload() {
                (self.have, self.left) = (0, length);
                if length == 0 {
                    return at;
                }
            }
        }
        let rest = bytes.len().saturating_sub(at);
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest);
        self.left -= taken as u64;
        at + taken
    }

    /// Goes on by all of these bytes.
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = self.up_to_next(rest);
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// The length of the payload, once the header is whole.
    fn payload(&self) -> Option<u64> {
        let [_, second, ..] = self.header;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 || self.have < 2 + extended + mask {
            return None;
        }
        let field = self.header.get(2..2 + extended)?;
        let length = field.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Some(if extended == 0 { u64::from(second & 0x7f) } else { length })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match length {
            0..=125 => bytes.push(u8::try_from(length).unwrap() | mask),
            126..=65_535 => {
                bytes.push(0x7e | mask);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x7f | mask);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(0x81, if masked { 4 } else { 0 }));
        bytes.extend(std::iter::repeat_n(0x81, length));
        bytes
    }

    proptest! {
        #[test]
        fn the_end_of_each_frame_is_found_wherever_the_stream_is_cut(
            lengths in prop::collection::vec((prop_oneof![0usize..4, 120usize..140, 65_500usize..65_600], any::<bool>()), 1..6),
            piece in 1usize..70_000,
        ) {
            let frames: Vec<_> = lengths.iter().map(|(length, masked)| frame(*length, *masked)).collect();
            let wanted: Vec<_> = frames.iter().scan(0, |at, it| { *at += it.len(); Some(*at) }).collect();
            let stream = frames.concat();
            let (mut borders, mut found, mut at) = (Borders::default(), Vec::new(), 0);
            for part in stream.chunks(piece) {
                let mut rest = part;
                while !rest.is_empty() {
                    let used = borders.up_to_next(rest);
                    prop_assert!(used > 0);
                    at += used;
                    if borders.is_at_one() {
                        found.push(at);
                    }
                    rest = &rest[used..];
                }
            }
            prop_assert_eq!(found, wanted);
        }
    }
}
