//! Who makes the authority keep to what it may sign for: programs that trust it are shown the
//! gateway, and certificates for other names that its key has signed.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConnection, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};

use super::{CONFIG, file};
use crate::{
    harness::{Daemon, tls},
    peers::works,
};

/// Connects to an address as if it were that name's, and trusts only that file; returns whether the
/// certificate was accepted.
type Verify = fn(&Path, SocketAddr, &str) -> bool;

/// Name, how the program reports its version, and what it does.
const VERIFIERS: [(&str, &[&str], Verify); 6] = [
    ("OpenSSL", &["openssl", "version"], openssl),
    ("webpki (rustls)", &[], webpki),
    ("curl", &["curl", "--version"], curl),
    ("Python's ssl", &["python3", "-c", "import ssl; print(ssl.OPENSSL_VERSION)"], python),
    ("NSS", &["certutil", "-H"], nss),
    ("GnuTLS", &["gnutls-cli", "--version"], gnutls),
];

fn ends_well(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap().success()
}

fn openssl(trust: &Path, at: SocketAddr, name: &str) -> bool {
    let by =
        if name.parse::<std::net::IpAddr>().is_ok() { "-verify_ip" } else { "-verify_hostname" };
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &at.to_string(), by, name, "-verify_return_error"]);
    command.args(["-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile"]).arg(trust);
    ends_well(&mut command)
}

fn webpki(trust: &Path, at: SocketAddr, name: &str) -> bool {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(tls::trusting(trust, None), name).unwrap();
    let mut stream = StreamOwned::new(connection, std::net::TcpStream::connect(at).unwrap());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok()
}

fn curl(trust: &Path, at: SocketAddr, name: &str) -> bool {
    let port = at.port();
    let name = &if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let mut command = Command::new("curl");
    command.args(["--silent", "--noproxy", "*", "--connect-to"]);
    command.args([&format!("{name}:{port}:127.0.0.1:{port}"), "--cacert"]).arg(trust);
    ends_well(command.arg(format!("https://{name}:{port}/healthz")))
}

fn python(trust: &Path, at: SocketAddr, name: &str) -> bool {
    let code = "import socket, ssl, sys\n\
                context = ssl.create_default_context(cafile=sys.argv[1])\n\
                context.verify_flags |= ssl.VERIFY_X509_STRICT\n\
                raw = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n\
                context.wrap_socket(raw, server_hostname=sys.argv[3]).close()\n";
    let mut command = Command::new("python3");
    command.args(["-c", code]).arg(trust);
    ends_well(command.args([&at.port().to_string(), name]))
}

fn nss(trust: &Path, at: SocketAddr, name: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sql:{}", folder.path().display());
    let certutil = |args: &[&str]| {
        assert!(ends_well(Command::new("certutil").args(["-d", &database]).args(args)), "{args:?}");
    };
    certutil(&["-N", "--empty-password"]);
    certutil(&["-A", "-n", "gateway", "-t", "C,,", "-i", trust.to_str().unwrap()]);
    let mut command = Command::new("tstclnt");
    command.args(["-Q", "-d", &database, "-h", "127.0.0.1", "-a", name, "-p"]);
    ends_well(command.arg(at.port().to_string()))
}

fn gnutls(trust: &Path, at: SocketAddr, name: &str) -> bool {
    let mut command = Command::new("gnutls-cli");
    command.args(["--verify-hostname", name, "--sni-hostname", name, "--port"]);
    command.arg(at.port().to_string()).arg("--x509cafile").arg(trust);
    ends_well(command.arg("127.0.0.1"))
}

/// A certificate from this authority for this name.
fn signed(issuer: &Issuer<'_, &KeyPair>, name: &str) -> (CertificateDer<'static>, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    let now = rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(tls::unix_now());
    let day = std::time::Duration::from_secs(24 * 3600);
    (params.not_before, params.not_after) = (now - day, now + 30 * day);
    assert!(matches!(params.subject_alt_names[0], SanType::DnsName(_) | SanType::IpAddress(_)));
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().der().clone(), key)
}

/// Serves it; the thread ends with the suite.
fn serve((certificate, key): (CertificateDer<'static>, KeyPair)) -> SocketAddr {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut bytes = [0; 1024];
            if stream.read(&mut bytes).is_ok() {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
            }
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    address
}

/// A name that only that authority's certificate has as its issuer.
fn common_name(certificate: &Path) -> String {
    let text = Command::new("openssl")
        .args(["x509", "-noout", "-subject", "-nameopt", "multiline", "-in"])
        .arg(certificate)
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    text.lines()
        .find_map(|line| line.split_once("commonName")?.1.split_once("= "))
        .unwrap()
        .1
        .into()
}

/// An authority like the gateway's that may sign for everything, to prove that nothing else is
/// wrong with what is refused.
fn boundless(folder: &Path) -> (PathBuf, CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "boundless");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let path = folder.join("boundless.crt");
    fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    (path, params, key)
}

#[test]
fn every_verifier_takes_the_gateways_names_and_none_a_foreign_name_that_its_authority_signed() {
    if !works("openssl", &["version"]) {
        eprintln!("skipped: sudo apt install openssl");
        return;
    }
    let config =
        CONFIG.replace("auth: none", "auth: none\nhosts: [ gateway.example, 203.0.113.7 ]");
    let daemon = Daemon::start(&config);
    let authority = file(daemon.folder(), "ca.crt");
    let stolen =
        KeyPair::from_pem(&fs::read_to_string(file(daemon.folder(), "ca.key")).unwrap()).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name(&authority));
    let issuer = Issuer::new(params, &stolen);
    let (free, params, key) = boundless(daemon.folder());
    let boundless = Issuer::new(params, &key);
    let foreign = ["bank.example", "example", "203.0.113.8", "2001:db8::1"];
    let served = |issuer| foreign.map(|name| (serve(signed(issuer, name)), name));
    let (stolen, free_ones) = (served(&issuer), served(&boundless));
    let manual = fs::read_to_string("docs/trust.md").unwrap();
    let mut tried = 0;
    for (name, version, verify) in VERIFIERS {
        if version.split_first().is_some_and(|(program, _)| File::open(which(program)).is_err()) {
            eprintln!("skipped: {name}; sudo apt install curl python3 libnss3-tools gnutls-bin");
            continue;
        }
        for ours in ["gateway.example", "localhost", "203.0.113.7", "127.0.0.1"] {
            assert!(verify(&authority, daemon.address(), ours), "{name} refuses {ours}");
        }
        for ((address, foreign), (other, _)) in stolen.iter().zip(&free_ones) {
            assert!(!verify(&authority, *address, foreign), "{name} takes {foreign}");
            assert!(verify(&free, *other, foreign), "{name} refuses {foreign} of anybody");
        }
        let row = format!("| {name} | ");
        assert!(manual.lines().any(|line| line.starts_with(&row)), "{row} in docs/trust.md");
        eprintln!("{name}: takes the gateway's names, refuses {}", foreign.join(", "));
        tried += 1;
    }
    assert!(tried >= 2, "webpki and OpenSSL are always here");
}

/// Where a program is.
fn which(program: &str) -> PathBuf {
    let all = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&all).map(|folder| folder.join(program));
    found.into_iter().find(|path| path.exists()).unwrap_or_default()
}
