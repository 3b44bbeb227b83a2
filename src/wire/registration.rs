//! What a device that connects to us says first, so that it is known: a pattern from its first byte.

/// So many bytes at most; vendors' registration packets have up to 128.
pub(crate) const REGISTRATION_MAX: usize = 256;

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This byte.
    Byte(u8),
    /// Any one byte.
    Any,
    /// Any number of bytes, up to what comes next in the pattern.
    Run,
}

/// A pattern that the first bytes of a connection have to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration(Vec<Piece>);

/// How far the first bytes fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// This many of them are the registration; the rest is data.
    Whole(usize),
    /// They may become one.
    Prefix,
    /// They will not.
    Not,
}

impl Registration {
    /// A pattern; `None` if nothing says where a match would end.
    pub(crate) fn new(pieces: Vec<Piece>) -> Option<Self> {
        let ends = matches!(pieces.last(), Some(Piece::Byte(_) | Piece::Any));
        (ends && pieces.len() <= REGISTRATION_MAX).then_some(Self(pieces))
    }

    /// Compares the first bytes of a connection, all that came so far; the shortest match counts.
    pub(crate) fn look(&self, bytes: &[u8]) -> Registered {
        // The places in the pattern that may come next.
        let mut next = vec![false; self.0.len() + 1];
        self.reach(&mut next, 0);
        for (at, byte) in bytes.iter().take(REGISTRATION_MAX).enumerate() {
            let mut then = vec![false; next.len()];
            for (place, piece) in self.0.iter().enumerate() {
                if next.get(place) != Some(&true) {
                    continue;
                }
                match piece {
                    Piece::Byte(wanted) if wanted != byte => {}
                    Piece::Byte(_) | Piece::Any => self.reach(&mut then, place + 1),
                    Piece::Run => self.reach(&mut then, place),
                }
            }
            if then.last() == Some(&true) {
                return Registered::Whole(at + 1);
            }
            if !then.contains(&true) {
                return Registered::Not;
            }
            next = then;
        }
        if bytes.len() < REGISTRATION_MAX { Registered::Prefix } else { Registered::Not }
    }

    /// Marks a place; a run may be empty, so that what is behind it may come as well.
    fn reach(&self, places: &mut [bool], mut place: usize) {
        loop {
            if let Some(marked) = places.get_mut(place) {
                *marked = true;
            }
            if self.0.get(place) != Some(&Piece::Run) {
                return;
            }
            place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &[u8]) -> Registration {
        let piece = |byte: &u8| match byte {
            b'?' => Piece::Any,
            b'*' => Piece::Run,
            byte => Piece::Byte(*byte),
        };
        Registration::new(text.iter().map(piece).collect()).unwrap()
    }

    #[test]
    fn a_registration_begins_with_the_first_byte_and_ends_where_the_pattern_does() {
        use Registered::{Not, Prefix, Whole};
        for (text, bytes, wanted) in [
            (&b"PUMP7"[..], &b"PUMP7"[..], Whole(5)),
            (b"PUMP7", b"PUMP7AT\r", Whole(5)),
            (b"PUMP7", b"PUM", Prefix),
            (b"PUMP7", b"", Prefix),
            (b"PUMP7", b"\0PUMP7", Not),
            (b"PUMP7", b"PUMP8", Not),
            (b"ICCID????", b"ICCID8986data", Whole(9)),
            (b"ICCID????", b"ICCID898", Prefix),
            (b"+REG:*\r\n", b"+REG:4711\r\ndata", Whole(11)),
            (b"+REG:*\r\n", b"+REG:\r\n", Whole(7)),
            (b"+REG:*\r\n", b"+REG:\r\r\n", Whole(8)),
            (b"+REG:*\r\n", b"+REG:4711\r", Prefix),
            (b"*7", b"117", Whole(3)),
        ] {
            assert_eq!(pattern(text).look(bytes), wanted, "{text:?} {bytes:?}");
        }
        let long = [&b"+REG:"[..], &[b'x'; REGISTRATION_MAX]].concat();
        assert_eq!(pattern(b"+REG:*\r\n").look(&long), Not, "no end within the limit");
    }

    #[test]
    fn a_pattern_has_an_end_and_a_limit() {
        assert_eq!(Registration::new(vec![]), None);
        assert_eq!(Registration::new(vec![Piece::Byte(b'a'), Piece::Run]), None);
        assert_eq!(Registration::new(vec![Piece::Any; REGISTRATION_MAX + 1]), None);
    }

    proptest! {
        /// However the bytes come, the same is found.
        #[test]
        fn what_is_found_does_not_depend_on_the_pieces(
            text in "[ab?*]{0,8}[ab?]",
            bytes in prop::collection::vec(prop::sample::select(vec![b'a', b'b', b'c']), 0..20),
        ) {
            let pattern = pattern(text.as_bytes());
            let whole = pattern.look(&bytes);
            let first = (0..=bytes.len())
                .map(|n| pattern.look(&bytes[..n]))
                .find(|found| *found != Registered::Prefix);
            prop_assert_eq!(first.unwrap_or(Registered::Prefix), whole);
        }
    }
}
