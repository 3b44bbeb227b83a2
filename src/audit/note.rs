//! Checkpoints as other people's tools read them: a size and a root, signed with Ed25519 (C2SP
//! tlog-checkpoint in a C2SP signed-note).

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use sha2::{Digest as _, Sha256};

use super::tree::Hash;

/// The type of a signature with Ed25519 in a signed-note.
const ED25519_NOTE: u8 = 1;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The name of the record, unique in the world.
    pub(crate) origin: String,
    /// Lines.
    pub(crate) size: u64,
    /// Root of the tree of these lines.
    pub(crate) root: Hash,
}

/// A checkpoint with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedCheckpoint {
    pub(crate) checkpoint: Checkpoint,
    /// Each with the name and number of its key.
    signatures: Vec<(String, [u8; 4], Vec<u8>)>,
}

/// Why a text is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoteError {
    /// A line is not what its place asks for.
    #[error("line {0} is not that of a checkpoint: origin, size, root, empty line, signatures")]
    Line(usize),
    /// A key is not `NAME+NUMBER+KEY`.
    #[error("not a key: it looks like name+1a2b3c4d+base64")]
    Key,
    /// The key in it is another's.
    #[error("the key's number is not that of its name and bytes")]
    Number,
}

/// A public key (`vkey`), under the name of what it signs for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifierKey {
    pub(crate) name: String,
    number: [u8; 4],
    key: [u8; 32],
}

/// A key that signs.
pub(crate) struct SignerKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl SignerKey {
    /// A new key, as PKCS #8.
    pub(crate) fn generate() -> Option<Vec<u8>> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        Some(document.as_ref().to_vec())
    }

    /// From PKCS #8; `name` has neither spaces nor `+`.
    pub(crate) fn from_pkcs8(name: &str, document: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(document).ok()?;
        Some(Self { name: name.to_owned(), pair })
    }

    /// The key that verifies.
    pub(crate) fn verifier(&self) -> VerifierKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        VerifierKey::new(&self.name, key)
    }

    /// The signature of a text that is no checkpoint, in base64.
    pub(crate) fn say(&self, text: &str) -> String {
        BASE64.encode(self.pair.sign(text.as_bytes()))
    }

    /// The signed note.
    pub(crate) fn sign(&self, checkpoint: &Checkpoint) -> String {
        let text = checkpoint.to_string();
        let signature = self.pair.sign(text.as_bytes());
        let stamped = [&self.verifier().number, signature.as_ref()].concat();
        format!("{text}\n\u{2014} {} {}\n", self.name, BASE64.encode(stamped))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerKey").field("verifier", &self.verifier().to_string()).finish()
    }
}

impl VerifierKey {
    fn new(name: &str, key: [u8; 32]) -> Self {
        let hash: Hash = Sha256::new()
            .chain_update(name)
            .chain_update([b'\n', ED25519_NOTE])
            .chain_update(key)
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        Self { name: name.to_owned(), number: [a, b, c, d], key }
    }

    /// Whether this key has signed a text that is no checkpoint; the signature is in base64.
    pub(crate) fn has_said(&self, text: &str, signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.key);
        BASE64.decode(signature).is_ok_and(|it| key.verify(text.as_bytes(), &it).is_ok())
    }

    /// Whether this key has signed the checkpoint.
    pub(crate) fn has_signed(&self, note: &SignedCheckpoint) -> bool {
        let text = note.checkpoint.to_string();
        note.signatures.iter().any(|(name, number, signature)| {
            *name == self.name
                && *number == self.number
                && UnparsedPublicKey::new(&ED25519, self.key)
                    .verify(text.as_bytes(), signature)
                    .is_ok()
        })
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = BASE64.encode([&[ED25519_NOTE], self.key.as_slice()].concat());
        write!(f, "{}+{:08x}+{key}", self.name, u32::from_be_bytes(self.number))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(number), Some(key)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::Key);
        };
        let number = u32::from_str_radix(number, 16).map_err(|_| NoteError::Key)?;
        let key = BASE64.decode(key).map_err(|_| NoteError::Key)?;
        let [ED25519_NOTE, key @ ..] = key.as_slice() else { return Err(NoteError::Key) };
        let key: [u8; 32] = key.try_into().map_err(|_| NoteError::Key)?;
        let read = Self::new(name, key);
        if read.number == number.to_be_bytes() { Ok(read) } else { Err(NoteError::Number) }
    }
}

impl SignedCheckpoint {
    /// The note, as it was read.
    pub(crate) fn text(&self) -> String {
        let signatures = self.signatures.iter().map(|(name, number, signature)| {
            let stamped = BASE64.encode([number.as_slice(), signature].concat());
            format!("\u{2014} {name} {stamped}\n")
        });
        format!("{}\n{}", self.checkpoint, signatures.collect::<String>())
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, BASE64.encode(self.root))
    }
}

impl FromStr for SignedCheckpoint {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (body, signatures) = text.split_once("\n\n").ok_or(NoteError::Line(4))?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [origin, size, root] = lines.as_slice() else { return Err(NoteError::Line(1)) };
        let canonical: u64 = size.parse().map_err(|_| NoteError::Line(2))?;
        if origin.is_empty() || canonical.to_string() != *size {
            return Err(NoteError::Line(if origin.is_empty() { 1 } else { 2 }));
        }
        let root = BASE64.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = root.ok_or(NoteError::Line(3))?;
        let checkpoint = Checkpoint { origin: (*origin).to_owned(), size: canonical, root };
        let signatures = signatures
            .lines()
            .enumerate()
            .map(|(n, line)| signature(line).ok_or(NoteError::Line(5 + n)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { checkpoint, signatures })
    }
}

/// The notes of a file, one after the other with an empty line behind each.
pub(crate) fn all(text: &str) -> impl Iterator<Item = Result<SignedCheckpoint, NoteError>> {
    let mut parts = text.split("\n\n");
    std::iter::from_fn(move || {
        let (body, signatures) = (parts.next()?, parts.next()?);
        Some(format!("{}\n\n{signatures}\n", body.trim_start_matches('\n')).parse())
    })
}

/// `— NAME BASE64`: the name of a key, its number, and what it made.
fn signature(line: &str) -> Option<(String, [u8; 4], Vec<u8>)> {
    let (name, stamped) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let stamped = BASE64.decode(stamped).ok()?;
    let (number, signature) = stamped.split_at_checked(4)?;
    Some((name.to_owned(), number.try_into().ok()?, signature.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SignerKey {
        SignerKey::from_pkcs8("gw1/audit", &SignerKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_checkpoint_reads_back_and_only_its_key_has_signed_it() {
        let (key, other) = (key(), key());
        let checkpoint = Checkpoint { origin: "gw1/audit".into(), size: 42, root: [7; 32] };
        let text = key.sign(&checkpoint);
        let note: SignedCheckpoint = text.parse().unwrap();
        assert_eq!(note.checkpoint, checkpoint);
        assert!(key.verifier().has_signed(&note) && !other.verifier().has_signed(&note));
        let forged: SignedCheckpoint = text.replacen("42", "43", 1).parse().unwrap();
        assert!(!key.verifier().has_signed(&forged));
        let again: VerifierKey = key.verifier().to_string().parse().unwrap();
        assert_eq!(again, key.verifier());
    }

    #[test]
    fn what_is_no_checkpoint_is_told_by_its_line() {
        let root = BASE64.encode([0; 32]);
        for (text, line) in [
            (format!("o\n1\n{root}\n"), 4),
            (format!("o\n01\n{root}\n\n"), 2),
            ("o\n1\nAA==\n\n".into(), 3),
            (format!("o\n1\n{root}\n\n- k AA==\n"), 5),
            (format!("o\n1\n{root}\nmore\n\n"), 1),
        ] {
            assert_eq!(text.parse::<SignedCheckpoint>(), Err(NoteError::Line(line)), "{text:?}");
        }
        assert_eq!("a+b".parse::<VerifierKey>(), Err(NoteError::Key));
    }
}
