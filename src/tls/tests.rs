//! Tests of TLS: real handshakes on loopback.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ProtocolVersion,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

fn roots(file: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read_certificates(file).unwrap());
    roots
}

async fn handshake(
    server: &ServerTls,
    client: ClientConfig,
) -> std::io::Result<(ProtocolVersion, Option<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let acceptor = TlsAcceptor::from(server.current());
    let serve = async {
        let mut stream = acceptor.accept(listener.accept().await?.0).await?;
        let name = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| ClientFacts::of(chain.first()?)?.common_name);
        stream.write_all(b"x").await?;
        stream.shutdown().await?;
        Ok::<_, std::io::Error>(name)
    };
    let call = async {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
        assert_eq!(stream.read_u8().await?, b'x');
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        Ok::<_, std::io::Error>(stream.get_ref().1.protocol_version().unwrap())
    };
    let (name, version) = tokio::join!(serve, call);
    Ok((version?, name?))
}

fn client(trust: &Path, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots(trust))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn self_signed(folder: &Path) -> ServerTls {
    ServerTls::open(&ListenTls::SelfSigned, folder, &WantedNames::new("box", &[])).unwrap().unwrap()
}

fn write_pair(folder: &Path, name: &str) -> ListenTls {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let pair = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned(), name.to_owned()]).unwrap();
    fs::write(&certificate, params.self_signed(&pair).unwrap().pem()).unwrap();
    fs::write(&key, pair.serialize_pem()).unwrap();
    ListenTls::Files { certificate, key, client_ca: None, client_crl: None }
}

#[tokio::test]
async fn both_protocol_versions_are_spoken_with_the_certificate_made_on_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = self_signed(folder.path());
    let trust = folder.path().join("tls/ca.crt");
    for (version, expected) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        assert_eq!(handshake(&server, client(&trust, &[version])).await.unwrap(), (expected, None));
    }
}

#[tokio::test(start_paused = true)]
async fn changed_files_are_used_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let tls = write_pair(folder.path(), "one");
    let server =
        ServerTls::open(&tls, folder.path(), &WantedNames::new("box", &[])).unwrap().unwrap();
    let first = server.current();
    tokio::time::advance(FILE_CHECK_INTERVAL).await;
    assert!(Arc::ptr_eq(&first, &server.current()), "unchanged files are not read again");
    write_pair(folder.path(), "another-name-of-another-length");
    tokio::time::advance(FILE_CHECK_INTERVAL).await;
    let second = server.current();
    assert!(!Arc::ptr_eq(&first, &second));
    fs::write(folder.path().join("cert.pem"), "rubbish").unwrap();
    tokio::time::advance(FILE_CHECK_INTERVAL).await;
    assert!(Arc::ptr_eq(&second, &server.current()));
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let told = |tls: &ListenTls| {
        ServerTls::open(tls, folder.path(), &WantedNames::new("box", &[])).unwrap_err().to_string()
    };
    let tls = write_pair(folder.path(), "one");
    write_pair(other.path(), "two");
    fs::copy(other.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    assert!(
        told(&tls).contains("key.pem: this key does not belong to the certificate"),
        "{}",
        told(&tls)
    );
    fs::write(folder.path().join("key.pem"), "").unwrap();
    assert!(told(&tls).contains("key.pem: no private key"), "{}", told(&tls));
    fs::write(folder.path().join("cert.pem"), "").unwrap();
    assert!(told(&tls).contains("cert.pem: no certificate in it"), "{}", told(&tls));
    fs::remove_file(folder.path().join("cert.pem")).unwrap();
    assert!(told(&tls).contains("cert.pem: cannot be read"), "{}", told(&tls));
}

#[tokio::test]
async fn a_client_certificate_names_its_principal_and_none_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(&ca_file, ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "plc-reader");
    let certificate = params.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();

    let ListenTls::Files { certificate: cert_file, key: key_file, .. } =
        write_pair(folder.path(), "one")
    else {
        unreachable!()
    };
    let tls = ListenTls::Files {
        certificate: cert_file.clone(),
        key: key_file,
        client_ca: Some(ca_file),
        client_crl: None,
    };
    let server =
        ServerTls::open(&tls, folder.path(), &WantedNames::new("box", &[])).unwrap().unwrap();
    let mut with = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&cert_file))
        .with_client_auth_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    with.alpn_protocols = vec![b"http/1.1".to_vec()];
    assert_eq!(handshake(&server, with).await.unwrap().1.as_deref(), Some("plc-reader"));
    let without = client(&cert_file, &[&TLS13]);
    assert_eq!(handshake(&server, without).await.unwrap().1, None);
}
