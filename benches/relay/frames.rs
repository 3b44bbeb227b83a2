//! The load generator's RFC 6455: frames masked beforehand, and a reader that hands payloads on
//! where they lie.

use crate::{
    Outcome, fail,
    pattern::{PERIOD, pattern},
};

/// The mask of every frame; what matters is that it is not zero.
const MASK: [u8; 4] = [0xA5, 0x3C, 0x96, 0x0F];

/// One masked frame.
pub(crate) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => frame.push(0x80 | short),
        (_, Ok(middle)) => {
            frame.push(0x80 | 0x7E);
            frame.extend(middle.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 0x7F);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// One period of the pattern in binary frames of `piece` bytes, and the bytes of one frame.
pub(crate) fn period(piece: usize) -> (Vec<u8>, usize) {
    let once = pattern().get(..PERIOD).unwrap_or_default();
    let frames: Vec<Vec<u8>> = once.chunks(piece).map(|payload| masked(2, payload)).collect();
    let size = frames.first().map_or(0, Vec::len);
    (frames.concat(), size)
}

/// Reads a server's frames in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    head: Vec<u8>,
    left: u64,
    control: bool,
    /// Pings that came.
    pub(crate) pings: u64,
}

impl Reader {
    /// Hands the payload of data frames on; control frames are skipped, a Close is an error.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut data: impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<()> {
        while !bytes.is_empty() {
            if self.left == 0 {
                bytes = self.header(bytes)?;
                continue;
            }
            let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, rest) = bytes.split_at(here);
            if !self.control {
                data(payload)?;
            }
            self.left -= here as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// Takes what belongs to the header; a header that is complete sets how much follows.
    fn header<'a>(&mut self, bytes: &'a [u8]) -> Outcome<&'a [u8]> {
        for (at, byte) in bytes.iter().enumerate() {
            self.head.push(*byte);
            let [first, second, length @ ..] = self.head.as_slice() else { continue };
            let wide =
                |length: &[u8]| length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            self.left = match (second, length.len()) {
                (0..=125, _) => u64::from(*second),
                (126, 2) | (127, 8) => wide(length),
                (126 | 127, _) => continue,
                _ => return fail("a server's frame is masked".into()),
            };
            self.control = first & 0x08 != 0;
            match first & 0x0F {
                8 => {
                    // Behind the code of two bytes stands the reason.
                    let reason = String::from_utf8_lossy(bytes.get(at + 3..).unwrap_or_default());
                    return fail(format!("the bridge closed the WebSocket: {reason}"));
                }
                9 => self.pings += 1,
                _ => {}
            }
            self.head.clear();
            return Ok(bytes.get(at + 1..).unwrap_or_default());
        }
        Ok(&[])
    }
}
