//! From a handshake to a session and its end.

use futures_util::{SinkExt as _, StreamExt as _};
use tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::*;

async fn close_code(socket: &mut Socket) -> u16 {
    while let Some(message) = socket.next().await {
        if let Message::Close(Some(close)) = message.unwrap() {
            return close.code.into();
        }
    }
    panic!("no Close frame");
}

#[tokio::test]
async fn bytes_come_back_from_the_echo_and_are_counted() {
    let gateway = start(config(open())).await;
    let mut socket =
        gateway.socket("/ws/plc1", &[("sec-websocket-protocol", "binary")]).await.unwrap();
    socket.send(Message::binary(b"hello".to_vec())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::binary(b"hello".to_vec()));
    let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    socket.close(Some(normal)).await.unwrap();
    assert_eq!(close_code(&mut socket).await, u16::from(CloseCode::Normal));
    drop(socket);
    while gateway.bridge.sessions.count("plc1") > 0 {
        tokio::task::yield_now().await;
    }
    let counted = gateway.bridge.metrics.endpoint("plc1");
    while counted.to_client.get() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!((counted.to_target.get(), counted.sessions.get()), (5, 1));
}

#[tokio::test]
async fn a_websockify_client_names_the_endpoint_in_the_query() {
    let gateway = start(config(open())).await;
    let mut socket = gateway.socket("/websockify?token=plc1&frames=text", &[]).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    assert_eq!(gateway.handshake("/websockify", &[]).await.status, 404);
}

#[tokio::test]
async fn what_is_sent_right_behind_the_handshake_is_not_lost() {
    let gateway = start(config(open())).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "GET /ws/plc1 HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n",
        gateway.address,
        UPGRADE.join("\r\n")
    );
    // A masked binary frame of two bytes; a zero mask changes nothing.
    let early = [head.as_bytes(), &[0x82, 0x82, 0, 0, 0, 0], b"hi"].concat();
    stream.write_all(&early).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n\x82\x02hi") {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    let head = String::from_utf8_lossy(&answer);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
}

#[tokio::test]
async fn a_page_learns_by_a_close_code_what_a_program_learns_by_status() {
    let gateway = start(config(open())).await;
    let answer = gateway.handshake("/ws/gone", &[]).await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("cannot be reached"), "{}", answer.body);
    let origin = format!("http://{}", gateway.address);
    let mut socket = gateway.socket("/ws/gone", &[("origin", &origin)]).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 4450);
}

#[tokio::test]
async fn an_endpoint_takes_no_more_sessions_than_its_limit() {
    let gateway = start(config(open())).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(gateway.socket("/ws/plc1", &[]).await.unwrap());
    }
    assert_eq!(gateway.handshake("/ws/plc1", &[]).await.status, 429);
}

#[tokio::test]
async fn a_session_ends_with_its_right_its_login_or_its_endpoint() {
    for (code, change) in [
        (4401, (|config: &mut Config| drop(config.access.tokens.remove("plc"))) as fn(&mut Config)),
        (4403, |config| {
            let token = config.access.tokens.get_mut("plc").unwrap();
            token.rights = rights("plc1", Rights::READ);
        }),
        (4404, |config| drop(config.endpoints.remove("plc1"))),
    ] {
        let gateway = start(config(access())).await;
        let mut socket =
            gateway.socket("/ws/plc1", &[("authorization", "Bearer wsb_plc")]).await.unwrap();
        gateway.config.send_modify(|config| change(Arc::make_mut(config)));
        assert_eq!(close_code(&mut socket).await, code);
    }
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_behind() {
    let gateway = start(config(open())).await;
    let before = gateway.tasks.len();
    for _ in 0..50 {
        drop(gateway.socket("/ws/plc1", &[]).await.unwrap());
    }
    while gateway.tasks.len() > before || gateway.bridge.auth.admission.total() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.bridge.metrics.connections_open.get(), 0);
}
