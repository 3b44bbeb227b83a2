//! A telnet stream taken apart, however it is split: data, commands, sub-negotiations, and whatever
//! is none of these.

use super::{IAC, SB, SE, Verb};

/// The longest sub-negotiation, not counting its option. The longest in RFC 2217 is a signature.
pub const SUB_MAX: usize = 256;

const CR: u8 = b'\r';
const BRK: u8 = 243;
const AYT: u8 = 246;
/// The lowest command there is: end of file (RFC 1184).
const XEOF: u8 = 236;

/// What a stream contains besides data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A word about an option, by its number.
    Said(Verb, u8),
    /// A whole sub-negotiation: the option's number, then what it says, unescaped.
    Sub(u8, &'a [u8]),
    /// The other end asks whether we are there (AYT).
    AreYouThere,
    /// A break, by telnet's own command (BRK).
    Break,
    /// Something that breaks the protocol.
    Fault(Fault),
}

/// What breaks the protocol: mostly the work of a peer that does not double bytes of 255 in its
/// data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A sub-negotiation has more than [`SUB_MAX`] bytes, and still no end.
    Overlong,
    /// A sub-negotiation of this many bytes was cut off by another command.
    Unended(usize),
    /// A byte that is not a command follows IAC.
    NoCommand(u8),
}

#[derive(Clone, Copy, Debug, Default)]
enum DecoderState {
    #[default]
    Data,
    Command,
    Option(Verb),
    Sub,
    SubCommand,
}

/// What one byte yields.
enum Decoded<'a> {
    Nothing,
    Data(u8),
    Event(Event<'a>),
}

/// Takes commands out of a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    state: DecoderState,
    /// The last byte of data was a CR, and not BINARY: a NUL that follows belongs to it.
    after_cr: bool,
    /// The sub-negotiation so far: option, then content.
    sub: Vec<u8>,
    /// Bytes of its content, including those beyond the limit.
    length: usize,
}

impl Decoder {
    /// Leaves only data, at the front of `bytes`, and returns how much. `binary` says whether the
    /// data is BINARY; `tell` gets each command with the number of data bytes before it, and
    /// answers the same for what follows. Commands that nobody needs (NOP, GA and the like) are
    /// dropped.
    #[expect(
        clippy::indexing_slicing,
        reason = "`at` is below the length, and `kept` never above `at`"
    )]
    pub fn decode(
        &mut self,
        bytes: &mut [u8],
        mut binary: bool,
        mut tell: impl FnMut(usize, Event<'_>) -> bool,
    ) -> usize {
        // The usual case, a read without any command, is not copied.
        let plain = |byte: &u8| *byte != IAC && (binary || *byte != CR);
        if matches!(self.state, DecoderState::Data) && !self.after_cr && bytes.iter().all(plain) {
            return bytes.len();
        }
        let mut kept = 0;
        for at in 0..bytes.len() {
            match self.step(bytes[at], binary) {
                Decoded::Nothing => {}
                Decoded::Data(byte) => {
                    bytes[kept] = byte;
                    kept += 1;
                }
                Decoded::Event(event) => binary = tell(kept, event),
            }
        }
        kept
    }

    /// Bytes of a sub-negotiation that has begun and not ended.
    pub fn unended(&self) -> Option<usize> {
        matches!(self.state, DecoderState::Sub | DecoderState::SubCommand).then_some(self.length)
    }

    fn step(&mut self, byte: u8, binary: bool) -> Decoded<'_> {
        match self.state {
            DecoderState::Data if byte == IAC => self.state = DecoderState::Command,
            DecoderState::Data => return self.data(byte, binary),
            DecoderState::Command => return self.command(byte, binary),
            DecoderState::Option(verb) => {
                self.state = DecoderState::Data;
                return Decoded::Event(Event::Said(verb, byte));
            }
            DecoderState::Sub if byte == IAC => self.state = DecoderState::SubCommand,
            DecoderState::Sub => return self.keep(byte),
            DecoderState::SubCommand if byte == IAC => {
                self.state = DecoderState::Sub;
                return self.keep(byte);
            }
            DecoderState::SubCommand if byte == SE => {
                self.state = DecoderState::Data;
                return self.sub();
            }
            DecoderState::SubCommand => {
                // Its end was lost: we do not believe its content, but we do believe the command.
                let length = self.length;
                self.begin(byte);
                return Decoded::Event(Event::Fault(Fault::Unended(length)));
            }
        }
        Decoded::Nothing
    }

    fn data(&mut self, byte: u8, binary: bool) -> Decoded<'_> {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == CR && !binary);
        if after_cr && byte == 0 && !binary { Decoded::Nothing } else { Decoded::Data(byte) }
    }

    /// Handles the byte after an IAC within data.
    fn command(&mut self, byte: u8, binary: bool) -> Decoded<'_> {
        self.begin(byte);
        match byte {
            IAC => self.data(IAC, binary),
            AYT => Decoded::Event(Event::AreYouThere),
            BRK => Decoded::Event(Event::Break),
            ..XEOF => Decoded::Event(Event::Fault(Fault::NoCommand(byte))),
            _ => Decoded::Nothing,
        }
    }

    /// A command begins with this byte, or consists of it.
    fn begin(&mut self, byte: u8) {
        self.state = match (byte, Verb::of(byte)) {
            (_, Some(verb)) => DecoderState::Option(verb),
            (SB, None) => {
                self.sub.clear();
                self.length = 0;
                DecoderState::Sub
            }
            _ => DecoderState::Data,
        };
    }

    /// Handles a byte of a sub-negotiation; the first one is its option.
    fn keep(&mut self, byte: u8) -> Decoded<'_> {
        if self.sub.is_empty() {
            self.sub.push(byte);
            return Decoded::Nothing;
        }
        self.length += 1;
        if self.length <= SUB_MAX {
            self.sub.push(byte);
        }
        // Reported once, however long it gets.
        if self.length == SUB_MAX + 1 {
            Decoded::Event(Event::Fault(Fault::Overlong))
        } else {
            Decoded::Nothing
        }
    }

    /// Handles the end of a sub-negotiation.
    fn sub(&self) -> Decoded<'_> {
        match self.sub.split_first() {
            Some((option, content)) if self.length <= SUB_MAX => {
                Decoded::Event(Event::Sub(*option, content))
            }
            _ => Decoded::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::telnet::{DO, WILL, sub};

    /// Data, and events as text with their places, from a stream in pieces; BINARY until that
    /// option comes up.
    fn decode<'a>(
        binary: bool,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Vec<(usize, String)>) {
        let (mut decoder, mut data, mut events) = (Decoder::default(), Vec::new(), Vec::new());
        let mut now = binary;
        for piece in pieces {
            let mut piece = piece.to_vec();
            let before = data.len();
            let mut next = now;
            let kept = decoder.decode(&mut piece, now, |at, event| {
                events.push((before + at, format!("{event:?}")));
                if let Event::Said(verb, 0) = event {
                    next = verb == Verb::Will;
                }
                next
            });
            now = next;
            data.extend(&piece[..kept]);
        }
        (data, events)
    }

    /// Streams with many commands and line ends.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            3 => Just(IAC), 1 => Just(SB), 1 => Just(SE), 1 => WILL..=254, 1 => Just(CR), 1 => Just(0), 2 => any::<u8>()
        ];
        prop::collection::vec(byte, 0..600)
    }

    proptest! {
        #[test]
        fn a_stream_gives_the_same_however_it_is_cut(binary: bool, stream in stream(), cut in 1_usize..20) {
            prop_assert_eq!(decode(binary, [stream.as_slice()]), decode(binary, stream.chunks(cut)));
        }

        #[test]
        fn a_sub_negotiation_comes_back(option: u8, content in prop::collection::vec(any::<u8>(), 0..=SUB_MAX)) {
            // No list has an option 255 (EXOPL), and it would need escaping itself.
            prop_assume!(option != IAC);
            let mut wire = b"ab".to_vec();
            sub(option, &content, &mut wire);
            wire.push(b'c');
            let (data, events) = decode(true, [wire.as_slice()]);
            prop_assert_eq!(data, b"abc");
            prop_assert_eq!(events, vec![(2, format!("{:?}", Event::Sub(option, &content)))]);
        }
    }

    fn fault(fault: Fault) -> String {
        format!("{:?}", Event::Fault(fault))
    }

    #[test]
    fn an_overlong_sub_negotiation_is_told_once_and_skipped_to_its_end() {
        let mut wire = Vec::new();
        sub(44, &[7; 5000], &mut wire);
        sub(44, &[107, 0], &mut wire);
        wire.extend(b"x");
        let (data, events) = decode(true, wire.chunks(100));
        let wanted = [fault(Fault::Overlong), format!("{:?}", Event::Sub(44, &[107, 0]))];
        assert_eq!((data, events), (b"x".to_vec(), wanted.map(|event| (0, event)).to_vec()));
    }

    #[test]
    fn a_sub_negotiation_without_an_end_gives_way_to_the_next_command() {
        let wire = [IAC, SB, 44, 1, 2, IAC, WILL, 0, b'x'];
        let said = format!("{:?}", Event::Said(Verb::Will, 0));
        let wanted = [fault(Fault::Unended(2)), said].map(|event| (0, event)).to_vec();
        assert_eq!(decode(true, [wire.as_slice()]), (b"x".to_vec(), wanted));
    }

    #[test]
    fn an_unescaped_byte_255_is_told_of() {
        let (data, events) = decode(true, [&[b'a', IAC, b'b', b'c', IAC, 250, b'd', b'e'][..]]);
        assert_eq!((data, events), (b"ac".to_vec(), vec![(1, fault(Fault::NoCommand(b'b')))]));
    }

    #[test]
    fn cr_nul_is_cr_until_the_data_are_binary() {
        let will = format!("{:?}", Event::Said(Verb::Will, 0));
        let (data, events) =
            decode(false, [&b"a\r\0b\r\n\r"[..], &[IAC, 241, 0, b'c', IAC, WILL, 0, CR, 0]]);
        assert_eq!((data, events), (b"a\rb\r\n\rc\r\0".to_vec(), vec![(7, will)]));
    }

    #[test]
    fn who_asks_whether_we_are_there_and_a_break_are_heard_and_keep_alives_are_not() {
        let (data, events) =
            decode(true, [&[IAC, 241, b'x', IAC, 246, IAC, 249, IAC, 243, IAC, DO, 3][..]]);
        let wanted = [
            format!("{:?}", Event::AreYouThere),
            "Break".to_owned(),
            format!("{:?}", Event::Said(Verb::Do, 3)),
        ];
        assert_eq!((data, events), (b"x".to_vec(), wanted.map(|event| (1, event)).to_vec()));
    }
}
