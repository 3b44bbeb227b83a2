//! What is reported as outstanding, against real kernels: what the peer's socket holds, and what a
//! peer got before a reset.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, crypto::ring::default_provider, pki_types::PrivateKeyDer,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{sleep, timeout},
};

use super::*;

/// Acknowledged bytes are in the peer's socket by the next look or the one after it: until then the
/// count is not settled.
async fn settled(what: impl Fn() -> u64) -> u64 {
    let mut last = what();
    loop {
        sleep(Duration::from_millis(60)).await;
        let now = what();
        if now == last {
            return now;
        }
        last = now;
    }
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// Writes until nothing more is taken; returns how much was.
async fn fill(stream: &mut Stream, piece: usize) -> u64 {
    let (bytes, mut total) = (vec![7; piece], 0);
    while let Ok(written) = timeout(Duration::from_millis(200), stream.write(&bytes)).await {
        total += written.unwrap() as u64;
    }
    total
}

fn readable(socket: &TcpStream) -> u64 {
    rustix::io::ioctl_fionread(socket).unwrap()
}

#[tokio::test]
async fn of_tcp_what_the_peers_kernel_has_not_is_outstanding_to_the_byte() {
    let (near, mut far) = tcp_pair().await;
    let mut near = Stream::from(near);
    assert_eq!(near.outstanding(), Outstanding { bytes: 0, exact: true });
    let total = fill(&mut near, 10_000).await;
    let outstanding = settled(|| near.outstanding().bytes).await;
    assert!(outstanding > 0);
    assert_eq!(outstanding + readable(&far), total);
    // Our own FIN is not payload, be it waiting or acknowledged.
    near.shutdown().await.unwrap();
    assert_eq!(near.outstanding(), Outstanding { bytes: outstanding, exact: true });
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len() as u64, total);
    assert_eq!(settled(|| near.outstanding().bytes).await, 0);
}

#[tokio::test]
async fn after_a_reset_what_was_not_acknowledged_stays_outstanding() {
    let (near, far) = tcp_pair().await;
    let mut near = Stream::from(near);
    let total = fill(&mut near, 10_000).await;
    let outstanding = settled(|| near.outstanding().bytes).await;
    assert_eq!(outstanding + readable(&far), total);
    drop(far);
    // It left what it had unread.
    assert!(near.read(&mut [0]).await.is_err());
    assert_eq!(near.outstanding().bytes, outstanding);
    // No FIN follows a reset.
    near.shutdown().await.ok();
    assert_eq!(near.outstanding().bytes, outstanding);
}

#[tokio::test]
async fn of_a_unix_socket_what_is_not_known_to_be_read_is_outstanding() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut near = Stream::from(near);
    near.write_all(&[1; 1000]).await.unwrap();
    assert_eq!(near.outstanding(), Outstanding { bytes: 1000, exact: false });
    far.read_exact(&mut [0; 1000]).await.unwrap();
    assert_eq!(near.outstanding(), Outstanding { bytes: 0, exact: true });
    near.write_all(&[1; 300]).await.unwrap();
    drop(far);
    assert_eq!(near.outstanding(), Outstanding { bytes: 300, exact: false });
    assert_eq!(NextHop::sample(&near), None);
}

#[tokio::test]
async fn a_unix_peer_that_read_all_before_it_answered_leaves_nothing_outstanding() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut near = Stream::from(near);
    for _ in 0..10 {
        near.write_all(&[1; 15_000]).await.unwrap();
        far.read_exact(&mut [0; 15_000]).await.unwrap();
    }
    far.write_all(b"ok").await.unwrap();
    // Only the stream itself asks, when the answer comes.
    near.read_exact(&mut [0; 2]).await.unwrap();
    drop(far);
    assert_eq!(near.outstanding(), Outstanding { bytes: 0, exact: true });
}

#[tokio::test]
async fn a_unix_peer_that_has_half_closed_still_reads() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut near = Stream::from(near);
    far.shutdown().await.unwrap();
    near.write_all(&[1; 10]).await.unwrap();
    far.read_exact(&mut [0; 10]).await.unwrap();
    assert_eq!(near.outstanding(), Outstanding { bytes: 0, exact: true });
}

/// TLS configurations of both ends.
fn configs() -> (Arc<ServerConfig>, TlsConnector) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["gateway".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn under_tls_no_byte_that_a_peer_got_before_a_reset_is_missing_from_the_sum() {
    // Either end can be ours: a client's TLS, and TLS to a target.
    for (ours_serves, piece) in [(true, 50_000), (true, 700), (false, 50_000), (false, 700)] {
        let (config, connector) = configs();
        let (near, far) = tcp_pair().await;
        let name = ServerName::try_from("gateway").unwrap();
        let (server_end, client_end) = if ours_serves { (near, far) } else { (far, near) };
        let (served, connected) = tokio::join!(
            Stream::from(server_end).accept_tls(config),
            Stream::from(client_end).connect_tls(&connector, name)
        );
        let (mut near, mut far) = if ours_serves {
            (served.unwrap(), connected.unwrap())
        } else {
            (connected.unwrap(), served.unwrap())
        };
        let total = fill(&mut near, piece).await;
        let outstanding = settled(|| near.outstanding().bytes).await;
        SockRef::from(near.tcp().unwrap()).set_linger(Some(Duration::ZERO)).unwrap();
        drop(near);
        let (mut got, mut buf) = (0, vec![0; 65_536]);
        while let Ok(read @ 1..) = far.read(&mut buf).await {
            got += read as u64;
        }
        assert!(got > 0 && outstanding > 0);
        assert!(got + outstanding >= total, "{got} + {outstanding} < {total}");
        // Too much by a record at most, or by a write that the kernel did not have whole.
        assert!(got + outstanding <= total + 65_536 + 16_384, "{got} + {outstanding} >> {total}");
    }
}

#[tokio::test]
async fn under_tls_nothing_is_outstanding_when_the_peer_has_all() {
    let (server, connector) = configs();
    let (near, far) = tcp_pair().await;
    let name = ServerName::try_from("gateway").unwrap();
    let (near, far) = tokio::join!(
        Stream::from(near).accept_tls(server),
        Stream::from(far).connect_tls(&connector, name)
    );
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    for _ in 0..100 {
        for turn in [false, true] {
            let (from, to) = if turn { (&mut near, &mut far) } else { (&mut far, &mut near) };
            from.write_all(&[1; 20]).await.unwrap();
            from.flush().await.unwrap();
            to.read_exact(&mut [0; 20]).await.unwrap();
        }
    }
    near.shutdown().await.unwrap();
    for end in [&near, &far] {
        assert_eq!(settled(|| end.outstanding().bytes).await, 0);
    }
}

#[tokio::test]
async fn a_paused_peer_is_alive_and_the_sample_says_why() {
    let (near, far) = tcp_pair().await;
    let mut near = Stream::from(near);
    let total = fill(&mut near, 10_000).await;
    let outstanding = settled(|| near.outstanding().bytes).await;
    // The first probe of the closed window goes out within half a second, and is answered.
    let sample = NextHop::sample(&near).unwrap();
    assert_eq!((sample.unacknowledged, sample.acknowledged), (outstanding, total - outstanding));
    assert!(!sample.in_flight && sample.probes < 2, "{sample:?}");
    let mut life = Liveness::new(Duration::from_millis(600));
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(
            matches!(life.look(&near, tokio::time::Instant::now()), Life::Waiting(_)),
            "{:?}",
            NextHop::sample(&near)
        );
        sleep(Duration::from_millis(50)).await;
    }
    drop(far);
}

#[tokio::test]
async fn a_clamped_window_bounds_what_waits_unread_and_loses_nothing() {
    const BOUND: usize = 32 * 1024;
    let (near, far) = tcp_pair().await;
    let (mut near, mut far) = (Stream::from(near), Stream::from(far));
    far.clamp_window(BOUND).unwrap();
    let total = fill(&mut near, 10_000).await;
    settled(|| near.outstanding().bytes).await;
    let unread = readable(far.tcp().unwrap());
    assert!(unread > 0 && unread <= 2 * BOUND as u64, "{unread}");
    near.shutdown().await.unwrap();
    let (mut got, mut buf) = (0, [0; 4096]);
    while let Ok(read @ 1..) = far.read(&mut buf).await {
        got += read as u64;
        assert!(readable(far.tcp().unwrap()) <= 2 * BOUND as u64);
    }
    assert_eq!(got, total);
}

#[tokio::test]
async fn a_split_stream_is_asked_through_its_gauge_and_ends_with_its_halves() {
    let (near, mut far) = tcp_pair().await;
    let (reader, mut writer, gauge) = split(Stream::from(near), Duration::from_secs(30));
    writer.write_all(b"hello").await.unwrap();
    far.read_exact(&mut [0; 5]).await.unwrap();
    assert_eq!(settled(|| gauge.outstanding().bytes).await, 0);
    assert_eq!(gauge.sample().unwrap().acknowledged, 5);
    drop((reader, writer));
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(gauge.sample(), None);
}
