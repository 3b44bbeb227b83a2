//! RFC 6455 frames: a strict streaming decoder and header encoder.
//!
//! The decoder works in the caller's buffer and hands out the payload of a frame that has only
//! partly arrived, so a large frame needs no memory of its size. No extension is ever negotiated,
//! so every reserved bit is an error.

pub(crate) mod border;
mod gather;
mod short;

use std::{fmt, ops::Range, str};

use self::{gather::unmask, short::Short};
use super::close::Ended;

/// The longest header of a server's frame, in bytes: no mask.
pub const HEADER_MAX: usize = 10;

/// The longest header of a client's frame, in bytes: with a mask.
const CLIENT_HEADER_MAX: usize = HEADER_MAX + 4;

/// The longest payload of a control frame, in bytes (RFC 6455 section 5.5).
const CONTROL_MAX: usize = 125;

/// What kind of frame it is (RFC 6455 section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// Continues the message begun before.
    Continuation,
    /// Begins a text message.
    Text,
    /// Begins a binary message.
    Binary,
    /// Ends the connection.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping, or comes unasked.
    Pong,
}

impl Opcode {
    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Writes the header of an unmasked frame so that it ends where `buf` ends, and returns its length:
/// the header is `buf[HEADER_MAX - length..]`, ready to precede a payload. `payload` is in bytes.
pub fn header(buf: &mut [u8; HEADER_MAX], fin: bool, opcode: Opcode, payload: u64) -> usize {
    let start = u8::from(fin) << 7 | opcode.bits();
    let wide = payload.to_be_bytes();
    let [.., high, low] = wide;
    match payload {
        0..=125 => {
            let [.., first, second] = buf;
            (*first, *second) = (start, low);
            2
        }
        126..=0xFFFF => {
            let [.., first, second, third, fourth] = buf;
            (*first, *second, *third, *fourth) = (start, 126, high, low);
            4
        }
        _ => {
            let [first, second, rest @ ..] = buf;
            (*first, *second, *rest) = (start, 127, wide);
            HEADER_MAX
        }
    }
}

/// The payload of a Close frame; the reason is cut to what fits, between characters.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(CONTROL_MAX - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = reason.get(..end).unwrap_or_default();
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Reads the payload of a Close frame: code and reason, or nothing. Codes: RFC 6455 section 7.4.
pub fn parse_close(payload: &[u8]) -> Result<Option<(u16, &str)>, FrameError> {
    match payload {
        [] => Ok(None),
        [_] => Err(FrameError::Protocol("Close payload of one byte")),
        [high, low, reason @ ..] => {
            let reason = str::from_utf8(reason).map_err(|_| FrameError::NotUtf8)?;
            match u16::from_be_bytes([*high, *low]) {
                code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Some((code, reason))),
                _ => Err(FrameError::Protocol("illegal close code")),
            }
        }
    }
}

/// How a client broke RFC 6455.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// What it did (1002).
    Protocol(&'static str),
    /// A text message or the reason of a Close is not UTF-8 (1007).
    NotUtf8,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol(why) => why,
            Self::NotUtf8 => "text is not UTF-8",
        })
    }
}

impl std::error::Error for FrameError {}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Protocol(why) => Self::BadFrame(why),
            FrameError::NotUtf8 => Self::BadText,
        }
    }
}

/// What the decoder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The input is used up and nothing is complete.
    More,
    /// A piece of a data message, unmasked in place. A frame without payload gives one empty piece.
    Data {
        /// Where it is in the input.
        range: Range<usize>,
        /// Whether it belongs to a text message, which is UTF-8 as a whole, although a piece may
        /// begin or end within a character.
        text: bool,
        /// Whether it is the first piece of its message.
        first: bool,
        /// Whether it completes the message.
        last: bool,
    },
    /// A ping; its payload is [`Decoder::control`].
    Ping,
    /// A pong; its payload is [`Decoder::control`].
    Pong,
    /// A Close with a legal payload, [`Decoder::control`], for [`parse_close`]. What comes after it
    /// should be ignored.
    Close,
}

/// The frame whose payload is being received.
#[derive(Clone, Copy, Debug)]
struct Receiving {
    opcode: Opcode,
    fin: bool,
    /// Bytes of payload still to come.
    left: u64,
    /// Rotated so that its first byte applies to the next byte of payload.
    mask: [u8; 4],
}

/// The data message whose frames are being received.
#[derive(Clone, Copy, Debug)]
struct Message {
    text: bool,
    /// No piece of it has been handed out yet.
    fresh: bool,
}

/// Decodes the frames that a client sends (masked), over reads of any size.
#[derive(Debug)]
pub struct Decoder {
    /// The beginning of a header that arrived in pieces.
    head: Short<CLIENT_HEADER_MAX>,
    frame: Option<Receiving>,
    message: Option<Message>,
    control: Short<CONTROL_MAX>,
    /// The beginning of a character in a text message that arrived in pieces.
    carry: Short<4>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self {
            head: Short::new(),
            frame: None,
            message: None,
            control: Short::new(),
            carry: Short::new(),
        }
    }

    /// The payload of the control frame that [`next`](Self::next) returned last, until that is
    /// called again.
    pub fn control(&self) -> &[u8] {
        self.control.bytes()
    }

    /// Takes one item from the front of `input`; returns how many bytes it used, and the item. Call
    /// it again with the rest until it returns [`Item::More`], which always uses everything. After
    /// an error the stream cannot be read any further.
    pub fn next(&mut self, input: &mut [u8]) -> Result<(usize, Item), FrameError> {
        let (start, mut frame) = match self.frame.take() {
            Some(frame) => (0, frame),
            None => match self.begin(input)? {
                Some(begun) => begun,
                None => return Ok((input.len(), Item::More)),
            },
        };
        let rest = input.get_mut(start..).unwrap_or_default();
        let taken = usize::try_from(frame.left).map_or(rest.len(), |left| left.min(rest.len()));
        let payload = rest.get_mut(..taken).unwrap_or_default();
        unmask(payload, frame.mask);
        frame.left -= taken as u64;
        frame.mask.rotate_left(taken % 4);
        let end = start + taken;
        if frame.opcode.is_control() {
            self.control.extend(payload);
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok((end, Item::More));
            }
            return Ok((end, self.end_control(frame.opcode)?));
        }
        if frame.left > 0 {
            self.frame = Some(frame);
            if taken == 0 {
                return Ok((end, Item::More));
            }
        }
        Ok((end, self.piece(frame, payload, start..end)?))
    }

    /// Reads a header from what was kept of it and `input`; returns how much of `input` it took,
    /// and the frame.
    fn begin(&mut self, input: &[u8]) -> Result<Option<(usize, Receiving)>, FrameError> {
        let inside = self.message.is_some();
        let mut begun = None;
        if self.head.bytes().is_empty() {
            begun = parse_header(input, inside)?;
            if begun.is_none() {
                self.head.extend(input);
            }
        } else {
            for (at, byte) in input.iter().enumerate() {
                self.head.extend(&[*byte]);
                begun = parse_header(self.head.bytes(), inside)?.map(|(_, frame)| (at + 1, frame));
                if begun.is_some() {
                    self.head.clear();
                    break;
                }
            }
        }
        if let Some((_, frame)) = &begun {
            match frame.opcode {
                Opcode::Text => self.message = Some(Message { text: true, fresh: true }),
                Opcode::Binary => self.message = Some(Message { text: false, fresh: true }),
                Opcode::Continuation => {}
                Opcode::Close | Opcode::Ping | Opcode::Pong => self.control.clear(),
            }
        }
        Ok(begun)
    }

    fn end_control(&self, opcode: Opcode) -> Result<Item, FrameError> {
        Ok(match opcode {
            Opcode::Ping => Item::Ping,
            Opcode::Pong => Item::Pong,
            Opcode::Close | Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                parse_close(self.control.bytes())?;
                Item::Close
            }
        })
    }

    fn piece(
        &mut self,
        frame: Receiving,
        payload: &[u8],
        range: Range<usize>,
    ) -> Result<Item, FrameError> {
        let last = frame.fin && frame.left == 0;
        let Message { text, fresh } = self.message.unwrap_or(Message { text: false, fresh: true });
        self.message = (!last).then_some(Message { text, fresh: false });
        if text {
            self.check_text(payload)?;
            if last && !self.carry.bytes().is_empty() {
                return Err(FrameError::NotUtf8);
            }
        }
        Ok(Item::Data { range, text, first: fresh, last })
    }

    /// Checks the next bytes of a text message; fails at the first byte that no continuation could
    /// make valid.
    fn check_text(&mut self, mut bytes: &[u8]) -> Result<(), FrameError> {
        let certain = |error: str::Utf8Error| error.error_len().is_some();
        while !self.carry.bytes().is_empty() {
            let Some((byte, rest)) = bytes.split_first() else { return Ok(()) };
            bytes = rest;
            self.carry.extend(&[*byte]);
            match str::from_utf8(self.carry.bytes()) {
                Ok(_) => self.carry.clear(),
                Err(error) if certain(error) => return Err(FrameError::NotUtf8),
                Err(_) => {}
            }
        }
        match str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) if certain(error) => Err(FrameError::NotUtf8),
            Err(error) => {
                self.carry.extend(bytes.get(error.valid_up_to()..).unwrap_or_default());
                Ok(())
            }
        }
    }
}

/// Reads a client's header and fails at the first byte that breaks a rule; returns its length and
/// the frame, or `None` if it is incomplete. `inside` says that a message has begun and not ended.
fn parse_header(bytes: &[u8], inside: bool) -> Result<Option<(usize, Receiving)>, FrameError> {
    let [first, rest @ ..] = bytes else { return Ok(None) };
    let fin = first & 0x80 != 0;
    let opcode = check_first(*first, fin, inside).map_err(FrameError::Protocol)?;
    let [second, rest @ ..] = rest else { return Ok(None) };
    if second & 0x80 == 0 {
        return Err(FrameError::Protocol("unmasked frame from a client"));
    }
    let short = second & 0x7F;
    if opcode.is_control() && usize::from(short) > CONTROL_MAX {
        return Err(FrameError::Protocol("control frame over 125 bytes"));
    }
    let (left, least, rest) = match short {
        126 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*length)), 126, rest)
        }
        127 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*length), 0x1_0000, rest)
        }
        length => (u64::from(length), 0, rest),
    };
    if left < least {
        return Err(FrameError::Protocol("length not in its shortest form"));
    }
    if left >> 63 != 0 {
        return Err(FrameError::Protocol("length over 63 bits"));
    }
    let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
    Ok(Some((bytes.len() - rest.len(), Receiving { opcode, fin, left, mask: *mask })))
}

fn check_first(byte: u8, fin: bool, inside: bool) -> Result<Opcode, &'static str> {
    if byte & 0x70 != 0 {
        return Err("reserved bit set");
    }
    let opcode = Opcode::of(byte & 0x0F).ok_or("reserved opcode")?;
    match opcode {
        Opcode::Continuation if !inside => Err("continuation of no message"),
        Opcode::Text | Opcode::Binary if inside => Err("new message inside a fragmented one"),
        Opcode::Close | Opcode::Ping | Opcode::Pong if !fin => Err("fragmented control frame"),
        Opcode::Continuation
        | Opcode::Text
        | Opcode::Binary
        | Opcode::Close
        | Opcode::Ping
        | Opcode::Pong => Ok(opcode),
    }
}

#[cfg(test)]
mod tests;
