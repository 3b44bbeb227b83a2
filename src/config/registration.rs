//! A registration, as a person writes it: text with escapes, `?` and `*`.

use super::{escaped::EscapedBytes, units::Scalar};
use crate::wire::registration::{Piece, REGISTRATION_MAX, Registration};

impl Scalar for Registration {
    fn read(text: &str) -> Result<Self, String> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        // What is written as hex has no letters left for `?` and `*`.
        let is_hex = text.starts_with("0x");
        loop {
            let end = if is_hex { None } else { rest.find(['?', '*']) };
            let (bytes, behind) = rest.split_at(end.unwrap_or(rest.len()));
            if !bytes.is_empty() || text.is_empty() {
                pieces.extend(EscapedBytes::read(bytes)?.0.into_iter().map(Piece::Byte));
            }
            let mut behind = behind.chars();
            match behind.next() {
                Some('?') => pieces.push(Piece::Any),
                Some(_) => pieces.push(Piece::Run),
                None => break,
            }
            rest = behind.as_str();
        }
        if pieces.len() > REGISTRATION_MAX {
            return Err(format!("{} bytes; it has at most {REGISTRATION_MAX}", pieces.len()));
        }
        Self::new(pieces).ok_or_else(|| {
            "a `*` at the end has no end; write what follows it, like `*\\r\\n`, or one `?` for each byte".into()
        })
    }

    fn kind() -> String {
        "pattern".into()
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "minLength": 1, "examples": ["PUMP7", "ICCID????????????????????", "+REG:*\\r\\n"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Registration, String> {
        Registration::read(text)
    }

    #[test]
    fn text_escapes_and_wildcards_make_a_pattern() {
        use Piece::{Any, Byte, Run};
        for (text, pieces) in [
            ("A?", vec![Byte(b'A'), Any]),
            ("*\\r\\n", vec![Run, Byte(b'\r'), Byte(b'\n')]),
            ("\\x3f\\x2A", vec![Byte(b'?'), Byte(b'*')]),
            ("0x413f", vec![Byte(b'A'), Byte(b'?')]),
        ] {
            assert_eq!(read(text), Ok(Registration::new(pieces).unwrap()), "{text}");
        }
        for (text, part) in [
            ("", "empty"),
            ("A*", "has no end"),
            ("\\q?", "not an escape"),
            ("0x4", "not hex"),
            (&"?".repeat(257), "at most 256"),
        ] {
            assert!(read(text).unwrap_err().contains(part), "{text}");
        }
    }
}
