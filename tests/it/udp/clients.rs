//! Clients of the library and of others: their messages are datagrams.

use std::{fs, process::Command};

use wsbridge::client::{Client, Code, Dial, Error, Event, Events, Open};

use super::Peer;
use crate::{
    harness::{cutter::Cutter, noise},
    peers::works,
};

/// The next data, and whether the session was resumed before it.
async fn data(events: &mut Events) -> (Vec<u8>, bool) {
    let mut resumed = false;
    loop {
        match events.next().await.expect("an event") {
            Event::Data { bytes, .. } => return (bytes.to_vec(), resumed),
            Event::Resumed(_) => resumed = true,
            bad @ (Event::Gap { .. } | Event::Gone(_) | Event::Closed { .. }) => panic!("{bad:?}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_write_of_the_rust_client_is_a_datagram_also_when_it_comes_back() {
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    // The first connection carries the greeting and some of what follows.
    let cutter = Cutter::start(daemon.address(), vec![60_000]);
    let (client, mut events) = Client::connect(Dial::new(cutter.url("e"))).await.unwrap();
    client.open(Open::default()).await.unwrap();
    let sent: Vec<Vec<u8>> = [3, 20_000, 0, 40_000, 1, 30_000].into_iter().map(noise).collect();
    for bytes in &sent {
        client.write(bytes).await.unwrap();
    }
    // For empty ones nobody knows, over a resume, whether they were taken.
    let whole: Vec<_> = sent.iter().filter(|bytes| !bytes.is_empty()).collect();
    for bytes in &whole {
        let mut got = peer.receive();
        while got.is_empty() {
            got = peer.receive();
        }
        assert!(got == **bytes, "{} bytes in place of {}", got.len(), bytes.len());
    }
    let mut resumed = false;
    for bytes in [b"one".as_slice(), b"", b"two"] {
        peer.send(bytes);
        let (got, again) = data(&mut events).await;
        assert_eq!(got, bytes);
        resumed |= again;
    }
    assert!(resumed && cutter.cuts() > 0);
    let error = client.write(&noise(65_508)).await.unwrap_err();
    assert!(matches!(error, Error::Failed { code: Code::Limit, .. }), "{error}");
    client.write(&noise(65_507)).await.unwrap();
    assert_eq!(peer.receive(), noise(65_507));
}

/// Sends three messages and prints three that come, in both modes.
const PYTHON: &str = r#"
import json, sys
from websockets.sync.client import connect

def talk(ws):
    for message in [b"$GPGGA,1*00\r\n", b"", bytes(30000)]:
        ws.send(message)
    # Fragments of one message.
    ws.send([b"frag", b"ment", b"s"])

with connect(sys.argv[1]) as ws:
    talk(ws)
    for _ in range(3):
        print(ws.recv())
with connect(sys.argv[1], subprotocols=["wsbridge.v1"]) as ws:
    hello = json.loads(ws.recv())
    ws.send(json.dumps({"type": "open", "id": 1}))
    while json.loads(ws.recv())["type"] != "opened":
        pass
    talk(ws)
    seen = 0
    while seen < 3:
        said = ws.recv()
        if isinstance(said, bytes):
            print(said)
            seen += 1
    print(hello["endpoint"]["kind"], "datagrams" in hello["endpoint"]["caps"])
"#;

#[test]
fn a_message_of_pythons_websockets_is_a_datagram_in_both_modes() {
    if !works("python3", &["-c", "import websockets.sync.client"]) {
        eprintln!("skipped: python3 with `websockets` is missing (pip install websockets)");
        return;
    }
    let mut peer = Peer::new();
    let daemon = peer.daemon("");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("udp.py");
    fs::write(&file, PYTHON).unwrap();
    let url = daemon.url("e");
    let program =
        std::thread::spawn(move || Command::new("python3").arg(file).arg(url).output().unwrap());
    for _ in 0..2 {
        for bytes in [b"$GPGGA,1*00\r\n".to_vec(), Vec::new(), vec![0; 30_000], b"fragments".into()]
        {
            assert!(peer.receive() == bytes);
        }
        for bytes in [b"a\r\n".as_slice(), b"", b"b"] {
            peer.send(bytes);
        }
    }
    let output = program.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let three = "b'a\\r\\n'\nb''\nb'b'\n";
    assert_eq!(said, format!("{three}{three}udp True\n"));
}
