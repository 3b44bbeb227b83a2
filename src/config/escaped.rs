//! Bytes of a device, as a person writes them.

use super::{
    cursor::{Keys, Placed},
    units::Scalar,
};

/// Bytes written as text with escapes, or as hex after `0x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EscapedBytes(pub Vec<u8>);

/// A key's bytes; empty, with a mistake noted, if there are too many.
pub(super) fn at_most(
    most: usize,
    name: &str,
    Placed { value: EscapedBytes(bytes), at }: Placed<EscapedBytes>,
    k: &Keys<'_>,
) -> Vec<u8> {
    if bytes.len() > most {
        k.wrong_in(name, at, &format!("{} bytes; it has at most {most}", bytes.len()));
        return Vec::new();
    }
    bytes
}

impl Scalar for EscapedBytes {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| {
            format!(
                "`{part}` is not an escape; there are \\r \\n \\t \\e \\0 \\\\ and \\xHH, or write it all as 0x0d0a"
            )
        };
        if text.is_empty() {
            return Err("empty text; write something, or leave the key out".into());
        }
        if let Some(digits) = text.strip_prefix("0x") {
            return hex(digits)
                .map(Self)
                .ok_or_else(|| format!("`{text}` is not hex; write pairs of digits, like 0x0d0a"));
        }
        let (mut bytes, mut rest) = (Vec::new(), text.chars());
        while let Some(c) = rest.next() {
            if c != '\\' {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            bytes.push(match rest.next() {
                Some('r') => b'\r',
                Some('n') => b'\n',
                Some('t') => b'\t',
                Some('e') => 0x1b,
                Some('0') => 0,
                Some('\\') => b'\\',
                Some('x') => {
                    let digits: String = rest.by_ref().take(2).collect();
                    *hex(&digits)
                        .and_then(|byte| byte.first().copied())
                        .as_ref()
                        .ok_or_else(|| wrong(&digits))?
                }
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(wrong(&format!("\\{other}")));
                }
            });
        }
        Ok(Self(bytes))
    }

    fn kind() -> String {
        "bytes".into()
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "minLength": 1, "examples": ["\n", "\\r\\n", "0x0d0a"] })
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty()
        || !digits.len().is_multiple_of(2)
        || !digits.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}
