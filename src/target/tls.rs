//! TLS to a target: we check its certificate and show ours.

use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
};
use tokio_rustls::TlsConnector;

use super::OpenError;
use crate::{config::TargetTls, regular_file, stream::Stream};

/// The largest certificate or key file that is read, in bytes.
const PEM_FILE_MAX: usize = 4 << 20;

/// Does the handshake with the target at `place`. The name that is requested and checked is the
/// configured one, or else `host`. Files are read at each connection, so that a renewed certificate
/// counts immediately.
pub(super) async fn handshake(
    stream: Stream,
    settings: &TargetTls,
    host: Option<&str>,
    place: &str,
) -> Result<Stream, OpenError> {
    let name = settings.server_name.as_deref().or(host).ok_or_else(|| {
        OpenError::Unfit(format!("TLS with {place}: a unix socket has no name; set `server_name`"))
    })?;
    let name =
        server_name(name).map_err(|why| OpenError::Unfit(format!("TLS with {place}: {why}")))?;
    let wanted = settings.clone();
    let config = tokio::task::spawn_blocking(move || config(&wanted))
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(|why| OpenError::Unfit(format!("TLS with {place}: {why}")))?;
    stream.connect_tls(&TlsConnector::from(Arc::new(config)), name).await.map_err(|error| {
        OpenError::Unfit(format!("TLS with {place} failed: {}", explained(&error)))
    })
}

/// Whether the certificates and the key can be used, checked as at each connection. Reads files.
///
/// # Errors
/// Which file cannot be used, and why.
pub(crate) fn check(settings: &TargetTls) -> Result<(), String> {
    config(settings).map(drop)
}

/// A host name, or an address without brackets and scope (RFC 6874: the scope matters only to us).
fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    let bare = name.split_once('%').map_or(name, |(address, _)| address);
    ServerName::try_from(bare.to_owned()).map_err(|_| format!("`{name}` is not a host name"))
}

fn config(settings: &TargetTls) -> Result<ClientConfig, String> {
    let roots = settings.ca.as_deref().map_or_else(system_roots, file_roots)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match &settings.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display())),
    }
}

fn file_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store often has a certificate or two that nothing can read.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            "this system has no certificate authorities (install ca-certificates); or name one with `ca`"
                .into(),
        );
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(format!("{} holds no PEM certificate", path.display()))
        }
        other => other.map_err(|error| format!("{}: {error}", path.display())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            format!("{} holds no PEM private key", path.display())
        } else {
            format!("{}: {error}", path.display())
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    regular_file::read(path, PEM_FILE_MAX).map_err(|error| format!("{}: {error}", path.display()))
}

/// Advice on the most common failures; the others speak for themselves.
fn explained(error: &io::Error) -> String {
    let text = error.to_string();
    if error.kind() == io::ErrorKind::UnexpectedEof {
        "the target closed the connection; does it speak TLS?".into()
    } else if text.contains("UnknownIssuer") || text.contains("BadSignature") {
        // The second text: another authority with the same name, as after it was made anew.
        format!("{text}; name its authority with `ca`")
    } else {
        text
    }
}
