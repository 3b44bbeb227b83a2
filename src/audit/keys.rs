//! Keys that sign the record no more: each has said, in a line of its own, which one comes next.

use serde::{Deserialize, Serialize};

use super::note::{SignerKey, VerifierKey};

/// The event of a line that announces a key.
pub(super) const KEY: &str = "key";

/// A former key, and its word for the one after it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Former {
    pub(super) key: String,
    /// The number of the line that announced the next.
    pub(super) until: u64,
    /// The former key's signature over that.
    pub(super) signed: String,
}

/// The keys of a record, from what one of its files says at its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) former: Vec<Former>,
    /// The one that signs.
    pub(super) key: String,
}

impl Keys {
    /// Whether each former key has signed for the next; `origin` is the record's name.
    pub(super) fn hold(&self, origin: &str) -> bool {
        let next = self.former.iter().skip(1).map(|it| &it.key).chain([&self.key]);
        self.former.iter().zip(next).all(|(former, next)| {
            former.key.parse::<VerifierKey>().is_ok_and(|key| {
                key.has_said(&announced(origin, former.until, next), &former.signed)
            })
        })
    }

    /// Goes on with the key that line `n` announces; `None` if the one before has not signed that.
    pub(super) fn pass(
        &mut self,
        origin: &str,
        n: u64,
        (next, signed): (&str, &str),
    ) -> Option<()> {
        let key: VerifierKey = self.key.parse().ok()?;
        next.parse::<VerifierKey>().ok()?;
        if !key.has_said(&announced(origin, n, next), signed) {
            return None;
        }
        let key = std::mem::replace(&mut self.key, next.to_owned());
        self.former.push(Former { key, until: n, signed: signed.to_owned() });
        Some(())
    }

    /// The key that signs a checkpoint of so many lines.
    pub(super) fn of_size(&self, size: u64) -> &str {
        self.former.iter().find(|it| size <= it.until).map_or(&self.key, |it| &it.key)
    }

    /// Whether it is one of them.
    pub(super) fn has(&self, key: &VerifierKey) -> bool {
        let key = key.to_string();
        self.key == key || self.former.iter().any(|it| it.key == key)
    }
}

/// A key's word for the next, which line `n` announces.
pub(super) fn announce(signer: &SignerKey, origin: &str, n: u64, next: &str) -> String {
    signer.say(&announced(origin, n, next))
}

fn announced(origin: &str, n: u64, next: &str) -> String {
    format!("wsbridge audit key\n{origin}\n{n}\n{next}\n")
}
