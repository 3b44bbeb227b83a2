//! What a client has sent and the far side has not taken yet: bytes, or messages that stay whole.

use std::collections::VecDeque;

/// Messages that may be held: empty ones take no room.
const MESSAGES: usize = 1024;

/// What is held, in the order of sending.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// How many of these bytes were taken.
    taken: usize,
    /// The lengths of the messages, if they stay whole.
    messages: Option<VecDeque<usize>>,
}

impl Held {
    /// Holds nothing yet; `whole` says that messages stay whole.
    pub(super) fn new(whole: bool) -> Self {
        Self { bytes: Vec::new(), taken: 0, messages: whole.then(VecDeque::new) }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Whether nothing is held, not even an empty message.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.as_ref().map_or(self.len() == 0, VecDeque::is_empty)
    }

    /// Whether as many messages are held as may be.
    pub(super) fn is_full(&self) -> bool {
        self.messages.as_ref().is_some_and(|messages| messages.len() >= MESSAGES)
    }

    /// Holds those bytes that were not taken, or a whole message.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(messages) = &mut self.messages {
            messages.push_back(bytes.len());
        }
    }

    /// What goes next: everything, or one message.
    pub(super) fn front(&self) -> &[u8] {
        let (_, rest) = self.bytes.split_at(self.taken);
        let length = self.messages.as_ref().map(|all| all.front().copied().unwrap_or_default());
        length.map_or(rest, |length| rest.split_at(length).0)
    }

    /// Notes that this much of the front was taken; a message, whole.
    pub(super) fn took(&mut self, n: usize) {
        self.taken += n;
        if let Some(messages) = &mut self.messages {
            messages.pop_front();
        }
        if self.taken == self.bytes.len() {
            // An idle connection keeps no buffer.
            (self.bytes, self.taken) = (Vec::new(), 0);
        }
    }

    /// Takes everything out: as one piece, or message by message.
    pub(super) fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while !self.is_empty() {
            let front = self.front().to_vec();
            self.took(front.len());
            all.push(front);
        }
        all
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.messages.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_flow_together_and_messages_do_not() {
        let mut bytes = Held::new(false);
        bytes.push(b"ab");
        bytes.push(b"cd");
        assert_eq!(bytes.front(), b"abcd");
        bytes.took(3);
        assert_eq!((bytes.front(), bytes.len()), (&b"d"[..], 1));
        assert_eq!(bytes.drain(), [b"d"]);
        assert!(bytes.is_empty() && bytes.drain().is_empty());

        let mut messages = Held::new(true);
        for message in [&b"ab"[..], b"", b"cde"] {
            messages.push(message);
        }
        assert_eq!((messages.front(), messages.len()), (&b"ab"[..], 5));
        messages.took(2);
        assert_eq!((messages.front(), messages.is_empty()), (&b""[..], false));
        assert_eq!(messages.drain(), [b"".to_vec(), b"cde".to_vec()]);
        messages.push(b"");
        assert!(!messages.is_empty());
        messages.clear();
        assert!(messages.is_empty());
    }
}
