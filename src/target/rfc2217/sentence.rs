//! What a peer says instead of serving: one sentence, and then it closes ("Port already in use").

/// The longest sentence, in bytes.
const SENTENCE_MAX: usize = 120;

/// The beginning of what a peer sent.
#[derive(Debug, Default)]
pub(super) struct Sentence {
    bytes: Vec<u8>,
    /// It sent more than that.
    longer: bool,
}

impl Sentence {
    /// Notes what it sent.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.longer |= self.bytes.len() + bytes.len() > SENTENCE_MAX;
        if self.longer {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// All that it said, if that is text.
    pub(super) fn said(&self) -> Option<String> {
        let text = str::from_utf8(&self.bytes).ok()?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let said = words.join(" ");
        let speaks = said.chars().any(char::is_alphabetic) && !said.chars().any(char::is_control);
        speaks.then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&[u8]]) -> Option<String> {
        let mut sentence = Sentence::default();
        for piece in pieces {
            sentence.add(piece);
        }
        sentence.said()
    }

    #[test]
    fn a_sentence_is_all_that_was_said_and_text() {
        assert_eq!(
            said(&[b"Port already ", b"in use\r\n"]).as_deref(),
            Some("Port already in use")
        );
        assert_eq!(said(&[b"\r\nbusy:\r\n  anna\r\n"]).as_deref(), Some("busy: anna"));
        for other in
            [&b""[..], b"\r\n", b"1 2 3", b"abc\x01", b"\xff\xfe", &[b'a'; SENTENCE_MAX + 1]]
        {
            assert_eq!(said(&[other]), None, "{other:?}");
        }
        assert_eq!(said(&[&[b'a'; SENTENCE_MAX], b"b", b"c"]), None);
    }
}
