//! The telnet codec: commands taken out of a stream as they come, data escaped (RFC 854).

pub mod comport;
mod options;

pub use options::{Known, Options, Side, Sides};

const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
/// Interpret as command; as data it is sent twice.
pub const IAC: u8 = 255;

/// Longest sub-negotiation kept; what is longer is skipped to its end. The longest of RFC 2217 is a signature.
pub const SUB_MAX: usize = 1024;

/// What a side says of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It does it, or offers to.
    Will,
    /// It does not.
    Wont,
    /// The other shall do it.
    Do,
    /// The other shall not.
    Dont,
}

impl Verb {
    fn code(self) -> u8 {
        match self {
            Self::Will => WILL,
            Self::Wont => WONT,
            Self::Do => DO,
            Self::Dont => DONT,
        }
    }

    fn of(code: u8) -> Option<Self> {
        match code {
            WILL => Some(Self::Will),
            WONT => Some(Self::Wont),
            DO => Some(Self::Do),
            DONT => Some(Self::Dont),
            _ => None,
        }
    }
}

/// What a stream holds beside data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A word about an option, by its number.
    Said(Verb, u8),
    /// A whole sub-negotiation: the option's number, then what it says, unescaped.
    Sub(u8, &'a [u8]),
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Data,
    Command,
    Option(Verb),
    Sub,
    SubCommand,
}

/// Takes commands out of a stream, however it is cut.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// The sub-negotiation so far: option, then content.
    sub: Vec<u8>,
    /// It is longer than may be.
    overlong: bool,
}

impl Decoder {
    /// Leaves only data, at the front of `bytes`, and returns how much. `tell` hears each command with the number of
    /// data bytes before it. Commands nobody needs (NOP, GA, AYT and their like) are dropped.
    pub fn decode(&mut self, bytes: &mut [u8], mut tell: impl FnMut(usize, Event<'_>)) -> usize {
        if matches!(self.state, State::Data) && !bytes.contains(&IAC) {
            return bytes.len();
        }
        let mut kept = 0;
        for at in 0..bytes.len() {
            let data = bytes.get(at).and_then(|byte| self.step(*byte, |event| tell(kept, event)));
            if let (Some(data), Some(place)) = (data, bytes.get_mut(kept)) {
                *place = data;
                kept += 1;
            }
        }
        kept
    }

    /// Takes a byte; gives it back when it is data.
    fn step(&mut self, byte: u8, mut tell: impl FnMut(Event<'_>)) -> Option<u8> {
        match self.state {
            State::Data if byte == IAC => self.state = State::Command,
            State::Data => return Some(byte),
            State::Command => return self.command(byte),
            State::Option(verb) => {
                self.state = State::Data;
                tell(Event::Said(verb, byte));
            }
            State::Sub if byte == IAC => self.state = State::SubCommand,
            State::Sub => self.keep(byte),
            State::SubCommand => match byte {
                IAC => {
                    self.state = State::Sub;
                    self.keep(byte);
                }
                SE => {
                    self.state = State::Data;
                    if let (false, Some((option, content))) = (self.overlong, self.sub.split_first()) {
                        tell(Event::Sub(*option, content));
                    }
                }
                // Its end was lost: what is in it is not believed, the command is.
                _ => return self.command(byte),
            },
        }
        None
    }

    /// The byte behind an IAC that stands in data.
    fn command(&mut self, byte: u8) -> Option<u8> {
        self.state = match (byte, Verb::of(byte)) {
            (_, Some(verb)) => State::Option(verb),
            (SB, None) => {
                self.sub.clear();
                self.overlong = false;
                State::Sub
            }
            _ => State::Data,
        };
        (byte == IAC).then_some(IAC)
    }

    fn keep(&mut self, byte: u8) {
        if self.sub.len() < SUB_MAX {
            self.sub.push(byte);
        } else {
            self.overlong = true;
        }
    }
}

/// Appends data as it goes over the wire: IAC doubled.
pub fn escape(data: &[u8], wire: &mut Vec<u8>) {
    for run in data.split_inclusive(|byte| *byte == IAC) {
        wire.extend_from_slice(run);
        if run.last() == Some(&IAC) {
            wire.push(IAC);
        }
    }
}

/// How many bytes of `data` are on the wire when `written` bytes of its escaped form are, and whether the second half
/// of the last one's pair is still owed.
pub fn taken(data: &[u8], written: usize) -> (usize, bool) {
    let (mut count, mut left) = (0, written);
    for byte in data {
        let length = if *byte == IAC { 2 } else { 1 };
        if left < length {
            return if left == 0 { (count, false) } else { (count + 1, true) };
        }
        left -= length;
        count += 1;
    }
    (count, false)
}

/// Appends a sub-negotiation.
pub fn sub(option: u8, content: &[u8], wire: &mut Vec<u8>) {
    wire.extend([IAC, SB, option]);
    escape(content, wire);
    wire.extend([IAC, SE]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Data, and events as text with their places, of a stream in pieces.
    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<(usize, String)>) {
        let (mut decoder, mut data, mut events) = (Decoder::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let mut piece = piece.to_vec();
            let before = data.len();
            let kept =
                decoder.decode(&mut piece, |at, event| events.push((before + at, format!("{event:?}"))));
            data.extend(&piece[..kept]);
        }
        (data, events)
    }

    /// Streams with many commands.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let byte =
            prop_oneof![3 => Just(IAC), 1 => Just(SB), 1 => Just(SE), 1 => 251_u8..=254, 2 => any::<u8>()];
        prop::collection::vec(byte, 0..300)
    }

    proptest! {
        #[test]
        fn a_stream_gives_the_same_however_it_is_cut(stream in stream(), cut in 1_usize..20) {
            prop_assert_eq!(decode([stream.as_slice()]), decode(stream.chunks(cut)));
        }

        #[test]
        fn what_is_escaped_comes_back(data: Vec<u8>, cut in 1_usize..20) {
            let mut wire = Vec::new();
            escape(&data, &mut wire);
            prop_assert_eq!(decode(wire.chunks(cut)), (data, Vec::new()));
        }

        #[test]
        fn a_partial_write_says_what_it_took(data in stream(), part in 0.0..=1.0_f64) {
            let mut wire = Vec::new();
            escape(&data, &mut wire);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a test")]
            let written = (part * wire.len() as f64) as usize;
            let (count, owed) = taken(&data, written);
            let mut again = wire[..written].to_vec();
            again.extend(owed.then_some(IAC));
            escape(&data[count..], &mut again);
            prop_assert_eq!(again, wire);
        }

        #[test]
        fn a_sub_negotiation_comes_back(option: u8, content in prop::collection::vec(any::<u8>(), 0..40)) {
            // An option of 255 exists in no list (EXOPL), and would need escaping itself.
            prop_assume!(option != IAC);
            let mut wire = b"ab".to_vec();
            sub(option, &content, &mut wire);
            wire.push(b'c');
            let (data, events) = decode([wire.as_slice()]);
            prop_assert_eq!(data, b"abc");
            prop_assert_eq!(events, vec![(2, format!("{:?}", Event::Sub(option, &content)))]);
        }
    }

    #[test]
    fn an_overlong_sub_negotiation_is_skipped_to_its_end() {
        let mut wire = Vec::new();
        sub(44, &[7; 5000], &mut wire);
        sub(44, &[107, 0], &mut wire);
        wire.extend(b"x");
        let (data, events) = decode(wire.chunks(100));
        assert_eq!((data, events.len()), (b"x".to_vec(), 1));
    }

    #[test]
    fn a_sub_negotiation_without_an_end_gives_way_to_the_next_command() {
        let wire = [IAC, SB, 44, 1, 2, IAC, WILL, 0, b'x'];
        let said = format!("{:?}", Event::Said(Verb::Will, 0));
        assert_eq!(decode([wire.as_slice()]), (b"x".to_vec(), vec![(0, said)]));
    }
}
