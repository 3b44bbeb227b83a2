//! Data as it goes over a telnet connection: a byte of 255 is doubled, and a CR gets its NUL unless
//! the data is BINARY (RFC 854).

use super::IAC;

const CR: u8 = b'\r';
const LF: u8 = b'\n';
const NUL: u8 = 0;

/// Encodes data, and keeps track of how much has gone when a socket took only part of it.
#[derive(Debug, Default)]
pub struct Encoder {
    /// A CR has gone whose LF was about to follow: anything else needs the NUL first.
    open_cr: bool,
}

/// A byte of data on the wire.
#[derive(Clone, Copy)]
struct DataByte {
    byte: u8,
    /// What must come after it, whatever else follows.
    companion: Option<u8>,
}

impl Encoder {
    /// Whether the data goes as it is.
    pub fn passes(&self, data: &[u8], binary: bool) -> bool {
        (binary || !self.open_cr) && !data.iter().any(|byte| *byte == IAC || *byte == CR && !binary)
    }

    /// Appends data as it goes over the wire. A CR at the end is just a CR: a LF that comes later
    /// is a line end of its own.
    pub fn encode(&self, data: &[u8], binary: bool, wire: &mut Vec<u8>) {
        if self.owes_nul(data, binary) {
            wire.push(NUL);
        }
        for unit in units(data, binary) {
            wire.push(unit.byte);
            wire.extend(unit.companion);
        }
    }

    /// This many bytes of what [`encode`](Self::encode) made of this data have gone: returns how
    /// many bytes of data that is, and what must follow before anything else.
    pub fn went(&mut self, data: &[u8], binary: bool, wire: usize) -> (usize, Option<u8>) {
        let mut left = wire.saturating_sub(usize::from(self.owes_nul(data, binary)));
        if wire > 0 {
            self.open_cr = false;
        }
        let mut count = 0;
        for unit in units(data, binary) {
            let length = 1 + usize::from(unit.companion.is_some());
            if left < length {
                let half = left > 0;
                return (count + usize::from(half), unit.companion.filter(|_| half));
            }
            left -= length;
            count += 1;
            self.open_cr = unit.byte == CR && unit.companion.is_none() && !binary;
        }
        (count, None)
    }

    fn owes_nul(&self, data: &[u8], binary: bool) -> bool {
        self.open_cr && !binary && data.first().is_some_and(|byte| *byte != LF)
    }
}

fn units(data: &[u8], binary: bool) -> impl Iterator<Item = DataByte> {
    let next = data.iter().skip(1).map(Some).chain([None]);
    data.iter().zip(next).map(move |(byte, next)| {
        let companion = match *byte {
            IAC => Some(IAC),
            CR if !binary && next != Some(&LF) => Some(NUL),
            _ => None,
        };
        DataByte { byte: *byte, companion }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::telnet::Decoder;

    fn data() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(IAC), Just(CR), Just(LF), Just(NUL), any::<u8>()];
        prop::collection::vec(byte, 0..60)
    }

    fn decoded(mut wire: Vec<u8>, binary: bool) -> Vec<u8> {
        let kept = Decoder::default().decode(&mut wire, binary, |_, event| panic!("{event:?}"));
        wire.truncate(kept);
        wire
    }

    proptest! {
        /// A socket takes as much as it likes of each write, and what is left comes again, or is
        /// taken back and something else comes.
        #[test]
        fn what_a_socket_took_in_parts_comes_back_as_it_was(
            binary: bool,
            pieces in prop::collection::vec((data(), 0.0..1.2_f64), 0..9),
        ) {
            let (mut encoder, mut wire, mut taken) = (Encoder::default(), Vec::new(), Vec::new());
            for (piece, part) in pieces {
                let mut whole = Vec::new();
                encoder.encode(&piece, binary, &mut whole);
                prop_assert!(!encoder.passes(&piece, binary) || whole == piece);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a test")]
                let went = ((part * whole.len() as f64) as usize).min(whole.len());
                let (count, owed) = encoder.went(&piece, binary, went);
                wire.extend_from_slice(&whole[..went]);
                wire.extend(owed);
                taken.extend_from_slice(&piece[..count]);
            }
            prop_assert_eq!(decoded(wire, binary), taken);
        }
    }

    #[test]
    fn line_ends_are_those_of_the_rfc() {
        let encode = |data: &[u8], binary| {
            let mut wire = Vec::new();
            Encoder::default().encode(data, binary, &mut wire);
            wire
        };
        assert_eq!(encode(b"a\r\nb\rc\r", false), b"a\r\nb\r\0c\r\0");
        assert_eq!(encode(b"a\r\nb\rc\r\xff", true), b"a\r\nb\rc\r\xff\xff");
    }

    #[test]
    fn a_line_end_that_is_torn_and_taken_back_leaves_no_bare_cr() {
        let mut encoder = Encoder::default();
        assert_eq!(encoder.went(b"x\r\n", false, 2), (2, None));
        assert!(!encoder.passes(b"y", false) && encoder.passes(b"y", true));
        let mut wire = b"x\r".to_vec();
        encoder.encode(b"y", false, &mut wire);
        assert_eq!(wire, b"x\r\0y");
        assert_eq!(encoder.went(b"y", false, 1), (0, None));
        assert!(encoder.passes(b"y", false));
    }
}
