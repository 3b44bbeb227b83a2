//! rustls' own client (through tokio-rustls) at the other end of a pipe as wide as the test wants
//! it.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring::default_provider,
    pki_types::{PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    task::yield_now,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

type Ends = (Tls<DuplexStream>, TlsStream<DuplexStream>);

fn configs(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, TlsConnector) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["gateway".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

/// Both ends after the handshake, through a pipe that holds `width` bytes.
async fn ends(version: &'static SupportedProtocolVersion, width: usize) -> Ends {
    let (mut server, connector) = configs(version);
    // A client that has done the handshake does not read tickets from a pipe they do not fit into
    // before it reads data.
    if let Some(server) = Arc::get_mut(&mut server).filter(|_| width < 10_000) {
        server.send_tls13_tickets = 0;
    }
    let (near, far) = duplex(width);
    let name = ServerName::try_from("gateway").unwrap();
    let (near, far) = tokio::join!(Tls::accept(near, server), connector.connect(name, far));
    (near.unwrap(), far.unwrap())
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Reads to the end, in pieces of at most `piece`.
async fn all(mut from: impl AsyncRead + Unpin, piece: usize) -> io::Result<Vec<u8>> {
    let (mut whole, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(whole),
            n => whole.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Writes everything in pieces of varying length, then says that nothing follows.
async fn send(mut to: impl AsyncWrite + Unpin, bytes: &[u8]) {
    let lengths = [1, 100, 16_384, 70_000, 3, 33_000];
    let mut rest = bytes;
    for length in lengths.iter().cycle() {
        let (piece, more) = rest.split_at((*length).min(rest.len()));
        to.write_all(piece).await.unwrap();
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    to.shutdown().await.unwrap();
}

#[tokio::test]
async fn bytes_pass_both_ways_at_once_whatever_the_pipe_and_the_reader_take() {
    for version in BOTH {
        for (width, piece, length) in
            [(1, 1, 3000), (7, 100_000, 50_000), (5000, 13, 200_000), (1 << 20, 65_552, 5_000_000)]
        {
            let (near, far) = ends(version, width).await;
            let (down, up) = (noise(length, 1), noise(length, 2));
            let ((near_read, near_write), (far_read, far_write)) = (split(near), split(far));
            let (got_up, got_down, (), ()) = tokio::join!(
                all(near_read, piece),
                all(far_read, piece),
                send(near_write, &down),
                send(far_write, &up),
            );
            assert!(got_up.unwrap() == up, "browser -> device, pipe of {width}");
            assert!(got_down.unwrap() == down, "device -> browser, pipe of {width}");
        }
    }
}

#[tokio::test]
async fn an_idle_connection_holds_no_buffer() {
    for version in BOTH {
        let (mut near, mut far) = ends(version, 1 << 20).await;
        let bytes = noise(300_000, 3);
        far.write_all(&bytes).await.unwrap();
        near.read_exact(&mut vec![0; 300_000]).await.unwrap();
        near.write_all(&bytes).await.unwrap();
        near.flush().await.unwrap();
        let mut one = [0];
        let mut more = ReadBuf::new(&mut one);
        assert!(
            poll_fn(|cx| Poll::Ready(Pin::new(&mut near).poll_read(cx, &mut more)))
                .await
                .is_pending()
        );
        let held = [&near.incoming, &near.plain, &near.outgoing].map(Vec::capacity);
        assert_eq!(held, [0; 3], "incoming, plain, outgoing");
    }
}

#[tokio::test]
async fn who_stops_reading_makes_us_hold_one_write_and_no_more() {
    let (mut near, far) = ends(&TLS13, 1000).await;
    let bytes = noise(1 << 20, 4);
    let mut taken = 0;
    loop {
        let written =
            poll_fn(|cx| Poll::Ready(Pin::new(&mut near).poll_write(cx, &bytes[taken..]))).await;
        match written {
            Poll::Ready(n) => taken += n.unwrap(),
            Poll::Pending => break,
        }
    }
    assert_eq!(taken, PLAIN_WRITE_MAX);
    assert!(near.outgoing.len() < PLAIN_WRITE_MAX + 1024);
    drop(far);
}

#[tokio::test]
async fn an_end_that_is_said_is_an_end_and_one_that_is_not_is_a_cut() {
    for version in BOTH {
        let (mut near, mut far) = ends(version, 1 << 16).await;
        far.write_all(b"last").await.unwrap();
        far.shutdown().await.unwrap();
        let mut got = Vec::new();
        near.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"last");
        // Our direction is still open.
        near.write_all(b"an answer").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(all(far, 4).await.unwrap(), b"an answer");

        let (mut near, mut far) = ends(version, 1 << 16).await;
        far.write_all(b"cut").await.unwrap();
        far.flush().await.unwrap();
        drop(far.into_inner().0);
        let mut got = [0; 3];
        near.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"cut");
        assert_eq!(near.read(&mut got).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn keys_are_changed_when_the_client_asks_and_bytes_go_on() {
    let (mut near, mut far) = ends(&TLS13, 1 << 16).await;
    for round in 0..5_u8 {
        far.get_mut().1.refresh_traffic_keys().unwrap();
        far.write_all(&[round; 1000]).await.unwrap();
        let mut got = [0; 1000];
        near.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [round; 1000]);
        near.write_all(&got).await.unwrap();
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [round; 1000]);
    }
}

#[tokio::test]
async fn what_is_no_tls_is_refused_with_an_alert() {
    let (server, _) = configs(&TLS13);
    for garbage in [&b"\x16\x03\x01\x00\x05hello"[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let (near, mut far) = duplex(1 << 16);
        far.write_all(garbage).await.unwrap();
        let error = Tls::accept(near, Arc::clone(&server)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
    let (near, far) = duplex(1 << 16);
    let (_, old) = configs(&TLS12);
    let name = ServerName::try_from("gateway").unwrap();
    let (near, far) = tokio::join!(Tls::accept(near, Arc::clone(&server)), old.connect(name, far));
    assert_eq!(near.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(far.unwrap_err().to_string(), "received fatal alert: ProtocolVersion");
    let (near, far) = duplex(1 << 16);
    drop(far);
    let error = Tls::accept(near, server).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_record_that_was_changed_on_the_way_ends_the_connection_with_an_alert() {
    let (mut near, mut far) = ends(&TLS13, 1 << 16).await;
    far.write_all(b"good").await.unwrap();
    far.flush().await.unwrap();
    let (mut pipe, _) = far.into_inner();
    let mut forged = b"\x17\x03\x03\x00\x40".to_vec();
    forged.extend_from_slice(&noise(0x40, 5));
    // The tickets of the handshake come first.
    let mut before = vec![0; 1 << 16];
    let tickets = pipe.read(&mut before).await.unwrap();
    assert!(tickets > 0);
    pipe.write_all(&forged).await.unwrap();
    // What arrived whole before it is delivered.
    let mut got = [0; 10];
    assert_eq!((near.read(&mut got).await.unwrap(), &got[..4]), (4, &b"good"[..]));
    let error = near.read(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    yield_now().await;
    let alert = pipe.read(&mut before).await.unwrap();
    assert_eq!((before.first(), alert > 0), (Some(&23), true), "an encrypted alert");
    near.write_all(b"x").await.unwrap_or_default();
}
