//! A client's messages, gathered whole: each becomes one datagram.

use crate::wire::control::DATAGRAM_MOST;

/// The message under way. One that is longer than any datagram is counted but not kept.
#[derive(Debug, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
    length: usize,
}

/// A message that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Datagram(Vec<u8>),
    /// This many bytes, more than any datagram has.
    TooLong(usize),
}

impl Message {
    /// Bytes of it that have arrived.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Takes a piece; returns the message when it is complete.
    pub(super) fn take(&mut self, piece: &[u8], last: bool) -> Option<Whole> {
        self.length = self.length.saturating_add(piece.len());
        if self.length > DATAGRAM_MOST {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(piece);
        }
        let Self { bytes, length } = last.then(|| std::mem::take(self))?;
        Some(if length > DATAGRAM_MOST { Whole::TooLong(length) } else { Whole::Datagram(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_with_its_last_piece_or_too_long_for_a_datagram() {
        let mut message = Message::default();
        assert_eq!(message.take(b"ab", false), None);
        assert_eq!(message.take(b"c", true), Some(Whole::Datagram(b"abc".to_vec())));
        assert_eq!(message.take(b"", true), Some(Whole::Datagram(Vec::new())));
        assert_eq!(message.take(&vec![7; 65_507], false), None);
        assert_eq!(message.take(b"", true), Some(Whole::Datagram(vec![7; 65_507])));
        assert_eq!(message.take(&vec![7; 65_507], false), None);
        assert_eq!((message.take(b"x", false), message.len()), (None, 65_508));
        assert_eq!(message.take(b"y", true), Some(Whole::TooLong(65_509)));
        assert_eq!(message.len(), 0);
    }
}
