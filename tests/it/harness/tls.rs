//! Certificates made for a test, and the two ends of TLS over blocking sockets.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};

use super::PATIENCE;

/// An authority whose certificates are files in a folder.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one; its certificate is `ca.pem`.
    pub(crate) fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) }
    }

    /// Certificate and key of `name`, as `NAME.pem` and `NAME-key.pem`; its common name is `name`
    /// too.
    pub(crate) fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        self.issue_with(name, |_| ())
    }

    /// The same, for a certificate that ends this many seconds from now.
    pub(crate) fn issue_for(&self, name: &str, seconds: u64) -> (PathBuf, PathBuf) {
        self.issue_with(name, |params| {
            params.not_after =
                date_time_ymd(1970, 1, 1) + Duration::from_secs(unix_now() + seconds);
        })
    }

    fn issue_with(
        &self,
        name: &str,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> (PathBuf, PathBuf) {
        let names = vec![name.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(serial(name));
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let files =
            (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}-key.pem")));
        fs::write(&files.0, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }

    /// A list of revoked certificates, `crl.pem`, which names these and whose successor is due at
    /// that second.
    pub(crate) fn revoke(&self, names: &[&str], next: u64) -> PathBuf {
        let epoch = date_time_ymd(1970, 1, 1);
        let revoked = names.iter().map(|name| RevokedCertParams {
            serial_number: serial(name),
            revocation_time: epoch + Duration::from_secs(unix_now() - 60),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: epoch + Duration::from_secs(next.min(unix_now()) - 60),
            next_update: epoch + Duration::from_secs(next),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        // Whole or not at all: the daemon reads it as soon as it changes.
        let (draft, file) = (self.folder.join("crl.new"), self.folder.join("crl.pem"));
        fs::write(&draft, list.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        fs::rename(&draft, &file).unwrap();
        file
    }

    /// The certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }
}

fn serial(name: &str) -> SerialNumber {
    SerialNumber::from_slice(format!("\u{1}{name}").as_bytes())
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn roots(file: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
    roots
}

fn pair(files: &(PathBuf, PathBuf)) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (
        vec![CertificateDer::from_pem_file(&files.0).unwrap()],
        PrivateKeyDer::from_pem_file(&files.1).unwrap(),
    )
}

/// A client's TLS settings that trust `ca`, with or without a certificate of its own.
pub(crate) fn trusting(ca: &Path, own: Option<&(PathBuf, PathBuf)>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(ca));
    Arc::new(match own.map(pair) {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
    })
}

/// A TLS connection to `localhost` that trusts `ca`, with or without a certificate of its own.
pub(crate) fn connect(
    address: SocketAddr,
    ca: &Path,
    own: Option<&(PathBuf, PathBuf)>,
) -> StreamOwned<ClientConnection, TcpStream> {
    connect_by(address, trusting(ca, own))
}

/// The same with a client's settings, which may remember sessions.
pub(crate) fn connect_by(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

/// Connects as a proxy that says this before the client's TLS.
pub(crate) fn connect_behind(
    address: SocketAddr,
    header: &[u8],
    ca: &Path,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut connection = connect(address, ca, None);
    connection.sock.write_all(header).unwrap();
    connection
}

/// What a TLS device needs that asks for client certificates of `ca`.
pub(crate) fn server(files: &(PathBuf, PathBuf), ca: &Path) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)), Arc::clone(&provider))
            .build()
            .unwrap();
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let (chain, key) = pair(files);
    Arc::new(builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap())
}
