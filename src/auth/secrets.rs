//! Secrets that we make: random, recognised by their form, kept as hashes.

use std::fmt;

use sha2::{Digest, Sha256};

/// The prefix of the secrets we make: API tokens and passes.
pub(super) const OWN_PREFIX: &str = "wsb_";

/// Whether a text looks like a secret we made: at least 128 random bits, which nobody guesses.
pub(super) fn is_own_form(text: &str) -> bool {
    text.strip_prefix(OWN_PREFIX).is_some_and(is_random_text)
}

/// Whether a text looks like what [`random_text`] returns, or more of it.
pub(super) fn is_random_text(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A new API token: its text (`wsb_` and 128 random bits in hex), shown once, and its SHA-256 in
/// hex, which is kept.
pub(crate) fn new_token() -> (String, String) {
    let text = format!("{OWN_PREFIX}{}", random_text());
    let hash = hex(&Sha256::digest(&text));
    (text, hash)
}

pub(super) fn random_text() -> String {
    hex(&random::<16>())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes that nobody can guess.
#[expect(
    clippy::panic,
    reason = "getrandom(2) fails on no kernel we run on; without it no secret is one"
)]
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes,
        Err(error) => panic!("no randomness from the kernel: {error}"),
    }
}
