//! The gateway's own certificate: made at the first start together with the authority that issues
//! it, and renewed by that. A self-signed one, from before there were authorities, stays while it
//! is valid.
//!
//! Clients trust the authority, or remember the certificate by hand. So neither is replaced if that
//! can be avoided: not because a clock is not set, a machine got another address, or a disk cannot
//! be written.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{KeyPair, PublicKeyData as _};
use rustix::fs::{FlockOperation, flock};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    TlsError,
    authority::{BUILT, OwnAuthority, SignedPair},
    inspect::Facts,
    read, read_certificates,
    wanted::WantedNames,
};
use crate::regular_file::{self, given};

/// A certificate with less time left than this, in seconds, is made again.
const RENEW_BEFORE: i64 = 30 * 24 * 3600;
/// The most names that a certificate keeps of its predecessor, besides its own.
const MOST_CERTIFICATE_NAMES: usize = 64;

/// Where all the files are.
#[derive(Clone, Debug)]
pub(crate) struct OwnFiles {
    folder: PathBuf,
    pub(crate) certificate: PathBuf,
    /// Its private key, readable only by us.
    pub(crate) key: PathBuf,
    /// The authority's certificate.
    pub(crate) authority: PathBuf,
    /// The authority's private key.
    authority_key: PathBuf,
}

impl OwnFiles {
    /// The files in `state_directory/tls/`.
    pub(crate) fn under(state_directory: &Path) -> Self {
        let folder = state_directory.join("tls");
        let [certificate, key, authority, authority_key] =
            ["cert.pem", "key.pem", "ca.crt", "ca.key"].map(|name| folder.join(name));
        Self { folder, certificate, key, authority, authority_key }
    }

    /// Keeps others from writing there meanwhile: another listener, `wsbridge ca new`.
    fn lock(&self) -> Result<File, TlsError> {
        let made = || {
            if !self.folder.exists() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
                given(&self.folder)?;
            }
            let folder = File::open(&self.folder)?;
            flock(&folder, FlockOperation::LockExclusive)?;
            Ok(folder)
        };
        made().map_err(|error: io::Error| {
            TlsError::file(&self.folder, format!("cannot be used: {error}"))
        })
    }
}

/// What is in use.
#[derive(Clone, Debug)]
pub(super) struct OwnCertificate {
    leaf: Facts,
    /// The authority that issued it; `None`: it is self-signed.
    pub(super) authority: Option<Arc<OwnAuthority>>,
    /// Why it could not be made again although it is due.
    pub(super) stuck: Option<String>,
}

impl OwnCertificate {
    /// Whether a new one has to be made.
    pub(super) fn is_due(&self, wanted: &WantedNames, now: i64) -> bool {
        match &self.authority {
            None => !is_lasting(&self.leaf, now),
            Some(authority) => is_due(&self.leaf, authority, wanted, now),
        }
    }
}

/// Whether a self-signed one stays. Before the clock is set its time tells nothing.
fn is_lasting(leaf: &Facts, now: i64) -> bool {
    now < BUILT || now + RENEW_BEFORE < leaf.until
}

fn is_due(leaf: &Facts, authority: &OwnAuthority, wanted: &WantedNames, now: i64) -> bool {
    if now < BUILT {
        return false;
    }
    // It may have been made while a clock was ahead. No certificate outlives its authority.
    let in_time =
        leaf.from <= now && (now + RENEW_BEFORE < leaf.until || leaf.until >= authority.until);
    let lacks = |name: &String| authority.scope.permits(name) && !leaf.covers(name);
    !in_time || wanted.lasting().iter().any(lacks)
}

/// The files, after whatever was missing or due has been made. Nobody replaces them while the
/// returned lock is held.
pub(super) fn ensure(
    paths: &OwnFiles,
    wanted: &WantedNames,
    now: i64,
) -> Result<(OwnCertificate, File), TlsError> {
    let lock = paths.lock()?;
    let found = || Facts::of(&paths.certificate).ok().filter(|_| paths.key.exists());
    let mut leaf = found();
    if !paths.authority.exists() {
        if let Some(leaf) = leaf.clone().filter(|leaf| is_lasting(leaf, now)) {
            return Ok((OwnCertificate { leaf, authority: None, stuck: None }, lock));
        }
        make(paths, wanted, now)?;
        leaf = found();
        tracing::info!(file = %paths.authority.display(), "made an authority and a certificate under it");
    }
    let under = OwnAuthority::read(&paths.authority).and_then(|authority| {
        let current = is_under(paths, &authority).then_some(leaf.as_ref()).flatten();
        if current.is_none_or(|leaf| is_due(leaf, &authority, wanted, now)) {
            renew(paths, &authority, (current, wanted), now)?;
            tracing::info!(file = %paths.certificate.display(), "made a certificate under the authority");
        }
        Ok(authority)
    });
    let (authority, stuck) = match under {
        Ok(authority) => (Some(authority), None),
        // Whatever is there stays in use.
        Err(error) if leaf.is_some() => {
            let read = OwnAuthority::read(&paths.authority).ok();
            (read.filter(|authority| is_under(paths, authority)), Some(error.to_string()))
        }
        Err(error) => return Err(error),
    };
    let leaf = Facts::of(&paths.certificate)?;
    Ok((OwnCertificate { leaf, authority: authority.map(Arc::new), stuck }, lock))
}

/// Makes an authority and a certificate issued by it, in place of everything there was.
pub(crate) fn make_anew(
    state_directory: &Path,
    wanted: &WantedNames,
) -> Result<OwnAuthority, TlsError> {
    let paths = OwnFiles::under(state_directory);
    let _lock = paths.lock()?;
    make(&paths, wanted, jiff::Timestamp::now().as_second())?;
    OwnAuthority::read(&paths.authority)
}

fn make(paths: &OwnFiles, wanted: &WantedNames, now: i64) -> Result<(), TlsError> {
    let failed =
        |error: rcgen::Error| TlsError::file(&paths.authority, format!("cannot be made: {error}"));
    let SignedPair { certificate, key } = OwnAuthority::make(wanted, now).map_err(failed)?;
    replace(&paths.authority_key, 0o600, &key)?;
    replace(&paths.authority, 0o644, &certificate)?;
    let key = KeyPair::generate().map_err(failed)?;
    replace(&paths.key, 0o600, &key.serialize_pem())?;
    renew(paths, &OwnAuthority::read(&paths.authority)?, (None, wanted), now)
}

/// Makes a new certificate under the authority. Its key stays, so that those who have pinned it
/// need not do so again: anyone who could read it could read the authority's key, too.
fn renew(
    paths: &OwnFiles,
    authority: &OwnAuthority,
    (former, wanted): (Option<&Facts>, &WantedNames),
    now: i64,
) -> Result<(), TlsError> {
    let own_key = key_pair(&paths.authority_key)?;
    if !authority.has(&own_key) {
        let what = format!("this key does not belong to {}", paths.authority.display());
        return Err(TlsError::file(&paths.authority_key, what));
    }
    let failed = |error: rcgen::Error| {
        TlsError::file(&paths.certificate, format!("cannot be made: {error}"))
    };
    let key = if let Ok(key) = key_pair(&paths.key) {
        key
    } else {
        let key = KeyPair::generate().map_err(failed)?;
        replace(&paths.key, 0o600, &key.serialize_pem())?;
        key
    };
    let mut names = wanted.all();
    // Addresses that are away now, of a container network or of the other cable, may come back.
    if let Some(former) = former.filter(|former| now + RENEW_BEFORE < former.until) {
        let kept = former.addresses.iter().filter(|ip| ip.is_ipv4()).map(ToString::to_string);
        names.extend(kept.take(MOST_CERTIFICATE_NAMES.saturating_sub(names.len())));
    }
    let certificate = authority.issue((&own_key, &key), wanted, names, now).map_err(failed)?;
    replace(&paths.certificate, 0o644, &certificate)
}

/// Whether the authority issued the certificate in use, and its key is there.
fn is_under(paths: &OwnFiles, authority: &OwnAuthority) -> bool {
    let chain = read_certificates(&paths.certificate).unwrap_or_default();
    let Some(first) = chain.first().filter(|first| authority.signed(first)) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(first) else { return false };
    key_pair(&paths.key)
        .is_ok_and(|key| key.subject_public_key_info() == certificate.public_key().raw)
}

pub(super) fn key_pair(file: &Path) -> Result<KeyPair, TlsError> {
    let text = String::from_utf8(read(file)?).unwrap_or_default();
    KeyPair::from_pem(&text)
        .map_err(|error| TlsError::file(file, format!("no private key that can be read: {error}")))
}

/// Writes a file as a whole.
pub(super) fn replace(path: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    regular_file::replace(path, mode, text.as_bytes())
        .map_err(|error| TlsError::file(path, format!("cannot be written: {error}")))
}

#[cfg(test)]
mod tests;
