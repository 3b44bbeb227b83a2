//! Secrets that are kept outside the file.

use std::path::PathBuf;

use super::{
    cursor::{Either, Keys, Placed, Value},
    units::Scalar,
    words::Sha256,
};

/// Where a secret is kept if it is not in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file.
    File(PathBuf),
    /// A systemd credential with that name.
    Credential(String),
}

/// Reads a secret that is kept elsewhere; an error says why it cannot. The configuration itself
/// opens no file.
pub(crate) type SecretReader<'a> = dyn Fn(&SecretSource) -> Result<String, String> + 'a;

/// Reads a secret's text, wherever it is kept; `option` is UCI's for a file.
pub(super) fn secret(
    value: Value<'_>,
    option: &'static str,
    secrets: &SecretReader<'_>,
) -> Option<Placed<String>> {
    let spot = value.spot();
    let written = value.either::<String, _>(|k| source(k, option))?;
    let at = written.at;
    let source = match written.value {
        Either::Word(value) => return Some(Placed { value, at }),
        Either::Map(source) => source?,
    };
    match secrets(&source) {
        Ok(text) => Some(Placed { value: text.trim().to_owned(), at }),
        Err(why) => {
            spot.wrong(at, &why);
            None
        }
    }
}

/// Reads a SHA-256, wherever it is kept; `option` is UCI's for a file.
pub(super) fn hash(
    value: Value<'_>,
    option: &'static str,
    secrets: &SecretReader<'_>,
) -> Option<Placed<[u8; 32]>> {
    let spot = value.spot();
    let Placed { value: written, at } = value.either::<Sha256, _>(|k| source(k, option))?;
    let read = match written {
        Either::Word(sum) => Ok(sum),
        Either::Map(source) => secrets(&source?).and_then(|text| Sha256::read(text.trim())),
    };
    read.map_err(|why| spot.wrong(at, &why)).ok().map(|Sha256(value)| Placed { value, at })
}

/// Where a secret is kept if it is not in the file.
fn source(k: &mut Keys<'_>, option: &'static str) -> Option<SecretSource> {
    let file = k
        .key("file", "a file the daemon may read; its first line is the value")
        .uci(option)
        .maybe();
    let credential = k
        .key("credential", "a systemd credential (`LoadCredential=NAME:/path` in the unit)")
        .maybe::<String>();
    match (k.has("file"), k.has("credential")) {
        (true, false) => file.map(|it| SecretSource::File(it.value)),
        (false, true) => {
            let Placed { value: name, at } = credential?;
            if name.contains('/') || name.starts_with('.') {
                k.wrong_in("credential", at, "not a credential's name; it has no / in it");
                return None;
            }
            Some(SecretSource::Credential(name))
        }
        _ => {
            k.lacks(
                &["file", "credential"],
                k.at,
                "write either { file: /path } or { credential: NAME }",
            );
            None
        }
    }
}
