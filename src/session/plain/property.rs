//! Whatever happens: the number reported as lost is never less than what did not arrive.

use std::{
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    time::sleep,
};

use super::*;
use crate::{
    auth::{Peer, Principal, PrincipalId, PrincipalKind},
    config::RightsTable,
    session::{Payload, Sessions},
    stream::Stream,
    wire::close::Ended,
};

const TERMS: Terms = Terms {
    dead_after: Duration::from_secs(5),
    idle: None,
    linger: Linger { still: Duration::from_millis(120), alive: Duration::from_millis(250) },
    rate: None,
    packing: Packing::None,
    datagrams: false,
};

/// How a session ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Cut,
    BadFrame,
    Order(u8),
    TargetCloses,
}

#[derive(Clone, Debug)]
struct Script {
    /// Sizes of the client's frames.
    frames: Vec<usize>,
    /// How much the target reads at a time, and how many milliseconds it waits before that.
    reads: Vec<(usize, u64)>,
    /// After this many reads it takes nothing more until the session is over.
    patience: usize,
    end: End,
}

fn scripts() -> impl Strategy<Value = Script> {
    let end = prop_oneof![
        3 => Just(End::Close),
        1 => Just(End::Cut),
        1 => Just(End::BadFrame),
        2 => (0_u8..3).prop_map(End::Order),
        1 => Just(End::TargetCloses),
    ];
    (
        prop::collection::vec(0_usize..60_000, 0..12),
        prop::collection::vec((1_usize..40_000, 0_u64..8), 1..12),
        0_usize..12,
        end,
    )
        .prop_map(|(frames, reads, patience, end)| Script { frames, reads, patience, end })
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // Another test's daemon may still try a port that used to be its target's.
    loop {
        let (far, peer) = listener.accept().unwrap();
        if peer == near.local_addr().unwrap() {
            return (near, far);
        }
    }
}

fn tokio_of(stream: TcpStream) -> tokio::net::TcpStream {
    stream.set_nonblocking(true).unwrap();
    tokio::net::TcpStream::from_std(stream).unwrap()
}

/// A masked binary frame, masked with zeroes.
fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![0x82, 0xFF];
    if length <= 125 {
        frame = vec![0x82, 0x80 | u8::try_from(length).unwrap()];
    } else if let Ok(short) = u16::try_from(length) {
        frame = [&[0x82, 0xFE][..], &short.to_be_bytes()].concat();
    } else {
        frame.extend((length as u64).to_be_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(vec![0x55; length]);
    frame
}

/// Plays the client.
async fn drive(
    mut client: tokio::net::TcpStream,
    script: &Script,
    sessions: &Sessions,
) -> tokio::net::TcpStream {
    for length in &script.frames {
        let frame = frame(*length);
        // A target that takes nothing holds the client back; the client does not wait for ever.
        let wrote =
            tokio::time::timeout(Duration::from_millis(100), client.write_all(&frame)).await;
        if !matches!(wrote, Ok(Ok(()))) {
            break;
        }
    }
    match script.end {
        End::Close => drop(client.try_write(&[0x88, 0x80, 0, 0, 0, 0])),
        End::BadFrame => drop(client.try_write(&[0x82, 0x01, 0x00])),
        End::Cut => SockRef::from(&client).shutdown(Shutdown::Both).unwrap(),
        End::Order(which) => {
            let orders = [Ended::Withdrawn, Ended::Removed, Ended::GaveWay];
            sessions.end(|_| orders.get(usize::from(which)).cloned());
        }
        End::TargetCloses => {}
    }
    // The client reads to the end, and answers a Close; the target sends nothing that could look
    // like one.
    let mut rest = [0; 4096];
    while let Ok(read @ 1..) = client.read(&mut rest).await {
        if rest[..read].contains(&0x88) {
            drop(client.try_write(&[0x88, 0x80, 0, 0, 0, 0]));
        }
    }
    client
}

/// Plays the target: returns how many bytes it got. What its kernel had when the session was over
/// counts as arrived.
async fn device(
    mut target: tokio::net::TcpStream,
    script: &Script,
    over: &tokio::sync::Notify,
) -> u64 {
    let mut got = 0;
    let mut space = vec![0; 40_000];
    for (most, wait) in script.reads.iter().take(script.patience) {
        sleep(Duration::from_millis(*wait)).await;
        let read =
            tokio::time::timeout(Duration::from_millis(30), target.read(&mut space[..*most]));
        got += read.await.unwrap_or(Ok(0)).unwrap_or(0) as u64;
    }
    if matches!(script.end, End::TargetCloses) {
        SockRef::from(&target).shutdown(Shutdown::Write).unwrap();
    }
    over.notified().await;
    // What its kernel had counts as arrived.
    while let Ok(read @ 1..) = target.read(&mut space).await {
        got += read as u64;
    }
    got
}

/// Plays a script; returns what the session reported, and how many bytes the target got.
async fn play(script: Script) -> (SessionReport, u64) {
    let (client, near) = pair();
    let (far, target) = pair();
    for socket in [&target, &near] {
        SockRef::from(socket).set_recv_buffer_size(8192).unwrap();
    }
    let (client, target) = (tokio_of(client), tokio_of(target));
    let sessions = Arc::new(Sessions::default());
    let principal =
        Principal::new(PrincipalId::new(PrincipalKind::Open, "p"), RightsTable::default());
    let entry = sessions.enter("e", &principal, &Peer::default());
    let socket = Socket::new(Stream::from(tokio_of(near)), Vec::new(), Payload::Binary);
    let session = plain(socket, Stream::from(tokio_of(far)), TERMS, &entry);
    let over = tokio::sync::Notify::new();
    let session = async {
        let report = session.await;
        over.notify_one();
        report
    };
    let device = device(target, &script, &over);
    let client = drive(client, &script, &sessions);
    let (report, got, _client) = tokio::join!(session, device, client);
    (report, got)
}

proptest! {
    // Each waits more than it works: run many at the same time.
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn never_less_is_told_as_lost_than_did_not_arrive(scripts in prop::collection::vec(scripts(), 40)) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let played = runtime.block_on(futures_util::future::join_all(scripts.iter().map(|script| async move {
            let end = tokio::time::timeout(Duration::from_secs(100), play(script.clone())).await;
            end.unwrap_or_else(|_| panic!("no end of {script:?}"))
        })));
        for ((report, got), script) in played.into_iter().zip(&scripts) {
            prop_assert!(report.lost_up <= report.taken, "{:?} of {:?}", report, script);
            let told = report.taken - report.lost_up;
            prop_assert!(told <= got, "{:?}, {} arrived, of {:?}", report, got, script);
            if report.ended == Ended::ClientClosed(None) {
                prop_assert_eq!((report.lost_up, got), (0, report.taken), "1000 means all: {:?}", script);
            }
        }
    }
}
