//! The record of who did what: one line an event, chained by hash, signed at intervals, so that a
//! change is found afterwards.

mod files;
mod keys;
mod line;
mod look;
mod note;
mod packed;
mod tree;
mod verify;
mod witness;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use self::note::SignerKey;
pub(crate) use self::{
    line::Entry,
    look::{Place, look},
    note::{VerifierKey, all as checkpoints},
    packed::pack,
    verify::{Broken, Proof, Verified, prove, verify},
    witness::{WitnessNews, witnessed},
    writer::Audit,
};
use crate::config::Config;

/// The folder of the record that a configuration asks for; `None` without one.
pub(crate) fn folder(config: &Config) -> Option<PathBuf> {
    let rules = config.audit.as_ref()?;
    Some(rules.folder.clone().unwrap_or_else(|| config.state_directory.join("audit")))
}

/// The text of a key file: the record's name and its key.
fn key_file(origin: &str, pkcs8: &[u8]) -> String {
    format!("{origin}\n{}\n", BASE64.encode(pkcs8))
}

/// Reads it.
fn read_key_file(text: &str) -> Option<(String, SignerKey)> {
    let (origin, key) = text.split_once('\n')?;
    let pkcs8 = BASE64.decode(key.trim()).ok()?;
    Some((origin.to_owned(), SignerKey::from_pkcs8(origin, &pkcs8)?))
}
