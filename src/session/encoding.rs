//! The encodings of plain mode that are not plain bytes: text with replacement, and base64.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Line bytes to text frames, invalid UTF-8 replaced; a character cut by a read is held back for the next.
#[derive(Debug, Default)]
pub(super) struct TextOut {
    cut: Vec<u8>,
}

impl TextOut {
    /// The text of `bytes` behind what was held back.
    pub(super) fn encode(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.cut);
        all.extend_from_slice(bytes);
        let whole = all.len() - cut_at_end(&all);
        self.cut = all.split_off(whole);
        String::from_utf8_lossy(&all).into_owned()
    }

    /// What is still held back when the line has ended.
    pub(super) fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.cut)).into_owned()
    }
}

/// Length of a character at the end that may still be completed.
fn cut_at_end(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        // A chunk's invalid part at the very end is a cut character unless it can never become valid.
        Some(chunk) => {
            let tail = chunk.invalid();
            let completable = std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none());
            if completable { tail.len() } else { 0 }
        }
        None => 0,
    }
}

/// Line bytes as base64 text.
pub(super) fn base64_out(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Base64 text frames to line bytes, over any cut of frames and reads.
#[derive(Debug, Default)]
pub(super) struct Base64In {
    group: Vec<u8>,
}

impl Base64In {
    /// Appends the bytes of `text` to `bytes`. `last` says the message is complete, so that no group may be open.
    pub(super) fn decode(
        &mut self,
        text: &[u8],
        last: bool,
        bytes: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        const WRONG: &str = "not base64";
        let mut all = std::mem::take(&mut self.group);
        all.extend_from_slice(text);
        let whole = all.len() - all.len() % 4;
        self.group = all.split_off(whole);
        if last && !self.group.is_empty() {
            return Err(WRONG);
        }
        STANDARD.decode_vec(&all, bytes).map_err(|_| WRONG)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_cut_by_a_read_is_not_replaced() {
        let mut text = TextOut::default();
        let mut all = String::new();
        for byte in "grün €\u{1f980}".as_bytes() {
            all += &text.encode(&[*byte]);
        }
        assert_eq!(all + &text.rest(), "grün €\u{1f980}");
        assert_eq!(text.encode(b"a\xffb"), "a\u{fffd}b");
        assert_eq!((text.encode(b"\xe2\x82"), text.rest()), (String::new(), "\u{fffd}".into()));
    }

    proptest! {
        #[test]
        fn base64_decodes_over_any_cut(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1_usize..9) {
            let text = base64_out(&bytes).into_bytes();
            let mut decoder = Base64In::default();
            let mut got = Vec::new();
            let pieces = text.len().div_ceil(cut);
            for (i, piece) in text.chunks(cut).enumerate() {
                decoder.decode(piece, i + 1 == pieces, &mut got).unwrap();
            }
            prop_assert_eq!(got, bytes);
        }
    }

    #[test]
    fn an_open_group_or_a_foreign_letter_is_an_error() {
        assert!(Base64In::default().decode(b"QUJ", true, &mut Vec::new()).is_err());
        assert!(Base64In::default().decode(b"QU\x00D", true, &mut Vec::new()).is_err());
    }
}
