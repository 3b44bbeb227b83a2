//! The key switch (docs/switch.md), as a file: while it is off, nobody from elsewhere does more than
//! read.

use std::fs;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{
    Daemon, PATIENCE, Pty, Raw, Target, Wire,
    access::tokens,
    client::{Socket, connect_with},
    until,
};

const ALL: &str = "read, write, signals, settings, takeover";

const ANNA: [(&str, &str); 1] = [("authorization", "Bearer wsb_anna")];

/// A gateway whose key is the file `key` in its folder, with a serial line `e` and what else is
/// said.
fn gateway(pty: &Pty, switch: &str, rest: &str) -> Daemon {
    let users = tokens(&[("anna", ALL)]);
    let daemon = Daemon::start(&format!(
        "switch: {{ file: \"{{dir}}/key\"{switch} }}\n{users}  e:\n    serial: {{ port: {} }}\n{rest}",
        pty.path().display()
    ));
    daemon.wait_for("device open");
    daemon
}

fn turn(daemon: &Daemon, on: bool) {
    let key = daemon.folder().join("key");
    let told = |daemon: &Daemon| {
        let log = daemon.log();
        (log.matches("key switch on").count(), log.matches("key switch off").count())
    };
    let before = told(daemon);
    if on {
        fs::write(key, "").unwrap();
    } else {
        fs::remove_file(key).unwrap();
    }
    until("the switch", || {
        let now = told(daemon);
        (if on { now.0 > before.0 } else { now.1 > before.1 }).then_some(())
    });
}

async fn enter(daemon: &Daemon) -> Wire {
    let open = json!({"role": "auto"});
    let (wire, opened) = Wire::open_as(daemon, "e", "wsb_anna", open).await;
    assert_eq!(opened["type"], "opened", "{opened}");
    wire
}

async fn rights(wire: &mut Wire) -> Value {
    let at = wire.passed.iter().position(|told| told["type"] == "rights");
    match at {
        Some(at) => wire.passed.remove(at),
        None => wire.told("rights").await,
    }
}

async fn write(socket: &mut Socket, bytes: &[u8]) {
    socket.send(bytes.to_vec().into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_loses_and_gets_back_what_the_key_locks_without_connecting_anew() {
    let mut pty = Pty::new();
    let steps = "    on_writer_lost: [ { after: 1h }, { send: SAFE } ]\n";
    let daemon = gateway(&pty, "", steps);
    // The file is not there: off from the beginning.
    daemon.wait_for("key switch off");
    let mut anna = enter(&daemon).await;
    let told = rights(&mut anna).await;
    assert_eq!(
        (&told["rights"], &told["why"]),
        (&json!(["read"]), &json!("locked by the key switch: reading only"))
    );
    let denied = anna.ask("lease", json!({"op": "request"})).await;
    let why = (&denied["code"], &denied["message"]);
    assert_eq!(why, (&json!("denied"), &json!("locked by the key switch: reading only")));

    turn(&daemon, true);
    let told = rights(&mut anna).await;
    assert_eq!((told["rights"].as_array().unwrap().len(), &told["why"]), (5, &Value::Null));
    assert_eq!(anna.ask("lease", json!({"op": "request"})).await["type"], "ok");
    anna.send(b"before ").await;
    anna.say(json!({"type": "signals", "id": 1, "steps": [{"ms": 9000}]})).await;
    anna.send(b"behind").await;
    anna.ask("ping", json!({})).await;
    assert_eq!(pty.receive(7), b"before ");

    // What waits is cut and told; the line is left in order; the lease is free.
    turn(&daemon, false);
    let lost = |told: &Value| told["type"] == "error" && told["bytes"] == 6;
    assert_eq!(anna.until(lost).await["code"], "denied");
    assert_eq!(pty.receive(4), b"SAFE");
    assert!(daemon.wait_for("writer lost").contains("why=switch done=1 of=1"));
    assert!(anna.passed.iter().any(|told| told["type"] == "lease" && told["you"] == "observer"));
    anna.send(b"locked").await;
    anna.told("error").await;
    pty.send(b"still heard");
    assert_eq!(anna.receive(11).await, b"still heard");

    turn(&daemon, true);
    assert_eq!(anna.ask("lease", json!({"op": "request"})).await["type"], "ok");
    anna.send(b"again").await;
    assert_eq!(pty.receive(5), b"again");
    anna.ask("close", json!({})).await;
    assert_eq!(daemon.log().matches("writer lost").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn plain_clients_and_doors_follow_the_key_and_a_dedicated_connection_ends() {
    let mut pty = Pty::new();
    let echo = Target::echo();
    let daemon = gateway(&pty, "", &echo.endpoint("plc"));
    turn(&daemon, true);
    let mut plain = connect_with(&daemon.url("e"), &ANNA).await.unwrap();
    write(&mut plain, b"one").await;
    assert_eq!(pty.receive(3), b"one");
    let head = "Authorization: Bearer wsb_anna\r\n";
    let (mut own, answer) = Raw::handshake(daemon.address(), "/ws/plc", head);
    assert!(answer.contains("101"), "{answer}");

    turn(&daemon, false);
    assert_eq!(own.closed().map(|(code, _)| code), Some(4403));
    assert_eq!(Raw::status(daemon.address(), "/ws/plc", head), 403);
    write(&mut plain, b"two").await;
    // It has been read when the gateway has answered what came after it.
    plain.send(Message::Ping(Vec::new().into())).await.unwrap();
    let pong = plain.next().await.unwrap().unwrap();
    assert!(matches!(pong, Message::Pong(_)), "{pong}");
    turn(&daemon, true);
    write(&mut plain, b"three").await;
    // What was written meanwhile is dropped and counted.
    assert_eq!(pty.receive(5), b"three");
    plain.close(None).await.unwrap();
    drop(plain);
    assert!(daemon.wait_for("lost_to_target=3").contains("principal=anna"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_here_may_write_whatever_the_key_says() {
    let mut pty = Pty::new();
    let daemon = gateway(&pty, ", local: [ 127.0.0.0/8 ]", "");
    daemon.wait_for("key switch off");
    let mut anna = enter(&daemon).await;
    assert_eq!(anna.ask("lease", json!({"op": "request"})).await["type"], "ok");
    anna.send(b"here").await;
    assert_eq!(pty.receive(4), b"here");
    anna.ask("close", json!({})).await;

    // `disables`: the file locks. A reload turns the meaning, and a removed switch locks nobody.
    let config = fs::read_to_string(daemon.config()).unwrap();
    let other = config.replace(", local: [ 127.0.0.0/8 ]", ", mode: disables, i_know: true");
    daemon.reload(&other);
    daemon.wait_for("key switch on");
    let mut anna = enter(&daemon).await;
    anna.ask("lease", json!({"op": "request"})).await;
    fs::write(daemon.folder().join("key"), "").unwrap();
    rights(&mut anna).await;
    let (_, rest) = other.split_once('\n').unwrap();
    daemon.reload(rest);
    let told = rights(&mut anna).await;
    assert_eq!(told["why"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_speaks_for_others_at_a_unix_socket_is_elsewhere() {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
    };

    let pty = Pty::new();
    let users = tokens(&[("anna", ALL)])
        .replace("listen:\n", "listen:\n  - address: \"unix:{dir}/http.sock\"\n    tls: none\n");
    let daemon = Daemon::start(&format!(
        "switch: {{ file: \"{{dir}}/key\" }}\n{users}  e:\n    serial: {{ port: {} }}\n",
        pty.path().display()
    ));
    let hello = |more: &str| {
        let mut socket = UnixStream::connect(daemon.folder().join("http.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            socket,
            "GET /ws/e HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: \
             13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: wsbridge.v1\r\nAuthorization: Bearer \
             wsb_anna\r\n{more}\r\n"
        )
        .unwrap();
        let mut read = Vec::new();
        let mut buf = [0; 4096];
        while !String::from_utf8_lossy(&read).contains("\"rights\":[") {
            let n = socket.read(&mut buf).unwrap();
            assert!(n > 0, "{}", String::from_utf8_lossy(&read));
            read.extend(&buf[..n]);
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        text.split_once("\"rights\":[").unwrap().1.split(']').next().unwrap().to_owned()
    };
    assert!(hello("").contains("write"));
    assert_eq!(hello("X-Forwarded-For: 192.0.2.7\r\n"), "\"read\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_chip_that_is_not_there_is_off_and_told() {
    let pty = Pty::new();
    let users = tokens(&[("anna", ALL)]);
    let daemon = Daemon::start(&format!(
        "switch: {{ gpio: {{ chip: gpiochip9999, line: 17, active: low }} }}\n{users}  e:\n    serial: {{ port: {} }}\n",
        pty.path().display()
    ));
    let told = daemon.wait_for("key switch off");
    assert!(told.contains("line 17 of gpiochip9999 cannot be read: No such file"), "{told}");
    let mut anna = enter(&daemon).await;
    assert_eq!(anna.ask("lease", json!({"op": "request"})).await["code"], "denied");
}
