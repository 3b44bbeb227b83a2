//! Tests of the listener: real sockets.

use std::{
    fs,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt as _, net as unix},
    path::Path,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    config::{Config, ListenTls},
    http::tests::{bridge, config, open},
    tls::WantedNames,
};

fn loopback(tls: ListenTls) -> Listen {
    Listen {
        address: Address::Tcp("127.0.0.1:0".parse().unwrap()),
        tls,
        proxy_protocol: false,
        app: None,
    }
}

fn unix_at(path: &Path) -> Listen {
    Listen {
        address: Address::Unix(path.to_owned()),
        tls: ListenTls::Off,
        proxy_protocol: false,
        app: None,
    }
}

/// Serves on `listener` until the returned bridge's stop token is cancelled.
fn serve(listener: Listener, config: Config) -> Arc<Bridge> {
    let tasks = TaskTracker::new();
    let (bridge, _) = bridge(config, tasks.clone());
    tasks.spawn(listener.run(Arc::clone(&bridge)));
    bridge
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, headers: &str) -> String {
    let head = format!("GET /healthz HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_process() {
    let first = Listener::bind(&loopback(ListenTls::Off), None, None).unwrap();
    let taken = Listen {
        proxy_protocol: false,
        address: Address::Tcp(first.local_address().parse().unwrap()),
        tls: ListenTls::Off,
        app: None,
    };
    let told = Listener::bind(&taken, None, None).unwrap_err().to_string();
    assert!(
        told.starts_with(&format!(
            "cannot listen on {}: the port is in use by ",
            first.local_address()
        )),
        "{told}"
    );
    assert!(told.contains(&format!("pid {}", std::process::id())), "{told}");
}

#[tokio::test]
async fn one_listener_on_the_unspecified_address_serves_both_families() {
    let listen = Listen {
        address: Address::Tcp("[::]:0".parse().unwrap()),
        tls: ListenTls::Off,
        proxy_protocol: false,
        app: None,
    };
    let listener = Listener::bind(&listen, None, None).unwrap();
    let port = listener.port().unwrap();
    let bridge = serve(listener, config(open()));
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        let stream = TcpStream::connect(&address).await.unwrap();
        assert!(
            ask(stream, &format!("Host: {address}")).await.starts_with("HTTP/1.1 200"),
            "{address}"
        );
    }
    bridge.stop.cancel();
}

#[tokio::test]
async fn a_stale_unix_socket_is_replaced_a_live_one_is_not_and_it_goes_with_the_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    drop(unix::UnixListener::bind(&path).unwrap());
    let listener = Listener::bind(&unix_at(&path), None, None).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let told = Listener::bind(&unix_at(&path), None, None).unwrap_err().to_string();
    assert!(told.ends_with("another process is listening there"), "{told}");
    let bridge = serve(listener, config(open()));
    let stream = UnixStream::connect(&path).await.unwrap();
    assert!(ask(stream, "Host: localhost").await.starts_with("HTTP/1.1 200"));
    bridge.stop.cancel();
    bridge.tasks.close();
    bridge.tasks.wait().await;
    assert!(!path.exists());

    fs::write(&path, "no socket").unwrap();
    assert!(Listener::bind(&unix_at(&path), None, None).is_err());
    assert!(path.exists());
}

#[tokio::test]
async fn an_inherited_socket_is_taken_over() {
    let handed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = handed.local_addr().unwrap();
    let listen = Listen {
        address: Address::Systemd("web".into()),
        tls: ListenTls::Off,
        proxy_protocol: false,
        app: None,
    };
    let told = Listener::bind(&listen, None, None).unwrap_err().to_string();
    assert!(told.contains("systemd:web"), "{told}");
    let listener = Listener::bind(&listen, Some(OwnedFd::from(handed)), None).unwrap();
    let bridge = serve(listener, config(open()));
    let stream = TcpStream::connect(address).await.unwrap();
    assert!(ask(stream, &format!("Host: {address}")).await.starts_with("HTTP/1.1 200"));
    bridge.stop.cancel();
}

#[tokio::test]
async fn over_tls_the_origin_is_https() {
    let folder = tempfile::tempdir().unwrap();
    let tls = ServerTls::open(&ListenTls::SelfSigned, folder.path(), &WantedNames::new("box", &[]))
        .unwrap();
    let listener = Listener::bind(&loopback(ListenTls::SelfSigned), None, tls).unwrap();
    let address: SocketAddr = listener.local_address().parse().unwrap();
    let bridge = serve(listener, config(open()));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.path().join("tls/ca.crt")).unwrap()).unwrap();
    let client =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));
    for (scheme, status) in [("https", "HTTP/1.1 200"), ("http", "HTTP/1.1 403")] {
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream =
            connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
        let host = format!("localhost:{}", address.port());
        let head = format!(
            "GET /api/endpoints HTTP/1.1\r\nHost: {host}\r\nOrigin: {scheme}://{host}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(status), "{answer}");
    }
    bridge.stop.cancel();
}

#[tokio::test]
async fn a_tls_handshake_that_dawdles_is_ended_and_others_are_served_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let tls = ServerTls::open(&ListenTls::SelfSigned, folder.path(), &WantedNames::new("box", &[]))
        .unwrap();
    let mut config = config(open());
    config.limits.handshake = Duration::from_millis(200);
    let listener = Listener::bind(&loopback(ListenTls::SelfSigned), None, tls).unwrap();
    let address: SocketAddr = listener.local_address().parse().unwrap();
    let bridge = serve(listener, config);
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&[0x16, 0x03]).await.unwrap();
    let mut nothing = Vec::new();
    let _ = slow.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty());
    while bridge.auth.admission.total() > 0 {
        tokio::task::yield_now().await;
    }
    bridge.stop.cancel();
}

#[tokio::test]
async fn the_oldest_stranger_of_a_source_is_closed_for_its_next() {
    let mut config = config(open());
    config.limits.per_address = 1;
    let listener = Listener::bind(&loopback(ListenTls::Off), None, None).unwrap();
    let address: SocketAddr = listener.local_address().parse().unwrap();
    let bridge = serve(listener, config);
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "");
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    bridge.stop.cancel();
}
