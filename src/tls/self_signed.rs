//! A key and certificate of our own making, kept in the state directory.

use std::{
    fs,
    io::{self, Write as _},
    net::IpAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::{TlsError, read_certificates, validity};

/// Days a certificate is good: the longest that every browser takes for one a user trusts by hand
/// (Apple, since 2019).
const DAYS: i64 = 825;
/// A certificate with less than this left is made again, in seconds.
const RENEW: i64 = 30 * 24 * 3600;

/// Where the pair is kept.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// Certificate.
    pub(super) certificate: PathBuf,
    /// Private key, readable by us alone.
    pub(super) key: PathBuf,
}

impl Paths {
    /// In `state_directory/tls/`.
    pub(super) fn under(state_directory: &Path) -> Self {
        let folder = state_directory.join("tls");
        Self { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
    }
}

/// Makes the pair unless there is one that is still good; true when it was made.
pub(super) fn ensure(paths: &Paths, own_name: &str) -> Result<bool, TlsError> {
    if paths.key.exists() && is_good(&paths.certificate) {
        return Ok(false);
    }
    make(paths, own_name)?;
    Ok(true)
}

/// Whether a certificate is good now and for a while. On a gateway whose clock was wrong when it
/// was made, it is not.
pub(super) fn is_good(certificate: &Path) -> bool {
    let now = Timestamp::now().as_second();
    let read = read_certificates(certificate).ok();
    read.and_then(|chain| chain.first().and_then(|first| validity(first)))
        .is_some_and(|(from, until)| from <= now && now + RENEW < until)
}

fn make(paths: &Paths, own_name: &str) -> Result<(), TlsError> {
    let wrong = |what: &str| {
        TlsError::file(&paths.certificate, format!("cannot make a certificate: {what}"))
    };
    let params = params(own_name).map_err(|error| wrong(&error.to_string()))?;
    let key = KeyPair::generate().map_err(|error| wrong(&error.to_string()))?;
    let certificate = params.self_signed(&key).map_err(|error| wrong(&error.to_string()))?;
    if let Some(folder) = paths.key.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| TlsError::file(folder, format!("cannot be made: {error}")))?;
    }
    replace(&paths.key, 0o600, &key.serialize_pem())?;
    replace(&paths.certificate, 0o644, &certificate.pem())
}

fn params(own_name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names(own_name))?;
    params.distinguished_name.push(DnType::CommonName, own_name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let date = |date: Date| {
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    // A day back, for clients whose clock is behind.
    params.not_before = date(today.saturating_sub(1.day()));
    params.not_after = date(today.saturating_add(DAYS.days()));
    Ok(params)
}

/// What clients may call us: the host's name, NAME.local, localhost, every address of every
/// interface.
pub(crate) fn names(own_name: &str) -> Vec<String> {
    let own = own_name.to_ascii_lowercase();
    let short = own.split('.').next().unwrap_or_default();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    names.extend(
        [own.clone(), format!("{short}.local"), format!("wsbridge-{short}.local")]
            .into_iter()
            .filter(|name| is_name(name)),
    );
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    names.extend(
        interfaces.iter().map(if_addrs::Interface::ip).filter(is_lasting).map(|ip| ip.to_string()),
    );
    names.sort_unstable();
    names.dedup();
    names
}

/// Link-local IPv6 addresses need a zone, which no certificate can name.
fn is_lasting(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_unspecified(),
        IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_unspecified(),
    }
}

/// Writes beside, then renames: a reader sees the old file or the new one.
fn replace(path: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&beside);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| TlsError::file(path, format!("cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_pair_is_made_once_and_kept_for_us_alone() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        assert!(ensure(&paths, "Box.lan").unwrap());
        let first = fs::read(&paths.certificate).unwrap();
        assert!(!ensure(&paths, "Box.lan").unwrap());
        assert_eq!(fs::read(&paths.certificate).unwrap(), first);
        assert_eq!(fs::metadata(&paths.key).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn it_names_the_host_and_its_addresses() {
        let names = names("Box.lan");
        for name in ["localhost", "box.lan", "box.local", "127.0.0.1", "::1"] {
            assert!(names.iter().any(|known| known == name), "{name} is missing in {names:?}");
        }
    }
}
