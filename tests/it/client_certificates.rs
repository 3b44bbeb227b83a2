//! Client certificates from their first handshake to their end: none outlives its date or its
//! revocation.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConnection, HandshakeKind, StreamOwned, pki_types::CertificateDer};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::harness::{
    Daemon,
    client::{masked, status, upgrade_head},
    daemon::OPEN,
    tls::{Authority, connect, connect_by, trusting, unix_now},
    until,
};

type Files = (PathBuf, PathBuf);
type Stream = StreamOwned<ClientConnection, TcpStream>;

/// An authority, a gateway that asks for its certificates, and the principals of `certificates`.
struct Place {
    _folder: TempDir,
    authority: Authority,
    daemon: Daemon,
}

impl Place {
    fn new(certificates: &str, crl: Option<&dyn Fn(&Authority) -> PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let server = authority.issue("gateway");
        let list = crl.map(|make| format!(", client_crl: {}", make(&authority).display()));
        let files = format!(
            "tls: {{ certificate: {}, key: {}, client_ca: {}{} }}",
            server.0.display(),
            server.1.display(),
            authority.file().display(),
            list.unwrap_or_default()
        );
        let access = format!("certificates:\n{certificates}");
        let config = OPEN.replace("tls: none", &files).replace("auth: none\n", &access);
        let daemon = Daemon::start(&format!("{config}  m1: {{ sim: echo }}\n"));
        Self { _folder: folder, authority, daemon }
    }

    fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// A session with a certificate, or why there is none: the status, 0 for a handshake that
    /// failed.
    fn open(&self, own: &Files) -> Result<Stream, u16> {
        ask(self.address(), connect(self.address(), &self.authority.file(), Some(own)))
    }
}

/// Asks for the upgrade on a connection.
fn ask(address: SocketAddr, stream: Stream) -> Result<Stream, u16> {
    ask_with(address, stream, "")
}

/// The same with more header lines.
fn ask_with(address: SocketAddr, mut stream: Stream, more: &str) -> Result<Stream, u16> {
    let _ = stream.write_all(upgrade_head(address, "m1", more).as_bytes());
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    match status(&String::from_utf8_lossy(&head)) {
        101 => Ok(stream),
        other => Err(other),
    }
}

/// The code of the Close that ends a session, whatever comes before it.
fn closed(mut stream: Stream) -> u16 {
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1])];
        stream.read_exact(&mut payload).unwrap();
        if head[0] == 0x88 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

const READER: &str =
    "  laptop7: { rights: { m1: [ read, write ] } }\n  laptop8: { rights: { m1: [ read ] } }\n";

#[test]
fn a_session_ends_with_its_certificate_and_no_resumption_brings_it_back() {
    let place = Place::new(READER, None);
    let issued = unix_now();
    let laptop = place.authority.issue_for("laptop7", 6);
    let client = trusting(&place.authority.file(), Some(&laptop));
    let first = ask(place.address(), connect_by(place.address(), Arc::clone(&client))).unwrap();
    let second = ask(place.address(), connect_by(place.address(), Arc::clone(&client))).unwrap();
    assert_eq!(second.conn.handshake_kind(), Some(HandshakeKind::Full), "not resumed");
    assert_eq!((closed(first), closed(second)), (4401, 4401));
    let late = unix_now().saturating_sub(issued + 6);
    assert!(late <= 3, "{late} s behind its end");
    let again = ask(place.address(), connect_by(place.address(), client));
    assert_eq!(again.err(), Some(0), "the handshake fails");
}

#[test]
fn a_session_that_waits_for_its_client_ends_with_its_certificate_too() {
    let place = Place::new(
        "  laptop7: { rights: { m1: [ read, write ] } }\n  laptop8: { rights: { m1: [ read, write, takeover ] } }\n",
        None,
    );
    let (seven, eight) =
        (place.authority.issue_for("laptop7", 6), place.authority.issue("laptop8"));
    let mut stream = connect(place.address(), &place.authority.file(), Some(&seven));
    let handshake = upgrade_head(place.address(), "m1", "Sec-WebSocket-Protocol: wsbridge.v1\r\n");
    stream.write_all(handshake.as_bytes()).unwrap();
    stream.write_all(&masked(0x81, br#"{"type":"open","id":1}"#)).unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("\"opened\"") {
        let mut piece = [0; 1024];
        let n = stream.read(&mut piece).unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&piece[..n]);
    }
    drop(stream);
    let sessions = || {
        let mut stream = connect(place.address(), &place.authority.file(), Some(&eight));
        let host = place.address();
        let request =
            format!("GET /api/sessions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    until("the parked session", || sessions().contains("\"parked\":true").then_some(()));
    // Without its certificate it would wait for a minute.
    until("its end", || sessions().contains("\"sessions\":[]").then_some(()));
}

#[test]
fn a_certificate_is_heard_while_its_address_is_punished() {
    let place = Place::new(READER, None);
    let laptop = place.authority.issue("laptop7");
    let guess = || {
        let stream = connect(place.address(), &place.authority.file(), None);
        ask_with(place.address(), stream, "Authorization: Bearer guess\r\n").err().unwrap()
    };
    for _ in 0..20 {
        assert_eq!(guess(), 401);
    }
    assert_eq!(guess(), 429);
    assert!(place.open(&laptop).is_ok());
}

#[test]
fn a_certificate_that_a_new_list_names_ends_at_once_and_others_stay() {
    let place = Place::new(READER, Some(&|authority| authority.revoke(&[], unix_now() + 3600)));
    let (seven, eight) = (place.authority.issue("laptop7"), place.authority.issue("laptop8"));
    let (running, other) = (place.open(&seven).unwrap(), place.open(&eight).unwrap());
    place.authority.revoke(&["laptop7"], unix_now() + 3600);
    assert_eq!(closed(running), 4401);
    assert_eq!(place.open(&seven).err(), Some(0));
    assert!(place.open(&eight).is_ok());
    drop(other);
}

#[test]
fn a_list_past_its_date_goes_on_refusing_what_it_names_and_alarms() {
    let place =
        Place::new(READER, Some(&|authority| authority.revoke(&["laptop7"], unix_now() - 3600)));
    let (seven, eight) = (place.authority.issue("laptop7"), place.authority.issue("laptop8"));
    assert_eq!(place.open(&seven).err(), Some(0));
    assert!(place.open(&eight).is_ok());
    place.daemon.wait_for("crl.pem: a list of revoked certificates is past its date");
    // A broken list leaves the old one in use.
    fs::write(place.authority.file().with_file_name("crl.pem"), "nothing\n").unwrap();
    until("the broken list is told", || {
        assert_eq!(place.open(&seven).err(), Some(0));
        place.daemon.log().contains("no list of revoked certificates in it").then_some(())
    });
}

#[test]
fn a_certificate_is_known_by_an_alternative_name_or_as_itself() {
    let place = Place::new("  nobody: { rights: { m1: [ read ] } }\n", None);
    let (by_name, itself) =
        (place.authority.issue("plc1.example"), place.authority.issue("plc2.example"));
    let other = place.authority.issue("plc3.example");
    assert_eq!(place.open(&by_name).err(), Some(401));
    let certificates = format!(
        "certificates:\n  one: {{ san: PLC1.example, rights: {{ m1: [ read ] }} }}\n\
         \x20 two: {{ fingerprint: \"{}\", rights: {{ m1: [ read ] }} }}\n",
        fingerprint(&itself.0)
    );
    let config = fs::read_to_string(place.daemon.config()).unwrap();
    let (before, rest) = config.split_once("certificates:\n").unwrap();
    let rest = rest.split_once("endpoints:").unwrap().1;
    place.daemon.reload(&format!("{before}{certificates}endpoints:{rest}"));
    assert!(place.open(&by_name).is_ok());
    assert!(place.open(&itself).is_ok());
    assert_eq!(place.open(&other).err(), Some(401));
}

/// As `openssl x509 -fingerprint -sha256` prints it.
fn fingerprint(certificate: &Path) -> String {
    use rustls::pki_types::pem::PemObject as _;
    let der = CertificateDer::from_pem_file(certificate).unwrap();
    let pairs: Vec<_> = Sha256::digest(&der).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
