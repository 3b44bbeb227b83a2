//! The bytes that are sent, and the check that exactly these come out: a block that repeats only
//! after 1 MiB.

use std::sync::OnceLock;

use crate::{Outcome, fail};

/// Bytes after which the pattern repeats; every piece size divides it.
pub(crate) const PERIOD: usize = 1 << 20;

/// The pattern twice over, so that every piece of up to a period lies in it whole.
pub(crate) fn pattern() -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let once: Vec<u8> = (0..PERIOD / 8)
            .flat_map(|_| {
                // xorshift64
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .collect();
        [once.as_slice(), &once].concat()
    })
}

/// Compares what arrives with the pattern.
#[derive(Debug, Default)]
pub(crate) struct Check {
    at: usize,
    /// Bytes that were right.
    pub(crate) count: u64,
}

impl Check {
    /// The next bytes; an error says where the first wrong one is.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Outcome<()> {
        for piece in bytes.chunks(PERIOD) {
            let want = pattern().get(self.at..self.at + piece.len()).unwrap_or_default();
            if piece != want {
                let right = piece.iter().zip(want).take_while(|(got, want)| got == want).count();
                return fail(format!(
                    "byte {} is not the one that was sent",
                    self.count + right as u64
                ));
            }
            self.at = (self.at + piece.len()) % PERIOD;
            self.count += piece.len() as u64;
        }
        Ok(())
    }
}
