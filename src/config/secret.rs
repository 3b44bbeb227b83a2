//! Secrets kept elsewhere than in the file.

use std::path::PathBuf;

/// Where a secret is kept when it is not in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file.
    File(PathBuf),
    /// A systemd credential of that name.
    Credential(String),
}

/// Reads a secret kept elsewhere; the error says why not. The configuration itself opens no file.
pub type SecretReader<'a> = dyn Fn(&SecretSource) -> Result<String, String> + 'a;
