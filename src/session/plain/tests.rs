//! The pump between real sockets: a tungstenite client on one side, a TCP peer on the other.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role, protocol::frame::coding::CloseCode},
};

use super::*;
use crate::{
    auth::{Peer, Principal, PrincipalId, PrincipalKind},
    config::RightsTable,
    session::{Payload, Sessions},
    stream::Stream,
};

const TERMS: Terms = Terms {
    dead_after: Duration::from_secs(30),
    idle: None,
    linger: Linger { still: Duration::from_secs(5), alive: Duration::from_secs(600) },
    rate: None,
    packing: Packing::None,
    datagrams: false,
};

fn someone() -> Principal {
    Principal::new(PrincipalId::new(PrincipalKind::Open, "p"), RightsTable::default())
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (near, far) =
        tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

struct Rig {
    client: WebSocketStream<TcpStream>,
    target: TcpStream,
    sessions: Arc<Sessions>,
    session: JoinSet<SessionReport>,
}

impl Rig {
    async fn new(terms: Terms, payload: Payload) -> Self {
        let (client, near) = pair().await;
        let (far, target) = pair().await;
        let sessions = Arc::new(Sessions::default());
        let entry = sessions.enter("e", &someone(), &Peer::default());
        let mut session = JoinSet::new();
        session.spawn(async move {
            let socket = Socket::new(Stream::from(near), Vec::new(), payload);
            plain(socket, Stream::from(far), terms, &entry).await
        });
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        Self { client, target, sessions, session }
    }

    async fn report(&mut self) -> SessionReport {
        self.session.join_next().await.unwrap().unwrap()
    }
}

/// Bytes that show any loss, doubling or swap.
fn pattern(length: usize) -> Vec<u8> {
    let words = (0..length.div_ceil(4))
        .map(|i| u32::try_from(i).unwrap().wrapping_mul(2_654_435_761).to_le_bytes());
    let mut bytes: Vec<u8> = words.flatten().collect();
    bytes.truncate(length);
    bytes
}

async fn receive(client: &mut WebSocketStream<TcpStream>) -> (Vec<u8>, Option<CloseCode>) {
    let mut bytes = Vec::new();
    loop {
        match client.next().await {
            Some(Ok(Message::Binary(data))) => bytes.extend_from_slice(&data),
            Some(Ok(Message::Text(text))) => bytes.extend_from_slice(text.as_bytes()),
            Some(Ok(Message::Close(close))) => return (bytes, close.map(|close| close.code)),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (bytes, None),
        }
    }
}

#[tokio::test]
async fn a_target_that_ends_with_10_mb_in_flight_loses_nothing() {
    let mut rig = Rig::new(TERMS, Payload::Binary).await;
    let sent = pattern(10 << 20);
    let (mut target, data) = (rig.target, sent.clone());
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        target.write_all(&data).await.unwrap();
        target.shutdown().await.unwrap();
        target.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let (got, code) = receive(&mut rig.client).await;
    assert!(got == sent);
    assert_eq!(code, Some(CloseCode::Normal));
    // tungstenite sends its Close with the next call.
    rig.client.next().await;
    let report = rig.session.join_next().await.unwrap().unwrap();
    assert_eq!(report, SessionReport::of(Ended::TargetEnded));
    writer.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_closes_behind_10_mb_loses_nothing_and_hears_the_answer_to_its_half_close() {
    let mut rig = Rig::new(TERMS, Payload::Binary).await;
    let sent = pattern(10 << 20);
    let mut target = rig.target;
    let mut peer = JoinSet::new();
    peer.spawn(async move {
        let mut got = Vec::new();
        target.read_to_end(&mut got).await.unwrap();
        target.write_all(b"answer after your end").await.unwrap();
        got
    });
    for piece in sent.chunks(100_000) {
        rig.client.feed(Message::binary(piece.to_vec())).await.unwrap();
    }
    rig.client.close(None).await.unwrap();
    let (answer, _) = receive(&mut rig.client).await;
    assert_eq!(answer, b"answer after your end");
    assert!(peer.join_next().await.unwrap().unwrap() == sent);
    let report = rig.session.join_next().await.unwrap().unwrap();
    assert_eq!(
        report,
        SessionReport { taken: 10 << 20, ..SessionReport::of(Ended::ClientClosed(None)) }
    );
}

#[tokio::test]
async fn both_ways_at_once_are_byte_exact() {
    let rig = Rig::new(TERMS, Payload::Binary).await;
    let sent = pattern(20 << 20);
    let (mut to, mut from) = rig.client.split();
    let (mut read, mut write) = rig.target.into_split();
    let all = sent.clone();
    let up = async {
        for piece in all.chunks(12_345) {
            to.send(Message::binary(piece.to_vec())).await.unwrap();
        }
        to
    };
    let target_reads = async {
        let mut got = vec![0; sent.len()];
        read.read_exact(&mut got).await.unwrap();
        got
    };
    let client_reads = async {
        let mut got = Vec::new();
        while got.len() < sent.len() {
            got.extend_from_slice(&from.next().await.unwrap().unwrap().into_data());
        }
        got
    };
    let (_, at_target, at_client, written) =
        tokio::join!(up, target_reads, client_reads, write.write_all(&sent));
    written.unwrap();
    assert!(at_target == sent && at_client == sent);
}

#[tokio::test]
async fn an_order_to_end_closes_with_its_code_and_delivers_what_was_read() {
    let mut rig = Rig::new(TERMS, Payload::Binary).await;
    rig.target.write_all(b"read before the order").await.unwrap();
    let first = rig.client.next().await.unwrap().unwrap();
    assert_eq!(&first.into_data()[..], b"read before the order");
    rig.sessions.end(|_| Some(Ended::Removed));
    let (_, code) = receive(&mut rig.client).await;
    assert_eq!(code, Some(CloseCode::Library(4404)));
    rig.client.next().await;
    assert_eq!(rig.report().await.ended, Ended::Removed);
    assert_eq!(rig.sessions.list().len(), 0);
}

#[tokio::test]
async fn a_client_lost_without_close_still_has_its_bytes_delivered() {
    let mut rig = Rig::new(TERMS, Payload::Binary).await;
    rig.client.send(Message::binary(&b"last"[..])).await.unwrap();
    drop(rig.client);
    let mut got = Vec::new();
    rig.target.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"last");
    let report = rig.session.join_next().await.unwrap().unwrap();
    assert!(matches!(report.ended, Ended::ClientLost(_)), "{report:?}");
}

#[tokio::test]
async fn an_unmasked_frame_closes_with_1002_behind_what_was_valid() {
    let (mut client, near) = pair().await;
    let (far, mut target) = pair().await;
    let sessions = Arc::new(Sessions::default());
    let entry = sessions.enter("e", &someone(), &Peer::default());
    let mut session = JoinSet::new();
    session.spawn(async move {
        let socket =
            Socket::new(Stream::from(near), b"\x82\x82\0\0\0\0ok".to_vec(), Payload::Binary);
        plain(socket, Stream::from(far), TERMS, &entry).await
    });
    client.write_all(b"\x82\x02no").await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(&got[..1], b"\x88");
    assert_eq!(u16::from_be_bytes([got[2], got[3]]), 1002);
    drop(client);
    let mut delivered = Vec::new();
    target.read_to_end(&mut delivered).await.unwrap();
    assert_eq!(delivered, b"ok");
    assert!(matches!(session.join_next().await.unwrap().unwrap().ended, Ended::BadFrame(_)));
}

#[tokio::test]
async fn a_ping_is_answered_while_the_target_takes_nothing() {
    let mut rig = Rig::new(TERMS, Payload::Binary).await;
    rig.client.send(Message::Ping(b"are you there"[..].into())).await.unwrap();
    let pong = rig.client.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(b"are you there"[..].into()));
}

#[tokio::test]
async fn base64_goes_both_ways_in_text_frames() {
    let mut rig = Rig::new(TERMS, Payload::Base64).await;
    rig.client.send(Message::text("AAEC/w==")).await.unwrap();
    let mut got = [0; 4];
    rig.target.read_exact(&mut got).await.unwrap();
    assert_eq!(got, [0, 1, 2, 255]);
    rig.target.write_all(&got).await.unwrap();
    assert_eq!(rig.client.next().await.unwrap().unwrap(), Message::text("AAEC/w=="));
}
