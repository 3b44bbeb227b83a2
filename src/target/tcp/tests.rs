//! Every address is tried, within one time; TLS checks the target.

use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener},
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::TargetTls;
fn target(host: &str, port: u16) -> TcpTarget {
    TcpTarget {
        address: TcpAddress::Host(host.into(), port),
        connect_timeout: Duration::from_secs(5),
        keepalive: Some(Duration::from_secs(30)),
        dead_after: Duration::from_secs(30),
        user_timeout: None,
        tls: None,
        usb: None,
        heartbeat: None,
    }
}

/// A port that nobody listens on.
async fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Listens but never accepts; its queue is full, so a SYN is not answered.
async fn silent() -> (Socket, Vec<TcpStream>, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut fill = Vec::new();
    while let Ok(Ok(stream)) =
        timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        fill.push(stream);
    }
    (socket, fill, address)
}

#[tokio::test]
async fn a_connection_is_tuned() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream =
        connect(&target("127.0.0.1", listener.local_addr().unwrap().port())).await.unwrap();
    let socket = SockRef::from(stream.tcp().unwrap());
    assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
    assert_eq!(socket.tcp_user_timeout().unwrap(), None);
}

#[tokio::test]
async fn a_closed_port_is_refused_and_the_address_named() {
    let port = closed().await;
    let error = connect(&target("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(error, OpenError::Refused(format!("127.0.0.1:{port}: connection refused")));
}

#[tokio::test]
async fn every_address_is_tried_and_named() {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listed = vec![SocketAddr::from(([127, 0, 0, 1], port)), listener.local_addr().unwrap()];
    let deadline = Instant::now() + Duration::from_secs(5);
    let stream = race(listed.clone(), deadline, Duration::from_secs(5)).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), listed[1]);
    drop(listener);
    let error = race(listed, deadline, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(
        error,
        OpenError::Refused(format!(
            "127.0.0.1:{port}: connection refused; [::1]:{port}: connection refused"
        ))
    );
}

#[tokio::test]
async fn a_silent_address_costs_its_share_and_the_next_is_tried() {
    let (_socket, _fill, silent) = silent().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let within = Duration::from_millis(400);
    let stream = race(vec![silent, good], Instant::now() + within, within).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), good);
}

#[tokio::test]
async fn a_silent_host_times_out_and_is_named() {
    let (_socket, _fill, silent) = silent().await;
    let quick = TcpTarget {
        connect_timeout: Duration::from_millis(200),
        ..target("127.0.0.1", silent.port())
    };
    let begun = Instant::now();
    let error = connect(&quick).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2));
    let OpenError::Timeout(text) = error else { panic!("{error:?}") };
    assert!(text.contains(&silent.to_string()) || text.contains("127.0.0.1"), "{text}");
    assert!(text.ends_with("within 0.2 s"), "{text}");
}

#[tokio::test]
async fn ipv6_is_reached_with_and_without_brackets_and_with_a_scope() {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["::1", "[::1]", "::1%1"] {
        connect(&target(host, port)).await.unwrap();
    }
}

#[tokio::test]
async fn a_name_nobody_knows_is_absent_and_named() {
    let error = connect(&target("no-such-host.invalid", 502)).await.unwrap_err();
    let OpenError::Absent(text) = error else { panic!("{error:?}") };
    assert!(text.contains("no-such-host.invalid"), "{text}");
}

#[tokio::test]
async fn unix_sockets_are_reached_and_a_missing_one_is_absent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plc.sock");
    let target = TcpTarget { address: TcpAddress::Unix(path.clone()), ..target("", 0) };
    let missing = connect(&target).await.unwrap_err();
    assert_eq!(missing, OpenError::Absent(format!("{}: no such socket", path.display())));
    let listener = UnixListener::bind(&path).unwrap();
    assert!(connect(&target).await.unwrap().tcp().is_none());
    drop(listener);
    assert!(matches!(connect(&target).await.unwrap_err(), OpenError::Refused(_)));
}

#[test]
fn families_alternate_beginning_with_the_first() {
    let v4 = |last| SocketAddr::from(([192, 0, 2, last], 1));
    let v6 = |last| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 1));
    assert_eq!(interleave(vec![v6(1), v6(2), v6(2), v6(3), v4(1)]), [v6(1), v4(1), v6(2), v6(3)]);
    assert_eq!(interleave(vec![v4(1), v4(2), v6(1), v6(2)]), [v4(1), v6(1), v4(2), v6(2)]);
    assert_eq!(interleave(Vec::new()), []);
}

/// An authority, a server's and a client's certificate, as files.
struct Papers {
    folder: tempfile::TempDir,
    acceptor: TlsAcceptor,
}

impl Papers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = authority.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let issue = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (server, server_key) = issue("plc.test");
        let (client, client_key) = issue("gateway.test");
        for (name, pem) in
            [("ca", root.pem()), ("client", client.pem()), ("key", client_key.serialize_pem())]
        {
            std::fs::write(folder.path().join(name), pem).unwrap();
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(
            std::sync::Arc::new(roots),
            std::sync::Arc::clone(&provider),
        );
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![server.der().clone()],
                PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self { folder, acceptor: TlsAcceptor::from(std::sync::Arc::new(config)) }
    }

    fn settings(&self) -> TargetTls {
        let at = |name: &str| self.folder.path().join(name);
        TargetTls {
            ca: Some(at("ca")),
            server_name: Some("plc.test".into()),
            client: Some((at("client"), at("key"))),
        }
    }
}

/// Connects to a TLS server that sends back four bytes, and says what came.
async fn through_tls(papers: &Papers, settings: TargetTls) -> Result<[u8; 4], OpenError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = papers.acceptor.accept(stream).await else { return };
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let client = async {
        let mut stream =
            connect(&TcpTarget { tls: Some(settings), ..target("127.0.0.1", port) }).await?;
        stream.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        Ok(bytes)
    };
    tokio::join!(server, client).1
}

#[tokio::test]
async fn tls_checks_the_target_and_shows_our_certificate() {
    let papers = Papers::new();
    assert_eq!(through_tls(&papers, papers.settings()).await, Ok(*b"ping"));
}

#[tokio::test]
async fn tls_with_a_wrong_name_or_authority_fails_and_says_why() {
    let papers = Papers::new();
    let wrong_name = TargetTls { server_name: None, ..papers.settings() };
    let text = through_tls(&papers, wrong_name).await.unwrap_err().to_string();
    assert!(
        text.starts_with("TLS with 127.0.0.1:") && text.contains("not valid for name"),
        "{text}"
    );
    let other = Papers::new();
    let stranger = TargetTls { ca: other.settings().ca, ..papers.settings() };
    let text = through_tls(&papers, stranger).await.unwrap_err().to_string();
    assert!(text.contains("name its authority with `ca`"), "{text}");
    let no_file = TargetTls { ca: Some("/no/such/ca.pem".into()), ..papers.settings() };
    let error =
        connect(&TcpTarget { tls: Some(no_file), ..target("127.0.0.1", closed().await) }).await;
    assert!(
        matches!(error, Err(OpenError::Refused(_))),
        "dialled before anything is read: {error:?}"
    );
}

#[tokio::test]
async fn tls_to_a_target_that_speaks_none_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async { drop(listener.accept().await.unwrap()) };
    let papers = Papers::new();
    let secured = TcpTarget { tls: Some(papers.settings()), ..target("127.0.0.1", port) };
    let ((), error) = tokio::join!(server, connect(&secured));
    assert!(matches!(error, Err(OpenError::Unfit(_))), "{error:?}");
}
